"""A merge goes batch by batch: stopped anywhere it leaves a whole database, and then goes on."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from killed_merges import merge_killed_at
from planted import at_moment
from postgres import PostgresServer, running_server
from recorded import chain_of, change, do_run, outcome_of, take, want
from waiting import PATIENCE, wait_for

from runner.api.merging import merge_databases as merge_files
from runner.core.errors import DamagedDatabase, Interrupted, StoreBusy, StoreUnreachable
from runner.core.records import Metric
from runner.store import merge, postgres, sqlite
from runner.store.backend import Beside
from runner.store.catalogue import environment_id
from runner.store.checking import check_everything
from runner.store.database import Database, open_database
from runner.store.dump import canonical_dump, run_dump
from runner.store.merge import MergeListener, import_results
from runner.store.merge_experiments import merge as merge_databases
from runner.store.merge_source import check_source, extract
from runner.store.merge_target import copy_results, runs_with_results
from runner.store.progress import latest_results
from runner.store.queries import run_rows
from runner.store.recorder import end_attempt
from runner.store.reference import reference_results
from runner.store.results import record_result

KEYS = ["r1", "r2", "r3", "r4", "r5"]
COPIED, WRITTEN = "a batch of results copied", "a batch of results copied, not committed"


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with one result: then the five of these tests are three batches."""
    monkeypatch.setattr(merge, "FIRST_BATCH", 1)
    monkeypatch.setattr(merge, "BATCH_SECONDS", PATIENCE)


def record(where: str) -> None:
    with open_database(where) as database:
        want(database, [*KEYS, "open"])
        for number, key in enumerate(KEYS):
            do_run(database, key, split_at=number % 2)


@pytest.fixture
def source(place: Callable[[str], str]) -> str:
    """A database with five results, and a run that is open."""
    where = place("source")
    record(where)
    return where


@pytest.fixture
def target(place: Callable[[str], str]) -> str:
    return place("target")


@pytest.fixture
def two(source: str, target: str) -> Iterator[tuple[Database, Database]]:
    with open_database(source) as other, open_database(target) as mine:
        yield other, mine


def results_in(database: Database) -> list[str]:
    """Return the runs with results, after everything in the database has been checked."""
    with database.read() as connection:
        problems = [each for kind in check_everything(connection) for each in kind.problems]
    assert problems == []
    return sorted(latest_results(database, KEYS))


@pytest.mark.slow(3)
@pytest.mark.parametrize(
    ("moment", "call", "there"), [(COPIED, 1, 1), (WRITTEN, 2, 1), (COPIED, 2, 3), (WRITTEN, 3, 3)]
)
def test_a_killed_merge_leaves_whole_results_and_goes_on(
    source: str, target: str, moment: str, call: int, there: int
) -> None:
    merge_killed_at(source, target, moment, call)
    with open_database(source) as other, open_database(target) as mine:
        assert results_in(mine) == KEYS[:there]
        for key in KEYS[:there]:
            assert list(run_dump(mine, key)) == list(run_dump(other, key))
        assert run_rows(mine) == []  # the experiment comes last
        merged = merge_databases(mine, other)
        assert [each.run_key for each in merged.results] == KEYS[there:]
        assert merged.added == [("e", "")]
        assert results_in(mine) == KEYS
        assert list(canonical_dump(mine)) == list(canonical_dump(other))


def test_who_listens_hears_how_far_it_is_and_may_stop_it(two: tuple[Database, Database]) -> None:
    other, mine = two
    heard: list[tuple[int, int, str]] = []

    def on_progress(done: int, total: int, what: str) -> None:
        heard.append((done, total, what))
        if (done, what) == (3, "results copied") and len(heard) < 5:
            raise Interrupted("stopped")

    listener = MergeListener(on_progress)
    with pytest.raises(Interrupted):
        merge_databases(mine, other, listener)
    assert heard == [
        (0, 5, "results checked"),
        *((done, 5, "results copied") for done in (0, 1, 3)),
    ]
    assert results_in(mine) == KEYS[:3]
    heard[:] = [(0, 0, "")] * 5
    merge_databases(mine, other, listener)
    assert heard[5:] == [
        (0, 2, "results checked"),
        *((done, 2, "results copied") for done in (0, 1, 2)),
        (0, 6, "runs of experiments copied"),
        (0, 1, "experiments copied"),
    ]


