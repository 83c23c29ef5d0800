import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from runner.components.losses import CrossEntropy
from runner.components.optimizers import SGD, Adam, AdamW


@pytest.mark.parametrize(
    "settings",
    [
        SGD(name="sgd", lr=0.3, momentum=0.9, nesterov=True, weight_decay=5e-5),
        Adam(name="adam", lr=0.3, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1),
        AdamW(name="adamw", lr=0.3, betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1),
    ],
)
def test_optimizers_have_every_setting(settings) -> None:
    optimizer = settings.build([torch.nn.Parameter(torch.zeros(2))])
    assert type(optimizer).__name__.lower() == f"fused{settings.name}"
    (group,) = optimizer.param_groups
    given = settings.model_dump(exclude={"name"})
    assert {name: group[name] for name in given} == given


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(ValidationError, match="nesterov needs a momentum above 0"):
        SGD(name="sgd", nesterov=True)


@pytest.mark.parametrize("betas", [(1.0, 0.9), (0.9, -0.1), (0.9,)])
def test_betas_are_two_rates_below_one(betas: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError):
        Adam(name="adam", betas=betas)


def test_cross_entropy_smooths_labels() -> None:
    logits, labels = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([0])
    loss = CrossEntropy(name="cross_entropy", label_smoothing=0.3).build()(logits, labels)
    target = torch.tensor([[0.8, 0.1, 0.1]])
    assert loss.item() == pytest.approx(-(target * logits.log_softmax(1)).sum().item())


ORACLES: list[tuple[Any, type[torch.optim.Optimizer]]] = [
    (SGD(name="sgd"), torch.optim.SGD),
    (SGD(name="sgd", weight_decay=0.01), torch.optim.SGD),
    (SGD(name="sgd", momentum=0.9, weight_decay=5e-4), torch.optim.SGD),
    (SGD(name="sgd", momentum=0.9, nesterov=True, weight_decay=5e-4), torch.optim.SGD),
    (Adam(name="adam"), torch.optim.Adam),
    (Adam(name="adam", betas=(0.8, 0.9), eps=1e-6, weight_decay=0.1), torch.optim.Adam),
    (AdamW(name="adamw"), torch.optim.AdamW),
]


def networks() -> tuple[nn.Module, nn.Module]:
    """Return two equal networks, one layer of which is frozen and one never used."""
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Flatten(), nn.Linear(180, 4))
    network[1].weight.requires_grad_(False)
    network.register_parameter("unused", nn.Parameter(torch.ones(3)))
    network.to(memory_format=torch.channels_last)
    return network, copy.deepcopy(network)


def oracle(settings: Any, kind: Any, network: nn.Module) -> torch.optim.Optimizer:
    values = settings.model_dump(exclude={"name"})
    return kind([each for each in network.parameters() if each.requires_grad], fused=True, **values)


def take_steps(network: nn.Module, optimizer: Any, first: int, last: int) -> None:
    for step in range(first, last + 1):
        generator = torch.Generator().manual_seed(step)
        for group in optimizer.param_groups:
            group["lr"] = 0.01 / step
        inputs = torch.rand((6, 3, 8, 8), generator=generator)
        optimizer.zero_grad(set_to_none=True)
        network(inputs.contiguous(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()


def assert_equal(first: nn.Module, one: Any, second: nn.Module, other: Any) -> None:
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name
    mine, theirs = one.state_dict()["state"], other.state_dict()["state"]
    assert mine.keys() == theirs.keys()
    for index, state in theirs.items():
        assert mine[index].keys() == state.keys()
        for key, value in state.items():
            assert torch.equal(mine[index][key], value), (index, key)
            assert mine[index][key].stride() == value.stride()


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(("settings", "kind"), ORACLES)
def test_updates_are_torchs_to_the_bit(settings: Any, kind: Any) -> None:
    first, second = networks()
    mine = settings.build([each for each in first.parameters() if each.requires_grad])
    theirs = oracle(settings, kind, second)
    for step in range(1, 31):
        take_steps(first, mine, step, step)
        take_steps(second, theirs, step, step)
        assert_equal(first, mine, second, theirs)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(("settings", "kind"), ORACLES)
def test_the_states_of_torchs_classes_are_gone_on_from(settings: Any, kind: Any) -> None:
    first, second = networks()
    theirs = oracle(settings, kind, second)
    take_steps(second, theirs, 1, 5)
    first.load_state_dict(second.state_dict())
    mine = settings.build([each for each in first.parameters() if each.requires_grad])
    mine.load_state_dict(copy.deepcopy(theirs.state_dict()))
    take_steps(first, mine, 6, 10)
    take_steps(second, theirs, 6, 10)
    assert_equal(first, mine, second, theirs)
    again = oracle(settings, kind, first)
    again.load_state_dict(copy.deepcopy(mine.state_dict()))
    take_steps(first, again, 11, 12)
    take_steps(second, theirs, 11, 12)
    assert_equal(first, again, second, theirs)


def test_a_gradient_that_comes_later_begins_its_own_momentum() -> None:
    settings = SGD(name="sgd", lr=0.5, momentum=0.9)
    early, late = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = settings.build([early, late])
    early.grad = torch.ones(2)
    optimizer.step()
    late.grad = torch.ones(2)
    optimizer.step()
    assert late.tolist() == [0.5, 0.5]
    assert early.tolist() == pytest.approx([1 - 0.5 - 0.5 * 1.9] * 2)
    optimizer.zero_grad()
    assert early.grad is None
    assert late.grad is None
