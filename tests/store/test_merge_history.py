"""Earlier versions of experiments, and what `verify` recorded, are copied by a merge."""

from collections.abc import Callable, Iterator

import pytest
from histories import outcomes_in, record_outcome, record_versions, versions_in
from killed_merges import merge_killed_at
from postgres import PostgresServer
from recorded import change, want

from runner.core.errors import DamagedDatabase, Interrupted
from runner.store import merge_verifications
from runner.store.checking import check_everything, refuse
from runner.store.database import Database, open_database
from runner.store.dump import canonical_dump
from runner.store.finished_grids import last_finished
from runner.store.merge import SILENT, MergeListener
from runner.store.merge_experiments import Merged, merge
from runner.store.merge_verifications import copy_verifications, lacking_verifications
from runner.store.merge_versions import copy_versions, lacking_versions
from runner.store.queries import stored_experiments

GRIDS = [["r1"], ["r1", "r2"], ["r2"], ["r1", "r2", "r3"]]


def record(database: Database) -> None:
    """Record four versions of an experiment, two of a variant, five outcomes on two machines."""
    record_versions(database, GRIDS)
    record_versions(database, [["v1"], ["v2"]], variant="quick")
    for number in range(5):
        run = {"run": "r1", "name": "e:0:0", "exact": number > 1, "largest": None}
        record_outcome(database, f"{number}.yaml", f"m{number % 2}", [run])


@pytest.fixture
def source(place: Callable[[str], str]) -> str:
    where = place("source")
    with open_database(where) as database:
        record(database)
    return where


@pytest.fixture
def target(place: Callable[[str], str]) -> str:
    return place("target")


@pytest.fixture
def two(source: str, target: str) -> Iterator[tuple[Database, Database]]:
    with open_database(source) as other, open_database(target) as mine:
        yield other, mine


def counts(merged: Merged) -> tuple[int, int]:
    return merged.num_versions, merged.num_verifications


def check_is_like(mine: Database, other: Database) -> None:
    """Check that a database has what another has, and that none of it is damaged."""
    assert list(canonical_dump(mine)) == list(canonical_dump(other))
    assert versions_in(mine) == versions_in(other)
    assert outcomes_in(mine) == outcomes_in(other)
    check_is_whole(mine)


def check_is_whole(mine: Database) -> None:
    with mine.read() as connection:
        refuse(mine.address, check_everything(connection))


def last_runs(database: Database) -> list[str] | None:
    """Return the runs of the last finished version of the experiment."""
    ids = {(each.name, each.variant): each.id for each in stored_experiments(database)}
    found = last_finished(database, ids["e", ""])
    return None if found is None else [cell["run_key"] for cell in found.cells]


