"""Work in threads that nobody waits for at the end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from waiting import PATIENCE

from runner.page.threads import in_thread

Value = TypeVar("Value")


def run(asked: Coroutine[Any, Any, Value]) -> Value:
    """Run it in a thread of its own: in that of the tests, a browser may have its loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, asked).result()


def test_in_thread_returns_and_raises_what_the_function_does() -> None:
    assert run(in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        run(in_thread(divmod, 7, 0))


def test_in_thread_is_not_waited_for_when_its_asker_is_cancelled() -> None:
    release, ended = threading.Event(), threading.Event()

    def slow() -> None:
        release.wait(PATIENCE)
        ended.set()

    async def asked() -> None:
        await asyncio.wait_for(in_thread(slow), 0.05)

    with pytest.raises(TimeoutError):
        run(asked())
    assert not ended.is_set()
    release.set()
    assert ended.wait(PATIENCE)
