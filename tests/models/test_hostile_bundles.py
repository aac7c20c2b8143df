"""A bundle is data: what was made to do harm is refused in one line, and nothing of it runs."""

from __future__ import annotations

import json
import os
import pickle
import resource
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hostile_child
from hostile_models import make_bundle, seal_bundle
from hostile_samples import npy
from onelabel.images.transforms import Preprocess
from onelabel.io.errors import OneLabelError
from onelabel.io.manifest import digest_file, read_json
from onelabel.models.backbones import rebuild_backbone
from onelabel.models.bundle_read import load_bundle
from onelabel.models.weights import read_weights, write_weights


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return _explode, (str(self.trace), "x")


def _explode(path: str, text: str) -> None:
    Path(path).write_text(text)


def swap_weights(folder: Path, data: bytes) -> Path:
    """Put other bytes in the place of the weights, with the right digest."""
    content = json.loads((folder / "bundle.json").read_text())
    (folder / "model.safetensors").write_bytes(data)
    content["digests"]["model.safetensors"] = digest_file(folder / "model.safetensors")
    (folder / "bundle.json").write_text(json.dumps(content))
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(OneLabelError) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value) and "\x1b" not in str(caught.value)
    return str(caught.value)


def safetensors(header: Any, data: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def test_a_network_of_any_size_is_compared_before_it_is_built() -> None:
    """The network would take 4.5 GB."""
    config = {"architecture": "vit_giant_patch14_dinov2", "model_args": {}, "pretrained_cfg": {}}
    preprocess = Preprocess(8, "squash", "bilinear", mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    claimed = {"kind": "timm", "spec": "x", "config": config, "preprocessing": preprocess.to_dict()}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(OneLabelError, match="the weights do not fit the architecture"):
        rebuild_backbone(claimed, {"cls_token": torch.zeros(1)}, "bundle")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 500


def test_weights_on_a_full_disk_are_one_line(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OneLabelError, match=r"cannot write .*w\.safetensors: "):
            write_weights(tmp_path / "w.safetensors", {"a": torch.zeros(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def entry(shape: list[int], begin: int, end: int, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_a_pickle_under_another_name_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "it_ran"
    folder = make_bundle(tmp_path / "bundle")
    for data in (pickle.dumps(Bomb(trace)), npy(np.array([Bomb(trace)], object))):
        assert "not a readable safetensors file" in refused(swap_weights(folder, data))
    torch.save({"head.weight": Bomb(trace)}, tmp_path / "x.pt")
    refused(swap_weights(folder, (tmp_path / "x.pt").read_bytes()))
    assert not trace.exists()


W = entry([2, 4], 0, 32)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\0" * 7, safetensors(b"{}", length=2**60), safetensors(b"{}", length=2**64 - 1),
        safetensors(b"[" * 90_000),
        safetensors({"head.weight": W, "head.bias": entry([2], 16, 24)}, b"\0" * 40),
        safetensors({"head.weight": entry([2**40, 2**40], 0, 32)}, b"\0" * 32),
        safetensors({"head.weight": entry([2**31], 0, 2**33)}, b"\0" * 32),
        safetensors({"head.weight": entry([-1], 0, 32)}, b"\0" * 32),
        safetensors({"head.weight": entry([2, 4], 32, 0)}, b"\0" * 32),
        safetensors({"head.weight": entry([2, 4], 0, 32, "F99")}, b"\0" * 32),
        safetensors({"head.weight": W, "head.bias": entry([2], 32, 40)}, b"\0" * 400),
        safetensors({"head.weight": W, "head.bias": entry([2], 32, 40)}, b"\xff" * 40),
        safetensors(b'{"head.weight": 1, "head.weight": 2}'), safetensors(b"\xff\xfe{}"),
    ],
)  # fmt: skip
def test_absurd_headers_of_weights(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(OneLabelError) as caught:
        read_weights(tmp_path / "w.safetensors")
    assert "w.safetensors" in str(caught.value) and "\n" not in str(caught.value)
    refused(swap_weights(make_bundle(tmp_path / "bundle"), data))


@pytest.mark.parametrize(
    "text",
    [
        '{"kind": "onelabel-bundle", "kind": "onelabel-bundle"}', '{"a": NaN}', '{"a": -Infinity}',
        '{"a": 1e999}', "[" * 100_000, '{"a":' * 100_000, '{"a": ' + "9" * 5000 + "}", "\ufeff{}", "", "null",
        "[]", '"x"', "{",
    ],
)  # fmt: skip
def test_json_that_is_a_bomb_or_none(tmp_path: Path, text: str) -> None:
    folder = make_bundle(tmp_path / "bundle")
    (folder / "bundle.json").write_text(text, encoding="utf-8")
    assert "bundle.json" in refused(folder)


def test_files_that_are_pipes_links_to_devices_or_too_large(tmp_path: Path) -> None:
    folder = make_bundle(tmp_path / "bundle")
    for name in ("model.safetensors", "bundle.json"):
        data = (folder / name).read_bytes()
        (folder / name).unlink()
        os.mkfifo(folder / name)
        refused(folder)
        (folder / name).unlink()
        (folder / name).symlink_to("/dev/zero")
        refused(folder)
        (folder / name).unlink()
        (folder / name).write_bytes(data)
    assert load_bundle(folder).class_ids == ("cat", "dog")
    os.truncate(folder / "bundle.json", 1 << 30)
    assert "larger than 64 MiB" in refused(folder)
    with pytest.raises(OneLabelError, match="not a regular file"):
        read_json("/dev/zero")


def renamed(folder: Path, name: str, where: str) -> Path:
    content = json.loads((folder / "bundle.json").read_text())
    if where == "synonyms":
        content["classes"][0]["synonyms"] = [name]
    else:
        content["classes"][0][where] = name
    if where == "id":
        content["thresholds"] = {name: 0.5, "dog": 0.5}
    seal_bundle(folder, content)
    return folder


@pytest.mark.parametrize("where", ["id", "name", "synonyms"])
@pytest.mark.parametrize("name", ["\x1b[2J", "a\nb", "\x9b31m", "\0", "\x7f"])
def test_class_names_that_a_terminal_obeys(tmp_path: Path, name: str, where: str) -> None:
    refused(renamed(make_bundle(tmp_path / "bundle"), name, where))


def test_class_names_of_html_are_only_text(tmp_path: Path) -> None:
    """They are data: read back as they are, and escaped in the model card."""
    name = "<script>alert(1)</script>"
    folder = make_bundle(tmp_path / "bundle", (name, "dog"))
    assert load_bundle(folder).class_ids[0] == name
    assert "<script>" not in (folder / "README.md").read_text()


def change(content: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for key in parents:
        content = content.setdefault(key, {})
    content[last] = value


@pytest.mark.parametrize(
    "spec", ["/etc/passwd", "../../x", "local-dir:/etc", "hf-hub:a/b", "http://x.invalid/y"]
)
def test_a_description_that_points_elsewhere(tmp_path: Path, spec: str) -> None:
    """Nothing is fetched or opened by what a description names."""
    folder = make_bundle(tmp_path / "bundle")
    for architecture in (spec, "test_resnet"):
        content = json.loads((folder / "bundle.json").read_text())
        cfg = {"file": spec, "url": spec, "hf_hub_id": spec, "input_size": [3, 32, 32]}
        config = {
            "architecture": architecture,
            "pretrained_cfg": cfg,
            "model_args": {"checkpoint_path": spec},
        }
        content["backbone"] = {"kind": "timm", "spec": spec, "dim": 4, "config": config, "preprocessing": {}}
        seal_bundle(folder, content)
        refused(folder)
    (tmp_path / "bundle" / "bundle.json").unlink()
    (tmp_path / "bundle" / "bundle.json").symlink_to("/etc/passwd")
    assert "root:" not in refused(folder)


def test_changed_bundles() -> None:
    found = hostile_child.run("hostile_models:read", "bundle", 0, 200, memory=300)
    assert found["read"] and found["refused"]


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_many_changed_bundles() -> None:
    hostile_child.run("hostile_models:read", "bundle", 200, 10_200, memory=300)
