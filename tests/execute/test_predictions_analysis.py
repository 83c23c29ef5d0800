"""The analysis `predictions` is computed from logits; where none were kept, it leaves them."""

import errno
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from grids import ask
from logit_runs import SPEC, do, forget, looked

from runner import api
from runner.api.caching import clear_cache
from runner.api.planning import plan
from runner.core.stages import Stage
from runner.engine import products
from runner.engine.network import whole_weights

VALUES = "SELECT name, json_extract(dims, '$.class'), value FROM run_analyses"


def analysed(*splits: str) -> str:
    asked = ", ".join(f"{split}_said: {{name: predictions, split: {split}}}" for split in splits)
    return SPEC.replace("tables:", f"analyses: {{{asked}}}\ntables:")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.engine.stages import after_training

    def fail(*given: Any, **named: Any) -> None:
        raise AssertionError("a network was built")

    monkeypatch.setattr(after_training, "network_for", fail)


def titles(began: list[Stage]) -> list[str]:
    return [stage.title() for stage in began]


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("split", ["val", "test"])
def test_values_and_arrays_come_from_kept_logits_also_where_all_else_is_gone(
    tested: Path, split: str
) -> None:
    for kind in ("weights", "pixels", "states"):
        shutil.rmtree(tested / ".runner" / kind)
    table = f"  seven: {{F: {{analysis: {split}_said, metric: f1, where: {{class: 7}}}}}}\n"
    log, ran = do(tested, analysed(split) + table)
    assert [stage.kind for stage in log.began] == ["analyse"]
    assert (ran.before, ran.failed_measurements) == (1, 0)
    classes = looked(tested, split).classes()
    values = ask(tested, VALUES)
    assert len(values) == int(classes.notna().sum().sum()) >= 40
    for name, of_class, value in values:
        assert classes.loc[of_class, name] == pytest.approx(value)
    (folder,) = tested.glob(".runner/analyses/*/*")
    assert (np.load(folder / "confusion.npy") == looked(tested, split).confusion().to_numpy()).all()
    assert np.load(folder / "class_names.npy").tolist() == list("0123456789")
    shown = api.report("seven", db=tested / "results.db").frame()
    assert shown["F"].tolist() == pytest.approx([classes.loc["7", "f1"]])


@pytest.mark.slow
def test_logits_that_were_not_kept_are_computed_and_kept(tested: Path) -> None:
    forget(tested, "val")
    (tested / "asked.yaml").write_text(analysed("val", "test", "train"))
    explained = plan(tested / "asked.yaml", db=tested / "results.db", device="cpu")
    assert explained.logits == {"val": 1, "train_eval": 1}
    log, _ = do(tested, analysed("val", "train"))
    assert sorted(titles(log.began)) == [
        "predictions of mlp, best weights on train",
        "predictions of mlp, best weights on val",
    ]
    assert len(looked(tested, "train_eval").frame()) == 1077
    asked, _ = do(tested, SPEC.replace("{TEST_ACC: test_accuracy}", "{B: val_brier}"))
    assert titles(asked.began) == ["read logits of mlp, best weights on val: brier"]
    again, _ = do(tested, analysed("val", "train"))
    assert again.began == []


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cleared", "cut"])
def test_logits_of_a_done_analysis_that_are_gone_come_back_without_training(
    tested: Path, damage: str
) -> None:
    do(tested, analysed("val", "train"))
    values, shown = ask(tested, VALUES), looked(tested, "val").frame()
    if damage == "cleared":
        clear_cache(["logits"], db=tested / "results.db")
    for path in tested.glob(".runner/logits/*/*/logits.npy"):
        path.write_bytes(path.read_bytes()[:-4])
    again, ran = do(tested, analysed("val", "train"))
    assert [stage.kind for stage in again.began] == ["analyse"] * 2
    assert ran.before == 1
    assert looked(tested, "val").frame().equals(shown)
    assert ask(tested, VALUES) == values
    for kind in ("logits", "weights"):
        shutil.rmtree(tested / ".runner" / kind)
    without, _ = do(tested, analysed("val", "train"))
    assert without.began == []
    (note,) = without.notes
    assert note.startswith("the logits of train_said and val_said of 1 finished run")


