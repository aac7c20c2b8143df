"""What may befall a file: bytes, cells, numbers and structure changed at random, by seed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Literal

from hostile_samples import Files, parquet_of

TOKENS = [
    b"\0", b"\xef\xbb\xbf", b"\xff\xfe", b"\r", b"\r\n", b"\n", b"\xed\xa0\x80", b"\xff", b'"', b'""',
    b"'", b",", b";", b"\t", b"|", b"{", b"}", b"[", b"]", b":", b"-", b"+", b".", b"..", b"../", b"/",
    b"/etc/passwd", b"\\", b"C:\\x.jpg", b"C:x.jpg", b"\\\\server\\share", b"file:///a.jpg", b"~",
    b"\x1b[31m", b"\x1b]0;x\x07", b"\xc2\x9b", "\u202e".encode(), "\u200d".encode(), "\u2028".encode(),
    "e\u0301".encode(), "\u0958".encode(), b"NaN", b"nan", b"inf", b"-Infinity", b"null", b"true",
    b"1e999", b"-0", b"0x10", b"1_0", "１".encode(), "²".encode(), b"9" * 30, b"9" * 5000, b"1" * 400,
    b"<script>", b"=cmd()", b"%s%n", b"{}", b"[]", b"image", b"labels", b"split", b"1", b"0",
]  # fmt: skip
SCALARS: list[Any] = [
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**400), 0.5, 1e308, float("nan"), float("inf"),
    "", " ", "a", "../x", "/abs", "C:\\x", "\ud800", "\0", "\x1b[2J", "<b>", "x" * 3000, [], {}, [[]],
    [None], {"id": 1},
]  # fmt: skip


def mutate(data: bytes, random: Random) -> bytes:
    """Return the bytes after one to four changes."""
    if random.random() < 0.03:
        return random.randbytes(random.randrange(200))
    for _ in range(random.choice([1, 1, 1, 2, 3, 4])):
        data = random.choice(_CHANGES)(data, random)
    return data


def _place(data: bytes, random: Random) -> int:
    return random.randrange(len(data) + 1)


def _insert(data: bytes, random: Random) -> bytes:
    place = _place(data, random)
    return data[:place] + random.choice(TOKENS) + data[place:]


def _replace(data: bytes, random: Random) -> bytes:
    place = _place(data, random)
    return data[:place] + random.choice(TOKENS) + data[place + random.randrange(12) :]


def _flip(data: bytes, random: Random) -> bytes:
    if not data:
        return data
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def _cut(data: bytes, random: Random) -> bytes:
    first, last = sorted((_place(data, random), _place(data, random)))
    return data[:first] + data[last:]


def _truncate(data: bytes, random: Random) -> bytes:
    return data[: _place(data, random)]


def _repeat(data: bytes, random: Random) -> bytes:
    first = _place(data, random)
    last = min(len(data), first + random.choice([1, 1, 2, 3, 8, 40]))
    return data[:last] + data[first:last] * random.choice([1, 2, 9, 300, 20_000]) + data[last:]


def _swap_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    random.shuffle(lines)
    return b"".join(lines)


def _line_ends(data: bytes, random: Random) -> bytes:
    return b"".join(line + random.choice([b"\n", b"\r", b"\r\n"]) for line in data.splitlines())


def _cell(data: bytes, random: Random) -> bytes:
    """Replace what stands between two separators."""
    places = [place for place, byte in enumerate(data) if byte in b",;|\t\n :"]
    if len(places) < 2:
        return data
    number = random.randrange(len(places) - 1)
    return data[: places[number] + 1] + random.choice(TOKENS) + data[places[number + 1] :]


def _encode(data: bytes, random: Random) -> bytes:
    return data.decode(errors="replace").encode(
        random.choice(["utf-16", "utf-16-le", "utf-32", "cp037", "utf-7"]), "replace"
    )


def _numbers(data: bytes, random: Random) -> bytes:
    """Exchange the bytes of one number of 1, 2, 4 or 8 bytes, as the headers of binary files hold them."""
    size = random.choice([1, 2, 4, 8])
    limit: int = 256**size
    value = random.choice([0, 1, 2**7, 2**15, limit // 2, limit - 1, random.getrandbits(64)]) % limit
    place = random.randrange(max(1, min(len(data), 400)))
    order: Literal["little", "big"] = random.choice(["little", "big"])
    return b"".join((data[:place], value.to_bytes(size, order), data[place + size :]))


def _nested(data: bytes, random: Random) -> bytes:
    depth = random.choice([50, 900, 3000, 100_000])
    opening, closing = random.choice([(b"[", b"]"), (b'{"a":', b"}"), (b"(", b")"), (b"- ", b"")])
    place = _place(data, random)
    return data[:place] + opening * depth + b"1" + closing * random.choice([0, depth]) + data[place:]


_CHANGES: list[Callable[[bytes, Random], bytes]] = [
    *[_insert, _replace, _flip, _cell] * 4,
    *[_cut, _truncate, _swap_lines, _line_ends, _numbers] * 2, _repeat, _encode,
    _nested,
]  # fmt: skip


def mutate_json(data: bytes, random: Random) -> bytes:
    """Return JSON with one to three values or keys changed, perhaps one key twice."""
    content = json.loads(data)
    for _ in range(random.choice([1, 1, 2, 3])):
        content = _changed(content, random)
    text = json.dumps(content, ensure_ascii=random.random() < 0.8)
    if random.random() < 0.1:
        text = text.replace('"id"', '"id": 1, "id"', 1)
    return text.encode(errors="surrogatepass")


def _changed(value: Any, random: Random) -> Any:
    if isinstance(value, dict) and value and random.random() < 0.9:
        key = random.choice(list(value))
        if random.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        if random.random() < 0.05:
            return {(name if name != key else "\x1b[0m"): inner for name, inner in value.items()}
        return {**value, key: _changed(value[key], random)}
    if isinstance(value, list) and value and random.random() < 0.85:
        place = random.randrange(len(value))
        if random.random() < 0.1:
            return [*value, value[place]]
        return [*value[:place], _changed(value[place], random), *value[place + 1 :]]
    if random.random() < 0.03:
        deep: Any = 1
        for _ in range(random.choice([30, 300, 900])):
            deep = [deep]
        return deep
    return random.choice(SCALARS)


def odd_parquet(random: Random) -> bytes:
    """Return a parquet file with columns of odd types and texts under names that readers look for."""
    makers: list[Callable[[], Any]] = [
        lambda: random.choice(["a.jpg", "b", "1", "-1", "", None, "../x", "\x1b[1m", "\0", "é", "9" * 400]),
        lambda: random.choice([1, 0, -1, None, 2**62]),
        lambda: random.choice([1.0, 0.0, -1.0, None, float("nan"), float("inf"), 1e300]),
        lambda: random.choice([True, False, None]),
        lambda: random.choice([["a"], [], None, ["a|b"], ["a", None]]),
        lambda: random.choice([datetime(9999, 1, 1, tzinfo=UTC), None]),
        lambda: random.choice([b"\xff", b"a", None]),
        lambda: random.choice([{"a": 1}, None]),
        lambda: random.choice([Decimal("1.5"), None]),
        lambda: random.choice([[[1]], [[]], None]),
    ]
    names = random.sample(
        ["image", "label", "labels", "value", "weight", "split", "cat", "", "a\0b", "score"], 3
    )
    rows = random.randrange(4)
    chosen = zip(names, random.choices(makers, k=3), strict=True)
    return parquet_of({name: [make() for _ in range(rows)] for name, make in chosen})


def changed_file(name: str, data: bytes, random: Random) -> bytes:
    """Return a file changed in a way that its ending suggests."""
    if name.endswith(".json") and random.random() < 0.6:
        return mutate_json(data, random)
    if name.endswith(".parquet") and random.random() < 0.6:
        return odd_parquet(random)
    return mutate(data, random)


@contextmanager
def spoilt(folder: Path, files: Files, random: Random) -> Iterator[None]:
    """Change one or two of the files in a folder that holds them all, and put them back."""
    chosen = random.sample(sorted(files), min(len(files), random.choice([1, 1, 1, 2])))
    try:
        for name in chosen:
            _spoil(folder / name, changed_file(name, files[name], random), random)
        yield
    finally:
        for name in chosen:
            remove(folder / name)
            (folder / name).write_bytes(files[name])


def _spoil(path: Path, data: bytes, random: Random) -> None:
    what = random.random()
    if what < 0.9:
        path.write_bytes(data)
        return
    remove(path)
    if what < 0.92:
        path.mkdir()
    elif what < 0.94:
        path.symlink_to(path.name)
    elif what < 0.96:
        path.symlink_to(Path("/proc/self/environ") if random.random() < 0.5 else Path("/dev/zero"))
    elif what < 0.98:
        os.mkfifo(path)


def remove(path: Path) -> None:
    """Remove whatever stands there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def lay_out(folder: Path, files: Files) -> None:
    """Write files."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
