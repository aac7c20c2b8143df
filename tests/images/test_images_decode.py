"""Every way that a photo may be stored, and every way that a file may be broken."""

from __future__ import annotations

import io
import os
import pickle
import struct
import subprocess
import sys
import threading
import time
import types
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile

from onelabel.images.decode import MAX_PIXELS, OversizedImageError, decode, read_header
from onelabel.io.errors import ImageError

Pixels = NDArray[np.uint8]
ORIENTATION = 0x0112
# How a photo must be stored for each EXIF orientation to show it upright (EXIF 2.32, tag 0x0112).
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[:, ::-1],
}
SAVES: list[tuple[str, dict[str, Any]]] = [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
    ("BMP", {}),
    ("PPM", {}),
    ("JPEG2000", {}),
]


def noise(height: int = 24, width: int = 36, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def pixels(path: Path) -> Pixels:
    image = decode(path)
    assert image.mode == "RGB"
    return np.asarray(image)


def encoded(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(
    width: int,
    height: int,
    rows: bytes,
    *,
    depth: int = 8,
    colour: int = 2,
    extra: bytes = b"",
    late: bytes = b"",
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + header + extra + body + late + chunk(b"IEND", b"")


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("form", ["PNG", "TIFF", "WEBP"])
    def test_one_photo_stored_in_eight_ways_gives_the_same_pixels(
        self, tmp_path: Path, orientation: int, form: str
    ) -> None:
        photo = noise()
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](photo)))
        path = put(
            tmp_path / "photo",
            encoded(stored, form, exif=exif, **({"lossless": True} if form == "WEBP" else {})),
        )
        assert np.array_equal(pixels(path), photo)

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_jpeg(self, tmp_path: Path, orientation: int) -> None:
        """Blocks of 16 × 16 in one colour: JPEG keeps them almost exactly, in every orientation."""
        photo = noise(2, 3).repeat(16, axis=0).repeat(16, axis=1)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](photo)))
        content = encoded(stored, "JPEG", exif=exif, quality=100, subsampling=0)
        read = pixels(put(tmp_path / "a.jpg", content))
        assert read.shape == photo.shape
        assert np.abs(read.astype(int) - photo).max() <= 2

    def test_grey_photo_is_turned_too(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        grey = noise()[..., 0]
        Image.fromarray(grey).save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(pixels(tmp_path / "a.png")[..., 1], np.rot90(grey, -1))

    def test_png_with_exif_after_the_pixels(self, tmp_path: Path) -> None:
        photo = noise(2, 3)
        exif = Image.Exif()
        exif[ORIENTATION] = 3
        rows = b"".join(b"\0" + row.tobytes() for row in photo)
        late = chunk(b"eXIf", exif.tobytes()[6:])
        path = put(tmp_path / "a.png", png(3, 2, rows, late=late))
        assert np.array_equal(pixels(path), photo[::-1, ::-1])

    @pytest.mark.parametrize("value", [0, 9, 65535])
    def test_unknown_orientation_counts_as_upright(self, tmp_path: Path, value: int) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = value
        Image.fromarray(noise()).save(tmp_path / "a.png", exif=exif)
        assert np.array_equal(pixels(tmp_path / "a.png"), noise())

    def test_broken_exif_does_not_spoil_the_photo(self, tmp_path: Path) -> None:
        Image.fromarray(noise()).save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert np.array_equal(pixels(tmp_path / "a.png"), noise())

    def test_the_result_has_no_orientation_left_to_apply_twice(self, tmp_path: Path) -> None:
        exif = Image.Exif()
        exif[ORIENTATION] = 6
        Image.fromarray(noise()).save(tmp_path / "a.jpg", exif=exif)
        assert dict(decode(tmp_path / "a.jpg").getexif()) == {}


class TestColour:
    def test_grey_and_bits(self, tmp_path: Path) -> None:
        grey = noise()[..., 0]
        Image.fromarray(grey).save(tmp_path / "l.png")
        assert np.array_equal(pixels(tmp_path / "l.png"), grey[..., None].repeat(3, axis=2))
        Image.fromarray(grey > 127).save(tmp_path / "1.png")
        assert np.array_equal(pixels(tmp_path / "1.png")[..., 0], np.where(grey > 127, 255, 0))

    def test_palette(self, tmp_path: Path) -> None:
        image = Image.new("P", (2, 1))
        image.putpalette([10, 20, 30, 200, 210, 220])
        image.putpixel((1, 0), 1)
        image.save(tmp_path / "p.png")
        assert pixels(tmp_path / "p.png").tolist() == [[[10, 20, 30], [200, 210, 220]]]

    @pytest.mark.parametrize(
        "form, transparency", [("GIF", 0), ("PNG", 0), ("PNG", bytes([0, 255])), ("PNG", bytes([0]))]
    )
    def test_transparent_palette_entry_becomes_white(
        self, tmp_path: Path, form: str, transparency: int | bytes
    ) -> None:
        image = Image.new("P", (2, 1))
        image.putpalette([10, 20, 30, 200, 210, 220])
        image.putpixel((1, 0), 1)
        path = put(tmp_path / "p", encoded(image, form, transparency=transparency))
        assert pixels(path).tolist() == [[[255, 255, 255], [200, 210, 220]]]

    def test_half_transparent_palette_entry_mixes_with_white(self, tmp_path: Path) -> None:
        image = Image.new("P", (1, 1))
        image.putpalette([0, 100, 200])
        image.save(tmp_path / "p.png", transparency=bytes([128]))
        assert np.abs(pixels(tmp_path / "p.png")[0, 0].astype(int) - [127, 177, 227]).max() <= 1

    @pytest.mark.parametrize(
        "mode, form",
        [("RGBA", "PNG"), ("RGBA", "WEBP"), ("RGBA", "TIFF"), ("RGBA", "JPEG2000"), ("LA", "PNG")],
    )
    def test_alpha_lies_over_white(self, tmp_path: Path, mode: str, form: str) -> None:
        rgba = np.dstack([noise(), noise(seed=1)[..., 0]])
        rgba[0, 0, 3], rgba[0, 1, 3] = 0, 255
        image = Image.fromarray(rgba).convert(mode)
        options = {"lossless": True, "exact": True} if form == "WEBP" else {}
        read = pixels(put(tmp_path / "a", encoded(image, form, **options))).astype(float)
        colour = np.asarray(image.convert("RGBA"), dtype=float)
        expected = (colour[..., :3] * colour[..., 3:] + 255 * (255 - colour[..., 3:])) / 255
        assert np.abs(read - expected).max() <= 1
        assert read[0, 0].tolist() == [255, 255, 255]
        assert np.array_equal(read[0, 1], colour[0, 1, :3])

    def test_palette_with_alpha_channel(self, tmp_path: Path) -> None:
        image = Image.new("PA", (2, 1))
        image.putpalette([10, 20, 30, 200, 210, 220])
        image.putpixel((0, 0), (1, 0))
        image.putpixel((1, 0), (1, 255))
        image.save(tmp_path / "pa.tif")
        assert Image.open(tmp_path / "pa.tif").mode == "PA"
        assert pixels(tmp_path / "pa.tif").tolist() == [[[255, 255, 255], [200, 210, 220]]]

    def test_colour_key(self, tmp_path: Path) -> None:
        image = Image.new("RGB", (2, 1), (1, 2, 3))
        image.putpixel((1, 0), (9, 9, 9))
        image.save(tmp_path / "key.png", transparency=(1, 2, 3))
        assert pixels(tmp_path / "key.png").tolist() == [[[255, 255, 255], [9, 9, 9]]]

    def test_cmyk(self, tmp_path: Path) -> None:
        """Adobe's JPEG stores CMYK inverted; both files mean cyan, magenta, yellow, black, white paper."""
        inks = [(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 255), (0, 0, 0, 0)]
        colours = [(0, 255, 255), (255, 0, 255), (255, 255, 0), (0, 0, 0), (255, 255, 255)]
        stripes = np.array(inks, dtype=np.uint8)[None].repeat(16, axis=0).repeat(16, axis=1)
        image = Image.frombytes("CMYK", (80, 16), stripes.tobytes())
        image.save(tmp_path / "a.jpg", quality=100, subsampling=0)
        assert b"Adobe" in (tmp_path / "a.jpg").read_bytes()
        image.save(tmp_path / "a.tif")
        for name in ("a.jpg", "a.tif"):
            assert np.abs(pixels(tmp_path / name)[8, 8::16].astype(int) - colours).max() <= 3

    def test_ycbcr_and_lab(self, tmp_path: Path) -> None:
        Image.new("RGB", (4, 4), (200, 40, 90)).convert("YCbCr").save(tmp_path / "y.tif")
        assert np.abs(pixels(tmp_path / "y.tif").astype(int) - [200, 40, 90]).max() <= 2
        # Grey L* = 50 has Y = ((50 + 16) / 116)³ = 0.184 (CIE 15); sRGB (IEC 61966-2-1) stores that as 119.
        for lightness, a, level in [(0, 128, 0), (128, 128, 119), (255, 128, 255)]:
            Image.new("LAB", (1, 1), (lightness, a, 128)).save(tmp_path / "lab.tif")
            assert np.abs(pixels(tmp_path / "lab.tif").astype(int) - level).max() <= 1
        Image.new("LAB", (1, 1), (128, 128 + 60, 128)).save(tmp_path / "lab.tif")  # a* > 0 is towards red
        red, green, _ = pixels(tmp_path / "lab.tif")[0, 0].tolist()
        assert red > green + 100

    def test_animations_give_their_first_frame(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
        for form, options in [("GIF", {}), ("WEBP", {"lossless": True}), ("PNG", {}), ("TIFF", {})]:
            content = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
            path = put(tmp_path / form, content)
            assert read_header(path).animated
            assert np.array_equal(pixels(path), np.asarray(frames[0])), form

    def test_a_broken_second_frame_does_not_spoil_the_first(self, tmp_path: Path) -> None:
        frames = [Image.new("RGB", (64, 64), "red"), Image.fromarray(noise(64, 64))]
        content = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
        for cut in (100, 2000, len(content) - 300):
            path = put(tmp_path / "cut.gif", content[:-cut])
            read_header(path)
            assert np.array_equal(pixels(path), np.asarray(frames[0]))

    def test_photo_with_second_picture_is_no_animation(self, tmp_path: Path) -> None:
        images = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
        images[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=images[1:])
        assert not read_header(tmp_path / "a.jpg").animated
        assert pixels(tmp_path / "a.jpg")[0, 0, 0] > 250


class TestWideSamples:
    RAMP = np.arange(65536, dtype=np.uint16).reshape(256, 256)

    def check_ramp(self, path: Path) -> None:
        read = pixels(path)[..., 0].ravel()
        assert np.abs(read.astype(float) - np.arange(65536) / 257).max() <= 1
        assert read[0] == 0
        assert read[-1] == 255

    @pytest.mark.parametrize("name", ["ramp.png", "ramp.tif", "ramp.pgm", "ramp.jp2"])
    def test_sixteen_bit_grey(self, tmp_path: Path, name: str) -> None:
        Image.fromarray(self.RAMP).save(tmp_path / name)
        assert Image.open(tmp_path / name).mode in ("I;16", "I")
        self.check_ramp(tmp_path / name)

    def test_sixteen_bit_big_endian_tiff(self, tmp_path: Path) -> None:
        Image.frombytes("I;16B", (256, 256), self.RAMP.astype(">u2").tobytes()).save(tmp_path / "b.tif")
        assert Image.open(tmp_path / "b.tif").mode == "I;16B"
        self.check_ramp(tmp_path / "b.tif")

    def test_thirty_two_bit_integers_that_hold_sixteen(self, tmp_path: Path) -> None:
        Image.fromarray(self.RAMP.astype(np.int32)).save(tmp_path / "i.tif")
        assert Image.open(tmp_path / "i.tif").mode == "I"
        self.check_ramp(tmp_path / "i.tif")

    def test_floats_from_zero_to_one(self, tmp_path: Path) -> None:
        Image.fromarray(self.RAMP.astype(np.float32) / 65535).save(tmp_path / "f.tif")
        self.check_ramp(tmp_path / "f.tif")

    @pytest.mark.parametrize("colour, channels", [(2, 3), (6, 4)])
    def test_sixteen_bit_colour_png(self, tmp_path: Path, colour: int, channels: int) -> None:
        samples = self.RAMP[..., None].repeat(channels, axis=2)
        samples[..., 3:] = 65535
        rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)
        self.check_ramp(put(tmp_path / "c.png", png(256, 256, rows, depth=16, colour=colour)))

    def test_sixteen_bit_grey_with_a_transparent_level(self, tmp_path: Path) -> None:
        rows = b"\0" + np.array([0, 300, 40000], dtype=">u2").tobytes()
        key = chunk(b"tRNS", struct.pack(">H", 300))
        path = put(tmp_path / "k.png", png(3, 1, rows, depth=16, colour=0, extra=key))
        assert pixels(path)[0, :, 0].tolist() == [0, 255, 40000 // 256]

    def test_sixteen_bit_tiff_with_white_as_zero(self, tmp_path: Path) -> None:
        Image.fromarray(self.RAMP).save(tmp_path / "w.tif", tiffinfo={262: 0})
        with Image.open(tmp_path / "w.tif") as image:
            assert (image.mode, image.tag_v2[262]) == ("I;16", 0)  # type: ignore[attr-defined]
        assert np.array_equal(pixels(tmp_path / "w.tif")[..., 0], 255 - self.RAMP // 256)

    def test_twelve_bit_tiff(self, tmp_path: Path) -> None:
        """Packed by hand: two samples of 12 bits in three bytes, 0 to 4,095."""
        ramp = np.arange(4096)
        even, odd = ramp[::2], ramp[1::2]
        packed = (
            np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], axis=1).astype(np.uint8).tobytes()
        )
        tags = [(256, 3, 64), (257, 3, 64), (258, 3, 12), (259, 3, 1), (262, 3, 1), (273, 4, 122),
                (277, 3, 1), (278, 3, 64), (279, 4, len(packed))]  # fmt: skip
        entries = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in tags)
        content = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + b"\0\0\0\0"
        read = pixels(put(tmp_path / "12.tif", content.ljust(122, b"\0") + packed))
        assert np.array_equal(read[..., 0].ravel(), ramp >> 4)

    @pytest.mark.parametrize(
        "samples",
        [
            np.array([[-5, 300]], np.int32),
            np.array([[0, 65536]], np.int32),
            np.array([[0, 200]], np.int32),
            np.array([[0, 255]], np.float32),
            np.array([[-0.1, 1]], np.float32),
            np.array([[np.nan, 1]], np.float32),
        ],
    )
    def test_samples_without_an_agreed_white_are_refused(self, tmp_path: Path, samples: NDArray[Any]) -> None:
        Image.fromarray(samples).save(tmp_path / "x.tif")
        with pytest.raises(ImageError, match=r"x\.tif: its .* have no agreed white"):
            decode(tmp_path / "x.tif")


