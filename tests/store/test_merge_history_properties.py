"""Whatever databases are merged into which, no history is lost; each merge copies what lacks."""

from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from examples import examples
from histories import outcomes_in, record_outcome, record_versions, versions_in
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.store.checking import check_everything, refuse
from runner.store.database import Database, open_database
from runner.store.merge_experiments import merge

DATABASES = range(3)
GRIDS = st.lists(st.sampled_from([["r1"], ["r2"], ["r1", "r2"], ["r3"]]), max_size=4)
OUTCOMES = st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("mn")), max_size=3)
HISTORIES = st.tuples(GRIDS, GRIDS, OUTCOMES)
MERGES = st.lists(st.permutations(DATABASES).map(lambda order: order[:2]), min_size=2, max_size=4)


def keys_in(database: Database) -> set[tuple[str, str, str]]:
    return {(row["name"], row["variant"], row["key"]) for row in versions_in(database)}


def check_merge(mine: Database, other: Database) -> None:
    """Merge, and check that history is what both had, as it was where it was, and merge again."""
    versions, outcomes = versions_in(mine), outcomes_in(mine)
    keys = keys_in(mine) | keys_in(other)
    new = [row for row in outcomes_in(other) if row not in outcomes]
    merged = merge(mine, other)
    assert merged.num_versions == len(keys) - len(versions)
    assert merged.num_verifications == len(new)
    assert keys_in(mine) == keys
    assert all(row in versions_in(mine) for row in versions)
    assert outcomes_in(mine) == outcomes + new
    with mine.read() as connection:
        refuse(mine.address, check_everything(connection))
    again = merge(mine, other)
    assert (again.num_versions, again.num_verifications) == (0, 0)
    assert outcomes_in(mine) == outcomes + new


@pytest.mark.slow(6)
@settings(max_examples=examples(60))
@given(st.tuples(HISTORIES, HISTORIES, HISTORIES), MERGES)
def test_merges_lose_nothing_and_copy_what_lacks(
    tmp_path_factory: pytest.TempPathFactory,
    histories: Sequence[tuple[list[list[str]], list[list[str]], list[tuple[str, str]]]],
    merges: Sequence[Sequence[int]],
) -> None:
    folder = tmp_path_factory.mktemp("databases")
    with ExitStack() as opened:
        databases = [
            opened.enter_context(open_database(folder / f"{number}.db")) for number in DATABASES
        ]
        for database, (grids, others, outcomes) in zip(databases, histories, strict=True):
            record_versions(database, grids)
            record_versions(database, others, name="f", variant="quick")
            for spec, machine in outcomes:
                record_outcome(database, spec, machine)
        for target, source in merges:
            check_merge(databases[target], databases[source])
