"""Pretrained weights: what a file may lack, what it may hold, and what is loaded."""

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from benches import settings_of
from safetensors.torch import save_file

from runner.components.models.classifier import UnknownLayer
from runner.engine.network.build import build_network
from runner.engine.network.layout import weights_digest
from runner.engine.network.tensors import tensors_digest
from runner.engine.network.weights import WeightsMismatch, public_weights, read_weights

CPU = torch.device("cpu")
SHAPE = (3, 32, 32)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    """Return the weights of a SqueezeNet of 1,000 classes."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return torchvision.models.squeezenet1_1().state_dict()


def settings(missing: tuple[str, ...] = (), **model: Any):
    weights = {"file": "a.pth", "sha256": "0" * 64, "missing": list(missing)}
    return settings_of(model={"name": "squeezenet1_1", "weights": weights, **model})


def saved(tmp_path: Path, tensors: dict[str, torch.Tensor], name: str = "a.pth") -> Path:
    path = tmp_path / name
    if name.endswith("safetensors"):
        save_file(tensors, path)
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_all_but_the_last_layer_is_loaded(tmp_path: Path, tensors, name: str) -> None:
    network = build_network(settings(), SHAPE, 5, CPU, saved(tmp_path, tensors, name))
    assert network.weight_match is not None
    assert set(network.weight_match.fresh) == {"classifier.1.weight", "classifier.1.bias"}
    state = network.module.state_dict()
    for key in network.weight_match.loaded:
        assert torch.equal(state[key], tensors[key])
    drawn = build_network(settings_of(model={"name": "squeezenet1_1"}), SHAPE, 5, CPU)
    fresh = drawn.module.state_dict()["classifier.1.weight"]
    assert torch.equal(state["classifier.1.weight"], fresh)


@pytest.mark.slow
def test_initialisation_concerns_what_is_not_loaded(tmp_path: Path, tensors) -> None:
    path = saved(tmp_path, tensors)
    network = build_network(settings(init="kaiming_normal"), SHAPE, 5, CPU, path)
    plain = build_network(settings(), SHAPE, 5, CPU, path)
    state, before = network.module.state_dict(), plain.module.state_dict()
    different = {name for name in state if not torch.equal(state[name], before[name])}
    assert different == {"classifier.1.weight"}
    drawn_settings = settings_of(model={"name": "squeezenet1_1", "init": "kaiming_normal"})
    drawn = build_network(drawn_settings, SHAPE, 5, CPU).module.state_dict()
    assert torch.equal(drawn["classifier.1.weight"], state["classifier.1.weight"])


@pytest.mark.slow
def test_a_last_layer_of_the_same_size_is_loaded_too(tmp_path: Path, tensors) -> None:
    network = build_network(settings(classes=1000), SHAPE, 5, CPU, saved(tmp_path, tensors))
    assert network.weight_match is not None
    assert network.weight_match.fresh == ()


def test_half_precision_becomes_single(tmp_path: Path, tensors) -> None:
    half = {name: value.half() for name, value in tensors.items()}
    network = build_network(settings(), SHAPE, 5, CPU, saved(tmp_path, half))
    first = network.module.state_dict()["features.0.weight"]
    assert first.dtype == torch.float32
    assert torch.equal(first, half["features.0.weight"].float())


@pytest.mark.slow
def test_what_lacks_must_be_named_as_missing(tmp_path: Path, tensors) -> None:
    partial = {name: value for name, value in tensors.items() if name.startswith("features.0")}
    path = saved(tmp_path, partial)
    with pytest.raises(WeightsMismatch) as caught:
        build_network(settings(), SHAPE, 5, CPU, path)
    assert str(caught.value) == (
        "the weights lack 50 tensors of squeezenet1_1: features.3.squeeze.weight,"
        " features.3.squeeze.bias, features.3.expand1x1.weight, features.3.expand1x1.bias,"
        " features.3.expand3x3.weight, features.3.expand3x3.bias, … (44 more)"
    )
    assert caught.value.hint == "to initialise them instead, write missing: [features, classifier]"
    with pytest.raises(WeightsMismatch, match="lack 2 tensors"):
        build_network(settings(("features.[3-9]*", "features.1?")), SHAPE, 5, CPU, path)
    every = ("features.[3-9]*", "features.1?", "classifier")
    network = build_network(settings(every), SHAPE, 5, CPU, path)
    assert network.weight_match is not None
    assert network.weight_match.loaded == ("features.0.weight", "features.0.bias")


def test_what_may_be_missing_is_loaded_when_it_is_there(tmp_path: Path, tensors) -> None:
    network = build_network(settings(("features",)), SHAPE, 5, CPU, saved(tmp_path, tensors))
    assert network.weight_match is not None
    assert "features.0.weight" in network.weight_match.loaded


def test_a_pattern_for_what_may_be_missing_must_match(tmp_path: Path, tensors) -> None:
    with pytest.raises(UnknownLayer) as caught:
        build_network(settings(("clasifier",)), SHAPE, 5, CPU, saved(tmp_path, tensors))
    assert "classifier" in caught.value.layers


def test_another_shape_is_refused(tmp_path: Path, tensors) -> None:
    other = {**tensors, "features.0.bias": torch.zeros(65)}
    with pytest.raises(WeightsMismatch) as caught:
        build_network(settings(), SHAPE, 5, CPU, saved(tmp_path, other))
    assert str(caught.value) == (
        "1 tensors are not like squeezenet1_1's: features.0.bias 65 for 64"
    )


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path: Path, tensors) -> None:
    alexnet = {"features.0.weight": torch.zeros(64, 3, 11, 11), "features.3.bias": torch.zeros(192)}
    with pytest.raises(WeightsMismatch, match="lack 51 tensors"):
        build_network(settings(), SHAPE, 5, CPU, saved(tmp_path, alexnet))
    left_over = {**tensors, "features.99.weight": torch.zeros(1)}
    with pytest.raises(WeightsMismatch) as caught:
        build_network(settings(), SHAPE, 5, CPU, saved(tmp_path, left_over))
    assert str(caught.value) == (
        "the weights hold 1 tensors that squeezenet1_1 lacks: features.99.weight"
    )


@pytest.mark.slow
def test_a_cut_network_takes_what_it_has_kept(tmp_path: Path, tensors) -> None:
    cut = settings(cut="features.4", head={"hidden": [6]})
    network = build_network(cut, SHAPE, 5, CPU, saved(tmp_path, tensors))
    assert network.weight_match is not None
    assert {name.partition(".")[0] for name in network.weight_match.loaded} == {"features"}
    assert {name.partition(".")[0] for name in network.weight_match.fresh} == {"head"}


class Dangerous:
    def __reduce__(self) -> Any:
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": Dangerous()}, "cannot be read as weights"),
        ({"state_dict": {"a": torch.zeros(1)}}, "holds other things than named tensors"),
        ([torch.zeros(1)], "holds other things than named tensors"),
        (b"no archive at all", "cannot be read as weights"),
        (b"", "cannot be read as weights"),
        (b"a,b\n1,2\n", "cannot be read as weights"),
        (b"\x80\x02}q\x00.", "cannot be read as weights|holds other things"),
    ],
    ids=["code", "nested", "list", "text", "empty", "csv", "pickle"],
)
@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
def test_a_file_that_holds_no_weights_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: Any, said: str, name: str
) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
        said = said if name == "a.pth" else "cannot be read as weights"
    with pytest.raises(WeightsMismatch, match=said):
        read_weights(path)
    assert "executed" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_digest_is_of_the_tensors_and_not_of_the_file(tmp_path: Path, tensors) -> None:
    one = weights_digest(settings(), SHAPE, 5, saved(tmp_path, tensors, "a.pth"))
    other = weights_digest(settings(), SHAPE, 5, saved(tmp_path, tensors, "a.safetensors"))
    assert one == other
    assert one.prefix == ""
    changed = {**tensors, "features.0.bias": tensors["features.0.bias"] + 1}
    assert weights_digest(settings(), SHAPE, 5, saved(tmp_path, changed)).loaded != one.loaded
    last = {**tensors, "classifier.1.bias": tensors["classifier.1.bias"] + 1}
    assert weights_digest(settings(), SHAPE, 5, saved(tmp_path, last)) == one


@pytest.mark.slow
def test_the_digest_of_a_frozen_prefix_is_of_its_tensors(tmp_path: Path, tensors) -> None:
    frozen = settings(freeze="features")
    path = saved(tmp_path, tensors)
    features = {name: value for name, value in tensors.items() if name.startswith("features")}
    digest = weights_digest(frozen, SHAPE, 5, path)
    assert digest.prefix == tensors_digest(features)
    assert weights_digest(frozen, SHAPE, 6, path).prefix == digest.prefix
    partial = {name: value for name, value in features.items() if "12" not in name}
    missing = settings(("features.12", "classifier"), freeze="features")
    assert weights_digest(missing, SHAPE, 5, saved(tmp_path, partial)).prefix == ""


def test_torchvisions_weights_have_an_address_and_a_checksum() -> None:
    found = public_weights("alexnet", "IMAGENET1K_V1")
    assert found.url == "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth"
    assert (found.path.name, found.sha256) == ("alexnet-owt-7be5be79.pth", "7be5be79")
    assert found.num_bytes == pytest.approx(244_408_911, rel=1e-3)


def test_weights_that_a_network_does_not_have_are_refused() -> None:
    with pytest.raises(WeightsMismatch) as caught:
        public_weights("alexnet", "IMAGENET1K_V2")
    assert str(caught.value) == "alexnet has no weights IMAGENET1K_V2"
    assert caught.value.allowed == "IMAGENET1K_V1"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (torch.zeros(64, dtype=torch.int8), "features.0.bias 64 of int8 for 64"),
        (torch.zeros(64, dtype=torch.complex64), "features.0.bias 64 of complex64 for 64"),
    ],
)
def test_numbers_of_another_kind_are_refused(tmp_path: Path, tensors, bad, said: str) -> None:
    with pytest.raises(WeightsMismatch, match=said):
        build_network(
            settings(), SHAPE, 5, CPU, saved(tmp_path, {**tensors, "features.0.bias": bad})
        )


@pytest.mark.slow
def test_tensors_without_numbers_count_as_missing(tmp_path: Path, tensors) -> None:
    hollow = {**tensors, "features.0.bias": torch.full((64,), torch.nan)}
    path = saved(tmp_path, hollow)
    with pytest.raises(WeightsMismatch, match=r"lack 1 tensors of .*: features\.0\.bias"):
        build_network(settings(), SHAPE, 5, CPU, path)
    network = build_network(settings(("features.0",)), SHAPE, 5, CPU, path)
    assert network.weight_match is not None
    assert "features.0.bias" in network.weight_match.fresh


def test_damaged_files_of_weights_are_refused(tmp_path: Path) -> None:
    small = {"a": torch.arange(40.0), "b": torch.zeros(3, 5)}
    whole = saved(tmp_path, small).read_bytes()
    draw = np.random.default_rng(5)
    for number in range(150):
        content = bytearray(whole)
        for position in draw.integers(0, len(content), 1 + number % 8):
            content[position] = int(draw.integers(0, 256))
        end = len(content) if number % 3 else int(draw.integers(0, len(content)))
        path = tmp_path / f"damaged{number}.pth"
        path.write_bytes(content[:end])
        with contextlib.suppress(WeightsMismatch):
            read_weights(path)