@pytest.mark.slow
def test_plan_and_run_of_what_is_done_read_neither_logits_nor_weights(
    tested: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(tested, analysed("val", "test"))
    read: list[str] = []
    for module, name in ((products, "whole_logits"), (whole_weights, "whole_weights")):
        real = getattr(module, name)

        def told(path: Path, *given: Any, real: Any = real) -> Any:
            read.append(path.relative_to(tested / ".runner").parts[0])
            return real(path, *given)

        monkeypatch.setattr(module, name, told)
    explained = plan(tested / "asked.yaml", db=tested / "results.db", device="cpu")
    log, _ = do(tested, analysed("val", "test"))
    assert (explained.analyses, log.began, read) == ({}, [], [])
    shutil.rmtree(tested / ".runner" / "analyses")
    log, _ = do(tested, analysed("val", "test"))
    assert [stage.kind for stage in log.began] == ["analyse"] * 2
    assert set(read) == {"logits"}


@pytest.mark.slow
def test_arrays_that_are_gone_are_made_again_from_logits_that_are_made_again(tested: Path) -> None:
    do(tested, analysed("val"))
    values = ask(tested, VALUES)
    shutil.rmtree(tested / ".runner" / "logits")
    shutil.rmtree(tested / ".runner" / "analyses")
    log, _ = do(tested, analysed("val"))
    assert [stage.kind for stage in log.began] == ["analyse"]
    assert ask(tested, VALUES) == values


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_without_logits_and_weights_it_is_said_that_it_cannot_be_made(tested: Path) -> None:
    for kind in ("logits", "weights"):
        shutil.rmtree(tested / ".runner" / kind)
    log, ran = do(tested, analysed("val"))
    assert log.began == []
    assert ran.before == 1
    (note,) = [note for note in log.notes if "weights are gone" in note]
    assert note.startswith("val_said of 1 finished run cannot be computed")


@pytest.mark.slow
def test_new_run_computes_its_logits_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from runner.engine.stages import after_training, training_logits

    passes: list[str] = []
    for module in (after_training, training_logits):
        real = module.evaluate

        def counted(network: Any, samples: Any, split: str, *others: Any, real: Any = real) -> Any:
            passes.append(split)
            return real(network, samples, split, *others)

        monkeypatch.setattr(module, "evaluate", counted)
    text = analysed("val", "test", "train").replace("test_accuracy", "test_auroc")
    log, _ = do(tmp_path, text)
    kinds = [stage.kind for stage in log.began]
    assert kinds == ["prepare", "train", "evaluate", "evaluate", *["analyse"] * 3]
    assert sorted(passes) == ["test", "train_eval"]
    assert len(ask(tmp_path, VALUES)) > 100


TWO = """\
sweep: {grid: {train.optimizer.lr: [0.1, 0.05]}}
"""


@pytest.mark.slow
def test_a_full_disk_costs_the_logits_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import keeping

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(keeping, "write_logits", full)
        log, ran = do(tmp_path, TWO + analysed("val", "test"))
    assert list(ran.statuses.values()) == ["done"] * 2
    assert ran.failed_measurements == 0
    assert len([note for note in log.notes if "the disk is full: logits of" in note]) == 8
    values = ask(tmp_path, VALUES)
    healed, _ = do(tmp_path, TWO + analysed("val", "test"))
    assert [stage.kind for stage in healed.began] == ["analyse"] * 4
    assert len(list(tmp_path.glob(".runner/logits/*/*"))) == 4
    assert sorted(ask(tmp_path, VALUES)) == sorted(values)
    nothing, _ = do(tmp_path, TWO + analysed("val", "test"))
    assert nothing.began == []


@pytest.mark.slow
def test_logits_cleared_between_training_and_analysis_end_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import after_training

    real = after_training.keep_logits

    def cleared(context: Any, *given: Any, **named: Any) -> Any:  # by the test, behind the training
        made = real(context, *given, **named)
        shutil.rmtree(context.folder / "logits")
        return made

    monkeypatch.setattr(after_training, "keep_logits", cleared)
    log, ran = do(tmp_path, TWO + analysed("val"))
    assert list(ran.statuses.values()) == ["done"] * 2
    assert ran.failed_measurements == 0
    assert sum(stage.kind == "analyse" for stage in log.began) == 2
