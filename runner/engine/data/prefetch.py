"""Rows of memory on their way to a GPU, a little ahead of their use.

A thread picks the rows of a batch into pinned memory, from where a stream of its own copies them
while the device computes. Owns order, errors, the end of the thread and when a buffer may be used
again. Knows neither pixels nor features nor what a batch becomes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

AHEAD = 2
"""The most batches that are picked and not yet used."""

Item = TypeVar("Item")
Made = TypeVar("Made")


def picked_rows(stored: Tensor, parts: Iterable[Tensor], device: torch.device) -> Generator[Tensor]:
    """Yield the rows of each batch on the device; ahead of their use where they go to a GPU.

    Args:
        stored: all rows (N, W).
        parts: the indices of each batch (B,) int64, where the rows are stored.
        device: where they are used.
    """
    if stored.device.type == "cpu" and device.type == "cuda":
        return sent_ahead(stored, parts, CudaLink(device))
    return (stored.index_select(0, indices).to(device) for indices in parts)


class Link(Protocol):
    """How rows get to a device."""

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return memory of the host that the device can read by itself."""

    def send(self, rows: Tensor) -> tuple[Tensor, Any]:
        """Begin to copy rows of pinned memory; return them on the device, and what says when."""

    def wait(self, sent: Any) -> None:
        """Wait until they are copied: only then may the pinned memory be written again."""

    def receive(self, rows: Tensor, sent: Any) -> Tensor:
        """Return the rows for use: what the device is asked from here on comes after the copy."""


class CudaLink:
    """A stream of its own from pinned memory to a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return pinned memory."""
        return torch.empty(shape, dtype=dtype, pin_memory=True)

    def send(self, rows: Tensor) -> tuple[Tensor, torch.cuda.Event]:
        """Begin to copy rows on the stream."""
        with torch.cuda.stream(self._stream):
            copy = rows.to(self._device, non_blocking=True)
            sent = torch.cuda.Event()  # type: ignore[no-untyped-call]
            sent.record(self._stream)
        return copy, sent

    def wait(self, sent: torch.cuda.Event) -> None:
        """Wait for the copy."""
        sent.synchronize()

    def receive(self, rows: Tensor, sent: torch.cuda.Event) -> Tensor:
        """Let the stream that computes wait for the copy, and keep the rows until it is done."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(sent)
        rows.record_stream(stream)  # else the memory could be given to the next copy too soon
        return rows


def sent_ahead(stored: Tensor, parts: Iterable[Tensor], link: Link) -> Generator[Tensor]:
    """Yield the rows of each batch in order, picked and sent by a thread; see :func:`ahead`."""
    buffers: list[tuple[Tensor, Any] | None] = [None] * (AHEAD + 1)

    def send(numbered: tuple[int, Tensor]) -> tuple[Tensor, Any]:
        number, indices = numbered
        place = number % len(buffers)
        before = buffers[place]
        if before is not None:
            link.wait(before[1])
        if before is None or len(before[0]) < len(indices):
            memory = link.pinned((len(indices), *stored.shape[1:]), stored.dtype)
        else:
            memory = before[0]
        rows = memory[: len(indices)]
        torch.index_select(stored, 0, indices, out=rows)
        copy, sent = link.send(rows)
        buffers[place] = memory, sent
        return copy, sent

    with closing(ahead(enumerate(parts), send)) as batches:
        for copy, sent in batches:
            yield link.receive(copy, sent)


@dataclass(frozen=True, slots=True)
class _Made(Generic[Made]):
    thing: Made


@dataclass(frozen=True, slots=True)
class _Ended:
    error: BaseException | None


def ahead(
    items: Iterable[Item], make: Callable[[Item], Made], most: int = AHEAD
) -> Generator[Made]:
    """Yield what is made of each item, in order, made by a thread before it is asked for.

    What making raises is raised here, in the place of what was to be made. The thread has ended
    when this is exhausted, has raised or is closed.

    Args:
        items: taken by the thread.
        make: called by the thread.
        most: how many things are made and not yet yielded, at most.
    """
    made: SimpleQueue[_Made[Made] | _Ended] = SimpleQueue()
    room, stopped = threading.Semaphore(most), threading.Event()

    def work() -> None:
        try:
            for item in items:
                room.acquire()
                if stopped.is_set():
                    return
                made.put(_Made(make(item)))
        except BaseException as error:
            made.put(_Ended(error))
        else:
            made.put(_Ended(None))

    thread = threading.Thread(target=work, name="batches ahead", daemon=True)
    thread.start()
    try:
        while True:
            batch = made.get()
            if isinstance(batch, _Ended):
                if batch.error is not None:
                    raise batch.error
                return
            room.release()
            yield batch.thing
    finally:
        stopped.set()
        room.release()
        thread.join()
