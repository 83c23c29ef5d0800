"""How far work has come, and whether a time has brought anything."""

import pytest

from runner.execute.standing import Standing

BEFORE = Standing(3, {"states/a-2": (2, 0), "checkpoints/b": (4, 10)})


@pytest.mark.parametrize(
    ("after", "is_further"),
    [
        (BEFORE, False),
        (Standing(4, {}), True),
        (Standing(3, {**BEFORE.states, "checkpoints/b": (4, 11)}), True),
        (Standing(3, {**BEFORE.states, "checkpoints/b": (5, 0)}), True),
        (Standing(3, {**BEFORE.states, "checkpoints/c": (0, 1)}), True),
        (Standing(3, {**BEFORE.states, "checkpoints/b": (4, 9)}), False),
        (Standing(3, {"checkpoints/b": (4, 10)}), False),
    ],
    ids=["equal", "a stage", "a step", "an epoch", "another training", "anew", "cleared"],
)
def test_it_is_behind_what_is_further_and_not_what_differs(
    after: Standing, is_further: bool
) -> None:
    """Two machines that cannot use each other's states begin a training anew, again and again."""
    assert BEFORE.is_behind(after) is is_further
