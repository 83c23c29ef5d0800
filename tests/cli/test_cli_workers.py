"""`workers`, `plan --workers` and `show`: who works where, and how long it would take."""

import json
import re
import time
from pathlib import Path

import pytest
from commands import Call

from runner.artifacts.process import host
from runner.store.catalogue import record_environment
from runner.store.claims import NewAttempt, claim_stage
from runner.store.database import open_database
from runner.store.progress import open_reruns


def claim_training(database: Path) -> str:
    """Let this process claim a training of the database; return its key."""
    with open_database(database) as opened:
        assert open_reruns(opened)
        with opened.read() as connection:
            query = "SELECT stage_key FROM stages WHERE kind = 'train' ORDER BY stage_key"
            key = str(connection.exec_driver_sql(query).first()[0])
        where = record_environment(opened, {"place": "cuda:1"})
        claim_stage(opened, key, NewAttempt(where, {}, "NVIDIA H100"))
    return key


def test_workers_are_listed_with_what_they_do_and_their_lease(fresh: Path, call: Call) -> None:
    call("run", "tiny.yaml", "--workers", 0)
    nobody = call("workers")
    assert (nobody.code, nobody.out, nobody.err) == (0, "", "nobody is at work\n4 runs left\n")
    key = claim_training(fresh / "results.db")
    listed = call("workers")
    one, two = listed.out.splitlines()
    here = re.escape(host())
    assert re.fullmatch(rf"{here} \d+ on NVIDIA H100 \(cuda:1\), for .*, lease 1[12]\d s", one)
    assert two == f"  train mlp, epochs 1–2 for 1 run ({key[:12]})"
    assert listed.err == "4 runs left\n"
    found = json.loads(call("workers", "--format", "json").out)
    (row,) = found["workers"]
    assert (row["stage"], row["alive"], found["left"]) == (key, True, 4)
    assert abs(row["since"] - time.time()) < 60


def test_workers_of_no_database_are_an_error(call: Call) -> None:
    assert call("workers").code == 2
    wrong = call("workers", "--format", "csv")
    assert (wrong.code, "allowed: text, json" in wrong.err) == (2, True)


@pytest.mark.slow
def test_plan_says_how_long_several_workers_take(fresh: Path, call: Call) -> None:
    never = call("plan", "tiny.yaml", "--workers", 2, "--device", "cpu")
    assert "workers " not in never.out
    call("run", "tiny.yaml", "--limit", 1, "--device", "cpu", "--threads", 1)
    told = call("plan", "tiny.yaml", "--workers", 2, "--device", "cpu", "--threads", 1)
    assert re.search(r"^workers   2 take about \d.* s$", told.out, re.M), told.out
    form = ("--format", "json", "--device", "cpu", "--threads", 1)
    one, two = (
        json.loads(call("plan", "tiny.yaml", "--workers", number, *form).out) for number in (1, 2)
    )
    assert (one["workers"], two["workers"]) == (1, 2)
    assert one["seconds"] / 2 <= two["seconds"] < one["seconds"]


@pytest.mark.slow
def test_show_names_the_machine_of_each_stage(finished: Path, call: Call) -> None:
    shown = call("show", "tiny:0:0", "--db", finished / "results.db").out
    stages = shown.partition("\nstages\n")[2].partition("\nepochs\n")[0].splitlines()
    assert len([line for line in stages if line.startswith(f"    {host()}, cpu, torch ")]) == 3
