"""Where all weights come from elsewhere, none are drawn; the network is otherwise the same."""

from pathlib import Path
from typing import Any

import pytest
import torch
from benches import Bench, Draws, settings_of
from safetensors.torch import save_file
from torch import Tensor, nn

from runner.engine.network import initial as module
from runner.engine.network.build import Network, build_network, load_state
from runner.engine.network.layout import outside_prefix

CPU = torch.device("cpu")
CONVNET = {"name": "convnet", "filters": [4, 6], "batch_norm": True, "dropout": 0.1}
SIDE = (3, 64, 64)


def network(model: dict[str, Any], given: Any = ()) -> Network:
    return build_network(settings_of(model=model), SIDE, 3, CPU, given=given)


def contiguous(network: Network) -> dict[str, Tensor]:
    return {name: each.contiguous() for name, each in network.module.state_dict().items()}


@pytest.mark.parametrize(
    "model",
    [
        {"name": "mlp", "hidden": [12], "batch_norm": True},
        {**CONVNET, "init": "orthogonal"},
        {"name": "resnet18"},
        pytest.param({"name": "swin_t"}, marks=pytest.mark.slow),
        pytest.param({"name": "mobilenet_v3_small"}, marks=pytest.mark.slow),
        pytest.param({"name": "densenet121"}, marks=pytest.mark.slow),
    ],
)
def test_a_network_that_is_given_its_weights_is_the_one_that_had_them(
    model: dict[str, Any],
) -> None:
    drawn = network(model)
    state = drawn.module.state_dict()
    before = torch.random.get_rng_state()
    with Draws() as draws:
        undrawn = network(model, state.keys())
    assert draws.count == 0
    assert torch.equal(torch.random.get_rng_state(), before)
    load_state(undrawn, state)
    for name, tensor in undrawn.module.state_dict().items():
        assert torch.equal(tensor, state[name])
        assert tensor.stride() == state[name].stride()
    inputs = torch.rand((2, *SIDE), generator=torch.Generator().manual_seed(0))
    drawn.eval()
    undrawn.eval()
    assert torch.equal(undrawn(inputs), drawn(inputs))


@pytest.mark.slow
def test_an_evaluation_draws_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(tmp_path, settings_of(model=CONVNET))
    trained = bench.train()
    with Draws() as draws:
        measured = bench.do("evaluate", 2, trained).measured
    assert draws.count == 0
    monkeypatch.setattr(module, "_is_in_its_state", lambda network: False)
    assert bench.do("evaluate", 3, trained).measured == measured


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("freeze", ["features", ["features.block1"]])
def test_frozen_layers_that_nothing_gives_are_drawn(freeze: Any, tmp_path: Path) -> None:
    bench = Bench(tmp_path, settings_of(model={**CONVNET, "freeze": freeze}))
    trained = bench.train()
    drawn = build_network(bench.settings, (3, 8, 8), 3, CPU).module.state_dict()
    given = bench.weights()
    built = build_network(bench.settings, (3, 8, 8), 3, CPU, given=given.keys())
    for name, tensor in built.module.state_dict().items():
        if built.frozen.holds(name):
            assert torch.equal(tensor, drawn[name])
    assert bench.do("evaluate", 2, trained).measured


@pytest.mark.slow
def test_a_network_whose_file_gives_everything_draws_nothing(tmp_path: Path) -> None:
    model = {"name": "squeezenet1_1", "classes": 1000}
    state = contiguous(network(model))
    save_file(state, tmp_path / "whole.safetensors")
    settings = settings_of(model=model)
    with Draws() as draws:
        built = build_network(settings, SIDE, 3, CPU, tmp_path / "whole.safetensors")
    assert draws.count == 0
    assert all(torch.equal(each, state[name]) for name, each in built.module.state_dict().items())
    del state["features.3.squeeze.bias"]
    save_file(state, tmp_path / "lacking.safetensors")
    settings = settings_of(
        model={**model, "weights": {"file": "x", "sha256": "0" * 64, "missing": ["features.3"]}}
    )
    drawn = build_network(settings, SIDE, 3, CPU, tmp_path / "lacking.safetensors")
    assert torch.equal(drawn.module.state_dict()["features.3.squeeze.bias"], torch.zeros(16))
    assert all(torch.equal(drawn.module.state_dict()[name], each) for name, each in state.items())


@pytest.mark.slow
def test_the_features_stage_draws_no_weights_behind_a_prefix_that_a_file_gives(
    tmp_path: Path,
) -> None:
    model = {"name": "squeezenet1_1", "freeze": "features"}
    drawn = network(model)
    save_file(contiguous(drawn), tmp_path / "whole.safetensors")
    settings = settings_of(model=model)
    unused = outside_prefix(settings, SIDE, 5)
    split = drawn.split()
    assert split is not None
    assert unused == drawn.module.state_dict().keys() - set(split.tensors)
    assert any(name.startswith("classifier.") for name in unused)
    with Draws() as draws:
        built = build_network(settings, SIDE, 5, CPU, tmp_path / "whole.safetensors", unused)
    assert draws.count == 0
    inputs = torch.rand((2, *SIDE), generator=torch.Generator().manual_seed(0))
    prefix = built.split()
    assert prefix is not None
    assert torch.equal(prefix.prefix(inputs), split.prefix(inputs))


class Foreign(nn.Linear):
    """A layer that may draw something of its own."""


def test_layers_of_others_are_drawn_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = type(settings_of().model)
    monkeypatch.setattr(
        kind, "build", lambda self, shape, outputs: nn.Sequential(nn.Flatten(), Foreign(4, 2))
    )
    names = network({"name": "mlp", "hidden": [12]}).module.state_dict().keys()
    with Draws() as draws:
        network({"name": "mlp", "hidden": [12]}, names)
    assert draws.count == 8 + 2
