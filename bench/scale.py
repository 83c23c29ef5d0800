"""What many workers cost a database: sixty-four that sleep in place of training.

    python bench/scale.py busy                   how much of their time they work
    python bench/scale.py kills                  with kills of workers and restarts of the server
    python bench/scale.py costs                  what one asks, beside the claims of thousands
    python bench/scale.py size                   what runs take of a file

Plan, claims, leases, records and results are the program's own; see bench/simulated.py. Each part
checks that nothing was lost and nothing done twice, and writes its rows of bench/results/scale.md.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from claim_costs import costs
from measuring import BenchFailed, machine, record, run_child, runner_command, write_report
from page_grids import Grid
from simulated import Fleet, loss

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
from postgres import PostgresServer, running_server

from runner.api import work
from runner.execute import EXECUTORS
from runner.store.checking import check_everything
from runner.store.database import Database, open_database

SPEC = """\
name: scale
data: {dataset: digits}
model: {name: mlp, hidden: [8]}
train: {optimizer: sgd, batch_size: 512}
evaluate: {test: never}
seeds: %s
sweep:
  zip:
    lr: %s
    epochs: %s
"""
LENGTHS = (1, 2, 3, 4)
"""Epochs of trainings."""

SERVER = {
    "fsync": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    "max_connections": "300",
}
"""Settings of a server as it comes, but for the connections, of which a worker has two."""

RATES = 100
DATABASES = ("sqlite", "postgresql")
OTHERS = (0, 64, 1000, 10_000)
"""Claims beside which the transactions of one worker are timed."""

TITLES = {
    "busy": "Workers that are left alone",
    "kills": "Workers that are killed, and a server that is restarted",
    "costs": "The transactions of one worker, beside the claims of others",
    "size": "What runs take of a results file",
}
ABOUT = {
    "busy": "Goal: at least 95 % busy until the last stages. Busy: seconds asleep in trainings, of"
    " the workers' seconds until fewer trainings are left than workers. All workers and the server"
    " have the cores of one machine. CPU: of the workers without planning, and of the server.",
    "kills": "Goal: nothing lost, nothing done twice, at least 95 % busy. Busy: as above, with the"
    " seconds asleep in trainings until they were killed; beside it, without those. A training that"
    " is killed begins again, as these have no checkpoints. Workers are killed (SIGKILL) at random"
    " moments, and replaced; the server is stopped at once and started, every second time as when"
    " its machine fails.",
    "costs": "On PostgreSQL, through a socket of the same machine. Medians of 200, without the"
    " shortest and the longest tenth. *Look*: whether a stage is free; *claim*: take it; *renew*:"
    " extend its lease; *epoch*: record one; *end*: record that it is done; *news*: what others"
    " have ended and do.",
    "size": "Made-up runs with four metrics an epoch, and the losses of ten steps.",
}


def spec_of(runs: int) -> str:
    """Return a spec of so many runs, none of which has epochs in common with another."""
    rates = [round(0.0001 * (number + 1), 4) for number in range(min(RATES, runs))]
    epochs = [LENGTHS[number % len(LENGTHS)] for number in range(len(rates))]
    return SPEC % (list(range(max(runs // len(rates), 1))), rates, epochs)


@contextmanager
def databases(kind: str, folder: Path) -> Iterator[tuple[str, PostgresServer | None]]:
    """Yield the address of a new database, and its server, None for a file."""
    if kind == "sqlite":
        yield str(folder / "results.db"), None
        return
    with running_server(may_crash=True, **SERVER) as server:
        yield server.new_database(), server


def measure(options: argparse.Namespace, kills: int, restarts: int) -> None:
    """Let the workers do the runs; write down what came out."""
    for kind in options.databases:
        with tempfile.TemporaryDirectory() as temporary, databases(kind, Path(temporary)) as given:
            os.chdir(temporary)
            address, server = given
            Path("scale.yaml").write_text(spec_of(options.runs), encoding="utf-8")
            run = runner_command("run", "scale.yaml", "--db", address)
            run_child([*run, "--limit", "1"], Path(temporary))  # it leaves the images
            run_child([*run, "--workers", "0"], Path(temporary))
            fleet = Fleet(
                options.workers,
                options.epoch_seconds,
                kills,
                [_restart(server, number) for number in range(restarts)] if server else [],
            )
            EXECUTORS["local"] = fleet.carry_out
            began, used, served = time.time(), _cpu_seconds(), _cpu_of(server)
            work(address)
            seconds, used = time.time() - began, _cpu_seconds() - used
            served = _cpu_of(server) - served
            with open_database(address, create=False) as database:
                cells = {
                    "runs": f"{_checked(database):,}",
                    "seconds": f"{seconds:.0f}",
                    "busy": f"{_busy(database, options.workers, fleet.in_vain):.1%}",
                }
                if kills:
                    without = _busy(database, options.workers)
                    cells["without what was killed"] = f"{without:.1%}"
                    cells["killed"] = f"{fleet.killed:,}"
                    cells["restarts"] = str(fleet.happened)
                    cells["ended by an error"] = str(fleet.died)
                else:
                    cells["CPU, ms a run"] = f"{1000 * used / options.runs:.0f}"
                    cells["server's, ms a run"] = f"{1000 * served / options.runs:.0f}"
                    cells["database, KiB a run"] = f"{_kib(database) / options.runs:.1f}"
            row = f"{kind}, {options.workers} workers, {options.epoch_seconds:g} s an epoch"
            write(options.part, row, cells)


def measure_costs() -> None:
    """Time the transactions of one worker; write down what came out."""
    for others in OTHERS:
        with running_server(may_crash=True, **SERVER) as server:
            write("costs", f"{others:,} other claims", costs(server.new_database(), others))


def measure_size() -> None:
    """Record made-up runs; write down what they take."""
    for epochs in (1, 10, 100):
        with tempfile.TemporaryDirectory() as temporary:
            grid = Grid(Path(temporary) / "results.db", 200, epochs)
            done = len(grid.pairs()) - len(grid.waiting)
            with grid.database:
                cells = {"KiB a run": f"{_kib(grid.database) / done:.1f}"}
            write("size", f"{epochs} epochs", cells)


def _restart(server: PostgresServer, number: int) -> Callable[[], None]:
    def restart() -> None:
        server.stop(crash=number % 2 == 1)
        server.start()

    return restart


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _cpu_of(server: PostgresServer | None) -> float:
    return server.cpu_seconds() if server else 0.0


def _kib(database: Database) -> float:
    query = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
    if database.engine.dialect.name == "postgresql":
        query = "SELECT pg_database_size(current_database())"
    with database.read() as connection:
        return float(connection.execute(sa.text(query)).scalar_one()) / 1024


def _checked(database: Database) -> int:
    """Return how many runs are done; nothing is lost, and nothing was done twice.

    Raises:
        BenchFailed: else.
    """
    with database.read() as connection:
        problems = [each for found in check_everything(connection) for each in found.problems]
        twice = "SELECT count(*) FROM (SELECT stage_key FROM attempts WHERE status = 'done'"
        twice += " GROUP BY stage_key HAVING count(*) > 1) AS found"
        repeated = connection.execute(sa.text(twice)).scalar_one()
        lacking = connection.execute(
            sa.text(
                "SELECT count(*) FROM cells LEFT JOIN latest_results AS result"
                " ON result.run_key = cells.run_key AND result.status = 'done'"
                " WHERE result.run_key IS NULL"
            )
        ).scalar_one()
        claimed = connection.execute(sa.text("SELECT count(*) FROM claims")).scalar_one()
        recorded = connection.execute(
            sa.text(
                "SELECT stage_key, epoch, value FROM metrics JOIN attempts"
                " ON attempts.id = metrics.attempt_id WHERE attempts.status = 'done'"
                " AND split = 'val' AND name = 'loss' AND device = 'simulated'"
            )
        ).all()
        done = connection.execute(sa.text("SELECT count(*) FROM results")).scalar_one()
    wrong = sum(value != loss(key, epoch) for key, epoch, value in recorded)
    if problems or repeated or lacking or claimed or wrong or not recorded:
        raise BenchFailed(
            f"{repeated} stages done twice, {lacking} cells without a result, {claimed} claims"
            f" left, {wrong} wrong numbers of {len(recorded)}, {problems[:3]}"
        )
    return int(done)


def _busy(database: Database, workers: int, in_vain: float = 0.0) -> float:
    """Return the share of their time that the workers slept in trainings, until the last ones.

    Args:
        database: with what they have done.
        workers: how many there were at any time.
        in_vain: seconds asleep in trainings that were killed, all before the last began.
    """
    query = "SELECT started, seconds FROM attempts WHERE device = 'simulated' AND status = 'done'"
    with database.read() as connection:
        spans = [tuple(row) for row in connection.execute(sa.text(query))]
    begun = sorted(started for started, _ in spans)
    first, last = begun[0], begun[-1]  # when the last is begun, nobody waits for work any more
    asleep = sum(max(0.0, min(started + took, last) - started) for started, took in spans)
    return float((asleep + in_vain) / (workers * (last - first)))


def write(part: str, row: str, cells: dict[str, str]) -> None:
    """Put a row into the results, and the results into the report."""
    record("scale", part, row, cells, machine())
    write_report("scale", "Many workers on one database", TITLES, ABOUT)


def main() -> int:
    """Measure a part, and write it down."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("part", choices=TITLES)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--epoch-seconds", type=float, default=2.0)
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=list(DATABASES))
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--restarts", type=int, default=20)
    options = parser.parse_args()
    if options.part in ("costs", "size"):
        measure_costs() if options.part == "costs" else measure_size()
        return 0
    is_kills = options.part == "kills"
    measure(options, options.kills * is_kills, options.restarts * is_kills)
    return 0


if __name__ == "__main__":
    sys.exit(main())
