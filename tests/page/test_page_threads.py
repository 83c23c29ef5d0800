"""Work in threads that nobody waits for at the end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from runner.page.threads import in_thread


def test_in_thread_returns_and_raises_what_the_function_does() -> None:
    assert asyncio.run(in_thread(divmod, 7, 2)) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        asyncio.run(in_thread(divmod, 7, 0))


def test_in_thread_is_not_waited_for_when_its_asker_is_cancelled() -> None:
    release, ended = threading.Event(), threading.Event()

    def slow() -> None:
        release.wait(10)
        ended.set()

    async def asked() -> None:
        await asyncio.wait_for(in_thread(slow), 0.05)

    with pytest.raises(TimeoutError):
        asyncio.run(asked())
    assert not ended.is_set()
    release.set()
    assert ended.wait(10)
