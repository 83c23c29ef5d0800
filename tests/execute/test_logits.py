"""Logits of kept weights stay beside the numbers, and later numbers come from them."""

import errno
import shutil
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from runner import api
from runner.api.predictions import SplitPredictions, predictions
from runner.api.running import RunSummary, run
from runner.components import scores
from runner.core.errors import DiskFull, UsageError
from runner.core.stages import Evaluate, Stage
from runner.execute.listener import NullListener
from runner.store.database import open_database
from runner.store.merge import import_results

SPEC = """\
name: asked
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
tables:
  asked: {TEST_ACC: test_accuracy}
"""
TEST = SPEC.replace("{TEST_ACC: test_accuracy}", "{A: test_auroc, B: test_macro_f1, C: test_ece}")
BOTH = SPEC.replace("{TEST_ACC: test_accuracy}", "{A: test_auroc, B: val_brier}")
MEASURED = (
    "SELECT split, name, value FROM run_metrics WHERE name IN ('auroc', 'brier', 'macro_f1', 'ece')"
    " ORDER BY split, name"
)


class Log(NullListener):
    """Remembers the stages that began, and what was said."""

    def __init__(self) -> None:
        self.began: list[Stage] = []
        self.notes: list[str] = []

    def on_stage_start(self, stage: Stage) -> None:
        self.began.append(stage)

    def on_note(self, note: str) -> None:
        self.notes.append(note)


def do(folder: Path, text: str, **options: Any) -> tuple[Log, RunSummary]:
    log, spec = Log(), folder / "asked.yaml"
    spec.write_text(text)
    ran = run(spec, listen=lambda planned: log, threads=1, db=folder / "results.db", **options)
    return log, ran


def looked(folder: Path, split: str = "test") -> SplitPredictions:
    return predictions("asked:0", split, db=folder / "results.db")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    do(folder, SPEC)
    return folder


@pytest.fixture
def before(finished: Path, tmp_path: Path) -> Path:
    """Return a folder with a finished run of a spec that asked for nothing more."""
    shutil.copytree(finished, tmp_path / "home")
    return tmp_path / "home"


def test_test_of_a_run_leaves_logits_with_labels_and_names(finished: Path) -> None:
    found = looked(finished)
    frame = found.frame()
    ((accuracy,),) = ask(
        finished, "SELECT value FROM run_metrics WHERE split = 'test' AND name = 'accuracy'"
    )
    assert accuracy_score(frame["label"], frame["predicted"]) == pytest.approx(accuracy)
    assert found.kept.logits.dtype == np.float32
    assert found.kept.logits.shape == (len(frame), 10)
    from sklearn.datasets import load_digits

    targets = load_digits().target
    assert [str(targets[int(name)]) for name in frame["image"]] == frame["label"].tolist()
    assert frame["probability"].between(0.1, 1).all()
    logits = frame[[f"logit {digit}" for digit in range(10)]]
    assert (logits.to_numpy().argmax(1) == frame["predicted"].astype(int)).all()


def test_measures_come_from_kept_logits_without_network_images_and_weights(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine import engine

    for kind in ("weights", "pixels", "states"):
        shutil.rmtree(before / ".runner" / kind, ignore_errors=True)

    def fail(*given: Any, **named: Any) -> None:
        raise AssertionError("a network was run")

    monkeypatch.setattr(engine, "evaluate", fail)
    log, ran = do(before, TEST)
    (stage,) = log.began
    assert isinstance(stage, Evaluate)
    assert stage.title() == "read logits of mlp, best weights on test: auroc, ece, macro_f1"
    assert (ran.before, ran.failed_measurements) == (1, 0)
    found = looked(before)
    frame, chances = found.frame(), found.probabilities
    measured = {f"{split}_{name}": value for split, name, value in ask(before, MEASURED)}
    assert measured == pytest.approx(
        {
            "test_auroc": roc_auc_score(frame["label"], chances, multi_class="ovr"),
            "test_macro_f1": f1_score(frame["label"], frame["predicted"], average="macro"),
            "test_ece": scores.calibration_error(found.kept.logits, found.kept.labels),
        }
    )
    again, _ = do(before, TEST)
    assert again.began == []


@pytest.mark.parametrize("damage", ["bit", "foreign", "gone"])
def test_logits_that_cannot_be_used_are_computed_again(before: Path, damage: str) -> None:
    (path,) = before.glob(".runner/logits/*/*-best-test")
    if damage == "bit":
        content = (path / "logits.npy").read_bytes()
        (path / "logits.npy").write_bytes(content[:-1] + b"\x07")
    elif damage == "foreign":  # of weights that other ones have replaced
        with open_database(before / "results.db") as database, database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE artifacts SET digest = 'other' WHERE name LIKE 'logits/%'"
            )
    else:
        shutil.rmtree(path)
    with pytest.raises(UsageError, match="are gone or damaged"):
        looked(before)
    log, _ = do(before, TEST)
    assert [stage.title() for stage in log.began] == [
        "evaluate mlp, best weights on test: auroc, ece, macro_f1"
    ]
    assert looked(before).measures()["auroc"] == pytest.approx(ask(before, MEASURED)[0][2])


def test_validation_logits_are_kept_where_a_table_asks_for_a_measure_of_them(before: Path) -> None:
    with pytest.raises(UsageError, match="no val predictions were kept") as caught:
        looked(before, "val")
    assert "val_auroc" in str(caught.value)
    log, _ = do(before, BOTH)
    assert sorted(stage.title() for stage in log.began) == [
        "evaluate mlp, best weights on val: brier",
        "read logits of mlp, best weights on test: auroc",
    ]
    found = looked(before, "val")
    frame = found.frame()
    ((accuracy,),) = ask(
        before,
        "SELECT value FROM run_metrics JOIN results USING (run_key, rerun) WHERE split = 'val'"
        " AND name = 'accuracy' AND epoch = best_epoch",
    )
    assert accuracy_score(frame["label"], frame["predicted"]) == pytest.approx(accuracy)
    assert dict(found.measures())["brier"] == pytest.approx(ask(before, MEASURED)[1][2])


