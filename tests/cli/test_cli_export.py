"""`export`: files that say what they take, kept only if they compute what the run does."""

import csv
import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import Call
from PIL import Image
from safetensors import safe_open
from trained import CLASSES, noise

from runner import api
from runner.artifacts.atomic import partial_path
from runner.engine.inference.exporting import compare
from runner.engine.inference.formats import SafetensorsFormat, TorchExportFormat


def made(folder: str = "out") -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


@pytest.mark.slow
def test_safetensors_hold_all_weights_preprocessing_and_classes(
    photos_run: Path, call: Call
) -> None:
    Path("out").mkdir()
    called = call("export", "photos:0", "--out", "out/photos.safetensors")
    assert called.code == 0
    assert "out/photos.safetensors written (" in called.out
    assert called.err == (
        "compared with the run's network on 36 images: the same class for 36 of them, logits differ"
        " by at most 0\n"
    )
    assert made() == ["photos.safetensors", "photos.safetensors.md"]
    (kept,) = Path(".runner/weights").glob("*/*-best.safetensors")
    with safe_open("out/photos.safetensors", "pt") as file, safe_open(kept, "pt") as ours:
        names = ours.keys()
        assert sorted(file.keys()) == sorted(names)
        assert all(torch.equal(file.get_tensor(each), ours.get_tensor(each)) for each in names)
        metadata = file.metadata()
    assert json.loads(metadata["classes"]) == list(CLASSES)
    steps = json.loads(metadata["preprocessing"])
    assert (steps["resize"], steps["crop"], steps["color"]) == (9, [8, 7], "rgb")
    assert (steps["mean"], steps["std"]) == ([0.4, 0.5, 0.6], [0.2, 0.3, 0.4])
    assert steps["input"]["shape"] == ["batch", 3, 8, 7]
    assert metadata["run"] == api.show("photos:0")["run_key"]
    card = Path("out/photos.safetensors.md").read_text()
    assert "1. dog\n" in card
    assert "| crop | [8, 7] |" in card
    assert "| val_accuracy | " in card
    assert "train" not in card.partition("## How good it is")[2].partition("## Classes")[0]
    assert "`runner run photos.yaml --rerun --only seed=0`" in card
    assert Path("out/photos.safetensors").stat().st_mode & 0o777 == (
        Path("out/photos.safetensors.md").stat().st_mode & 0o777
    )


