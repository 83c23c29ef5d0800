"""What a table asks of finished runs is computed from the weights they keep; nothing is trained."""

import re
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from forks import OUTPUT, Forks, KillAt
from grids import ask
from safetensors.torch import load_file
from sklearn.metrics import top_k_accuracy_score
from stage_log import Log, do_spec

from runner.api.planning import plan
from runner.api.running import RunSummary
from runner.core.errors import DamagedDatabase
from runner.core.stages import Evaluate
from runner.execute import run_ends
from runner.store.database import open_database
from runner.store.measurements import add_measurements
from runner.store.merge import import_results

SPEC = """\
name: asked
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 2, batch_size: 64, optimizer: {name: sgd, lr: 0.1}}
sweep: {grid: {lr: [0.1, 0.2]}}
tables:
  asked:
    LR: lr
    TEST_ACC: test_accuracy
"""
ASKED = SPEC + "    TOP: test_top5_accuracy\n    GAP: {metric: val_top5_accuracy - val_accuracy}\n"
RECORDS = (
    "SELECT run_key, rerun, status, best_epoch, last_epoch, seconds, recorded FROM results",
    "SELECT * FROM runs ORDER BY run_key",
    "SELECT * FROM run_stages ORDER BY run_key, position",
)
TOP5 = (
    "SELECT run_key, split, epoch, value FROM run_metrics WHERE name = 'top5_accuracy'"
    " ORDER BY run_key, split"
)


def do(folder: Path, text: str, **options: Any) -> tuple[Log, RunSummary]:
    return do_spec(folder / "asked.yaml", text, **options)


def kinds(log: Log) -> list[str]:
    return [stage.kind for stage in log.began]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    do(folder, SPEC)
    return folder


@pytest.fixture
def before(finished: Path, tmp_path: Path) -> Path:
    """Return a folder with two finished runs of a spec that asked for nothing more."""
    shutil.copytree(finished, tmp_path / "home")
    return tmp_path / "home"


def records(folder: Path) -> list[list[tuple[Any, ...]]]:
    return [ask(folder, query) for query in RECORDS]


@pytest.mark.slow
def test_measures_that_a_table_asks_for_are_evaluations_of_finished_runs(before: Path) -> None:
    were = records(before)
    log, ran = do(before, ASKED)
    assert kinds(log) == ["evaluate"] * 4
    assert (ran.before, ran.failed_measurements) == (2, 0)
    assert records(before) == were
    measured = ask(before, TOP5)
    assert len(measured) == 4
    for _, _, _, value in measured:
        assert 0.5 < value < 1
    again, _ = do(before, ASKED)
    assert again.began == []
    with open_database(before / "results.db") as database:
        add_measurements(database, measured[0][0], 0, [stage.key for stage in log.began])
    assert ask(before, TOP5) == measured


@pytest.mark.slow
def test_measurement_is_what_scikit_learn_says_of_the_kept_weights(before: Path) -> None:
    log, _ = do(before, ASKED)
    from runner.components.data.dataset import DataAccess
    from runner.components.resolved import typed_settings
    from runner.engine.stages.prepare import decoded

    tested = [each for each in log.began if isinstance(each, Evaluate) and each.split == "test"]
    (stage, _) = tested
    settings = typed_settings(stage.settings)
    source = settings.data.build(DataAccess((), lambda folder, names: []))
    indices = settings.data.split(source.labels, source.classes, source.splits)["test"]
    images = torch.stack(
        [torch.tensor(each) for each in decoded(source, indices, settings.data)]
    ).permute(0, 3, 1, 2)
    network = settings.model.build((1, 8, 8), 10)
    (path,) = before.glob(f".runner/weights/*/{stage.weights.removeprefix('weights/')}.safetensors")
    network.load_state_dict(load_file(path))
    mean, std = (torch.tensor(each).view(1, -1, 1, 1) for each in settings.data.normalization())
    with torch.inference_mode():
        scores = network.eval()((images / 255 - mean) / std)
    labels = [source.labels[index] for index in indices]
    expected = top_k_accuracy_score(labels, scores.numpy(), k=5, labels=range(10))
    (found,) = {
        value
        for _, split, _, value in ask(before, TOP5)
        if split == "test" and value == pytest.approx(expected, abs=1e-9)
    }
    assert found == pytest.approx(expected)


