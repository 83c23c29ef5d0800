"""What tests plant at named moments of a run, and which names there are."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import runner
from runner.core import moments


@cache
def known_moments() -> dict[str, list[str]]:
    """Return the places where each moment is reached, by its name, as the sources say.

    Raises:
        AssertionError: where a name is not written out.
    """
    lines_by_moment: dict[str, list[str]] = {}
    root = Path(runner.__file__).parent
    for path in sorted(root.rglob("*.py")):
        text = path.read_text()
        if "reached(" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if is_call and node.func.id == "reached":
                line = f"{path.relative_to(root)}:{node.lineno}"
                (name,) = node.args
                assert isinstance(name, ast.Constant), line
                lines_by_moment.setdefault(name.value, []).append(line)
    return lines_by_moment


def check_moment(moment: str) -> None:
    """Refuse a name that no code reaches, so that a typing error never passes for a test."""
    assert moment in known_moments(), f"no code reaches {moment!r}"


@contextmanager
def at_moment(moment: str, do: Callable[[], object], call: int = 1) -> Iterator[None]:
    """Do something in this process when a moment is reached for the ``call``-th time.

    Raises:
        AssertionError: when it is not reached so often.
    """
    check_moment(moment)
    calls = 0

    def hook(name: str) -> None:
        nonlocal calls
        if name == moment:
            calls += 1
            if calls == call:
                do()

    before, moments.hook = moments.hook, hook
    try:
        yield
    finally:
        moments.hook = before
    assert calls >= call, f"{moment!r} was reached {calls} times, not {call}"


@contextmanager
def each_time(moment: str, do: Callable[[], object]) -> Iterator[None]:
    """Do something in this process each time that a moment is reached."""
    check_moment(moment)

    def hook(name: str) -> None:
        if name == moment:
            do()

    before, moments.hook = moments.hook, hook
    try:
        yield
    finally:
        moments.hook = before
