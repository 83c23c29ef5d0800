"""Grids on a Ray cluster; as a program, it does what its words say and prints what came of it."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from grids import ask
from namespaces import run_apart, why_no_namespace
from waiting import wait_for

LIMIT_SECONDS = 300.0
AT_WORK = "SELECT count(*) FROM claims JOIN stages USING (stage_key) WHERE kind = 'train'"
EPOCHS = "SELECT count(*) FROM steps"


def why_not() -> str:
    """Return why these tests cannot run here, "" where they can."""
    return why_no_namespace() if importlib.util.find_spec("ray") else "needs ray"


def apart(folder: Path, *words: str) -> dict[str, Any]:
    """Run this file where nobody else reaches Ray, which listens everywhere; return the result."""
    ended = run_apart([sys.executable, __file__, *words], folder, LIMIT_SECONDS)
    if ended.returncode:
        pytest.fail(f"{ended.stdout}\n{ended.stderr}")
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def run_and_lose_a_node(spec: Path, epochs: int) -> dict[str, Any]:
    """Run a grid on two nodes, of which one is killed once so many epochs are recorded."""
    from ray.cluster_utils import Cluster

    from runner.api.running import run

    light = {"include_dashboard": False, "include_log_monitor": False}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, **light})
    node = cluster.add_node(num_cpus=1, **light)
    os.environ["RAY_ADDRESS"] = cluster.address
    folder, notes = spec.parent, list[str]()

    def both_work() -> bool:
        with contextlib.suppress(Exception):  # there is no table yet
            return ask(folder, AT_WORK)[0][0] == 2 and ask(folder, EPOCHS)[0][0] >= epochs
        return False

    def kill() -> None:
        wait_for(both_work)
        cluster.remove_node(node, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    how = {"executor": "ray", "workers": 2, "threads": 1, "checkpoint_seconds": 0.0}
    summary = run([spec], db=folder / "results.db", listen=lambda _: Notes(notes), **how)
    killer.join()
    cluster.shutdown()
    return {"statuses": sorted(summary.statuses.values()), "notes": notes}


def run_and_kill_workers(spec: Path, number: int) -> dict[str, Any]:
    """Run a grid with one worker; kill so many of those that do the stage of the first."""
    from runner.api.running import run

    notes, at_work = list[str](), "SELECT stage_key, pid FROM claims JOIN stages USING (stage_key)"
    training, killed = at_work + " WHERE kind = 'train'", set[tuple[str, int]]()

    def another() -> set[tuple[str, int]]:
        with contextlib.suppress(Exception):
            found = {(key, pid) for key, pid in ask(spec.parent, training)}
            return {each for each in found - killed if not killed or each[0] in dict(killed)}
        return set()

    def kill() -> None:
        for _ in range(number):
            [each] = wait_for(another)
            killed.add(each)
            os.kill(each[1], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    how = {"executor": "ray", "workers": 1, "threads": 1, "checkpoint_seconds": 0.0}
    summary = run([spec], db=spec.parent / "results.db", listen=lambda _: Notes(notes), **how)
    killer.join()
    return {"statuses": sorted(summary.statuses.values()), "notes": notes}


def run_and_kill_who_does_several(spec: Path, number: int) -> dict[str, Any]:
    """Run a grid with one worker; kill it at so many trainings; see how many the next does."""
    from runner.api.running import run

    notes, most, is_over = list[str](), list[int](), threading.Event()
    query = "SELECT pid FROM claims JOIN stages USING (stage_key) WHERE kind = 'train'"

    def at_work() -> list[int]:
        with contextlib.suppress(Exception):
            return [pid for (pid,) in ask(spec.parent, query)]
        return []

    def kill() -> None:
        killed = wait_for(lambda: len(found := at_work()) == number and found)[0]
        os.kill(killed, signal.SIGKILL)
        while not is_over.wait(0.005):
            most.append(len([pid for pid in at_work() if pid != killed]))

    killer = threading.Thread(target=kill)
    killer.start()
    how = {"executor": "ray", "workers": 1, "threads": 1, "checkpoint_seconds": 0.0}
    try:
        summary = run([spec], db=spec.parent / "results.db", listen=lambda _: Notes(notes), **how)
    finally:
        is_over.set()
    killer.join()
    return {"statuses": sorted(summary.statuses.values()), "notes": notes, "most": max(most)}


def refused(spec: Path, **options: Any) -> dict[str, Any]:
    """Run a grid that a started cluster refuses; return the error."""
    from runner.api.running import run
    from runner.core.errors import RunnerError

    try:
        run([spec], db=spec.parent / "results.db", executor="ray", **options)
    except RunnerError as error:
        return {"error": str(error)}
    return {"error": ""}


def interrupted(spec: Path) -> dict[str, Any]:
    """Ask a command to stop once it has recorded epochs, as Ctrl-C does."""
    words = [sys.executable, "-m", "runner", "run", str(spec), "--db", "results.db"]
    command = subprocess.Popen(
        [*words, "--executor", "ray", "--workers", "1"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )

    def has_begun() -> bool:
        with contextlib.suppress(Exception):
            return ask(Path(), EPOCHS)[0][0] >= 2
        return command.poll() is not None

    wait_for(has_begun)
    os.killpg(command.pid, signal.SIGINT)  # a terminal sends it to all that belongs to a command
    _, said = command.communicate()
    return {"code": command.returncode, "said": said}


class Notes:
    """A listener that keeps notes; made here, since conftest is not on the path of this program."""

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes

    def on_note(self, note: str) -> None:
        self._notes.append(note)

    def __getattr__(self, name: str) -> Any:
        return lambda *values: None


def main(verb: str, *words: str) -> None:
    """Do what the words say, and print what came of it as the last line."""
    spec = Path.cwd() / "grid.yaml"
    if verb == "lose":
        found = run_and_lose_a_node(spec, int(words[0]))
    elif verb == "kill":
        found = run_and_kill_workers(spec, int(words[0]))
    elif verb == "kill together":
        found = run_and_kill_who_does_several(spec, int(words[0]))
    elif verb == "interrupt":
        found = interrupted(spec)
    else:
        found = refused(spec, **json.loads(words[0]))
    print("\n" + json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