@pytest.mark.slow
def test_new_run_is_measured_when_it_is_done_and_its_keys_are_those_without(
    finished: Path, tmp_path: Path
) -> None:
    log, ran = do(tmp_path, ASKED)
    assert kinds(log).count("train") == 2
    assert kinds(log).count("evaluate") == 6
    assert list(ran.statuses.values()) == ["done", "done"]
    assert len(ask(tmp_path, TOP5)) == 4
    stages = "SELECT run_key, position, stage_key, reading FROM run_stages ORDER BY 1, 2"
    assert ask(tmp_path, stages) == ask(finished, stages)


@pytest.mark.slow
def test_weights_that_are_gone_are_said_and_nothing_is_trained(before: Path) -> None:
    shutil.rmtree(before / ".runner")
    log, ran = do(before, ASKED)
    assert log.began == []
    (note,) = log.notes
    assert re.fullmatch(
        "test_top5_accuracy and val_top5_accuracy of 2 finished runs cannot be computed: their"
        r" weights are gone; only training again \(run --rerun\) would bring them back: at most"
        r" 4 epochs, about \d.*",
        note,
    )
    assert (ran.before, ran.failed_measurements) == (2, 0)
    assert ask(before, TOP5) == []


@pytest.mark.slow
def test_damaged_weights_are_not_measured(before: Path) -> None:
    path = sorted(before.glob(".runner/weights/*/*"))[0]
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\1")
    shutil.rmtree(before / ".runner" / "logits")
    log, _ = do(before, ASKED)
    assert kinds(log) == ["evaluate"] * 2
    assert "val_top5_accuracy of 1 finished run cannot be computed: its weights" in log.notes[0]


@pytest.mark.slow
def test_pixels_that_are_gone_are_prepared_again_for_a_measurement(before: Path) -> None:
    for kind in ("pixels", "logits"):
        shutil.rmtree(before / ".runner" / kind)
    log, _ = do(before, ASKED)
    assert kinds(log) == ["prepare", *["evaluate"] * 4]
    assert len(ask(before, TOP5)) == 4