@pytest.mark.slow(2)
@pytest.mark.postgres
@pytest.mark.parametrize("is_from_a_file", [True, False])
def test_who_moves_to_a_server_or_back_loses_nothing(
    is_from_a_file: bool, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ends = [str(tmp_path_factory.mktemp("moved") / "results.db"), postgres_server.new_database()]
    source, target = ends if is_from_a_file else reversed(ends)
    with open_database(source) as other, open_database(target) as mine:
        record(other)
        record_outcome(mine, "mine.yaml")  # so that numbers are others
        want(mine, ["mine"], name="mine")
        own = outcomes_in(mine)
        assert counts(merge(mine, other)) == (4, 5)
        assert versions_in(mine) == versions_in(other)
        assert outcomes_in(mine) == own + outcomes_in(other)
        assert last_runs(mine) == last_runs(other) == ["r2"]
        check_is_whole(mine)
        assert counts(merge(mine, other)) == (0, 0)
        assert counts(merge(other, mine)) == (0, 1)


def test_a_second_merge_copies_what_came_since(two: tuple[Database, Database]) -> None:
    other, mine = two
    assert counts(merge(mine, other)) == (4, 5)
    check_is_like(mine, other)
    before = versions_in(mine), outcomes_in(mine)
    assert counts(merge(mine, other)) == (0, 0)
    assert (versions_in(mine), outcomes_in(mine)) == before
    record_outcome(other, "0.yaml", "m0")  # as before, but later
    want(other, ["open"])
    merged = merge(mine, other)
    assert (counts(merged), merged.kept) == ((1, 1), [("e", "")])
    assert versions_in(mine) == versions_in(other)
    assert outcomes_in(mine) == outcomes_in(other)


def test_versions_of_an_experiment_that_is_another_here_come_along(
    two: tuple[Database, Database],
) -> None:
    other, mine = two
    record_versions(mine, [["r2"], ["r9"], ["r1"]])
    own = {row["key"]: row for row in versions_in(mine)}
    assert last_runs(mine) == ["r9"]
    merged = merge(mine, other)
    assert (merged.kept, merged.added) == ([("e", "")], [("e", "quick")])
    assert counts(merged) == (3, 5)  # of the three of e, one is here
    there = {row["key"]: row for row in versions_in(mine)}
    assert there == {row["key"]: row for row in versions_in(other)} | own
    assert last_runs(mine) == ["r9"]  # what it has now is no earlier version, though one there
    want(mine, ["open"])
    assert last_runs(mine) == ["r1"]
    assert len(versions_in(mine)) == 5
    check_is_whole(mine)


def test_a_version_that_was_run_later_is_not_shown_as_what_was_before(
    place: Callable[[str], str],
) -> None:
    with open_database(place("source")) as other, open_database(place("target")) as mine:
        record_versions(mine, [["r1"]])
        record_versions(other, [["r2"], ["r3"]])
        assert counts(merge(mine, other)) == (1, 0)
        assert last_runs(mine) is None
        want(mine, ["open"])
        assert last_runs(mine) == ["r2"]  # what was run last of both


@pytest.mark.slow(3)
@pytest.mark.parametrize(
    ("moment", "call", "there"),
    [
        ("an earlier version copied", 1, (1, 0)),
        ("an earlier version copied, not committed", 3, (2, 0)),
        ("a batch of verifications copied", 1, (4, 2)),
        ("a batch of verifications copied, not committed", 3, (4, 4)),
    ],
)
def test_a_killed_merge_leaves_whole_rows_and_goes_on(
    source: str, target: str, moment: str, call: int, there: tuple[int, int]
) -> None:
    merge_killed_at(source, target, moment, call)
    with open_database(source) as other, open_database(target) as mine:
        copied = versions_in(mine), outcomes_in(mine)
        assert (len(copied[0]), len(copied[1])) == there
        assert all(row in versions_in(other) for row in copied[0])
        assert copied[1] == outcomes_in(other)[: there[1]]
        check_is_whole(mine)
        assert counts(merge(mine, other)) == (4 - there[0], 5 - there[1])
        check_is_like(mine, other)


def test_who_listens_may_stop_it_between_two_transactions(
    two: tuple[Database, Database], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(merge_verifications, "TOGETHER", 2)
    other, mine = two
    heard: list[tuple[int, int, str]] = []

    def on_progress(done: int, total: int, what: str) -> None:
        if what in ("earlier versions copied", "verifications copied"):
            heard.append((done, total, what))
        if heard[-1:] == [(2, 4, "earlier versions copied")]:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted):
        merge(mine, other, MergeListener(on_progress))
    assert (len(versions_in(mine)), outcomes_in(mine)) == (2, [])
    heard.clear()
    assert counts(merge(mine, other, MergeListener(on_progress))) == (2, 5)
    assert heard == [
        *((done, 2, "earlier versions copied") for done in (0, 1)),
        *((done, 5, "verifications copied") for done in (0, 2, 4)),
    ]
    check_is_like(mine, other)


def test_what_another_process_has_copied_meanwhile_is_there_once(
    two: tuple[Database, Database],
) -> None:
    other, mine = two
    versions, outcomes = lacking_versions(mine, other), lacking_verifications(mine, other)
    assert (len(versions), len(outcomes)) == (4, 5)
    assert copy_versions(mine, other, versions, SILENT) == 0  # before their experiments are there
    merge(mine, other)
    assert copy_versions(mine, other, versions, SILENT) == 0
    assert copy_verifications(mine, other, outcomes, SILENT) == 0
    check_is_like(mine, other)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE finished_grids SET cells = '[]'", "an earlier version of experiment"),
        ("UPDATE finished_grids SET key = 'x' || key", "an earlier version of experiment"),
        ("""UPDATE environments SET content = '{"machine": "x"}'""", "is not what was recorded"),
        ("UPDATE verifications SET runs = '[1]'", "the outcome 1 of `verify` is not"),
        ("UPDATE verifications SET runs = '{}'", "a value is not what it should be"),
    ],
)
def test_nothing_is_taken_where_the_history_is_damaged(
    two: tuple[Database, Database], statement: str, said: str
) -> None:
    other, mine = two
    before = list(canonical_dump(mine))
    change(other.address, statement)
    with pytest.raises(DamagedDatabase, match=said):
        merge(mine, other)
    assert list(canonical_dump(mine)) == before == []
    assert (versions_in(mine), outcomes_in(mine)) == ([], [])


def test_damage_of_what_is_here_already_costs_nothing(two: tuple[Database, Database]) -> None:
    other, mine = two
    merge(mine, other)
    before = versions_in(mine)
    change(other.address, "UPDATE finished_grids SET cells = '[]'")
    assert counts(merge(mine, other)) == (0, 0)
    assert versions_in(mine) == before
