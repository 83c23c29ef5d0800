"""Batches ahead of their use: the same, in order, with errors and ends where they belong."""

import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import SYNTHETIC, Bench, settings_of
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from runner.engine.data import prefetch, samples
from runner.engine.data.prefetch import AHEAD, ahead, sent_ahead

STORED = torch.arange(60, dtype=torch.uint8).view(20, 3)


class LateLink:
    """Copies at the last moment that the device might: a buffer written too soon is found out."""

    def __init__(self) -> None:
        self.allocated: list[int] = []
        self.sent = 0

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        self.allocated.append(shape[0])
        return torch.zeros(shape, dtype=dtype)

    def send(self, rows: Tensor) -> tuple[Tensor, Any]:
        self.sent += 1
        copy, done, lock = torch.zeros_like(rows), [], threading.Lock()

        def finish() -> None:
            with lock:
                if not done:
                    done.append(copy.copy_(rows))

        return copy, finish

    def wait(self, sent: Any) -> None:
        sent()

    def receive(self, rows: Tensor, sent: Any) -> Tensor:
        sent()
        return rows


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "batches ahead"]


def until(condition: Any) -> None:
    for _ in range(2000):
        if condition():
            return
        time.sleep(0.005)
    raise AssertionError("never")


@given(st.lists(st.lists(st.integers(0, 19), min_size=1, max_size=7), max_size=9))
def test_batches_are_those_without_in_their_order(parts: list[list[int]]) -> None:
    link = LateLink()
    chosen = [torch.tensor(each) for each in parts]
    found = [rows.clone() for rows in sent_ahead(STORED, chosen, link)]
    assert len(found) == len(parts)
    assert all(torch.equal(rows, STORED[each]) for rows, each in zip(found, chosen, strict=True))
    assert threads() == []


def test_buffers_are_used_again_also_for_a_smaller_last_batch() -> None:
    link = LateLink()
    parts = torch.split(torch.arange(20), 3)
    assert torch.equal(torch.cat(list(sent_ahead(STORED, parts, link))), STORED)
    assert link.allocated == [3] * (AHEAD + 1)


@given(st.integers(0, 8), st.integers(1, 3))
def test_what_making_raises_comes_in_its_place(place: int, most: int) -> None:
    def make(item: int) -> int:
        if item == place:
            raise ValueError(f"the {item}th")
        return item

    found: list[int] = []
    with pytest.raises(ValueError, match=f"the {place}th"):
        found.extend(ahead(range(9), make, most))
    assert found == list(range(place))
    assert threads() == []


@pytest.mark.parametrize("used", [1, 3])
def test_no_more_than_so_many_are_made_before_their_use(used: int) -> None:
    made: list[int] = []
    batches = ahead(range(9), made.append)
    for _ in range(used):
        next(batches)
    until(lambda: len(made) == used + AHEAD)
    time.sleep(0.02)
    assert made == list(range(used + AHEAD))
    batches.close()
    assert made == list(range(used + AHEAD))
    assert threads() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_thread_ends_when_the_one_who_uses_batches_fails(error: type[BaseException]) -> None:
    def use() -> None:
        batches = ahead(range(9), str)
        try:
            for _ in batches:
                raise error
        finally:
            batches.close()

    with pytest.raises(error):
        use()
    assert threads() == []


def test_a_batch_that_is_not_taken_before_the_end_starts_no_thread() -> None:
    ahead(range(9), str)
    assert threads() == []


def epoch_of(images: samples.Images, settings: Any) -> list[tuple[Tensor, Tensor]]:
    train = settings.train
    batches = images.training_batches(3, 2, 10, False, train.augment)
    return [(inputs.clone(), labels) for inputs, labels in batches]


@pytest.mark.parametrize("augment", [None, {"steps": [{"name": "RandomHorizontalFlip"}]}])
def test_an_epoch_of_images_and_its_evaluation_are_the_same(
    augment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "FLOAT_BYTES", 0)
    settings = settings_of({"augment": augment} if augment else {}, data=SYNTHETIC)
    images = Bench(tmp_path, settings).images()
    plain, evaluated = epoch_of(images, settings), list(images.evaluation_batches("val"))
    links: list[LateLink] = []

    def picked_rows(stored: Tensor, parts: Any, device: torch.device) -> Any:
        links.append(LateLink())
        return sent_ahead(stored, parts, links[-1])

    monkeypatch.setattr(samples, "picked_rows", picked_rows)
    sent = epoch_of(images, settings), list(images.evaluation_batches("val"))
    for before, after in zip([*plain, *evaluated], [*sent[0], *sent[1]], strict=True):
        assert torch.equal(before[0], after[0])
        assert torch.equal(before[1], after[1])
    assert [link.sent for link in links] == [4, 1]


def test_on_a_cpu_nothing_is_made_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "sent_ahead", None)
    cpu = torch.device("cpu")
    rows = list(prefetch.picked_rows(STORED, torch.split(torch.arange(20), 6), cpu))
    assert torch.equal(torch.cat(rows), STORED)
    assert threads() == []


@pytest.mark.gpu
def test_pixels_that_stay_in_memory_give_the_same_batches_on_a_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, cuda = settings_of(), torch.device("cuda")
    bench = Bench(tmp_path, settings)
    bench.images()
    (name,) = bench.stage("prepare").produces
    folder = bench.context().artifact_path(name)
    resident = epoch_of(samples.Images(folder, settings.data, cuda), settings)
    monkeypatch.setattr(samples, "ON_DEVICE_BYTES", 0)
    images = samples.Images(folder, settings.data, cuda)
    assert images.home.type == "cpu"
    epoch_of(images, settings)  # memory and kernels are there from here on
    torch.cuda.set_sync_debug_mode("error")
    try:
        sent = epoch_of(images, settings)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    for before, after in zip(resident, sent, strict=True):
        assert torch.equal(before[0], after[0])
        assert torch.equal(before[1], after[1])