def bomb(form: str) -> bytes:
    """Small files that claim 30,000 × 30,000 pixels or more."""
    small = Image.new("RGB", (8, 8))
    if form == "PNG":
        return png(30000, 30000, b"\0" * 100)
    if form == "PPM":
        return b"P6\n50000 50000\n255\n" + b"0" * 100
    content = bytearray(encoded(small, form))
    if form == "JPEG":
        start = content.find(b"\xff\xc0") + 5
        content[start : start + 4] = struct.pack(">HH", 60000, 60000)
    elif form == "GIF":
        content[6:10] = struct.pack("<HH", 60000, 60000)
    elif form == "BMP":
        content[18:26] = struct.pack("<ii", 50000, 50000)
    elif form == "JPEG2000":
        start = content.find(b"ihdr") + 4
        content[start : start + 8] = struct.pack(">II", 50000, 50000)
    elif form == "WEBP":
        canvas = struct.pack("<I", 16382)[:3] * 2
        body = b"VP8X" + struct.pack("<I", 10) + b"\x10\0\0\0" + canvas + bytes(content[12:])
        return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body
    elif form == "TIFF":
        (start,) = struct.unpack_from("<I", content, 4)
        for i in range(struct.unpack_from("<H", content, start)[0]):
            entry = start + 2 + 12 * i
            if struct.unpack_from("<H", content, entry)[0] in (256, 257, 278):
                struct.pack_into("<HII", content, entry + 2, 4, 1, 50000)
    return bytes(content)


