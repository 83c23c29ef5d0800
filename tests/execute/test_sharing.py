"""Sharing trajectories changes no byte of what is recorded, and trains nothing twice."""

import errno
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from grids import ask, left_in, write_grid
from shared_specs import (
    BRANCHES,
    HEAD,
    ONE_GOES_ON,
    PARTLY,
    READERS,
    SPECS,
    do,
    do_alone,
    dump_of,
    dump_of_runs,
    failures,
    statuses,
    trained,
)

import runner.engine.training.loop as train_module
import runner.engine.training.retention as keeping_module
from runner.core.errors import DiskFull

DISTINCT = {
    "readers": 8,
    "branches": 2 + 6 + 1 + 1 + 4 + 5 + 7,
    "warmed": 6 + 2 + 1 + 6 + 2,
    "frozen": 8 + 6,
    "plateau": 8,
    "diverging": 1,
    "partly": 3 + (2 + 6 + 2) + 2,
    "stopped": 5,
    "one goes on": 8,
}
"""Epochs that differ, of each spec."""


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


class Alone(dict[str, Path]):
    """The folders in which each spec ran with every run by itself, made when first asked for."""

    def __init__(self, home: Path) -> None:
        super().__init__()
        self._home = home

    def __missing__(self, name: str) -> Path:
        do_alone(write_grid(self._home, SPECS[name]), self._home / name)
        return self.setdefault(name, self._home / name)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Alone:
    torch.set_num_threads(1)
    return Alone(tmp_path_factory.mktemp("alone"))


def specs(*fast: str) -> list[Any]:
    """Return the names of all specs, marked as slow but for some."""
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in SPECS]


