"""`inspect saliency --image` and `inspect embedding --image`: kept weights, looked at now."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import Call
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from trained import CLASSES, noise

from runner import api
from runner.api.drawing import figure_path
from runner.core.errors import UsageError

pytest.importorskip("captum")


def the_network() -> nn.Module:
    """Return the network of the run, built by hand from its kept weights."""
    (file,) = Path(".runner/weights").glob("*/*-best.safetensors")
    tensors = load_file(file)
    weights = [tensors[name] for name in sorted(tensors) if name.endswith("weight")]
    biases = [tensors[name] for name in sorted(tensors) if name.endswith("bias")]
    layers = [nn.Linear(each.shape[1], each.shape[0]) for each in weights]
    for layer, weight, bias in zip(layers, weights, biases, strict=True):
        layer.load_state_dict({"weight": weight, "bias": bias})
    return nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1])


def as_input(path: Path) -> torch.Tensor:
    """Return a photograph as the spec says that it is prepared, by hand."""
    image = Image.open(path).convert("RGB")
    width, height = image.size
    image = image.resize((9, int(9 * height / width)), Image.Resampling.BILINEAR)
    top, left = round((image.height - 8) / 2), round((image.width - 7) / 2)
    pixels = np.asarray(image.crop((left, top, left + 7, top + 8)), np.float64) / 255
    values = (pixels - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4]
    return torch.from_numpy(values.transpose(2, 0, 1)[None]).float()


def state(folder: Path) -> str:
    return hashlib.sha256((folder / "results.db").read_bytes()).hexdigest()


@pytest.fixture
def photo(photos_run: Path) -> Path:
    """A file that is no image of the run's data."""
    Image.fromarray(noise(9, 14, 12, 3)).save("photo.png")
    return Path("photo.png")


@pytest.mark.slow
def test_a_file_is_explained_by_the_weights_that_the_run_keeps(
    photos_run: Path, photo: Path, call: Call
) -> None:
    before = state(photos_run)
    called = call(
        *("inspect", "saliency", "photos:0", "--image", photo, "--method", "gradient"),
        *("--format", "json", "--npz", "arrays.npz", "--out", "seen.png", "--device", "cpu"),
    )
    assert called.code == 0
    (row,) = json.loads(called.out)
    images = as_input(photo).requires_grad_()
    scores = the_network()(images)
    shares = scores.softmax(1)[0].detach()
    assert (row["image"], row["label"]) == ("photo.png", None)
    assert row["predicted"] == row["explained"] == CLASSES[int(shares.argmax())]
    assert row["probability"] == pytest.approx(float(shares.max()), abs=1e-5)
    scores.max().backward()
    assert images.grad is not None
    gray = np.load("arrays.npz")["gradient_gray"][0]
    wanted = images.grad[0].abs().sum(0).numpy()
    assert np.allclose(gray, np.clip(wanted / np.percentile(wanted, 99), 0, 1), atol=1e-4)
    assert Path("seen-gradient.png").read_bytes().startswith(b"\x89PNG")
    assert state(photos_run) == before


@pytest.mark.slow
def test_an_image_of_the_data_is_explained_for_a_class_that_is_named(
    photos_run: Path, call: Call
) -> None:
    shutil.rmtree(photos_run / ".runner" / "pixels")  # it is decoded from the data again
    called = call("inspect", "saliency", "photos:0", "--image", "dog/3.png", "--class", "emu")
    shares = the_network()(as_input(Path("photos/dog/3.png"))).softmax(1)[0].detach()
    first = CLASSES[int(shares.argmax())]
    line, *files = called.out.splitlines()
    said = f"dog/3.png: {first} ({float(shares.max()):.1%})"
    assert line == said + f"; explained: emu ({float(shares[2]):.1%})" * (first != "emu")
    assert called.err == "note: no grad_cam: the network has no layer that gives maps\n"
    assert [Path(each).is_file() for each in files] == [True]
    assert "saliency-dog-3-emu-guided_backpropagation.png" in files[0]


