"""Several processes on one database: made once, and every stage claimed once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
import workers
from waiting import PATIENCE

from runner.store.database import open_database
from runner.store.schema import attempts, claims, environments, stages


def run_workers(where: str, home: Path, count: int, num_stages: int) -> list[dict]:
    words = [sys.executable, workers.__file__, where, str(home), str(count), str(num_stages)]
    children = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(count)
    ]
    found = []
    for child in children:
        out, err = child.communicate(timeout=PATIENCE)
        assert child.returncode == 0, err
        found.append(json.loads(out))
    return found


@pytest.mark.slow
def test_processes_that_make_the_database_together_make_one(where: str, tmp_path: Path) -> None:
    found = run_workers(where, tmp_path, 3, 0)
    assert len({each["identity"] for each in found}) == 1
    database = open_database(where)
    with database.read() as connection:
        assert (
            connection.execute(sa.select(sa.func.count()).select_from(environments)).scalar() == 1
        )
    database.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "num_stages", [60, pytest.param(600, marks=pytest.mark.slow)], ids=["few", "many"]
)
def test_every_stage_is_claimed_by_exactly_one_of_four_processes(
    num_stages: int, where: str, tmp_path: Path
) -> None:
    database = open_database(where)
    values = {"kind": "train", "spec": {}, "needs": [], "cost_kind": ""}
    with database.write() as connection:
        rows = [{"stage_key": f"s{number:03d}", **values} for number in range(num_stages)]
        connection.execute(sa.insert(stages), rows)
    found = run_workers(where, tmp_path, 4, num_stages)
    together = sorted(number for each in found for number in each["claimed"])
    assert together == list(range(num_stages))
    assert sum(bool(each["claimed"]) for each in found) > 1, "they did not meet"
    with database.read() as connection:
        numbers = connection.execute(sa.select(attempts.c.number)).scalars().all()
        assert numbers == [1] * num_stages
        assert connection.execute(sa.select(claims)).all() == []
    database.close()
