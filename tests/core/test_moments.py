"""Named moments: each name stands once, and nothing but a test in its own process plants there."""

import re
from pathlib import Path

import pytest
from planted import at_moment, check_moment, known_moments

import runner
from runner.core import moments

TESTS = Path(__file__).parent.parent


def test_moments_are_reached_in_one_place_each() -> None:
    assert known_moments()
    assert {name: lines for name, lines in known_moments().items() if len(lines) > 1} == {}


def test_moments_are_each_used_by_a_test() -> None:
    texts = "".join(path.read_text() for path in TESTS.rglob("*.py"))
    assert [name for name in known_moments() if f'"{name}"' not in texts] == []


def test_name_of_no_moment_is_refused() -> None:
    with pytest.raises(AssertionError, match="no code reaches 'epoch train'"):
        check_moment("epoch train")


def test_moment_that_is_not_reached_fails_the_test() -> None:
    def wait_in_vain() -> None:
        with at_moment("epoch trained", lambda: None):
            pass

    with pytest.raises(AssertionError, match="reached 0 times"):
        wait_in_vain()


def test_planted_action_is_done_at_its_call_and_gone_afterwards() -> None:
    done: list[str] = []
    with at_moment("epoch trained", lambda: done.append("second"), call=2):
        moments.reached("epoch begins")
        moments.reached("epoch trained")
        assert done == []
        moments.reached("epoch trained")
    moments.reached("epoch trained")
    assert done == ["second"]
    assert moments.hook is None


def test_hook_is_set_by_moments_only() -> None:
    """No setting, variable or file leads to it."""
    root = Path(runner.__file__).parent
    setting = re.compile(r"moments\.hook|import hook|moments import \*|global hook")
    found = [path.name for path in root.rglob("*.py") if setting.search(path.read_text())]
    assert found == []
