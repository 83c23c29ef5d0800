"""What is recorded is read back, summarised and dumped as it was."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import sqlalchemy as sa
from recorded import (
    DOCUMENT,
    SETTINGS,
    cell_of,
    chain_of,
    do_run,
    outcome_of,
    record_of,
    run_of,
    take,
    want,
)
from stages import train

from runner.core.errors import UsageError
from runner.core.records import EpochRecord, Metric, Produced
from runner.store.catalogue import SpecRecord, record_experiment
from runner.store.cell_results import cell_results
from runner.store.chains import RunStages
from runner.store.database import Database, open_database
from runner.store.dump import canonical_dump, sql_dump
from runner.store.json_types import decoded
from runner.store.progress import (
    attempt_outcome,
    failed_attempts,
    latest_results,
    next_rerun,
    open_reruns,
    recorded_epochs,
    seconds_by_cost_key,
)
from runner.store.queries import find_runs, run_record, run_rows
from runner.store.recorder import end_attempt, record_epochs
from runner.store.results import record_result
from runner.store.schema import artifacts, run_stages
from runner.store.stored_cells import stored_cells


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    opened = open_database(where)
    yield opened
    opened.close()


def dump(database: Database) -> list[str]:
    return list(canonical_dump(database))


@pytest.mark.slow
def test_the_dump_of_equal_results_is_equal_whatever_path_time_and_order(
    place: Callable[[str], str],
) -> None:
    dumps = []
    for name, keys, split_at in (("a", ["r1", "r2"], 0), ("b", ["r2", "r1"], 2)):
        database = open_database(place(name))
        want(database, ["r1", "r2"], path=f"/somewhere/{name}.yaml")
        for key in keys:
            do_run(database, key, split_at=split_at)
        dumps.append(dump(database))
        database.close()
    assert dumps[0] == dumps[1]
    assert len(dumps[0]) == 3 + 2 * (1 + 1 + 14 + 3 + 2)


def test_the_dump_tells_results_apart(database: Database) -> None:
    want(database, ["r1"])
    before = dump(database)
    do_run(database, "r1")
    after = dump(database)
    assert set(before) < set(after)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE evaluations SET value = value + 1e-15 * value")
    changed = dump(database)
    assert len(set(after) - set(changed)) == 2


def test_the_dump_of_sql_makes_the_same_database(database: Database, tmp_path: Path) -> None:
    want(database, ["r1"])
    do_run(database, "r1")
    import sqlite3
    from contextlib import closing

    if not isinstance(database.address, Path):
        with pytest.raises(UsageError, match=r"is a server's database\n.*pg_dump"):
            list(sql_dump(database))
        return
    with closing(sqlite3.connect(tmp_path / "copy.db")) as raw:
        raw.executescript("\n".join(sql_dump(database)))
    copy = open_database(tmp_path / "copy.db")
    assert dump(copy) == dump(database)
    copy.close()


def record_cells(
    database: Database, keys: dict[str, str | None], fingerprints: dict[str, str] | None = None
) -> dict[str, str | None]:
    """Record cells with these settings keys and runs; return the runs that were recorded."""
    known = [key for key in keys.values() if key is not None]
    record_experiment(
        database,
        SpecRecord(name="e", variant="", about="", path="e.yaml", document=DOCUMENT, source=""),
        keyed_cells=[
            (replace(cell_of(position), settings_key=settings), key)
            for position, (settings, key) in enumerate(keys.items())
        ],
        wanted=[run_of(key) for key in known],
        chains={key: RunStages(chain_of(key), f"train-{key}-0", 0) for key in known},
        fingerprints=fingerprints or {},
    )
    stored = stored_cells(database, "e")
    assert all((each.settings is None) == (each.run_key is not None) for each in stored)
    return {each.settings_key: each.run_key for each in stored}


def test_a_cell_without_a_run_has_its_settings(database: Database) -> None:
    assert record_cells(database, {"a": "r1", "b": None}) == {"a": "r1", "b": None}
    assert stored_cells(database, "e")[1].settings == SETTINGS
    (_, row) = run_rows(database)
    assert (row["run"], row["status"]) == (None, "unfinished")
    (_, cell) = cell_results(database, "e", "")
    assert (cell.run_key, cell.status) == ("", "unfinished")


def test_a_cell_whose_run_is_not_known_keeps_the_one_recorded_for_its_settings(
    database: Database,
) -> None:
    record_cells(database, {"a": "r1", "b": "r2", "c": None})
    # moved, one of them with other settings
    kept = record_cells(database, {"c": "r3", "a": None, "d": None, "b": None})
    assert kept == {"c": "r3", "a": "r1", "d": None, "b": "r2"}


def test_a_run_on_data_that_has_changed_is_not_kept(database: Database) -> None:
    record_cells(database, {"a": "r1", "b": "r2"})
    known = {"a": "another", "b": "fingerprint"}
    assert record_cells(database, {"a": None, "b": None}, known) == {"a": None, "b": "r2"}


def test_a_cell_has_the_only_run_of_its_settings_where_its_data_is_known(
    database: Database,
) -> None:
    want(database, ["r1", "r2", "r3"])
    settings = {"settings-r1": None, "settings-r2": None, "settings-r3": None}
    known = {"settings-r1": "fingerprint", "settings-r2": "another"}
    assert record_cells(database, settings, known) == {**settings, "settings-r1": "r1"}
    with database.write() as connection:  # as with other weights
        connection.exec_driver_sql("UPDATE runs SET settings_key = 'settings-r1'")
    record_cells(database, {"a": None})
    assert record_cells(database, settings, known) == settings


def test_the_dump_says_that_a_run_is_not_known(database: Database) -> None:
    record_cells(database, {"a": None})
    (line,) = [json.loads(line)["cell"] for line in dump(database) if "cell" in json.loads(line)]
    assert (line["run_key"], line["settings_key"]) == (None, "a")
    assert "settings" not in line


@pytest.mark.slow
def test_run_summary_reads_into_pandas_as_plain_columns(database: Database) -> None:
    want(database, ["r1", "r2"])
    do_run(database, "r1")
    with database.read() as connection:
        table = pd.read_sql(sa.text("SELECT * FROM run_summary ORDER BY run"), connection)
    assert list(table.columns) == [
        "run", "experiment", "variant", "status", "seed", "dataset", "model", "optimizer", "lr",
        "batch_size", "epochs", "best_epoch", "last_epoch", "parameters", "train_loss",
        "train_accuracy", "val_loss", "val_accuracy", "max_val_accuracy", "test_loss",
        "test_accuracy", "train_seconds", "seconds", "device", "message", "settings",
    ]  # fmt: skip
    done = table.iloc[0].to_dict()
    assert decoded(done.pop("settings")) == SETTINGS
    assert done == {
        "run": "r1", "experiment": "e", "variant": "", "status": "done", "seed": 0,
        "dataset": "digits",
        "model": "mlp", "optimizer": "sgd", "lr": 0.1, "batch_size": 8, "epochs": 3,
        "best_epoch": 2.0, "last_epoch": 3.0, "parameters": 7.0,
        "train_loss": pytest.approx(0.8), "train_accuracy": pytest.approx(0.8),
        "val_loss": pytest.approx(0.7), "val_accuracy": pytest.approx(0.7),
        "max_val_accuracy": pytest.approx(0.8), "test_loss": 1.5, "test_accuracy": 0.25,
        "train_seconds": 6.0, "seconds": 7.5, "device": "cpu", "message": "",
    }  # fmt: skip
    assert table.iloc[1]["status"] == "unfinished"
    assert pd.isna(table.iloc[1]["test_accuracy"])


def summary_of(database: Database) -> list[tuple[str, str, str]]:
    query = sa.text("SELECT run, experiment, variant FROM run_summary ORDER BY run")
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(query)]


@pytest.mark.slow
def test_run_summary_has_a_run_for_whoever_asks_for_it_first(database: Database) -> None:
    """Of the spec as written before variants, of several experiments the first by name."""
    want(database, ["both", "alone"], name="b")
    want(database, ["both", "varied"], name="a", variant="epochs=2")
    want(database, ["varied", "alone"], name="a", variant="epochs=1")
    want(database, ["alone"], name="a")
    assert summary_of(database) == [
        ("alone", "a", ""),
        ("both", "b", ""),
        ("varied", "a", "epochs=1"),
    ]


def test_run_summary_leaves_out_what_no_cell_asks_for_any_more(database: Database) -> None:
    want(database, ["before", "kept"])
    do_run(database, "before")
    want(database, ["kept", "now"])
    assert [row[0] for row in summary_of(database)] == ["kept", "now"]
    with database.read() as connection:
        left = connection.exec_driver_sql("SELECT run_key FROM latest_results").scalars().all()
    assert left == ["before"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("tested", "at", "accuracy"),
    [("last", [3], 0.3), ("best", [2], 0.2), ("each_epoch", [1, 2, 3], 0.2), ("never", [], None)],
)
def test_a_run_has_the_test_of_the_epoch_that_was_to_be_tested(
    database: Database, tested: str, at: list[int], accuracy: float | None
) -> None:
    """Its best epoch is 2, its last 3; each epoch measures a tenth of itself."""
    want(database, ["r1"], tested=tested)
    do_run(database, "r1", tested=at)
    with database.read() as connection:
        query = "SELECT test_accuracy, test_loss FROM run_summary"
        assert tuple(connection.exec_driver_sql(query).one()) == (accuracy, accuracy)
    assert run_rows(database)[0]["test_accuracy"] == accuracy


def test_seconds_are_those_of_the_stages_that_were_read(database: Database) -> None:
    """Three epochs of 2 s, not the attempt's 9 s; preparing 1 s; evaluating 0.5 s."""
    want(database, ["r1", "r2"])
    do_run(database, "r1")
    do_run(database, "r2", split_at=2)
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT train_seconds, seconds FROM results").all()
    assert [tuple(row) for row in rows] == [(6.0, 7.5), (6.0, 7.5)]


