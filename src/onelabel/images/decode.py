"""The one way from a file to an upright 8-bit RGB image. Files are untrusted."""

from __future__ import annotations

import importlib
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

# Importing a plugin registers its format with Pillow, as opening an unknown file would.
from PIL import (
    BmpImagePlugin,  # noqa: F401
    GifImagePlugin,  # noqa: F401
    Image,
    Jpeg2KImagePlugin,  # noqa: F401
    JpegImagePlugin,  # noqa: F401
    PngImagePlugin,  # noqa: F401
    PpmImagePlugin,  # noqa: F401
    TiffImagePlugin,  # noqa: F401
    WebPImagePlugin,  # noqa: F401
)
from PIL.ImageFile import ImageFile

from onelabel.images.colour import to_rgb
from onelabel.io.errors import ImageError, OneLabelError

with suppress(ImportError):  # part of Pillow since 11.3
    from PIL import AvifImagePlugin  # noqa: F401

MAX_PIXELS = 100_000_000
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "JPEG2000", "AVIF")
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
_AVIF_BRANDS = {b"avif", b"avis"}
_ORIENTATION = 0x0112
_TO_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


class OversizedImageError(ImageError):
    """An image with more pixels than the limit; nothing of it was decoded."""

    def __reduce__(self) -> tuple[type[ImageError], tuple[str, str]]:
        return OversizedImageError, (self.path, self.problem)


@dataclass(frozen=True)
class Header:
    """What a file says about itself before it is decoded.

    Attributes:
        width: in pixels, as stored, before the EXIF orientation is applied.
        height: in pixels, as stored.
        format: Pillow's name, such as ``"JPEG"``.
        animated: it holds more pictures, of which the first is used.
    """

    width: int
    height: int
    format: str
    animated: bool


def decode(path: str | Path, max_pixels: int = MAX_PIXELS, *, data: bytes | None = None) -> Image.Image:
    """Read an image file as upright 8-bit RGB.

    The EXIF orientation is applied (one that cannot be read counts as upright), transparency lies over white,
    and an animation gives its first frame. See :func:`onelabel.images.colour.to_rgb` for the colour modes.
    Pillow's settings for the whole process (its pixel limit, its tolerance of truncated files, warning
    filters) are neither used nor changed.

    Args:
        path: JPEG, PNG, WebP, GIF, TIFF, BMP, PPM family, JPEG 2000 or AVIF; HEIC with ``pillow-heif``.
        max_pixels: refuse larger images, by width × height in the header, before decoding.
        data: content, where the image lies in another file; ``path`` then only names it.

    Returns:
        An image of mode ``"RGB"`` without metadata.

    Raises:
        OversizedImageError: more than ``max_pixels`` pixels.
        ImageError: missing, not a file, not permitted, empty, of an unknown format, broken, or
            truncated so that pixels are missing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "grey.png"
        >>> Image.new("L", (4, 2), 7).save(path)
        >>> image = decode(path)
        >>> image.mode, image.size, image.getpixel((0, 0))
        ('RGB', (4, 2), (7, 7, 7))
    """
    with _opened(Path(path), data) as image:
        _check_size(path, image, max_pixels)
        image.load()
        turn = _TO_UPRIGHT.get(_orientation(image))
        picture = to_rgb(image)
        if turn is not None:
            picture = picture.transpose(turn)
        picture.info = {}  # an orientation left in there would be applied twice
        return picture


def read_header(path: str | Path, max_pixels: int | None = None) -> Header:
    """Read the size and format of an image without decoding it.

    Args:
        path: as for :func:`decode`.
        max_pixels: refuse larger images; None for no limit.

    Raises:
        OversizedImageError: more than ``max_pixels`` pixels.
        ImageError: missing, not a file, not permitted, empty, of an unknown format or with a broken header.
    """
    with _opened(Path(path)) as image:
        if max_pixels is not None:
            _check_size(path, image, max_pixels)
        return Header(*image.size, format=image.format or "", animated=_is_animated(image))


@contextmanager
def _opened(path: Path, data: bytes | None = None) -> Iterator[ImageFile]:
    """Give the undecoded image; whatever a decoder raises inside the block becomes an ImageError."""
    if data == b"":
        raise ImageError(path, "the file is empty (0 bytes)")
    with _open_file(path) if data is None else BytesIO(data) as stream:
        try:
            yield _identify(path, stream)
        except ImageError:
            raise
        except OneLabelError as error:
            raise ImageError(path, str(error)) from error
        except Image.DecompressionBombError as error:
            raise OversizedImageError(path, f"too large even for Pillow's own limit: {error}") from error
        except MemoryError as error:
            raise ImageError(path, "not enough memory to decode it; lower the pixel limit") from error
        except Exception as error:  # decoders of hostile files raise nearly every type there is
            reason = str(error) or type(error).__name__
            raise ImageError(path, f"broken or incomplete: {reason}") from error


def _open_file(path: Path) -> BinaryIO:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(path, "is a folder, not an image")
        if not stat.S_ISREG(status.st_mode):  # reading a pipe or a device may never end
            raise ImageError(path, "is not a regular file")
        if status.st_size == 0:
            raise ImageError(path, "the file is empty (0 bytes)")
        return path.open("rb")
    except FileNotFoundError:
        raise ImageError(path, "there is no such file") from None
    except PermissionError:
        raise ImageError(path, "no permission to read it") from None
    except (OSError, ValueError) as error:
        raise ImageError(path, f"cannot be opened: {error}") from None


def _identify(path: Path, stream: BinaryIO) -> ImageFile:
    """Construct the plugin that fits the first bytes.

    ``Image.open`` is not used: it warns above one process-wide limit and fails above twice that limit, where
    our own limit has to decide.
    """
    prefix = stream.read(64)
    brands = _brands(prefix)
    if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS:
        return _open_heif(path, stream)
    for name in FORMATS:
        factory, accept = Image.OPEN.get(name, (None, None))
        if factory is not None and accept is not None and accept(prefix[:16]) is True:
            stream.seek(0)
            return factory(stream, "")
    if brands & _AVIF_BRANDS:
        raise ImageError(path, "AVIF needs Pillow 11.3 or newer, built with AVIF: pip install -U pillow")
    raise ImageError(path, f"not an image of a known format ({', '.join(FORMATS)})")


def _brands(prefix: bytes) -> set[bytes]:
    """Return the brands that an ISO media file (HEIC, AVIF) claims in its first box."""
    if prefix[4:8] != b"ftyp":
        return set()
    box = prefix[8 : int.from_bytes(prefix[:4], "big")]
    return {box[i : i + 4] for i in range(0, len(box), 4)}


def _open_heif(path: Path, stream: BinaryIO) -> ImageFile:
    try:
        plugin = importlib.import_module("pillow_heif.as_plugin")
    except ImportError:
        raise ImageError(path, "HEIC needs an extra package: pip install pillow-heif") from None
    stream.seek(0)
    image: ImageFile = plugin.HeifImageFile(stream, "")
    return image


def _check_size(path: str | Path, image: ImageFile, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise OversizedImageError(
            path,
            f"{width} × {height} is {width * height:,} pixels, the limit is {max_pixels:,}: "
            "make it smaller or raise the limit",
        )


def _is_animated(image: ImageFile) -> bool:
    if image.format == "MPO":  # phones store depth or gain maps so, beside the photo
        return False
    try:
        return bool(getattr(image, "is_animated", False))
    except Exception:  # GIF looks for a second frame; a broken one does not spoil the first
        return False


def _orientation(image: ImageFile) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # broken EXIF data spoils the orientation, not the pixels
        return 1
