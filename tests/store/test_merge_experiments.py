"""A whole database merged into another, of the same kind or another."""

from collections.abc import Callable, Iterator

import pytest
import stages
from postgres import PostgresServer
from recorded import change, do_run, take, want

from runner.core.errors import DamagedDatabase, UsageError
from runner.core.records import AnalysisValue
from runner.store.analyses import WantedAnalysis, record_analyses
from runner.store.chains import record_stages
from runner.store.checking import check_everything
from runner.store.database import Database, open_database
from runner.store.dump import canonical_dump, run_dump
from runner.store.merge_experiments import merge
from runner.store.progress import ended_stages, latest_results
from runner.store.queries import run_rows
from runner.store.recorder import end_attempt
from runner.store.wanted import wanted_runs

pytestmark = pytest.mark.slow

KINDS = [
    "sqlite to sqlite",
    pytest.param("sqlite to postgres", marks=pytest.mark.postgres),
    pytest.param("postgres to sqlite", marks=pytest.mark.postgres),
    pytest.param("postgres to postgres", marks=pytest.mark.postgres),
]


@pytest.fixture(params=KINDS)
def two(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Database, Database]]:
    """A database with two experiments, three of whose four runs are done, and an empty one."""

    def at(kind: str) -> str:
        if kind == "sqlite":
            return str(tmp_path_factory.mktemp("merged") / "results.db")
        server: PostgresServer = request.getfixturevalue("postgres_server")
        return server.new_database()

    source, target = map(at, request.param.split(" to "))
    with open_database(source) as other, open_database(target) as mine:
        want(other, ["r1", "r2"])
        want(other, ["r3", "r4"], name="f", variant="quick")
        for key in ("r1", "r2", "r3"):
            do_run(other, key)
        yield other, mine


def test_an_empty_database_gets_all_and_is_then_the_same(two: tuple[Database, Database]) -> None:
    other, mine = two
    merged = merge(mine, other)
    assert [each.run_key for each in merged.results] == ["r1", "r2", "r3"]
    assert (merged.num_results, merged.added, merged.kept) == (3, [("e", ""), ("f", "quick")], [])
    assert list(canonical_dump(mine)) == list(canonical_dump(other))
    assert [row["status"] for row in run_rows(mine)] == ["done", "done", "done", "unfinished"]
    assert ended_stages(mine) == {}  # no weights came along
    with mine.read() as connection:
        problems = [each for kind in check_everything(connection) for each in kind.problems]
    assert problems == []
    again = merge(mine, other)
    assert (again.results, again.added, again.kept) == ([], [], [])
    do_run(other, "r4")
    assert [each.run_key for each in merge(mine, other).results] == ["r4"]
    assert list(canonical_dump(mine)) == list(canonical_dump(other))


def test_what_a_database_has_stays(two: tuple[Database, Database]) -> None:
    other, mine = two
    want(mine, ["r1", "mine"])
    do_run(mine, "r1", split_at=2)
    before = list(run_dump(mine, "r1"))
    merged = merge(mine, other)
    assert [each.run_key for each in merged.results] == ["r2", "r3"]
    assert (merged.added, merged.kept) == ([("f", "quick")], [("e", "")])
    assert list(run_dump(mine, "r1")) == before
    assert [row["run"] for row in run_rows(mine, "e")] == ["r1", "mine"]


def test_a_database_is_not_merged_with_itself(where: str) -> None:
    with open_database(where) as one, open_database(where) as two, pytest.raises(UsageError) as no:
        merge(one, two)
    assert "are the same database" in str(no.value)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE metrics SET value = value / 2",
        "UPDATE cells SET seed = 7",
        "UPDATE runs SET fingerprint = 'x' WHERE run_key = 'r2'",
    ],
)
def test_nothing_is_taken_from_a_damaged_database(
    place: Callable[[str], str], statement: str
) -> None:
    source = place("source")
    with open_database(source) as other, open_database(place("target")) as mine:
        want(other, ["r1", "r2"])
        do_run(other, "r1")
        change(source, statement)
        with pytest.raises(DamagedDatabase):
            merge(mine, other)
        assert run_rows(mine) == []
        assert latest_results(mine, ["r1"]) == {}


def test_nothing_is_taken_where_an_analysis_made_later_is_damaged(
    place: Callable[[str], str],
) -> None:
    source = place("source")
    with open_database(source) as other, open_database(place("target")) as mine:
        want(other, ["r1", "r2"])
        do_run(other, "r1")
        merge(mine, other)
        do_run(other, "r2")
        stage = stages.analyse("analysis", "train-r1-0")
        record_stages(other, [stage])
        record_analyses(other, [WantedAnalysis("r1", 0, "key", "robustness", stage.key)])
        values = [AnalysisValue("accuracy", 0.5, {"x": 1})]
        end_attempt(other, take(other, stage.key), "done", 1.0, {}, measured=values)
        change(source, "UPDATE analysis_values SET value = 0.75")
        with pytest.raises(DamagedDatabase):
            merge(mine, other)
        assert set(latest_results(mine, ["r1", "r2"])) == {"r1"}


def test_an_analysis_that_was_not_made_is_not_asked_for(place: Callable[[str], str]) -> None:
    """It comes along once it has been made."""
    with open_database(place("source")) as other, open_database(place("target")) as mine:
        want(other, ["r1", "r2"])
        stage = stages.analyse("analysis", "train-r1-0")
        record_stages(other, [stage])
        do_run(other, "r1")
        record_analyses(other, [WantedAnalysis("r1", 0, "key", "robustness", stage.key)])
        for _ in range(2):
            merge(mine, other)
            assert wanted_runs(mine) == {}
        values = [AnalysisValue("accuracy", 0.5, {"x": 1})]
        end_attempt(other, take(other, stage.key), "done", 1.0, {}, measured=values)
        merge(mine, other)
        assert list(run_dump(mine, "r1")) == list(run_dump(other, "r1"))
        assert wanted_runs(mine) == {}