def test_a_result_is_recorded_once_all_stages_have_ended_and_only_once(database: Database) -> None:
    want(database, ["r1"])
    assert record_result(database, "r1", 0) is None
    do_run(database, "r1")
    before = dump(database)
    assert record_result(database, "r1", 0) == "done"
    assert dump(database) == before


def test_a_failed_stage_fails_the_run_and_a_later_success_replaces_it(database: Database) -> None:
    want(database, ["r1"])
    for text in ("first", "second"):
        end_attempt(database, take(database, "prepare"), "failed", 1.0, error=text)
        assert record_result(database, "r1", 0) == "failed"
        with database.read() as connection:
            assert connection.exec_driver_sql("SELECT message FROM results").scalar() == text
    assert failed_attempts(database) == {"prepare": 2}
    do_run(database, "r1")
    assert latest_results(database, ["r1"]) == {"r1": ("done", 0)}


def test_a_redone_stage_does_not_change_what_a_run_has_read(database: Database) -> None:
    want(database, ["r1"])
    do_run(database, "r1")
    before = dump(database)
    claim = take(database, "train-r1-0", again=True)
    record_epochs(database, claim, [record_of(epoch, 0.9) for epoch in range(1, 4)])
    weights = Produced("weights/train-r1-0-best", "digest-train-r1-0", 20)
    outcome = outcome_of("train-r1-0", [[claim.attempt_id, 1, 3]], best_epoch=3)
    end_attempt(database, claim, "done", 9.0, outcome, produced=[weights])
    record_result(database, "r1", 0)
    assert dump(database) == before
    newest = attempt_outcome(database, "train-r1-0")
    assert newest is not None
    assert newest["readers"]["train-r1-0"]["best_epoch"] == 3