def test_what_another_process_has_copied_meanwhile_stays(two: tuple[Database, Database]) -> None:
    other, mine = two
    wanted = list(reference_results(other, ["r1", "r2"]).values())
    found = extract(other, wanted, check_source(other, wanted, lambda done: None))
    import_results(mine, other, ["r2"])
    before = list(canonical_dump(mine))
    assert mine.transact(lambda connection: copy_results(found, connection)) == {"r2"}
    assert list(canonical_dump(mine)) == before


def test_what_is_measured_after_the_check_comes_along(two: tuple[Database, Database]) -> None:
    """A result that is read otherwise than it was checked is checked again."""
    other, mine = two
    wanted = list(reference_results(other, ["r1"]).values())
    found = extract(other, wanted, {"r1": "another checksum"})
    assert mine.transact(lambda connection: copy_results(found, connection)) == set()
    assert list(run_dump(mine, "r1")) == list(run_dump(other, "r1"))
    checked = check_source(other, wanted, lambda _: None)
    change(other.address, "UPDATE metrics SET value = value + 1 WHERE name = 'accuracy'")
    with pytest.raises(DamagedDatabase, match="the result of run r1"):
        extract(other, wanted, {"r1": "another checksum"})
    assert checked != {"r1": "another checksum"}


@pytest.mark.slow
def test_a_file_is_read_as_it_was_when_the_merge_began(tmp_path: Path) -> None:
    """A worker that is at work on it changes nothing of what is copied."""
    source = tmp_path / "source.db"
    with open_database(source) as other:
        want(other, KEYS)
        for key in KEYS[:-1]:
            do_run(other, key)
        before = list(canonical_dump(other))
    assert not (tmp_path / "source.db-wal").exists()

    def write_meanwhile(done: int, total: int, what: str) -> None:
        with open_database(source) as other:
            if KEYS[-1] not in results_in(other):
                do_run(other, KEYS[-1])
            with other.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    merge_files(source, db=tmp_path / "mine.db", on_progress=write_meanwhile)
    with open_database(tmp_path / "mine.db") as mine:
        assert list(canonical_dump(mine)) == before


def test_checksums_hold_where_attempts_come_in_another_order(
    two: tuple[Database, Database],
) -> None:
    """Of a run that reads epochs of two others, of which the later one was copied before."""
    other, mine = two
    want(other, [*KEYS, "both"])
    with other.read() as connection:
        query = "SELECT stage_key, id FROM attempts WHERE status = 'done'"
        ids = {row.stage_key: row.id for row in connection.exec_driver_sql(query)}
    first, second = ids["train-r1-0"], ids["train-r3-0"]
    assert first < second
    reads = [[first, 1, 2], [second, 3, 3]]
    _, train, evaluate = (stage.key for stage in chain_of("both"))
    end_attempt(other, take(other, train), "done", 1.0, outcome_of(train, reads, best_epoch=2))
    claim = take(other, evaluate)
    measured, outcome = [Metric(2, "test", "accuracy", 0.25)], {"reads": [[claim.attempt_id, 2, 2]]}
    end_attempt(other, claim, "done", 0.5, outcome, measured=measured)
    assert record_result(other, "both", 0) == "done"
    for keys in (["r3"], ["both"]):
        import_results(mine, other, keys)
    assert results_in(mine) == ["r3"]
    assert list(run_dump(mine, "both")) == list(run_dump(other, "both"))


