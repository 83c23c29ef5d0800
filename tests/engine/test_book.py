"""What a training writes beside its epochs: in which order, what is copied, what is dropped."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import Bench, reading_of, settings_of
from planted import at_moment
from test_resume import STEPS, checkpoint_of, stop_after

from runner.core import moments
from runner.core.errors import ClaimLost, Interrupted
from runner.engine.engine import do_stage
from runner.engine.job import StageJob
from runner.engine.network.build import network_for
from runner.engine.training.checkpoint import Checkpoint, load_checkpoint, optimizer_tensors
from runner.engine.training.resume import packed
from runner.engine.training.state import TrainState
from runner.engine.training.writer import Writer

SECONDS = 60
"""After which a test that waits in vain fails."""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    found = Bench(tmp_path, settings_of({"optimizer": {"name": "adam", "lr": 0.01}}))
    found.do("prepare")
    return found


def files_in(bench: Bench) -> list[str]:
    kinds = ("weights", "states", "checkpoints")
    return [
        str(path.relative_to(bench.folder))
        for kind in kinds
        for path in (bench.folder / kind).rglob("*")
        if path.is_file()
    ]


def test_epochs_are_stored_before_the_checkpoint_that_follows_them(bench: Bench) -> None:
    bench.options["checkpoint_seconds"] = 0.0
    seen: list[int] = []

    def look() -> None:
        found = load_checkpoint(checkpoint_of(bench))
        assert found is not None
        seen.append(found.values["epoch"])
        assert {(1, epoch) for epoch in range(1, seen[-1] + 1)} <= set(bench.records)

    with at_moment("checkpoint whole", look, call=2):
        bench.do("train")
    assert seen == [2]


def test_training_goes_on_while_its_checkpoint_is_written_as_it_was(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer stands still until the next epoch has been trained and read."""
    bench.options["checkpoint_seconds"] = 0.0
    trained, calls = threading.Event(), Counter[str]()
    found: list[Checkpoint | None] = []

    def hook(moment: str) -> None:
        calls[moment] += 1
        if moment == "epoch trained" and calls[moment] == 2:
            trained.set()
        if moment == "tensors written, not renamed" and calls[moment] == 1:
            trained.wait(SECONDS)
        if moment == "checkpoint whole":
            found.append(load_checkpoint(checkpoint_of(bench)))

    monkeypatch.setattr(moments, "hook", hook)
    bench.do("train")
    assert trained.is_set()
    assert [each and each.values["epoch"] for each in found] == [1, 2]
    assert [each and len(each.values["history"]) for each in found] == [1, 2]


def test_stopped_training_finishes_its_checkpoint_and_says_where_it_goes_on(bench: Bench) -> None:
    stopped = threading.Event()
    bench.options["checkpoint_seconds"] = 0.0
    steps = stop_after(STEPS + 1)

    def should_stop() -> bool:
        stop = steps()
        if stop:
            stopped.set()
        return stop

    bench.options["should_stop"] = should_stop
    held = at_moment("tensors written, not renamed", lambda: stopped.wait(SECONDS))
    with held, pytest.raises(Interrupted, match="this training goes on from there"):
        bench.do("train")
    assert load_checkpoint(checkpoint_of(bench)) is not None


@pytest.mark.parametrize(
    ("moment", "kinds"),
    [
        ("epoch begins", set()),
        ("tensors written, not renamed", set()),
        ("tensors in place, not described", set()),
        ("checkpoint whole", {"checkpoints"}),
        ("epoch trained", {"checkpoints"}),
    ],
)
def test_nothing_is_put_in_its_place_once_the_claim_is_lost(
    moment: str, kinds: set[str], bench: Bench
) -> None:
    """What was in its place before stays."""
    bench.options["checkpoint_seconds"] = 0.0
    lost = threading.Event()

    def check() -> None:
        if lost.is_set():
            raise ClaimLost("stage was taken over by another process")

    call = 2 if moment == "epoch trained" else 1
    job = StageJob(
        bench.stage("train"), 1, lambda records: None, lambda ranges: True, {}, check_claim=check
    )
    with at_moment(moment, lost.set, call), pytest.raises(ClaimLost):
        do_stage(bench.context(), job)
    assert {name.split("/")[0] for name in files_in(bench)} <= kinds
    assert not any("partial" in name for name in files_in(bench))
    assert job.finished_readers == {}
    assert job.produced == []