@pytest.mark.slow
@pytest.mark.usefixtures("executor")
@pytest.mark.parametrize("name", specs("partly"))
def test_shared_runs_leave_what_runs_by_themselves_leave(
    name: str, alone: Alone, tmp_path: Path
) -> None:
    do(write_grid(tmp_path, SPECS[name]), tmp_path)
    left, expected = left_in(tmp_path), left_in(alone[name])
    assert left.dump == expected.dump
    assert left.tensors == expected.tensors
    assert left.files == expected.files
    assert left.litter == ()
    assert trained(tmp_path) == DISTINCT[name] < trained(alone[name])
    assert failures(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", specs("partly"))
def test_runs_done_one_after_another_go_on_from_states_and_leave_the_same(
    name: str, alone: Alone, tmp_path: Path
) -> None:
    spec = write_grid(tmp_path, SPECS[name])
    while do(spec, tmp_path, limit=1).began:
        pass
    assert dump_of(tmp_path) == dump_of(alone[name])
    assert trained(tmp_path) <= trained(alone[name])
    assert failures(tmp_path) == []


@pytest.mark.slow
def test_the_specs_hold_what_they_are_for(alone: Alone) -> None:
    """Otherwise the tests above would show less than they say."""
    assert statuses(alone["partly"]) == {
        "goes on": "diverged",
        "calmed": "done",
        "not calmed": "diverged",
        "before": "done",
        "before both": "done",
        "stricter": "diverged",
    }
    assert set(statuses(alone["diverging"]).values()) == {"diverged"}
    ends = "SELECT json_extract(labels, '$.label'), best_epoch, last_epoch FROM cells"
    ends += " JOIN results USING (run_key)"
    rows = {label: (best, last) for label, best, last in ask(alone["readers"], ends)}
    on_loss, on_accuracy = rows["patience on loss"], rows["patience on accuracy"]
    assert on_loss[1] < 8
    assert on_accuracy[0] < on_accuracy[1] < on_loss[1]
    assert len({rows[label][0] for label in ("budget 8", "best by loss", "budget 5")}) == 3
    for name in ("stopped", "one goes on"):
        rows = {label: (best, last) for label, best, last in ask(alone[name], ends)}
        assert rows["every 6"][1] == rows["every 7"][1] < 6
    rates = "SELECT count(DISTINCT learning_rate) FROM run_steps"
    assert ask(alone["plateau"], rates)[0][0] > 1


def text_with(label: str, more: str) -> str:
    """Return the readers' spec with another line."""
    return READERS + f"    - {{label: {label}, {more}}}\n"


@pytest.mark.slow
def test_a_raised_budget_trains_only_the_epochs_that_are_missing(tmp_path: Path) -> None:
    shared, fresh = tmp_path / "shared", tmp_path / "fresh"
    do(write_grid(tmp_path, READERS), shared)
    assert trained(shared) == 8
    longer = write_grid(tmp_path, READERS.replace("epochs: 8,", "epochs: 12,"))
    do(longer, shared)
    assert trained(shared) == 12
    do_alone(longer, fresh)
    assert dump_of_runs(shared) == dump_of_runs(fresh)
    assert left_in(fresh).files.items() <= left_in(shared).files.items()


@pytest.mark.slow
def test_raised_budgets_of_branches_go_on_from_each_of_their_ends(tmp_path: Path) -> None:
    shared, fresh = tmp_path / "shared", tmp_path / "fresh"
    text = BRANCHES[: BRANCHES.index("    - label: every 3 with")]
    do(write_grid(tmp_path, text), shared)
    before = trained(shared)
    longer = write_grid(tmp_path, text.replace("epochs: 8,", "epochs: 11,"))
    do(longer, shared)
    # every 3 goes on after epoch 10 of the longer one
    assert trained(shared) - before == 3 + 1 + 3 + 3
    do_alone(longer, fresh)
    assert dump_of_runs(shared) == dump_of_runs(fresh)


@pytest.mark.slow
def test_a_patience_added_later_trains_only_what_is_missing(tmp_path: Path) -> None:
    shared, fresh = tmp_path / "shared", tmp_path / "fresh"
    do(write_grid(tmp_path, READERS), shared)
    patience = "early_stopping: {monitor: val_accuracy, patience: 2}"
    # this one ends within what is there, with weights that are kept
    spec = write_grid(tmp_path, text_with("patience", patience))
    log = do(spec, shared)
    assert log.began == ["train", "evaluate"]
    assert trained(shared) == 8
    # and this one wants two further epochs
    spec = write_grid(tmp_path, text_with("later", "early_stopping: {patience: 20}, epochs: 10"))
    do(spec, shared)
    assert trained(shared) == 10
    do_alone(spec, fresh)
    assert dump_of_runs(shared) == dump_of_runs(fresh)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "branches",
        pytest.param("readers", marks=pytest.mark.slow),
        pytest.param("one goes on", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize(
    "gone",
    [
        ".runner",
        pytest.param(".runner/states", marks=pytest.mark.slow),
        pytest.param(".runner/weights", marks=pytest.mark.slow),
    ],
)
def test_what_was_removed_between_two_runs_is_made_again(
    name: str, gone: str, alone: Alone, tmp_path: Path
) -> None:
    spec = write_grid(tmp_path, SPECS[name])
    do(spec, tmp_path, limit=2)
    shutil.rmtree(tmp_path / gone)
    do(spec, tmp_path)
    assert dump_of(tmp_path) == dump_of(alone[name])
    assert failures(tmp_path) == []


def fail_in_epoch(number: int, patch: pytest.MonkeyPatch) -> None:
    """Make every training fail when it has trained an epoch."""
    real = train_module.evaluate

    def evaluate(network, samples, split, epoch, *others, **options):
        if epoch == number:
            raise RuntimeError("no more")
        return real(network, samples, split, epoch, *others, **options)

    patch.setattr(train_module, "evaluate", evaluate)


@pytest.mark.slow
def test_who_was_satisfied_before_a_failure_has_a_result(
    alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path, READERS)
    with monkeypatch.context() as patch:
        fail_in_epoch(6, patch)
        do(spec, tmp_path)
    found = statuses(tmp_path)
    done = {label for label, status in found.items() if status == "done"}
    assert done == {"budget 5", "never tested", "patience on accuracy"}
    assert {found[label] for label in set(found) - done} == {"failed"}
    do(spec, tmp_path)
    assert statuses(tmp_path) == found
    do(spec, tmp_path, retry_failed=True)
    assert dump_of(tmp_path) == dump_of(alone["readers"])


@pytest.mark.slow
def test_a_branch_fails_alone(
    alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path, BRANCHES)
    with monkeypatch.context() as patch:
        fail_in_epoch(9, patch)  # only the longer one comes so far, beside two that are satisfied
        do(spec, tmp_path)
    found = statuses(tmp_path)
    assert found.pop("every 3 and longer") == "failed"
    assert set(found.values()) == {"done"}
    do(spec, tmp_path, retry_failed=True)
    assert dump_of(tmp_path) == dump_of(alone["branches"])


@pytest.mark.slow
def test_a_failure_before_a_branch_fails_all_that_go_on(
    alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = write_grid(tmp_path, PARTLY)
    with monkeypatch.context() as patch:
        fail_in_epoch(2, patch)
        do(spec, tmp_path)
    assert set(statuses(tmp_path).values()) == {"failed", "diverged"}
    assert [kind for kind, _ in failures(tmp_path)] == ["train", "train"]
    do(spec, tmp_path, retry_failed=True)
    assert dump_of(tmp_path) == dump_of(alone["partly"])


@pytest.mark.slow
def test_a_disk_too_full_for_a_branch_loses_nothing_and_says_what_helps(
    alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    spec = write_grid(tmp_path, BRANCHES)
    with monkeypatch.context() as patch:
        patch.setattr(keeping_module, "save_checkpoint", full)
        with pytest.raises(DiskFull, match="`runner cache clear changed states` removes what"):
            do(spec, tmp_path)
    query = "SELECT status, outcome FROM attempts JOIN stages USING (stage_key) WHERE kind='train'"
    ((status, outcome),) = ask(tmp_path, query)
    assert status == "interrupted"
    (reading,) = json.loads(outcome)["readers"].values()
    assert (reading["status"], reading["last_epoch"]) == ("done", 2)
    do(spec, tmp_path)
    assert dump_of(tmp_path) == dump_of(alone["branches"])


@pytest.mark.slow
def test_readers_that_were_satisfied_before_a_branch_have_no_stage_in_it(tmp_path: Path) -> None:
    log = do(write_grid(tmp_path, ONE_GOES_ON), tmp_path)
    # every 7 stops early before the seventh epoch: nobody goes on there
    assert log.began.count("train") == 2
    assert "failed" not in log.ended


@pytest.mark.slow
def test_a_rerun_shares_anew_and_nothing_of_the_first(tmp_path: Path) -> None:
    spec = write_grid(tmp_path, BRANCHES)
    do(spec, tmp_path)
    first = trained(tmp_path)
    do(spec, tmp_path, rerun=True)
    assert trained(tmp_path) == 2 * first
    query = "SELECT run_key, epoch, split, name, value FROM run_metrics WHERE rerun = ?"
    rows = [ask(tmp_path, f"{query} ORDER BY 1, 2, 3, 4", [rerun]) for rerun in (0, 1)]
    assert rows[0] == rows[1] != []


@pytest.mark.slow
def test_the_seconds_of_a_run_are_those_of_all_its_epochs(tmp_path: Path) -> None:
    do(write_grid(tmp_path, BRANCHES), tmp_path)
    query = (
        "SELECT results.train_seconds, sum(run_steps.seconds), count(*), max(epoch), last_epoch"
        " FROM results JOIN run_steps USING (run_key, rerun) GROUP BY run_key"
    )
    for seconds, summed, number, last, recorded in ask(tmp_path, query):
        assert seconds == pytest.approx(summed)
        assert number == last == recorded


@pytest.mark.slow
def test_seeds_do_not_share(tmp_path: Path) -> None:
    text = HEAD + "seeds: [0, 1]\nsweep:\n  grid: {epochs: [2, 3]}\n"
    do(write_grid(tmp_path, text), tmp_path)
    assert trained(tmp_path) == 6
    readers = [
        len(json.loads(spec)["readers"])
        for (spec,) in ask(tmp_path, "SELECT spec FROM stages WHERE kind = 'train'")
    ]
    assert sorted(readers) == [2, 2]
