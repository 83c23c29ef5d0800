"""Waiting in tests: for what happens at last, however busy the machine is."""

import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 120.0
"""Seconds after which a test gives up; no test passes or fails by being faster than that."""


Found = TypeVar("Found")


def wait_for(condition: Callable[[], Found], pause: float = 0.005) -> Found:
    """Wait until a condition holds, asked again and again with a pause in seconds.

    Returns:
        What was found then: asked once more, it may be gone.
    """
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(pause)
    return found