class TestSizeLimit:
    @pytest.mark.parametrize("form", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000"])
    def test_bombs_are_refused_at_once(self, tmp_path: Path, form: str) -> None:
        path = put(tmp_path / "bomb", bomb(form))
        assert path.stat().st_size < 1000
        start = time.process_time()
        with pytest.raises(OversizedImageError, match=r"bomb: "):
            decode(path)
        assert time.process_time() - start < 1

    def test_memory_stays_flat(self, tmp_path: Path) -> None:
        resource = pytest.importorskip("resource")
        paths = [put(tmp_path / form, bomb(form)) for form in ("PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP")]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for path in paths:
            with pytest.raises(OversizedImageError):
                decode(path)
        assert (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
        )  # kB; one of them is 2.7 GB

    def test_the_message_says_how_large_and_what_is_allowed(self, tmp_path: Path) -> None:
        with pytest.raises(OversizedImageError, match=r"30000 × 30000 is 900,000,000 pixels, .*100,000,000"):
            decode(put(tmp_path / "a.png", bomb("PNG")))

    def test_the_limit_is_ours_and_exact(self, tmp_path: Path) -> None:
        Image.new("L", (10, 10)).save(tmp_path / "a.png")
        assert decode(tmp_path / "a.png", max_pixels=100).size == (10, 10)
        with pytest.raises(OversizedImageError):
            decode(tmp_path / "a.png", max_pixels=99)

    def test_between_pillows_warning_and_our_limit_nothing_is_said(self, tmp_path: Path) -> None:
        """Pillow warns from 89 Mpx on and fails from 179 Mpx on; ours says 100 Mpx, or what the user asks."""
        (tmp_path / "95.png").write_bytes(png(9500, 10000, b"\0" * 100, colour=0))
        (tmp_path / "200.png").write_bytes(png(20000, 10000, b"\0" * 100, colour=0))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert read_header(tmp_path / "95.png").width == 9500
            with pytest.raises(ImageError, match="incomplete"):  # allowed, so decoding begins
                decode(tmp_path / "95.png")
            with pytest.raises(OversizedImageError):
                decode(tmp_path / "200.png")
            with pytest.raises(ImageError, match="incomplete") as caught:
                decode(tmp_path / "200.png", max_pixels=300_000_000)
        assert not isinstance(caught.value, OversizedImageError)

    def test_settings_of_the_process_are_neither_used_nor_changed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
        Image.new("L", (10, 10)).save(tmp_path / "a.png")
        decode(tmp_path / "a.png")
        assert (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters)) == settings
        for limit in (None, 1):
            monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
            assert decode(tmp_path / "a.png").size == (10, 10)
            with pytest.raises(OversizedImageError):
                decode(put(tmp_path / "b.png", bomb("PNG")))

    def test_importing_changes_no_setting(self) -> None:
        code = (
            "import numpy, warnings\n"  # numpy adds warning filters of its own
            "from PIL import Image, ImageFile as File\n"
            "def state(): return Image.MAX_IMAGE_PIXELS, File.LOAD_TRUNCATED_IMAGES, list(warnings.filters)\n"
            "before = state()\n"
            "import onelabel.images.decode\n"
            "assert state() == before"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_from_many_threads(self, tmp_path: Path) -> None:
        good = noise()
        Image.fromarray(good).save(tmp_path / "good.png")
        put(tmp_path / "bomb.png", bomb("PNG"))
        wrong: list[str] = []

        def work() -> None:
            for _ in range(20):
                if not np.array_equal(pixels(tmp_path / "good.png"), good):
                    wrong.append("pixels")
                try:
                    decode(tmp_path / "bomb.png")
                    wrong.append("bomb decoded")
                except OversizedImageError:
                    pass

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


class TestBrokenFiles:
    @pytest.mark.filterwarnings("ignore")
    @pytest.mark.parametrize("form, options", SAVES)
    def test_truncated(self, tmp_path: Path, form: str, options: dict[str, Any]) -> None:
        content = encoded(Image.fromarray(noise()), form, **options)
        assert decode(put(tmp_path / "whole", content)).size == (36, 24)
        for cut in (
            40,
            100,
            len(content) // 4,
            len(content) // 2,
        ):  # the last 20 bytes of a PNG hold no pixel
            with pytest.raises(ImageError, match=r"cut: broken or incomplete"):
                decode(put(tmp_path / "cut", content[:-cut]))

    def test_truncated_is_an_error_even_where_the_process_tolerates_it_elsewhere(
        self, tmp_path: Path
    ) -> None:
        with pytest.raises(ImageError, match="truncated"):
            decode(put(tmp_path / "a.jpg", encoded(Image.fromarray(noise(200, 200)), "JPEG")[:-5000]))

    @pytest.mark.parametrize(
        "content", [b"not an image", b"<svg></svg>", b"%PDF-1.7", b"\0" * 64, b"P", b"BM"]
    )
    def test_not_an_image(self, tmp_path: Path, content: bytes) -> None:
        with pytest.raises(ImageError, match=r"a\.jpg: "):
            decode(put(tmp_path / "a.jpg", content))

    def test_formats_outside_the_list_are_not_opened(self, tmp_path: Path) -> None:
        for form in ("TGA", "PCX", "ICO", "DDS", "SGI", "EPS"):
            path = put(tmp_path / "a.png", encoded(Image.new("RGB", (16, 16)), form))
            with pytest.raises(ImageError, match="not an image of a known format"):
                decode(path)

    def test_empty_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"a\.jpg: the file is empty"):
            decode(put(tmp_path / "a.jpg", b""))
        with pytest.raises(ImageError, match=r"none\.jpg: there is no such file"):
            decode(tmp_path / "none.jpg")
        with pytest.raises(ImageError, match="is a folder"):
            decode(tmp_path)
        with pytest.raises(ImageError, match="cannot be opened"):
            decode(tmp_path / "a.jpg" / "b.jpg")
        with pytest.raises(ImageError, match="cannot be opened"):
            decode(f"{tmp_path}/a\0.jpg")

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_pipe_does_not_hang(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.jpg")
        with pytest.raises(ImageError, match="not a regular file"):
            decode(tmp_path / "pipe.jpg")

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = put(tmp_path / "a.jpg", b"x")

        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the mode bits cannot test it
        with pytest.raises(ImageError, match="no permission to read it"):
            decode(path)

    def test_errors_pass_through_pickle(self, tmp_path: Path) -> None:
        with pytest.raises(OversizedImageError) as caught:
            decode(put(tmp_path / "a.png", bomb("PNG")))
        copy = pickle.loads(pickle.dumps(caught.value))
        assert type(copy) is OversizedImageError
        assert str(copy) == str(caught.value)

    def test_memory_error_names_the_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        Image.new("L", (4, 4)).save(tmp_path / "a.png")

        def fail(*_: Any) -> None:
            raise MemoryError

        monkeypatch.setattr(ImageFile.ImageFile, "load", fail)
        with pytest.raises(ImageError, match=r"a\.png: not enough memory"):
            decode(tmp_path / "a.png")


class TestOtherPackages:
    HEIC = struct.pack(">I", 24) + b"ftypheic\0\0\0\0mif1heic" + b"\0" * 40
    AVIF = struct.pack(">I", 28) + b"ftypavif\0\0\0\0avifmif1miaf" + b"\0" * 40

    @pytest.mark.parametrize("brand", [b"heic", b"mif1", b"hevc"])
    def test_heic_names_the_package(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, brand: bytes
    ) -> None:
        monkeypatch.setitem(sys.modules, "pillow_heif", None)  # as if it were not installed
        with pytest.raises(ImageError, match=r"a\.heic: HEIC needs .*pip install pillow-heif"):
            decode(put(tmp_path / "a.heic", self.HEIC.replace(b"ftypheic", b"ftyp" + brand)))

    def test_heic_is_read_when_the_package_is_there(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A stand-in with the interface of ``pillow_heif.as_plugin``, which these tests do not install."""

        class HeifImageFile(ImageFile.ImageFile):
            format = "HEIF"

            def _open(self) -> None:
                self._mode, self._size = "RGB", (3, 2)
                self.tile = [ImageFile._Tile("raw", (0, 0, 3, 2), 24, "RGB")]

        plugin = types.ModuleType("pillow_heif.as_plugin")
        plugin.HeifImageFile = HeifImageFile  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "pillow_heif", types.ModuleType("pillow_heif"))
        monkeypatch.setitem(sys.modules, "pillow_heif.as_plugin", plugin)
        assert pixels(put(tmp_path / "a.heic", self.HEIC)).shape == (2, 3, 3)

    def test_avif_without_support(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(Image.OPEN, "AVIF", raising=False)
        with pytest.raises(ImageError, match=r"AVIF needs Pillow 11\.3"):
            decode(put(tmp_path / "a.avif", self.AVIF))

    def test_avif_with_support(self, tmp_path: Path) -> None:
        from PIL import features

        if not features.check("avif"):
            pytest.skip("this Pillow is built without AVIF")
        Image.new("RGB", (16, 16), (200, 40, 90)).save(tmp_path / "a.avif")
        assert np.abs(pixels(tmp_path / "a.avif").astype(int) - [200, 40, 90]).max() <= 6
        with pytest.raises(ImageError, match="broken or incomplete"):
            decode(put(tmp_path / "b.avif", self.AVIF))


class TestHeader:
    @pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP", "PPM", "JPEG2000"])
    def test_header(self, tmp_path: Path, form: str) -> None:
        header = read_header(put(tmp_path / "a", encoded(Image.new("RGB", (5, 7)), form)))
        assert (header.width, header.height, header.format, header.animated) == (5, 7, form, False)

    def test_header_has_no_limit_unless_asked(self, tmp_path: Path) -> None:
        header = read_header(put(tmp_path / "a", bomb("PNG")))
        assert header.width * header.height > MAX_PIXELS

    def test_header_with_a_limit(self, tmp_path: Path) -> None:
        Image.new("L", (10, 10)).save(tmp_path / "a.png")
        assert read_header(tmp_path / "a.png", max_pixels=100).width == 10
        with pytest.raises(OversizedImageError):
            read_header(tmp_path / "a.png", max_pixels=99)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("form, options", SAVES)
def test_mutated_files_give_an_image_or_an_image_error(
    tmp_path: Path, form: str, options: dict[str, Any]
) -> None:
    """Bytes of the header replaced, bytes anywhere replaced, pieces cut out: 60 files for each format."""
    rng = np.random.default_rng(SAVES.index((form, options)))
    whole = encoded(Image.fromarray(noise()), form, **options)
    path = tmp_path / "mutant"
    outcomes = set()
    for trial in range(60):
        content = bytearray(whole)
        reach = min(len(content), 80) if trial % 2 else len(content)
        for place in rng.integers(0, reach, rng.integers(1, 6)):
            content[place] = rng.choice([0, 1, 127, 128, 255, int(rng.integers(256))])
        if trial % 5 == 0:
            start = int(rng.integers(len(content)))
            del content[start : start + int(rng.integers(1, 40))]
        path.write_bytes(content)
        try:
            image = decode(path, max_pixels=10_000_000)
            assert image.mode == "RGB"
            outcomes.add("image")
        except ImageError as error:
            assert str(error).startswith(str(path))
            outcomes.add("error")
    assert "error" in outcomes