@pytest.mark.slow
def test_attempts_elsewhere_whose_epochs_a_run_reads_are_among_its_own(database: Database) -> None:
    """As when a longer training went on from what two others left."""
    want(database, ["r1", "r2"])
    do_run(database, "r1", split_at=1)
    with database.read() as connection:
        query = "SELECT id FROM attempts WHERE stage_key = 'train-r1-0' ORDER BY number"
        first, second = connection.exec_driver_sql(query).scalars()
    lost = take(database, "train-r2-0")
    end_attempt(database, lost, "lost", 1.0)
    claim = take(database, "train-r2-0")
    record_epochs(database, claim, [record_of(3)])
    ranges = [[first, 1, 1], [second, 2, 2], [claim.attempt_id, 3, 3]]
    outcome = outcome_of("train-r2-0", ranges, best_epoch=2)
    end_attempt(database, claim, "done", 9.0, outcome)
    claim = take(database, "evaluate-r2-0")
    measured = [Metric(2, "test", "accuracy", 0.25)]
    end_attempt(
        database, claim, "done", 0.5, {"reads": [[claim.attempt_id, 2, 2]]}, measured=measured
    )
    assert record_result(database, "r2", 0) == "done"
    found = run_record(database, "r2")["attempts"]
    assert [
        (each["stage_key"], each["number"], each["first_epoch"], each["last_epoch"])
        for each in found
    ] == [
        ("prepare", 1, None, None),
        ("train-r1-0", 1, 1, 1),
        ("train-r1-0", 2, 2, 2),
        ("train-r2-0", 1, None, None),
        ("train-r2-0", 2, 3, 3),
        ("evaluate-r2-0", 1, 2, 2),
    ]
    assert [each["position"] for each in found] == [0, None, None, 1, 1, 2]
    assert all(each["environment"] == {"machine": "m"} for each in found)