def test_predictions_are_an_analysis_that_keeps_logits_and_scores_each_class(before: Path) -> None:
    analysed = SPEC.replace("tables:", "analyses: {said: {name: predictions, split: val}}\ntables:")
    log, ran = do(
        before, analysed + "  seven: {F: {analysis: said, metric: f1, where: {class: '7'}}}\n"
    )
    assert [stage.kind for stage in log.began] == ["analyse"]
    assert ran.before == 1
    classes = looked(before, "val").classes()
    values = ask(before, "SELECT name, json_extract(dims, '$.class'), value FROM run_analyses")
    assert len(values) == int(classes.notna().sum().sum()) >= 40
    for name, of_class, value in values:
        assert classes.loc[of_class, name] == pytest.approx(value)
    (folder,) = before.glob(".runner/analyses/*/*")
    confusion = np.load(folder / "confusion.npy")
    assert (confusion == looked(before, "val").confusion().to_numpy()).all()
    shown = api.report("seven", db=before / "results.db").frame()
    assert shown["F"].tolist() == pytest.approx([classes.loc["7", "f1"]])
    asked, _ = do(before, SPEC.replace("{TEST_ACC: test_accuracy}", "{B: val_brier}"))
    assert [stage.title() for stage in asked.began] == [
        "read logits of mlp, best weights on val: brier"
    ]


def test_new_run_passes_its_test_images_through_the_network_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine import engine

    seen: list[str] = []
    real = engine.evaluate

    def counted(network: Any, samples: Any, split: str, *others: Any, **named: Any) -> Any:
        seen.append(split)
        return real(network, samples, split, *others, **named)

    monkeypatch.setattr(engine, "evaluate", counted)
    log, _ = do(tmp_path, TEST)
    assert [stage.kind for stage in log.began] == ["prepare", "train", "evaluate", "evaluate"]
    assert seen == ["test"]
    assert len(ask(tmp_path, MEASURED)) == 3


def test_full_disk_ends_the_run_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import keeping

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_logits", full)
        with pytest.raises(DiskFull):
            do(tmp_path, SPEC)
    log, ran = do(tmp_path, SPEC)
    assert [stage.kind for stage in log.began] == ["evaluate"]
    assert list(ran.statuses.values()) == ["done"]
    assert len(looked(tmp_path).frame()) == 360


def test_predictions_of_what_is_not_there_are_refused(before: Path) -> None:
    db = before / "results.db"
    with pytest.raises(UsageError, match="no run 'nine'"):
        predictions("nine", db=db)
    with pytest.raises(UsageError, match="unknown split 'vall'") as caught:
        predictions("asked:0", "vall", db=db)
    assert "did you mean: val" in str(caught.value)
    with pytest.raises(UsageError, match="unknown weights 'worst'"):
        predictions("asked:0", "test", "worst", db=db)
    with pytest.raises(UsageError, match="no test predictions were kept"):
        predictions("asked:0", "test", "last", db=db)


def test_cache_lists_and_clears_logits_and_no_number_is_lost(before: Path) -> None:
    do(before, TEST)
    measured, db = ask(before, MEASURED), before / "results.db"
    (listed,) = [each for each in api.list_cache(db=db).kinds if each.kind == "logits"]
    assert listed.count == 4
    api.clear_cache(["logits"], db=db)
    assert not list(before.glob(".runner/logits/*/*"))
    log, _ = do(before, TEST)
    assert log.began == []
    assert ask(before, MEASURED) == measured


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["arrays whole, not in place", "evaluated, not recorded"])
def test_killed_evaluation_leaves_no_logits_that_count(
    moment: str, before: Path, forks: Forks
) -> None:
    (before / "asked.yaml").write_text(BOTH)
    assert forks.run(before, ["run", "asked.yaml"], KillAt(moment, 1)) == -signal.SIGKILL
    assert forks.run(before, ["run", "asked.yaml"]) == 0, (before / OUTPUT).read_text()
    assert len(ask(before, MEASURED)) == 2
    assert len(looked(before, "val").frame()) == 360
    assert not list(before.glob(".runner/logits/*/*.partial"))
    assert forks.run(before, ["db", "check"]) == 0


@pytest.mark.slow
def test_two_processes_leave_logits_that_both_can_read(before: Path, forks: Forks) -> None:
    (before / "asked.yaml").write_text(BOTH)
    started = [forks.start(before, ["run", "asked.yaml"]) for _ in range(2)]
    assert [forks.wait(pid) for pid in started] == [0, 0], (before / OUTPUT).read_text()
    assert len(ask(before, MEASURED)) == 2
    assert len(looked(before, "val").frame()) == 360


@pytest.mark.slow
def test_digests_of_logits_are_imported_with_the_results(before: Path, tmp_path: Path) -> None:
    with (
        open_database(before / "results.db") as source,
        open_database(tmp_path / "to.db") as target,
    ):
        ((key,),) = ask(before, "SELECT run_key FROM results")
        import_results(target, source, {key})
        identity = target.identity()
    (home,) = (before / ".runner" / "logits").iterdir()
    (tmp_path / ".runner" / "logits").mkdir(parents=True)
    shutil.copytree(home, tmp_path / ".runner" / "logits" / identity)
    found = predictions(key, db=tmp_path / "to.db")
    assert found.frame().equals(looked(before).frame())
