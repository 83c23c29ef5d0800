"""Fuzzes names of own code in specs: nothing but a SpecError comes out, and no file is run.

    python tools/fuzz_code_names.py [--inputs 100000] [--seed 1]

Every other input is read without permission, the others with permission for a folder; the folder,
one beside it and one above it hold files that leave a mark when they are imported. Exits with 1
when anything but a SpecError was raised, or a file was run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from runner.components.own.permission import allow_code
from runner.core.errors import SpecError
from runner.spec.experiment import build_experiment
from runner.spec.nodes import to_node

PIECES = [
    *("nets", "Nets", ".py", ":", "::", "/", "//", "..", ".", "\\", "\0", "~", "W", "W()", "sub"),
    *("é", "\ud800", " ", "%2e", "\n", "\t", "*", "?", "con", "1", "_", "__init__", "-", "x" * 300),
    *("${HOME}", "$HOME", "'", '"', "timm", "mynets", "outside", "/etc/passwd", "file://", ";"),
]
SHARE_LIKE_NAMES = 0.7
"""Of the inputs, that end like a name of own code."""

RIGHT = ("nets.py:W", "sub/nets.py:W", "link.py:W", "outside/nets.py:W", "../nets.py:W")
SHARE_RIGHT = 0.05
"""Of the inputs, that name a file that is there, allowed or not."""

PLANTED = """\
from pathlib import Path
Path(r"{mark}").touch()
class W:
    def __init__(self, num_classes: int = 2, width: int = 3): ...
"""


def spec(place: str, name: str) -> dict[str, Any]:
    """Return a spec that has a name of code at a place."""
    made: dict[str, Any] = {
        "name": "fuzz",
        "data": {"dataset": "digits"},
        "model": {"name": "mlp"},
        "train": {"epochs": 1, "optimizer": {"name": "sgd"}},
    }
    if place == "data":
        made["data"] = {"dataset": name}
    elif place == "model":
        made["model"] = {"name": name}
    elif place == "metrics":
        made["metrics"] = {"mine": {"name": name}}
    elif place == "augment":
        made["train"]["augment"] = [{"name": name}]
    else:
        made["train"][place] = {"name": name}
    return made


PLACES = ("data", "model", "metrics", "augment", "loss", "optimizer", "step")


def name_of(random: Random) -> str:
    """Return a name, often nearly right."""
    if random.random() < SHARE_RIGHT:
        return random.choice(RIGHT)
    name = "".join(random.choice(PIECES) for _ in range(random.randint(1, 7)))
    if random.random() < SHARE_LIKE_NAMES:
        name += f".py:{random.choice(PIECES)}"
    return name


def plant(folder: Path, mark: Path) -> Path:
    """Write files that leave a mark when they are run; return the folder that is allowed."""
    allowed = folder / "allowed"
    for place in (folder, allowed, allowed / "sub", folder / "outside"):
        place.mkdir(exist_ok=True)
        for name in ("nets.py", "__init__.py", "sub.py"):
            (place / name).write_text(PLANTED.format(mark=mark), encoding="utf-8")
    (allowed / "link.py").symlink_to(folder / "outside" / "nets.py")
    return allowed


def fuzz(inputs: int, seed: int, folder: Path) -> Counter[str]:
    """Try names; return how many ended how.

    Raises:
        AssertionError: when something else than a SpecError came out, or a file was run.
    """
    mark, random, outcomes = folder / "was_run", Random(seed), Counter[str]()
    allowed = plant(folder, mark)
    for number in range(inputs):
        name, place = name_of(random), PLACES[number % len(PLACES)]
        is_allowed = bool(number & 1)
        try:
            if is_allowed:
                with allow_code(allowed):
                    build_experiment(to_node(spec(place, name)), folder / "fuzz.yaml")
            else:
                build_experiment(to_node(spec(place, name)), folder / "fuzz.yaml")
            outcome = "read"
        except SpecError:
            outcome = "SpecError"
        except Exception as error:
            traceback.print_exc()
            raise AssertionError(f"input {number}: {place} {name!r}: {error!r}") from error
        if outcome == "read" and not is_allowed and ".py:" in name:
            raise AssertionError(f"input {number}: {place} {name!r} was read without permission")
        if mark.exists():
            raise AssertionError(f"input {number}: {place} {name!r} was run")
        outcomes[outcome] += 1
    return outcomes


def main(arguments: list[str]) -> int:
    """Fuzz as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description="Fuzz names of own code in specs.")
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        before = Path.cwd()
        os.chdir(folder)
        try:
            outcomes = fuzz(asked.inputs, asked.seed, Path(folder))
        except AssertionError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            os.chdir(before)
    counts = ", ".join(f"{count} {what}" for what, count in outcomes.most_common())
    print(f"{asked.inputs} names: {counts}; {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