def test_repetitions_are_numbered_and_the_newest_with_a_result_is_shown(database: Database) -> None:
    want(database, ["r1", "r2"])
    assert open_reruns(database) == {"r1": 0, "r2": 0}
    do_run(database, "r1")
    assert open_reruns(database) == {"r2": 0}
    assert next_rerun(database, "r1") == 1
    assert next_rerun(database, "never wanted") == 0
    want(database, ["r1"], rerun=1)
    assert open_reruns(database) == {"r1": 1, "r2": 0}
    assert latest_results(database, ["r1"]) == {"r1": ("done", 0)}
    do_run(database, "r1", rerun=1)
    assert latest_results(database, ["r1", "r2"]) == {"r1": ("done", 1)}


def test_wanting_again_replaces_cells_and_keeps_runs(database: Database) -> None:
    want(database, ["r1", "r2"])
    do_run(database, "r2")
    want(database, ["r2"])
    rows = run_rows(database)
    assert [(row["position"], row["run"], row["status"]) for row in rows] == [(0, "r2", "done")]
    assert find_runs(database, "r") == ["r1", "r2"]
    assert find_runs(database, "%") == []


def test_documents_keep_their_order(database: Database) -> None:
    want(database, ["r1"])
    with database.read() as connection:
        text = connection.exec_driver_sql("SELECT CAST(document AS TEXT) FROM experiments").scalar()
    assert text == '{"zeta": 1, "alpha": {"y": 2, "x": 3}}'


def test_losses_that_are_not_finite_are_null(database: Database) -> None:
    want(database, ["r1"])
    do_run(database, "r1")
    with database.read() as connection:
        query = "SELECT DISTINCT CAST(losses AS TEXT) FROM run_steps"
        losses = connection.exec_driver_sql(query).scalars()
        assert losses.all() == ["[1.0, null]"]


def test_show_has_attempts_epochs_and_cells_of_a_run(database: Database) -> None:
    want(database, ["r1"])
    do_run(database, "r1", split_at=1)
    record = run_record(database, "r1")
    kinds = [(each["kind"], each["number"], each["status"]) for each in record["attempts"]]
    assert kinds == [
        ("prepare", 1, "done"),
        ("train", 1, "interrupted"),
        ("train", 2, "done"),
        ("evaluate", 1, "done"),
    ]
    assert [each["epoch"] for each in record["epochs"]] == [1, 2, 3]
    assert record["epochs"][1]["test_accuracy"] == 0.25
    assert record["cells"][0]["labels"] == {"row": "r0"}
    assert {str(each["environment"]) for each in record["attempts"]} == {"{'machine': 'm'}"}
    with pytest.raises(KeyError):
        run_record(database, "r2")


def test_recorded_epochs_count_those_of_the_attempts_alone(database: Database) -> None:
    want(database, ["r1", "r2"])
    first, second = take(database, "train-r1-0"), take(database, "train-r2-0")
    record_epochs(database, first, [record_of(epoch) for epoch in (1, 2, 3)])
    record_epochs(database, second, [record_of(epoch) for epoch in (3, 4)])
    one, other = first.attempt_id, second.attempt_id
    assert recorded_epochs(database, []) == 0
    assert recorded_epochs(database, [[one, 1, 2]]) == 2
    assert recorded_epochs(database, [[other, 1, 2]]) == 0
    assert recorded_epochs(database, [[one, 2, 9]]) == 2
    assert recorded_epochs(database, [[one, 1, 2], [other, 3, 4]]) == 4
    assert recorded_epochs(database, [[one + other + 1, 1, 4]]) == 0