@pytest.mark.slow(2)
@pytest.mark.postgres
def test_who_writes_waits_for_one_batch(postgres_server: PostgresServer) -> None:
    source, target = postgres_server.new_database(), postgres_server.new_database()
    record(source)
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    with (
        open_database(source) as other,
        open_database(target) as mine,
        open_database(target) as workers,
    ):
        there: list[int] = []

        def write(connection: sa.Connection) -> int:
            environment_id(connection, {"machine": "another"})
            return len(runs_with_results(connection, KEYS))

        def work() -> None:
            there.append(workers.transact(write, Beside.OTHERS))

        writer = threading.Thread(target=work)

        def begin_to_write() -> None:
            writer.start()
            with other.read() as connection:
                wait_for(lambda: connection.exec_driver_sql(waiting).scalar())

        with at_moment(WRITTEN, begin_to_write):
            merge_databases(mine, other)
        writer.join(PATIENCE)
        assert there == [1]
        assert results_in(mine) == KEYS


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for locks for a tenth of a second, and hardly between two tries."""
    monkeypatch.setattr(postgres, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.1)
    monkeypatch.setattr(merge, "PAUSE", 0.001)


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_a_lock_of_others_is_waited_for_several_times(
    two: tuple[Database, Database], target: str
) -> None:
    other, mine = two
    notes: list[str] = []
    with open_database(target) as another:
        lock = another.write(Beside.NOBODY)

        def on_note(note: str) -> None:
            notes.append(note)
            if len(notes) == 2:
                lock.__exit__(None, None, None)

        with at_moment(COPIED, lock.__enter__):
            merged = merge_databases(mine, other, MergeListener(on_note=on_note))
    assert [each.run_key for each in merged.results] == KEYS
    assert len(notes) == 2
    assert all(
        note.startswith(f"{mine.address}: another process keeps the database locked")
        for note in notes
    )


@pytest.mark.slow
@pytest.mark.usefixtures("hurried")
def test_a_lock_that_is_never_given_up_ends_it_and_nothing_is_lost(
    two: tuple[Database, Database], target: str
) -> None:
    other, mine = two
    notes: list[str] = []
    with open_database(target) as another:
        lock = another.write(Beside.NOBODY)
        with at_moment(COPIED, lock.__enter__), pytest.raises(StoreBusy):
            merge_databases(mine, other, MergeListener(on_note=notes.append))
        lock.__exit__(None, None, None)
    assert len(notes) == merge.TRIES - 1
    assert results_in(mine) == KEYS[:1]
    assert [each.run_key for each in merge_databases(mine, other).results] == KEYS[1:]


@pytest.fixture
def sources_server() -> Iterator[PostgresServer]:
    """A server that may be stopped, for the source alone."""
    with running_server(may_crash=True) as server:
        yield server


@pytest.mark.slow(4)
@pytest.mark.postgres
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_source_that_is_away_is_named_and_one_that_comes_back_is_read_on(
    kind: str,
    sources_server: PostgresServer,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source = sources_server.new_database()
    record(source)
    if kind == "sqlite":
        target = str(tmp_path_factory.mktemp("merged") / "results.db")
    else:
        target = request.getfixturevalue("postgres_server").new_database()

    def restart() -> None:
        sources_server.stop(crash=True)
        sources_server.start()

    with open_database(source) as other, open_database(target) as mine:
        with monkeypatch.context() as patched:
            patched.setattr(postgres, "PATIENCE_SECONDS", 0.2)
            with at_moment(COPIED, sources_server.stop), pytest.raises(StoreUnreachable) as away:
                merge_databases(mine, other)
        assert str(away.value).startswith(f"{other.address} does not answer")
        assert str(mine.address) not in str(away.value)
        assert results_in(mine) == KEYS[:1]
        sources_server.start()
        with at_moment(COPIED, restart):
            merged = merge_databases(mine, other)
        assert [each.run_key for each in merged.results] == KEYS[1:]
        assert list(canonical_dump(mine)) == list(canonical_dump(other))
