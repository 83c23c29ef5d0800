"""The cursor of changes: what is another than before, and nothing else."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

pytest.importorskip("starlette")

from runner.page import changes
from runner.page.changes import Changes

NAME = ("e", "")


class FakeWatch:
    """A database of which a test says what it holds."""

    def __init__(self) -> None:
        self.held: dict[str, Any] = {"head": 1, "row": 1}
        self.moved = True
        self.readings = 0
        self.checks = 0
        self.to_check = 0
        self.forgotten: list[tuple[str, str]] = []

    def forget(self, name: tuple[str, str]) -> None:
        self.forgotten.append(name)

    def has_moved(self) -> bool:
        moved, self.moved = self.moved, False
        return moved

    def items(self, name: tuple[str, str]) -> dict[str, Any]:
        self.readings += 1
        return dict(self.held)

    def first_items(self, name: tuple[str, str]) -> dict[str, Any]:
        return self.items(name)

    def is_whole(self, name: tuple[str, str]) -> bool:
        return self.readings > 1

    def is_settled(self, name: tuple[str, str]) -> bool:
        return self.is_whole(name) and not self.to_check

    def check(self, name: tuple[str, str]) -> None:
        self.checks += 1
        self.to_check -= 1


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> FakeWatch:
    monkeypatch.setattr(changes, "REST", 0.0)
    return FakeWatch()


def ask(made: Changes, cursor: str = "") -> dict[str, Any]:
    return dict(json.loads(made.after(NAME, cursor)))


def test_only_what_changed_is_sent(watch: FakeWatch) -> None:
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    first = ask(made)
    assert first["whole"]
    assert first["items"] == {"head": 1, "row": 1}
    watch.held["row"], watch.moved = 2, True
    second = ask(made, first["cursor"])
    assert not second["whole"]
    assert second["items"] == {"row": 2}
    assert ask(made, second["cursor"])["items"] == {}


def test_what_is_gone_is_named_until_it_is_back(watch: FakeWatch) -> None:
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    first = ask(made)
    del watch.held["row"]
    watch.moved = True
    second = ask(made, first["cursor"])
    assert second["gone"] == ["row"]
    watch.held["row"], watch.moved = 1, True
    assert ask(made, second["cursor"])["items"] == {"row": 1}
    third = ask(made, first["cursor"])
    assert (third["gone"], third["items"]) == ([], {"row": 1})


def test_without_a_commit_nothing_is_read(watch: FakeWatch) -> None:
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    cursor = ask(made)["cursor"]
    for _ in range(3):  # the first reading is of a part
        assert not made.has_news(NAME, cursor)
    assert watch.readings == 2
    watch.moved = True
    assert not made.has_news(NAME, cursor)
    assert watch.readings == 3


@pytest.mark.parametrize("cursor", ["other.1", "nonsense", "1", ".", "\u00b2.\u00b2"])
def test_a_cursor_of_another_server_gets_everything(watch: FakeWatch, cursor: str) -> None:
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    ask(made)
    assert made.has_news(NAME, cursor)
    assert ask(made, cursor)["whole"]


def test_after_a_slow_reading_there_is_a_rest(
    watch: FakeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "REST", 1000.0)
    clock = map(float, range(100))
    monkeypatch.setattr("runner.page.changes.time.monotonic", lambda: next(clock))
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    for reading in (1, 2, 3, 3):  # what is read once is followed by no rest
        watch.moved = True
        ask(made, "x.1")
        assert watch.readings == reading


def test_checks_and_commits_wait_for_each_other_in_turns(watch: FakeWatch) -> None:
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    watch.to_check = 3
    done = []
    for moved in (False, False, False, True, True, True, True, True, False):
        watch.moved = moved
        ask(made)
        done.append((watch.readings, watch.checks))
    both = [(1, 0), (2, 0), (2, 1), (3, 1), (3, 2), (4, 2), (4, 3), (5, 3), (5, 3)]
    assert done == both


def test_what_is_seen_first_is_sent_before_all_else(watch: FakeWatch) -> None:
    watch.first_items = lambda name: {"row": 1}  # type: ignore[method-assign]
    settled = iter([False, True])
    watch.is_settled = lambda name: next(settled)  # type: ignore[method-assign]
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    first = ask(made)
    assert first["items"] == {"row": 1}
    assert made.has_news(NAME, first["cursor"])
    assert ask(made, first["cursor"])["items"] == {"head": 1}


def test_what_nobody_looks_at_is_forgotten_and_then_sent_whole(
    watch: FakeWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("runner.page.changes.time.monotonic", lambda: now)
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    cursor = ask(made)["cursor"]
    now = changes.FORGET_SECONDS + 1
    made.after(("other", ""), "")
    assert watch.forgotten == [NAME]
    again = ask(made, cursor)
    assert again["whole"]
    assert again["items"] == {"head": 1, "row": 1}


def test_a_cursor_from_before_another_database_gets_everything(watch: FakeWatch) -> None:
    made = Changes(watch, threading.Lock())  # type: ignore[arg-type]
    cursor = ask(made)["cursor"]
    watch.held = {"other": 1}
    made.forget()
    again = ask(made, cursor)
    assert again["whole"]
    assert again["items"] == {"other": 1}
