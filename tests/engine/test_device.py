"""Which devices there are, by name; an Apple GPU is made up."""

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from runner.components.measures import in_full
from runner.core.errors import UsageError
from runner.engine.device import choose_device, device_name
from runner.engine.training.step import seed_generator

MPS = torch.device("mps")


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.usefixtures("apple")
def test_an_apple_gpu_is_chosen_by_its_name_only() -> None:
    assert choose_device("mps") == MPS
    assert choose_device(None) == choose_device("auto") == torch.device("cpu")
    assert device_name(MPS) == "mps"


def test_tests_that_need_no_gpu_see_none(pytestconfig: pytest.Config) -> None:
    if "not gpu" in pytestconfig.option.markexpr:
        assert os.environ["CUDA_VISIBLE_DEVICES"] == ""
        assert choose_device(None) == torch.device("cpu")


@pytest.mark.usefixtures("apple")
def test_there_is_one_apple_gpu() -> None:
    with pytest.raises(UsageError, match="'mps:1' is not supported"):
        choose_device("mps:1")


def test_where_there_is_no_apple_gpu_its_name_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=r"no device 'mps' here: torch .* finds no Apple GPU"):
        choose_device("mps")


def test_dropout_on_an_apple_gpu_is_keyed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.mps, "manual_seed", seeds.append)
    before = torch.random.get_rng_state()
    seed_generator(MPS, 7)
    assert seeds == [7]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_losses_are_added_up_in_float64_where_there_is_such_a_thing() -> None:
    values: Any = SimpleNamespace(device=MPS)
    assert in_full(values) is values
    assert in_full(torch.ones(2)).dtype is torch.float64
