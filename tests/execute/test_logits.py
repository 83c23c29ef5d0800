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
from logit_runs import SPEC, do, forget, looked
from sklearn.metrics import accuracy_score, f1_score, roc_auc_score

from runner import api
from runner.api.predictions import predictions
from runner.components import scores
from runner.core.errors import UsageError
from runner.core.stages import Evaluate
from runner.store.database import open_database
from runner.store.merge import import_results

TEST = SPEC.replace("{TEST_ACC: test_accuracy}", "{A: test_auroc, B: test_macro_f1, C: test_ece}")
BOTH = SPEC.replace("{TEST_ACC: test_accuracy}", "{A: test_auroc, B: val_brier}")
MEASURED = (
    "SELECT split, name, value FROM run_metrics WHERE name IN ('auroc', 'brier', 'macro_f1', 'ece')"
    " ORDER BY split, name"
)


@pytest.mark.slow
def test_test_of_a_run_leaves_logits_with_labels_and_names(tested_run: Path) -> None:
    found = looked(tested_run)
    frame = found.frame()
    ((accuracy,),) = ask(
        tested_run, "SELECT value FROM run_metrics WHERE split = 'test' AND name = 'accuracy'"
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


@pytest.mark.slow
def test_measures_come_from_kept_logits_without_network_images_and_weights(
    tested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import after_training

    for kind in ("weights", "pixels", "states"):
        shutil.rmtree(tested / ".runner" / kind, ignore_errors=True)

    def fail(*given: Any, **named: Any) -> None:
        raise AssertionError("a network was run")

    monkeypatch.setattr(after_training, "evaluate", fail)
    log, ran = do(tested, TEST)
    (stage,) = log.began
    assert isinstance(stage, Evaluate)
    assert stage.title() == "read logits of mlp, best weights on test: auroc, ece, macro_f1"
    assert (ran.before, ran.failed_measurements) == (1, 0)
    found = looked(tested)
    frame, chances = found.frame(), found.probabilities
    measured = {f"{split}_{name}": value for split, name, value in ask(tested, MEASURED)}
    assert measured == pytest.approx(
        {
            "test_auroc": roc_auc_score(frame["label"], chances, multi_class="ovr"),
            "test_macro_f1": f1_score(frame["label"], frame["predicted"], average="macro"),
            "test_ece": scores.calibration_error(found.kept.logits, found.kept.labels),
        }
    )
    again, _ = do(tested, TEST)
    assert again.began == []


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["bit", "foreign", "gone"])
def test_logits_that_cannot_be_used_are_computed_again(tested: Path, damage: str) -> None:
    (path,) = tested.glob(".runner/logits/*/*-best-test")
    if damage == "bit":
        content = (path / "logits.npy").read_bytes()
        (path / "logits.npy").write_bytes(content[:-1] + b"\x07")
    elif damage == "foreign":  # of weights that other ones have replaced
        with open_database(tested / "results.db") as database, database.write() as connection:
            connection.exec_driver_sql(
                "UPDATE artifacts SET digest = 'other' WHERE name LIKE 'logits/%'"
            )
    else:
        shutil.rmtree(path)
    with pytest.raises(UsageError, match="are gone or damaged"):
        looked(tested)
    log, _ = do(tested, TEST)
    assert [stage.title() for stage in log.began] == [
        "evaluate mlp, best weights on test: auroc, ece, macro_f1"
    ]
    assert looked(tested).measures()["auroc"] == pytest.approx(ask(tested, MEASURED)[0][2])


@pytest.mark.slow
def test_validation_logits_of_an_older_run_come_with_a_measure_of_them(tested: Path) -> None:
    forget(tested, "val")
    with pytest.raises(UsageError, match="no val predictions were kept") as caught:
        looked(tested, "val")
    assert "val_auroc" in str(caught.value)
    log, _ = do(tested, BOTH)
    assert sorted(stage.title() for stage in log.began) == [
        "evaluate mlp, best weights on val: brier",
        "read logits of mlp, best weights on test: auroc",
    ]
    found = looked(tested, "val")
    frame = found.frame()
    ((accuracy,),) = ask(
        tested,
        "SELECT value FROM run_metrics JOIN results USING (run_key, rerun) WHERE split = 'val'"
        " AND name = 'accuracy' AND epoch = best_epoch",
    )
    assert accuracy_score(frame["label"], frame["predicted"]) == pytest.approx(accuracy)
    assert dict(found.measures())["brier"] == pytest.approx(ask(tested, MEASURED)[1][2])


@pytest.mark.slow
def test_new_run_passes_its_test_images_through_the_network_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import after_training

    seen: list[str] = []
    real = after_training.evaluate

    def counted(network: Any, samples: Any, split: str, *others: Any, **named: Any) -> Any:
        seen.append(split)
        return real(network, samples, split, *others, **named)

    monkeypatch.setattr(after_training, "evaluate", counted)
    log, _ = do(tmp_path, TEST)
    assert [stage.kind for stage in log.began] == ["prepare", "train", "evaluate", "evaluate"]
    assert seen == ["test"]
    assert len(ask(tmp_path, MEASURED)) == 3


@pytest.mark.slow
def test_seconds_of_reading_logits_are_not_those_of_a_pass(tested: Path, tmp_path: Path) -> None:
    kinds = "SELECT DISTINCT cost_kind FROM stages WHERE kind = 'evaluate' ORDER BY rowid"
    ((whole,),) = ask(tested, kinds)
    log, _ = do(tested, TEST)
    assert log.began[0].title().startswith("read logits")
    assert ask(tested, kinds) == [(whole,), ("",)]
    forget(tested, "val")
    do(tested, BOTH)  # through the network
    assert len(ask(tested, kinds)) == 3
    (tmp_path / "new").mkdir()
    do(tmp_path / "new", BOTH)
    fresh = {kind for (kind,) in ask(tmp_path / "new", kinds)}
    assert whole in fresh
    assert len(fresh) == 3
    assert len({kind for (kind,) in ask(tested, kinds)} & fresh) == 1


@pytest.mark.slow
def test_measure_that_images_do_not_have_is_left_out_and_the_others_are_there(
    tested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "auroc", lambda logits, labels: float("nan"))  # of one class
    log, ran = do(tested, TEST)
    assert ran.failed_measurements == 0
    assert [name for _, name, _ in ask(tested, MEASURED)] == ["ece", "macro_f1"]
    said = "test_auroc is not recorded: these images and labels have none"
    assert said in log.notes
    alone, _ = do(tested, TEST)  # what is lacking is asked for by itself, once
    assert [stage.title() for stage in alone.began] == [
        "read logits of mlp, best weights on test: auroc"
    ]
    again, _ = do(tested, TEST)
    assert again.began == []
    assert set(looked(tested).measures()) >= {"ece", "macro_f1"}
    assert "auroc" not in looked(tested).measures()
    forget(tested, "test")
    fresh, ran = do(tested, SPEC.replace("TEST_ACC: test_accuracy", "A: test_auroc, B: test_brier"))
    assert ran.failed_measurements == 0
    assert said in fresh.notes
    assert [name for _, name, _ in ask(tested, MEASURED)] == ["brier", "ece", "macro_f1"]


@pytest.mark.slow
def test_full_disk_costs_the_logits_and_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import keeping

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_logits", full)
        log, ran = do(tmp_path, SPEC)
    assert list(ran.statuses.values()) == ["done"]
    assert [note for note in log.notes if "logits" in note] == [
        "the disk is full: logits of val images are not kept, all else is",
        "the disk is full: logits of test images are not kept, all else is",
    ]
    with pytest.raises(UsageError, match="no val predictions were kept"):
        looked(tmp_path, "val")
    do(tmp_path, SPEC.replace("tables:", "analyses: {said: predictions}\ntables:"))
    assert len(looked(tmp_path, "val").frame()) == 360


@pytest.mark.slow
def test_predictions_of_what_is_not_there_are_refused(tested: Path) -> None:
    db = tested / "results.db"
    with pytest.raises(UsageError, match="no run 'nine'"):
        predictions("nine", db=db)
    with pytest.raises(UsageError, match="unknown split 'vall'") as caught:
        predictions("asked:0", "vall", db=db)
    assert "did you mean: val" in str(caught.value)
    with pytest.raises(UsageError, match="unknown weights 'worst'"):
        predictions("asked:0", "test", "worst", db=db)
    with pytest.raises(UsageError, match="no train_eval predictions were kept"):
        predictions("asked:0", "train_eval", "last", db=db)


@pytest.mark.slow
def test_cache_lists_and_clears_logits_and_no_number_is_lost(tested: Path) -> None:
    do(tested, TEST)
    measured, db = ask(tested, MEASURED), tested / "results.db"
    (listed,) = [each for each in api.list_cache(db=db).kinds if each.kind == "logits"]
    assert listed.count == 8  # four files of each of two splits
    api.clear_cache(["logits"], db=db)
    assert not list(tested.glob(".runner/logits/*/*"))
    log, _ = do(tested, TEST)
    assert log.began == []
    assert ask(tested, MEASURED) == measured


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["arrays whole, not in place", "evaluated, not recorded"])
def test_killed_evaluation_leaves_no_logits_that_count(
    moment: str, tested: Path, forks: Forks
) -> None:
    forget(tested, "val")
    (tested / "asked.yaml").write_text(BOTH)
    assert forks.run(tested, ["run", "asked.yaml"], KillAt(moment, 1)) == -signal.SIGKILL
    assert forks.run(tested, ["run", "asked.yaml"]) == 0, (tested / OUTPUT).read_text()
    assert len(ask(tested, MEASURED)) == 2
    assert len(looked(tested, "val").frame()) == 360
    assert not list(tested.glob(".runner/logits/*/*.partial"))
    assert forks.run(tested, ["db", "check"]) == 0


@pytest.mark.slow
def test_two_processes_leave_logits_that_both_can_read(tested: Path, forks: Forks) -> None:
    forget(tested, "val")
    (tested / "asked.yaml").write_text(BOTH)
    started = [forks.start(tested, ["run", "asked.yaml"]) for _ in range(2)]
    assert [forks.wait(pid) for pid in started] == [0, 0], (tested / OUTPUT).read_text()
    assert len(ask(tested, MEASURED)) == 2
    assert len(looked(tested, "val").frame()) == 360


@pytest.mark.slow
def test_digests_of_logits_are_imported_with_the_results(tested: Path, tmp_path: Path) -> None:
    with (
        open_database(tested / "results.db") as source,
        open_database(tmp_path / "to.db") as target,
    ):
        ((key,),) = ask(tested, "SELECT run_key FROM results")
        import_results(target, source, {key})
        identity = target.identity()
    (home,) = (tested / ".runner" / "logits").iterdir()
    (tmp_path / ".runner" / "logits").mkdir(parents=True)
    shutil.copytree(home, tmp_path / ".runner" / "logits" / identity)
    found = predictions(key, db=tmp_path / "to.db")
    assert found.frame().equals(looked(tested).frame())
