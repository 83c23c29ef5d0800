"""MLflow's own client finds what was recorded, once, however often it was exported."""

import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from exported import DONE, record

from runner import api
from runner.core.errors import UsageError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("mlflow") is None, reason="mlflow is not installed"),
]

Export = Callable[..., Any]


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, which takes MLflow seconds to make."""
    from runner.report.trackers.mlflow_store import MlflowTracker

    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    with MlflowTracker(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture
def client(empty_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """MLflow's client of a store that its variable names."""
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    url = f"sqlite:///{shutil.copy(empty_store, tmp_path)}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", url)
    return MlflowClient(tracking_uri=url)


def runs(client: Any, experiment: str = "grid") -> dict[str, Any]:
    found = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    named = {run.info.run_name: run for run in found}
    assert len(named) == len(found)
    return named


def history(client: Any, run: Any, name: str) -> list[tuple[int, float]]:
    return [(each.step, each.value) for each in client.get_metric_history(run.info.run_id, name)]


def test_mlflow_reads_series_results_settings_and_tags(client: Any, tmp_path: Path) -> None:
    exported = api.export_records("mlflow", db=record(tmp_path))
    assert exported.place == f"sqlite:///{tmp_path}/mlflow.db"
    assert exported.look == f"mlflow ui --backend-store-uri {exported.place}"
    found = runs(client)
    assert found.keys() == {"slow, =1 seed=0", "fast seed=0", "fast seed=1", "tables"}
    run = found["slow, =1 seed=0"]
    assert history(client, run, "val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    assert history(client, run, "test_accuracy") == [(2, 0.7)]
    losses = [loss for part in DONE.steps for loss in part]
    assert history(client, run, "step_train_loss") == list(enumerate(losses, start=1))
    assert run.data.metrics["result/test_accuracy"] == 0.7
    assert run.data.params["train.optimizer.lr"] == "0.01"
    assert run.data.params["model.hidden"] == "[4]"
    tags = {name: run.data.tags[name] for name in ("experiment", "cell", "seed", "label.label")}
    assert tags == {
        "experiment": "grid",
        "cell": "grid:0:0",
        "seed": "0",
        "label.label": "slow, =1",
    }
    moments = [
        each.timestamp for each in client.get_metric_history(run.info.run_id, "val_accuracy")
    ]
    assert [each - moments[0] for each in moments] == [0, 10_000, 20_000]
    assert run.info.start_time == moments[0] - 10_000


def test_mlflow_says_how_runs_ended(client: Any, tmp_path: Path) -> None:
    api.export_records("mlflow", db=record(tmp_path))
    found = runs(client)
    ended = {
        name: (run.info.status, run.data.tags["status"], run.data.tags["message"])
        for name, run in found.items()
        if name != "tables"
    }
    assert ended == {
        "slow, =1 seed=0": ("FINISHED", "done", ""),
        "fast seed=0": ("FAILED", "diverged", "it diverged"),
        "fast seed=1": ("FAILED", "failed", "it failed"),
    }
    (diverged,) = client.search_runs(
        [client.get_experiment_by_name("grid").experiment_id], "tags.status = 'diverged'"
    )
    losses = client.get_metric_history(diverged.info.run_id, "step_train_loss")
    assert [each.step for each in losses if each.value != each.value] == [3]


def test_tables_are_artifacts_of_a_run_of_their_own(client: Any, tmp_path: Path) -> None:
    api.export_records("mlflow", db=record(tmp_path))
    run = runs(client)["tables"].info
    assert [each.path for each in client.list_artifacts(run.run_id)] == ["grid.csv", "grid.md"]
    text = Path(client.download_artifacts(run.run_id, "grid.csv")).read_text()
    assert text.startswith("WHICH,ACC")


def test_mlflow_export_writes_nothing_twice_and_goes_on_after_a_kill(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    db, real = record(tmp_path), MlflowClient.set_tag

    class Killed(BaseException):
        pass

    def killed(self: Any, key: str, name: str, value: str) -> None:
        if name == "runner.written":
            raise Killed
        real(self, key, name, value)

    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "set_tag", killed)
        with pytest.raises(Killed):
            api.export_records("mlflow", db=db)
    assert len(runs(client)) == 1
    for _ in range(2):
        api.export_records("mlflow", db=db)
        found = runs(client)
        assert len(found) == 4
        run = found["slow, =1 seed=0"]
        assert history(client, run, "val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
        assert [step for step, _ in history(client, run, "step_train_loss")] == [1, 2, 3, 4, 5, 6]


def test_run_that_trains_is_shown_and_completed(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    from runner.api import exporting_records

    db = record(tmp_path)
    real, standing = exporting_records.run_history, exporting_records.standing

    def one_epoch(database: Any, key: str) -> Any:
        there = real(database, key)
        return replace(there, epochs=there.epochs[:1], result={}, status="running")

    with monkeypatch.context() as patch:
        patch.setattr(exporting_records, "run_history", one_epoch)
        patch.setattr(exporting_records, "standing", lambda db: replace(standing(db), ended={}))
        api.export_records("mlflow", "grid:0:0", db=db)
    (run,) = runs(client).values()
    assert (run.info.status, run.data.tags["status"]) == ("RUNNING", "running")
    assert history(client, run, "val_accuracy") == [(1, 0.5)]
    api.export_records("mlflow", "grid:0:0", db=db)
    (run,) = runs(client).values()
    assert (run.info.status, run.data.tags["status"]) == ("FINISHED", "done")
    assert history(client, run, "val_accuracy") == [(1, 0.5), (2, 0.75), (3, 0.625)]
    (tmp_path / "again").mkdir()
    api.export_records("mlflow", "grid:1:1", db=db)
    again = record(tmp_path / "again", lambda cell: DONE)
    api.export_records("mlflow", "grid:1:1", db=again)  # a failed run that was tried again
    assert runs(client)["fast seed=1"].data.tags["status"] == "done"


def test_mlflow_that_refuses_is_an_error_in_words(client: Any, tmp_path: Path) -> None:
    db = record(tmp_path)
    with pytest.raises(UsageError, match="MLflow at ftp://nowhere: "):
        api.export_records("mlflow", place="ftp://nowhere", db=db)
    api.export_records("mlflow", db=db)
    client.delete_experiment(client.get_experiment_by_name("grid").experiment_id)
    with pytest.raises(UsageError, match="the MLflow experiment 'grid' is deleted"):
        api.export_records("mlflow", db=db)