@pytest.mark.slow
def test_measurement_that_was_not_added_is_added_later_without_evaluating_again(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(run_ends, "add_measurements", lambda *given: None)  # as if killed
        log, _ = do(before, ASKED)
    assert kinds(log) == ["evaluate"] * 4
    assert ask(before, TOP5) == []
    again, _ = do(before, ASKED)
    assert again.began == []
    assert len(ask(before, TOP5)) == 4


@pytest.mark.slow
def test_failed_measurement_leaves_the_run_done_and_is_tried_again(
    before: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.stages import after_training

    shutil.rmtree(before / ".runner" / "logits")

    def fail(*given: Any, **named: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(after_training, "evaluate", fail)
        _, ran = do(before, ASKED)
    assert set(ran.statuses.values()) == {"done"}
    assert ran.failed_measurements == 4
    log, ran = do(before, ASKED)
    assert kinds(log) == ["evaluate"] * 4
    assert ran.failed_measurements == 0


@pytest.mark.slow
def test_result_that_is_not_what_was_recorded_is_not_sealed_anew(before: Path) -> None:
    with open_database(before / "results.db") as database, database.write() as connection:
        connection.exec_driver_sql("UPDATE results SET seconds = seconds + 1")
    with pytest.raises(DamagedDatabase, match="is not what was recorded"):
        do(before, ASKED)
    assert ask(before, TOP5) == []


@pytest.mark.slow
def test_monitored_measure_chooses_the_epoch_and_is_recorded_each_epoch(tmp_path: Path) -> None:
    watching = ASKED.replace("batch_size: 64", "batch_size: 64, best: {monitor: val_top5_accuracy}")
    log, _ = do(tmp_path, watching, only=["lr=0.1"])
    assert kinds(log) == ["prepare", "train", "evaluate", "evaluate"]
    values = dict(
        ask(
            tmp_path,
            "SELECT epoch, value FROM metrics WHERE split = 'val' AND name = 'top5_accuracy'",
        )
    )
    ((best,),) = ask(tmp_path, "SELECT best_epoch FROM results")
    assert len(values) == 2
    assert values[best] == max(values.values())


def test_plan_names_what_is_to_be_measured(before: Path) -> None:
    (before / "asked.yaml").write_text(ASKED)
    explained = plan(before / "asked.yaml", db=before / "results.db", device="cpu")
    assert explained.measurements == {"test_top5_accuracy": 2, "val_top5_accuracy": 2}
    assert (explained.done, explained.planned.epochs) == (2, 0)
    assert [(each.kind, each.runs) for each in explained.stages] == [("evaluate", 1)] * 4


ENDED = (
    "SELECT count(*), count(DISTINCT stage_key) FROM attempts JOIN stages USING (stage_key)"
    " WHERE kind = 'evaluate' AND status = 'done'"
)


@pytest.mark.slow
@pytest.mark.parametrize(
    "moment", ["evaluation begins", "evaluated, not recorded", "outcome recorded", "stage claimed"]
)
def test_killed_measurement_is_done_by_the_next_run_and_nothing_twice(
    moment: str, before: Path, forks: Forks, tmp_path: Path
) -> None:
    shutil.rmtree(before / ".runner" / "logits")
    shutil.copytree(before, tmp_path / "undisturbed")
    do(tmp_path / "undisturbed", ASKED)
    (before / "asked.yaml").write_text(ASKED)
    assert forks.run(before, ["run", "asked.yaml"], KillAt(moment, 2)) == -signal.SIGKILL
    assert forks.run(before, ["run", "asked.yaml"]) == 0, (before / OUTPUT).read_text()
    assert ask(before, TOP5) == ask(tmp_path / "undisturbed", TOP5)
    assert ask(before, ENDED) == [(6, 6)]
    assert ask(before, "SELECT count(*) FROM claims") == [(0,)]
    assert forks.run(before, ["db", "check"]) == 0


@pytest.mark.slow
def test_two_processes_measure_everything_once(before: Path, forks: Forks) -> None:
    (before / "asked.yaml").write_text(ASKED)
    started = [forks.start(before, ["run", "asked.yaml"]) for _ in range(2)]
    assert [forks.wait(pid) for pid in started] == [0, 0], (before / OUTPUT).read_text()
    assert len(ask(before, TOP5)) == 4
    assert ask(before, ENDED) == [(6, 6)]


@pytest.mark.slow
def test_two_tables_that_ask_for_the_same_have_it_once(before: Path) -> None:
    do(before, ASKED)
    more = ASKED.replace("name: asked", "name: others").replace("  asked:", "  others:")
    log, _ = do(before, more)
    assert log.began == []
    assert len(ask(before, TOP5)) == 4


@pytest.mark.slow
def test_measurements_are_imported_with_the_results_that_have_them(
    before: Path, tmp_path: Path
) -> None:
    do(before, ASKED)
    measured = ask(before, TOP5)
    with (
        open_database(before / "results.db") as source,
        open_database(tmp_path / "to.db") as target,
    ):
        import_results(target, source, {row[0] for row in measured})
    (tmp_path / "to.db").rename(tmp_path / "results.db")
    assert ask(tmp_path, TOP5) == measured
    log, _ = do(tmp_path, ASKED)
    assert (log.began, log.notes) == ([], [])