@pytest.mark.parametrize("verb", ["saliency", "embedding"])
def test_a_figure_that_cannot_be_written_is_refused_before_the_network_is_read(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def read(*_: object) -> None:
        raise AssertionError("the network is read")

    Path("file").touch()
    Path("folder.png").mkdir()
    monkeypatch.setattr(api.KeptRun, "load", read)
    for out in ("file/seen.png", "folder.png"):
        called = call("inspect", verb, "photos:0", "--image", "dog/3.png", "--out", out)
        assert called.code == 2
        assert out in called.err
    Path("figures").touch()
    called = call("inspect", verb, "photos:0", "--image", "dog/3.png")
    assert (called.code, "figures is a file" in called.err) == (2, True)


def test_other_questions_have_other_files() -> None:
    asked: list[tuple[list[str], dict[str, str | None]]] = [
        (["cat/1.png"], {}),
        (["cat-1.png"], {}),
        (["cat/1.jpg"], {}),
        (["cat/1.png", "cat/2.png"], {}),
        (["cat/1.png", "cat/3.png"], {}),
        (["cat/1.png"], {"class": "dog"}),
        (["cat/1.png"], {"class": "emu", "layer": None}),
        (["cat/1.png"], {"class": "emu", "layer": "conv.1"}),
        (["x" * 50 + "1.png"], {}),
        (["y" + "x" * 49 + "1.png"], {}),
    ]
    paths = [figure_path(None, "3f9a", "saliency", images, chosen) for images, chosen in asked]
    assert len(set(paths)) == len(asked)
    assert paths[0] == Path("figures/3f9a-saliency-cat-1.png")
    assert paths[5] == Path("figures/3f9a-saliency-cat-1-dog.png")


@pytest.mark.slow
def test_an_image_that_is_alone_in_its_split_has_no_neighbours(photos_run: Path) -> None:
    image = api.inspect_neighbours("photos:0", "dog/3.png", 1, most=1).rows[0].neighbour
    with pytest.raises(UsageError, match=f"there is no other val image than {image}"):
        api.inspect_neighbours("photos:0", image, most=1)


@pytest.mark.slow
def test_explained_images_come_as_arrays_and_figures(photos_run: Path) -> None:
    found = api.inspect_saliency(
        api.KeptRun("photos:0", "last"), ["cat/0.png", Path("photos/cat/0.png")], methods="gradient"
    )
    assert [row.label for row in found.rows] == ["cat", None]
    assert found.frame()["predicted"].tolist() == [row.predicted for row in found.rows]
    of_set, of_file = found.arrays["gradient_color"]
    assert np.array_equal(of_set, of_file)
    assert list(found.figures) == ["gradient"]
    below = [axes.get_xlabel() for axes in found.figures["gradient"].axes[::5]]
    assert [each.split(";")[0] for each in below] == ["cat", "photos/cat/0.png"]


@pytest.mark.slow
def test_nearest_images_are_those_of_the_layers_outputs(photos_run: Path, call: Call) -> None:
    before = state(photos_run)
    called = call(
        *("inspect", "embedding", "photos:0", "--image", "dog/3.png", "--neighbours", 4),
        *("--split", "train", "--format", "json", "--out", "near.svg"),
    )
    assert called.code == 0
    rows = json.loads(called.out)
    (index,) = Path(".runner/pixels").glob("*/index.json")
    names = json.loads(index.read_text())["names"]
    hidden = the_network()[:3]

    def direction(name: str) -> np.ndarray:
        outputs = hidden(as_input(Path("photos") / name)).detach().numpy()[0]
        return outputs / np.linalg.norm(outputs)

    distances = {name: 1 - direction("dog/3.png") @ direction(name) for name in names}
    evaluated = [api.predictions("photos:0", split).frame()["image"] for split in ("val", "test")]
    train = set(names).difference(*evaluated)
    wanted = sorted(train - {"dog/3.png"}, key=distances.__getitem__)[:4]
    assert [row["neighbour"] for row in rows] == wanted
    assert [row["label"] for row in rows] == [name.split("/")[0] for name in wanted]
    assert [row["rank"] for row in rows] == [1, 2, 3, 4]
    found = [row["distance"] for row in rows]
    assert found == pytest.approx([distances[name] for name in wanted], abs=1e-4)
    assert "the nearest of" in Path("near.svg").read_text(encoding="utf-8")
    assert state(photos_run) == before


@pytest.mark.slow
def test_neighbours_of_a_file_are_the_same_with_and_without_prepared_images(
    photos_run: Path, photo: Path
) -> None:
    first = api.inspect_neighbours("photos:0", photo, 3)
    shutil.rmtree(photos_run / ".runner" / "pixels")
    again = api.inspect_neighbours("photos:0", photo, 3)
    assert again.rows == first.rows
    assert first.arrays["nearest"].shape == (1, 3, 8, 7, 3)
    assert first.searched == len(api.predictions("photos:0", "val").frame())
    every = api.inspect_neighbours("photos:0", photo, 100)
    assert len(every.rows) == first.searched
    assert not every.frame().distance.isna().any()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("saliency --image dog/33.png", "did you mean: dog/3.png"),
        ("saliency --image dog/3.png --class dgo", "did you mean: dog"),
        ("saliency --image dog/3.png --method grad-cam", "did you mean: grad_cam"),
        ("saliency --image dog/3.png --layer hidden1.lineal", "did you mean: hidden1.linear"),
        (
            "saliency --image dog/3.png --layer output",
            "output gives no maps for Grad-CAM, but (3,)",
        ),
        ("saliency --image dog/3.png --method gradient --layer output", "the layer is of grad_cam"),
        ("saliency --image photos.yaml", "photos.yaml cannot be read as an image"),
        ("saliency --class dog --layer output", "--class, --layer without an image"),
        ("saliency --image dog/3.png --analysis where", "--analysis where is of the spec"),
        ("saliency --image dog/3.png --out seen.gif", "allowed: .png, .svg, .pdf"),
        ("saliency --image dog/3.png --npz nowhere/a.npz", "no folder nowhere"),
        ("saliency --image dog/3.png --weights first", "there are no weights 'first'"),
        ("embedding --image dog/3.png --split vall", "did you mean: val"),
        ("embedding --image dog/3.png --layer nothing", "no layer is called 'nothing'"),
        ("embedding --neighbours 3", "--neighbours without an image"),
    ],
)
def test_what_cannot_be_looked_at_is_a_clear_error(
    words: str, said: str, photos_run: Path, call: Call
) -> None:
    verb, *options = words.split()
    called = call("inspect", verb, "photos:0", *options)
    assert called.code == 2
    assert said in called.err
    assert called.out == ""
    assert not (photos_run / "figures").exists()


@pytest.mark.parametrize("verb", ["saliency", "embedding"])
def test_weights_that_are_gone_are_told_of_with_what_they_cost(
    verb: str, photos_run: Path, call: Call
) -> None:
    shutil.rmtree(photos_run / ".runner" / "weights")
    called = call("inspect", verb, "photos:0", "--image", "dog/3.png")
    assert called.code == 2
    assert "only training again brings them back (3 epochs took" in called.err
    assert "runner run photos.yaml --rerun" in called.err