@pytest.mark.slow
def test_file_that_computes_something_else_is_not_kept(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("out").mkdir()
    Path("out/photos.safetensors").write_text("what was there before")
    real = SafetensorsFormat.logits
    for wrong in (0.5, float("nan")):
        monkeypatch.setattr(SafetensorsFormat, "logits", lambda *a, by=wrong: real(*a) + by)
        called = call("export", "photos:0", "--out", "out/photos.safetensors")
        assert (called.code, called.out) == (1, "")
        assert "on 36 images of its data, logits differ by up to" in called.err
    assert made() == ["photos.safetensors"]
    assert Path("out/photos.safetensors").read_text() == "what was there before"


def test_missing_packages_are_named_with_the_command(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.engine.inference.formats.find_spec", lambda name: None)
    called = call("export", "photos:0", "--format", "onnx")
    assert called.code == 2
    assert called.err == (
        "error: format onnx needs onnx, onnxscript, onnxruntime;"
        " not installed: onnx, onnxscript, onnxruntime\n"
        "    hint: pip install 'runner[export]'\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "no format is given\n    allowed: safetensors, onnx, pt2"),
        (("--out", "net.onx"), "unknown format 'onx'\n    did you mean: onnx"),
        (("--format", "pt2", "--out", "photos"), "photos is a folder"),
        (("--format", "pt2", "--out", "x" * 250), "cannot be written: File name too long"),
        (("--format", "pt2", "--out", "no/net.pt2"), "no folder no for net.pt2"),
        (("--format", "onnx", "--out", "net.pt2"), "format onnx, and a file that ends in .pt2"),
        (("--out", os.fsdecode(b"\xff.pt2")), "\\xff.pt2 is no name in UTF-8"),
    ],
)
def test_wrong_words_are_refused(
    photos_run: Path, call: Call, words: tuple[str, ...], said: str
) -> None:
    called = call("export", "photos:0", *words)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


def test_place_of_the_card_is_looked_at_before_any_work(photos_run: Path, call: Call) -> None:
    Path("out/net.pt2.md").mkdir(parents=True)
    called = call("export", "photos:0", "--out", "out/net.pt2")
    assert (called.code, called.out) == (2, "")
    assert "out/net.pt2.md is a folder" in called.err
    Path("out/notes.safetensors.md").write_text("# Notes\n\nwhat I have found so far\n")
    called = call("export", "photos:0", "--out", "out/notes.safetensors")
    assert called.code == 2
    assert "out/notes.safetensors.md, where the model card is put, is there and no" in called.err
    assert made() == ["net.pt2.md", "notes.safetensors.md"]
    longest = 255 - len(partial_path(Path("x")).name) + 1  # of a file, but not of its card
    called = call("export", "photos:0", "--out", "x" * (longest - 4) + ".pt2")
    assert (called.code, called.out) == (2, "")
    assert "x.pt2.md cannot be written: File name too long" in called.err


@pytest.mark.slow
def test_card_is_replaced_by_another_card(photos_run: Path, call: Call) -> None:
    odd = "a*b\nc.safetensors"
    for _ in range(2):
        assert call("export", "photos:0", "--out", odd).code == 0
    assert Path(f"{odd}.md").read_text().startswith("# a\\*b\\\\nc.safetensors\n\nImage")


@pytest.mark.slow
def test_full_disk_while_exporting_leaves_what_was_there(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("out").mkdir()
    assert call("export", "photos:0", "--out", "out/net.safetensors").code == 0
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    monkeypatch.setattr(SafetensorsFormat, "write", full)
    called = call("export", "photos:0", "--out", "out/net.safetensors")
    assert (called.code, called.out) == (1, "")
    assert called.err.startswith("error: ")
    assert "disk is full" in called.err
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_full_disk_while_a_traced_network_is_written_is_an_error(
    photos_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = TorchExportFormat.write

    def full(self: TorchExportFormat, path: Path, *given: Any) -> None:
        real(self, Path("/dev/full"), *given)

    monkeypatch.setattr(TorchExportFormat, "write", full)
    with pytest.raises(OSError, match="No space left"):
        api.export("photos:0", out="net.pt2")
    assert not list(Path().glob("net*"))


@pytest.mark.parametrize(
    ("ours", "theirs", "is_same"),
    [
        ([[3.0, 1.0], [1.0, 2.0]], [[3.0005, 1.0], [1.0, 2.0]], True),
        ([[3.0, 1.0], [1.0, 2.0]], [[3.005, 1.0], [1.0, 2.0]], False),
        ([[3e-4, 1e-4], [1e-4, 2e-4]], [[0.0, 0.0], [0.0, 0.0]], False),  # small ones
        ([[90.001, 90.0], [90.0, 90.001]], [[90.0, 90.0], [90.0, 90.0]], False),  # far from 0
        ([[90.0, 1.0], [90.0, 1.0]], [[90.0005, 1.0], [90.0, 1.0]], True),  # all alike
        ([[3.0, 1.0, 0.998], [1.0, 2.0, 0.0]], [[3.0, 1.0, 0.998], [1.0, 2.0, 0.0]], True),
        ([[1.0, 0.9985], [3.0, 0.0]], [[0.9992, 0.9993], [3.0, 0.0]], False),  # the other class
    ],
)
def test_logits_are_compared_by_how_far_they_lie_apart(
    ours: list[list[float]], theirs: list[list[float]], is_same: bool
) -> None:
    assert compare(torch.tensor(ours), torch.tensor(theirs)).is_same is is_same


@pytest.mark.slow
def test_outputs_without_a_class_have_names_too(tmp_path: Path, call: Call) -> None:
    Path("wide.yaml").write_text(
        "name: wide\ndata: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4}\n"
        "model: {name: mlp, hidden: [4], classes: 5}\n"
        "train: {epochs: 1, batch_size: 16, precision: bf16}\n"
    )
    assert call("run", "wide.yaml", "--device", "cpu").code == 0
    assert call("export", "wide:0", "--out", "wide.safetensors").code == 0
    with safe_open("wide.safetensors", "pt") as file:
        names = json.loads(file.metadata()["classes"])
    assert names == ["class_0", "class_1", "class_2", "output 3", "output 4"]
    card = Path("wide.safetensors.md").read_text()
    assert "`logits`: float32, batch × 5" in card
    assert "Measured in bf16; the file computes in fp32" in card
    Image.fromarray(noise(1, 4, 4, 3)).save("image.png")
    (said,) = csv.DictReader(call("predict", "wide:0", "image.png", "--top", 3).out.splitlines())
    assert said["class"] in names
    with safe_open("wide.safetensors", "pt") as file:
        names = file.keys()
        assert {file.get_tensor(each).dtype for each in names} == {torch.float32}


NETWORKS = """\
name: nets
data: {dataset: synthetic, classes: 7, images: 1050, height: 32, width: 36, color: rgb}
train: {epochs: 1, batch_size: 64, optimizer: adam}
sweep:
  rows:
    - {label: conv, model: {name: convnet, filters: [8, 8], batch_norm: true, dropout: 0.2}}
    - {label: resnet, model: {name: resnet18, freeze: ["layer1", "bn1"]}}
"""
DIGITS = """\
name: digits
data: {dataset: digits, validation: 0.2, test: 0.2}
model: {name: convnet, filters: [16, 32], batch_norm: true, dropout: 0.2}
train: {epochs: 5, batch_size: 64, optimizer: adam}
"""


@pytest.fixture(scope="module")
def nets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with runs of a convnet, a ResNet with frozen layers, and a convnet on digits."""
    folder = tmp_path_factory.mktemp("nets")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, text in (("nets", NETWORKS), ("digits", DIGITS)):
            Path(f"{name}.yaml").write_text(text)
            api.run(f"{name}.yaml", device="cpu")
    return folder


def inputs_and_classes(name: str) -> tuple[Any, Any]:
    """Return the normalised images of the run's data, and what its network says of them."""
    from runner.bind.trained_models import trained_model
    from runner.bind.workspace import workspace
    from runner.engine.inference.classifying import TrainedClassifier

    model, images = trained_model(workspace(), name)
    classifier = TrainedClassifier(model, torch.device("cpu"))
    pixels = images.sample(1000)
    assert len(pixels) == 1000
    inputs = ((pixels / 255.0 - 0.5) / 0.5).transpose(0, 3, 1, 2).astype(np.float32)
    return inputs, classifier.logits(pixels)


@pytest.mark.slow(7)
@pytest.mark.parametrize(
    ("name", "classes"),
    [("nets:0", [7, 3, 32, 36]), ("nets:1", [7, 3, 32, 36]), ("digits:0", [10, 1, 8, 8])],
)
def test_onnx_gives_the_same_classes_on_a_thousand_images(
    nets: Path, name: str, classes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(nets)
    found = api.export(name, out="net.onnx")
    assert found.same_class == found.images == 64
    inputs, logits = inputs_and_classes(name)
    session = onnxruntime.InferenceSession("net.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["batch", *classes[1:]]
    metadata = session.get_modelmeta().custom_metadata_map
    assert len(json.loads(metadata["classes"])) == classes[0]
    if name == "digits:0":  # a network that has learnt something
        assert json.loads(metadata["measured"])["test_accuracy"] > 0.9
    for size in (1, 64, 1000):
        said = [
            session.run(["logits"], {"images": inputs[start : start + size]})[0]
            for start in range(0, 1000 if size > 1 else 20, size)
        ]
        theirs = np.concatenate(said)
        assert (theirs.argmax(1) == logits.argmax(1).numpy()[: len(theirs)]).all()
    assert len(set(logits.argmax(1).tolist())) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nets:0", "nets:1"])
def test_pt2_gives_the_same_logits_in_batches_of_any_size(
    nets: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(nets)
    api.export(name, "pt2", "net.pt2")
    inputs, logits = inputs_and_classes(name)
    extra = {"runner.json": ""}
    network = torch.export.load("net.pt2", extra_files=extra).module()
    assert json.loads(json.loads(extra["runner.json"])["preprocessing"])["mean"] == [0.5] * 3
    for size in (1, 3, 128):
        with torch.inference_mode():
            theirs = network(torch.from_numpy(inputs[:size]))
        assert torch.allclose(theirs, logits[:size], atol=1e-4)