def test_claim_lost_at_the_end_leaves_no_state(bench: Bench) -> None:
    lost = threading.Event()

    def check() -> None:
        if lost.is_set():
            raise ClaimLost("stage was taken over by another process")

    context = bench.context()
    job = StageJob(
        bench.stage("train"), 1, lambda records: None, lambda ranges: True, {}, check_claim=check
    )
    with at_moment("state about to be written", lost.set):
        with suppress(ClaimLost):  # the logits, meanwhile, may find it lost as well
            do_stage(context, job)
        context.writer.close()
    assert {name.split("/")[0] for name in files_in(bench)} - {"logits"} == {"weights"}
    assert context.writer.notes() == []


def test_full_disk_in_the_writer_ends_the_training_and_leaves_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> str:
        raise OSError(28, "No space left on device")

    bench.options["checkpoint_seconds"] = 0.0
    with monkeypatch.context() as patch:
        patch.setattr("runner.engine.training.checkpoint.write_tensors", full)
        with pytest.raises(OSError, match="No space left"):
            bench.do("train")
    assert files_in(bench) == []
    assert (1, 1) in bench.records
    assert reading_of(bench.do("train", 2))["status"] == "done"


def test_state_that_cannot_be_written_is_told_and_fails_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object) -> str:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("runner.engine.training.checkpoint.write_tensors", broken)
    assert reading_of(bench.do("train"))["status"] == "done"
    (note,) = bench.notes
    assert note.startswith("the state at the end of a training is not kept: OSError")
    assert "Input/output error" in note


def state_of(bench: Bench) -> tuple[TrainState, Callable[[bool], Any]]:
    """Return a training after one epoch, with weights that a reader keeps, and what packs it."""
    context = bench.context()
    network = network_for(context, bench.settings, bench.images())
    optimizer = bench.settings.train.optimizer.build(list(network.trainable()))
    network(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    best = {1: {name: each.clone() for name, each in network.module.state_dict().items()}}
    state = TrainState(network, optimizer, {}, [{}], best=best)
    job = StageJob(bench.stage("train"), 1, lambda records: None, lambda ranges: True, {})
    inputs = {"pixels": "", "features": ""}
    return state, lambda goes_on: packed(context, inputs, job, state, [], goes_on)


def places(tensors: Any) -> dict[str, int]:
    return {name: each.data_ptr() for name, each in tensors.items() if each.numel()}


@pytest.mark.parametrize("goes_on", [True, False])
def test_snapshot_copies_what_changes_and_never_the_weights_that_readers_keep(
    goes_on: bool, bench: Bench
) -> None:
    state, pack = state_of(bench)
    found = places(pack(goes_on).tensors)
    best = {name: place for name, place in found.items() if name.startswith("best.")}
    assert best == {f"best.1.{name}": place for name, place in places(state.best[1]).items()}
    live = set(places(state.network.module.state_dict()).values())
    live |= set(places(optimizer_tensors(state.optimizer)[0]).values())
    rest = {place for name, place in found.items() if name not in best}
    assert len(rest) == len(live)
    assert rest.isdisjoint(live) if goes_on else rest == live


def test_one_state_that_nobody_waits_for_is_held_at_a_time() -> None:
    writer, may_end, order = Writer(), threading.Event(), []

    def write(name: str) -> str:
        assert may_end.wait(SECONDS)
        order.append(name)
        return f"{name} written"

    writer.leave("states/a-1", lambda: write("a"))
    writer.settle(lambda name: name == "states/b-1")  # waits for no other
    assert writer.notes() == []
    may_end.set()
    writer.leave("states/b-1", lambda: write("b"))
    assert order[0] == "a"  # the second waited for it
    assert writer.add(lambda: 7).result() == 7
    writer.close()
    assert writer.notes() == ["a written", "b written"]
    assert writer.notes() == []
    assert writer.add(lambda: 8).result() == 8  # it may be used again
    writer.close()


def test_training_waits_for_a_state_on_its_path_that_is_still_to_be_written(
    tmp_path: Path,
) -> None:
    last = {"best": {"monitor": "last"}}
    short = Bench(tmp_path, settings_of({**last, "epochs": 2}))
    longer = Bench(tmp_path, settings_of({**last, "epochs": 4}))
    short.do("prepare")
    context = short.context()
    asked = threading.Event()
    real = context.writer.settle

    def settle(*args: Any) -> None:
        asked.set()
        real(*args)

    def job(bench: Bench, attempt: int) -> StageJob[Any]:
        return StageJob(bench.stage("train"), attempt, lambda _: None, lambda _: True, {})

    with at_moment("state about to be written", lambda: asked.wait(SECONDS)):
        do_stage(context, job(short, 1))
        context.writer.settle = settle  # type: ignore[method-assign]
        outcome = do_stage(replace(longer.context(), writer=context.writer), job(longer, 2))
        context.writer.close()
    assert reading_of(outcome)["reads"] == [[1, 1, 2], [2, 3, 4]]
