"""Slow work beside the server, in threads that do not keep the program from ending."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

Value = TypeVar("Value")


async def in_thread(made: Callable[..., Value], *values: object) -> Value:
    """Return what a function returns, or raise what it raises, without holding up the server.

    A thread that draws for half a minute is left behind when the server ends; one of a pool would
    be waited for.
    """
    loop = asyncio.get_running_loop()
    found: asyncio.Future[Value] = loop.create_future()

    def settle(value: Value | None, error: BaseException | None) -> None:
        if found.done():  # nobody waits for it any more
            return
        if error is None:
            found.set_result(value)  # type: ignore[arg-type]
        else:
            found.set_exception(error)

    def work() -> None:
        value, raised = None, None
        try:
            value = made(*values)
        except BaseException as error:
            raised = error
        with suppress(RuntimeError):  # the server has ended meanwhile
            loop.call_soon_threadsafe(settle, value, raised)

    threading.Thread(target=work, daemon=True).start()
    return await found
