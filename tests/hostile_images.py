"""Damaged and lying pictures: each gives an RGB picture or an ImageError, quickly and in little memory."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image, PngImagePlugin, features

from hostile_child import WARM_UP, random_of
from hostile_mutations import mutate
from onelabel.images.decode import decode, read_header
from onelabel.io.errors import ImageError

MOST_PIXELS = 4_000_000
HUGE = 30_000


def _picture(mode: str = "RGB", size: tuple[int, int] = (24, 18)) -> Image.Image:
    generator = np.random.default_rng(3)
    return Image.fromarray(generator.integers(0, 255, (size[1], size[0], 3), np.uint8)).convert(mode)


def _saved(name: str, mode: str = "RGB", **options: object) -> bytes:
    stream = io.BytesIO()
    _picture(mode).save(stream, name, **options)
    return stream.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    return exif


def _png_with_text() -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("a", "b" * 50, zip=True)
    text.add_itxt("c", "ü", "de", zip=True)
    return _saved("PNG", "P", pnginfo=text, icc_profile=b"\0" * 200, exif=_exif())


@cache
def pictures() -> dict[str, tuple[bytes, ...]]:
    """Return good pictures by format, in the kinds that have code of their own."""
    others = [_picture().rotate(90), _picture("L").convert("RGB")]
    found = {
        "JPEG": (_saved("JPEG", exif=_exif()), _saved("JPEG", "CMYK", progressive=True), _saved("JPEG", "L")),
        "PNG": (
            _png_with_text(), _saved("PNG", "RGBA"), _saved("PNG", "I;16"), _saved("PNG", "1"),
            _saved("PNG", save_all=True, append_images=others),
        ),
        "TIFF": tuple(
            _saved("TIFF", mode, compression=how, exif=_exif())
            for mode, how in (
                ("RGB", "raw"), ("RGB", "tiff_lzw"), ("RGB", "jpeg"), ("L", "packbits"), ("1", "group4"),
                ("CMYK", "tiff_adobe_deflate"), ("I;16", "raw"), ("LAB", "raw"),
            )
        ),
        "WEBP": (_saved("WEBP"), _saved("WEBP", "RGBA", lossless=True, exif=_exif()),
                 _saved("WEBP", save_all=True, append_images=others)),
        "GIF": (_saved("GIF", "P", transparency=3), _saved("GIF", save_all=True, append_images=others)),
        "BMP": (_saved("BMP"), _saved("BMP", "P")),
        "PPM": (_saved("PPM"), b"P3 2 2 255 " + b"1 2 3 " * 4, b"P1 9 2 " + b"1 " * 18,
                b"Pf\n2 2\n-1.0\n" + b"\0" * 16),
    }  # fmt: skip
    if features.check("jpg_2000"):
        found["JPEG2000"] = (_saved("JPEG2000"), _saved("JPEG2000", "L"))
    if features.check("avif"):
        found["AVIF"] = (_saved("AVIF"),)
    return found


def read(name: str, seed: int, folder: Path) -> None:
    """Decode a changed picture of one format."""
    random, path = random_of(name, seed), folder / "picture"
    if seed == WARM_UP:
        for data in pictures()[name]:
            path.write_bytes(data)
            check(path)
        return
    data = random.choice(pictures()[name])
    path.write_bytes(random.choice([_numbers, _mended_numbers, _chunks, mutate])(data, random))
    check(path)


def check(path: Path) -> None:
    """Decode a picture and look at what came out."""
    try:
        header = read_header(path)
    except ImageError:
        header = None
    image = decode(path, MOST_PIXELS)
    assert header is not None
    assert image.mode == "RGB" and image.info == {} and 0 < image.width * image.height <= MOST_PIXELS
    assert len(image.tobytes()) == 3 * image.width * image.height


def _numbers(data: bytes, random: Random) -> bytes:
    """Change one to three numbers, most of them in the header."""
    found = bytearray(data)
    for _ in range(random.choice([1, 1, 2, 3])):
        size = random.choice([1, 2, 4])
        limit = min(len(found) - size, random.choice([64, 200, len(found)]))
        place = random.randrange(max(1, limit))
        value = random.choice([0, 1, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**32 - 1, random.getrandbits(32)])
        found[place : place + size] = (value % 256**size).to_bytes(size, random.choice(["little", "big"]))
    return bytes(found)


def _chunks(data: bytes, random: Random) -> bytes:
    """Move a piece of the file to another place, and mend the check sums of a PNG file."""
    first, last = sorted(random.sample(range(len(data)), 2))
    place = random.randrange(len(data))
    moved = data[:place] + data[first:last] + data[place + random.choice([0, last - first]) :]
    return _mended(moved) if data.startswith(b"\x89PNG") else moved


def _mended_numbers(data: bytes, random: Random) -> bytes:
    found = _numbers(data, random)
    return _mended(found) if data.startswith(b"\x89PNG") else found


def _mended(data: bytes) -> bytes:
    out, place = data[:8], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        body = data[place + 4 : place + 8 + length]
        out += data[place : place + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        place += 12 + length
    return out


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return a PNG file that declares a size and holds these chunks."""
    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    out = b"\x89PNG\r\n\x1a\n"
    for kind, body in (header, *chunks, (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return out


def _tiff(side: int) -> bytes:
    tags = [
        (256, side),
        (257, side),
        (258, 8),
        (259, 1),
        (262, 1),
        (273, 8),
        (277, 1),
        (278, side),
        (279, 2**30),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"


def _jpeg(side: int) -> bytes:
    data = bytearray(_saved("JPEG", "L"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", side, side)
    return bytes(data)


def _webp(side: int) -> bytes:
    canvas = (side - 1).to_bytes(3, "little") * 2
    body = (
        b"WEBPVP8X"
        + struct.pack("<I", 10)
        + b"\2\0\0\0"
        + canvas
        + b"ANIM"
        + struct.pack("<I", 6)
        + b"\0" * 6
    )
    frame = b"\0" * 16 + _saved("WEBP")[12:]
    body += b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _gif(side: int) -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + b"\0" * 6 + (
        b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\2\2D\1\0;"
    )  # fmt: skip


def _bmp(side: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


DECLARED: dict[str, Callable[[int], bytes]] = {
    "png": lambda side: png(side, side, (b"IDAT", zlib.compress(b"\0" * 10_000_000))),
    "tiff": _tiff, "jpg": _jpeg, "webp": _webp, "gif": _gif, "bmp": _bmp,
    "ppm": lambda side: f"P6 {side} {side} 255\n".encode(),
}  # fmt: skip
"""Files that declare side × side pixels, with hardly anything behind that."""


def declared(name: str, seed: int, folder: Path) -> None:
    """Decode a picture that declares 30,000 × 30,000 pixels."""
    path = folder / f"picture.{name}"
    if seed == WARM_UP:
        for good in pictures()["PNG"]:
            path.write_bytes(good)
            check(path)
        return
    path.write_bytes(DECLARED[name](HUGE))
    decode(path)


def bomb(name: str, seed: int, folder: Path) -> None:
    """Decode a small PNG file in which a chunk of text or colours unpacks to gigabytes."""
    path = folder / "picture.png"
    if seed == WARM_UP:
        declared(name, seed, folder)
        return
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(b"\0" * 1_000_000) for _ in range(300)) + packer.flush()
    chunk = {
        "iCCP": (b"iCCP", b"p\0\0" + packed), "zTXt": (b"zTXt", b"k\0\0" + packed),
        "iTXt": (b"iTXt", b"k\0\1\0\0\0" + packed), "IDAT": (b"IDAT", packed),
    }[name]  # fmt: skip
    good = (b"IDAT", zlib.compress(b"\0" * (1 + 3 * 4) * 4))
    path.write_bytes(png(4, 4, chunk, *([] if name == "IDAT" else [good])))
    check(path)
