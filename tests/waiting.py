"""Waiting in tests: for what happens at last, however busy the machine is."""

import time
from collections.abc import Callable

PATIENCE = 120.0
"""Seconds after which a test gives up; no test passes or fails by being faster than that."""


def wait_for(condition: Callable[[], object], pause: float = 0.005) -> None:
    """Wait until a condition holds, asked again and again with a pause in seconds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(pause)
