"""Initialisation by name: which tensors are drawn, from what distribution, from which seed."""

import math
from typing import Any, get_args

import pytest
import torch
from benches import settings_of
from torch import nn

from runner.components.models.classifier import Init
from runner.components.models.init_net import DRAWS, initialise
from runner.engine.network.build import build_network

CPU = torch.device("cpu")
BLOCKS = {"name": "convnet", "filters": [16, 32], "batch_norm": True, "linear": [64]}


def tensors_of(init: str, seed: int = 0, **model: Any) -> dict[str, torch.Tensor]:
    settings = settings_of(model={**BLOCKS, "init": init, **model}, seed=seed)
    return build_network(settings, (3, 16, 16), 10, CPU).module.state_dict()


def weights_of(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of convolutional and linear layers."""
    kept = {name: each for name, each in tensors.items() if name.endswith(".weight")}
    return {name: each for name, each in kept.items() if each.ndim > 1}


def fans(weight: torch.Tensor) -> tuple[int, int]:
    field = math.prod(weight.shape[2:])
    return weight.shape[1] * field, weight.shape[0] * field


def test_every_name_but_the_default_has_a_draw() -> None:
    assert set(get_args(Init)) == {"default", *DRAWS}


@pytest.mark.parametrize("init", ["kaiming_uniform", "xavier_uniform"])
def test_uniform_draws_fill_the_interval_of_their_paper(init: str) -> None:
    weights = weights_of(tensors_of(init))
    assert len(weights) == 4
    for weight in weights.values():
        fan_in, fan_out = fans(weight)
        bound = math.sqrt(6 / (fan_in if init.startswith("kaiming") else fan_in + fan_out))
        assert 0.95 * bound < weight.abs().max() <= bound
        assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.1)


@pytest.mark.parametrize("init", ["kaiming_normal", "xavier_normal"])
def test_normal_draws_have_the_variance_of_their_paper(init: str) -> None:
    for weight in weights_of(tensors_of(init)).values():
        fan_in, fan_out = fans(weight)
        std = math.sqrt(2 / (fan_in if init.startswith("kaiming") else fan_in + fan_out))
        assert weight.std() == pytest.approx(std, rel=0.1)
        assert weight.abs().max() > 2.2 * std


def test_orthogonal_draws_are_orthogonal() -> None:
    for weight in weights_of(tensors_of("orthogonal")).values():
        flat = weight.flatten(1)
        rows = flat if flat.shape[0] <= flat.shape[1] else flat.T
        torch.testing.assert_close(rows @ rows.T, torch.eye(rows.shape[0]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("init", DRAWS)
def test_biases_are_zero_and_batch_normalisation_is_as_ever(init: str) -> None:
    drawn, default = tensors_of(init), tensors_of("default")
    for name in drawn.keys() - weights_of(drawn).keys():
        if ".norm." in name:
            assert torch.equal(drawn[name], default[name])
        else:
            assert name.endswith(".bias")
            assert not drawn[name].any()


@pytest.mark.parametrize("init", DRAWS)
def test_draws_follow_the_seed_of_the_run_and_leave_the_global_state_alone(init: str) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (weights_of(tensors_of(init, seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    for name, weight in first.items():
        assert torch.equal(weight, again[name])
        assert not torch.equal(weight, other[name])


def test_the_default_is_torchs_own() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2))
    before = {name: each.clone() for name, each in network.state_dict().items()}
    initialise(network, "default")
    assert all(torch.equal(each, before[name]) for name, each in network.state_dict().items())


def test_a_head_behind_a_cut_is_drawn_too() -> None:
    model = {"name": "squeezenet1_1", "cut": "features.3", "head": {"hidden": [50]}}
    settings = settings_of(model={**model, "init": "kaiming_uniform"})
    network = build_network(settings, (3, 32, 32), 3, CPU)
    tensors = network.module.state_dict()
    weight = tensors["head.hidden1.linear.weight"]
    assert weight.abs().max() <= math.sqrt(6 / weight.shape[1])
    assert weight.abs().max() > 0.95 * math.sqrt(6 / weight.shape[1])
    assert not tensors["head.hidden1.linear.bias"].any()
