"""Many values are asked for in statements of some hundreds."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from runner.store.database import Database, open_database
from runner.store.rows import BATCH, batches, insert, rows_with, selected
from runner.store.schema import environments

NUMBERS = range(1, 2 * BATCH + 3)


@pytest.fixture
def database(where: str) -> Iterator[Database]:
    with open_database(where) as opened:
        rows = [{"key": f"{number:06}", "content": {"n": number}} for number in NUMBERS]
        opened.transact(lambda connection: insert(connection, environments, rows))
        yield opened


def test_values_come_in_their_order_and_once_each() -> None:
    assert list(batches([3, 1, 2, 3, 5, 1], 2)) == [[1, 2], [3, 5]]
    assert list(batches([])) == []
    assert [len(batch) for batch in batches([*NUMBERS, *NUMBERS])] == [BATCH, BATCH, 2]


def test_rows_of_many_values_are_read_in_few_statements(database: Database) -> None:
    wanted = [f"{number:06}" for number in [*NUMBERS, *NUMBERS, 10**6]]
    query = sa.select(environments.c.key).where(environments.c.key != wanted[0])
    asked: list[int] = []

    def count(_: object, __: object, statement: str, values: object, *___: object) -> None:
        if statement.startswith("SELECT"):
            asked.append(len(values) if isinstance(values, tuple | dict) else 0)

    with database.read() as connection:
        sa.event.listen(connection, "before_cursor_execute", count)
        found = [row.key for row in selected(connection, query, environments.c.key, wanted)]
        assert sorted(found) == wanted[1 : len(NUMBERS)]
        assert asked == [BATCH + 1, BATCH + 1, 4]
        assert len(rows_with(connection, environments, environments.c.key, wanted)) == len(NUMBERS)
        asked.clear()
        assert sum(1 for _ in selected(connection, query, environments.c.key, None)) == len(found)
        assert list(selected(connection, query, environments.c.key, [])) == []
        assert asked == [1]