def test_seconds_an_epoch_leave_the_first_epoch_out_where_there_are_others(
    database: Database,
) -> None:
    want(database, ["r1"])
    claim = take(database, "train-r1-0")
    record_epochs(database, claim, [EpochRecord(1, (), (1.0,), 0.1, 60.0)])
    assert seconds_by_cost_key(database, "cpu") == {"t": 60.0}
    later = [
        EpochRecord(epoch, (), (1.0,), 0.1, seconds) for epoch, seconds in ((2, 1.0), (3, 3.0))
    ]
    record_epochs(database, claim, later)
    assert seconds_by_cost_key(database, "cpu") == {"t": 2.0}
    assert seconds_by_cost_key(database, "a GPU") == {}


def test_artifacts_are_recorded_by_name_the_newest_last(database: Database) -> None:
    want(database, ["r1"])
    do_run(database, "r1")
    query = sa.select(artifacts.c.name, artifacts.c.digest, artifacts.c.num_bytes)
    with database.read() as connection:
        recorded = {name: (digest, size) for name, digest, size in connection.execute(query)}
    assert recorded == {
        "pixels/p": ("digest-p", 10),
        "weights/train-r1-0-best": ("digest-train-r1-0", 20),
    }
    with database.read() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(artifacts)).scalar() == 2


def test_stages_of_an_unfinished_run_follow_the_program(database: Database) -> None:
    """A newer version may give the stages of a run other keys; without a result they are used."""
    want(database, ["r1"])
    values: dict[str, Any] = {
        "spec": SpecRecord("e", "", "", "", {}, ""),
        "keyed_cells": [(cell_of(0), "r1")], "wanted": [run_of("r1")],
    }  # fmt: skip
    newer = (chain_of("r1")[0], train("newer", needs=("prepare",)))
    record_experiment(database, **values, chains={"r1": RunStages(newer, "newer", 0)})
    query = sa.select(run_stages.c.stage_key).order_by(run_stages.c.position)
    with database.read() as connection:
        assert connection.execute(query).scalars().all() == ["prepare", "newer"]


def test_stages_of_a_finished_run_stay_as_they_were(database: Database) -> None:
    want(database, ["r1"])
    do_run(database, "r1")
    before = dump(database)
    values: dict[str, Any] = {
        "spec": SpecRecord("e", "", "about", "", DOCUMENT, "text"),
        "keyed_cells": [(cell_of(0), "r1")], "wanted": [run_of("r1")],
    }  # fmt: skip
    newer = (chain_of("r1")[0], train("newer", needs=("prepare",)))
    record_experiment(database, **values, chains={"r1": RunStages(newer, "newer", 0)})
    assert dump(database) == before


def test_a_result_is_that_of_the_stages_its_process_planned(database: Database) -> None:
    """Another process may have planned others for the run in the meantime."""
    want(database, ["r1"])
    do_run(database, "r1")
    expected = dump(database)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM run_epochs")
        connection.exec_driver_sql("DELETE FROM results")
        connection.exec_driver_sql("DELETE FROM run_stages WHERE position > 0")
        connection.exec_driver_sql("INSERT INTO stages VALUES ('other', 'train', '{}', '[]', 't')")
        connection.exec_driver_sql(
            "INSERT INTO run_stages VALUES ('r1', 0, 1, 'other', 'train-r1-0')"
        )
    assert record_result(database, "r1", 0) is None
    planned = [stage.key for stage in chain_of("r1")]
    assert record_result(database, "r1", 0, planned) == "done"
    assert dump(database) == expected
    with database.read() as connection:
        query = sa.select(run_stages.c.stage_key).order_by(run_stages.c.position)
        assert connection.execute(query).scalars().all() == planned


@pytest.mark.slow
def test_who_was_satisfied_before_a_training_failed_is_done(database: Database) -> None:
    want(database, ["r1", "r2"])
    chains = {key: [chain_of("r1")[0].key, "train-r1-0"] for key in ("r1", "r2")}
    claim = take(database, "prepare")
    end_attempt(database, claim, "done", 1.0, {"images": 5})
    claim = take(database, "train-r1-0")
    record_epochs(database, claim, [record_of(epoch) for epoch in range(1, 4)])
    outcome = outcome_of("train-r1-0", [[claim.attempt_id, 1, 3]], best_epoch=2)
    end_attempt(database, claim, "failed", 9.0, outcome, error="no memory")
    assert record_result(database, "r1", 0, chains["r1"]) == "done"
    assert record_result(database, "r2", 0, chains["r2"]) == "failed"
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT run_key, message, last_epoch FROM results")
        assert sorted(map(tuple, rows)) == [("r1", "", 3), ("r2", "no memory", None)]
