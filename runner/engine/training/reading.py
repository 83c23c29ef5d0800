"""Numbers on their way from a device to the host, where other work goes on meanwhile.

From CUDA the copy is asynchronous, into pinned memory; from elsewhere the numbers are there at
once. Knows neither losses nor measures.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from runner.engine.tally import on_host, packed, unpacked


class Reading:
    """Lists of tensors, copied to the host as one."""

    def __init__(self, lists: Sequence[Sequence[Tensor]]) -> None:
        """Begin to copy; does not wait for a GPU.

        Args:
            lists: at least one tensor, all on one device.
        """
        self._lists = lists
        self._found: list[list[Tensor]] | None = None
        kind = next(each.device.type for some in lists for each in some)
        if kind == "cuda":
            data = packed(lists)
            self._data = torch.empty(data.shape, dtype=data.dtype, pin_memory=True)
            self._data.copy_(data, non_blocking=True)
            self._copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._copied.record()
        else:
            self._found = [list(some) for some in lists] if kind == "cpu" else on_host(lists)

    def is_there(self) -> bool:
        """Return whether the numbers have arrived; does not wait."""
        if self._found is not None:
            return True
        return bool(self._copied.query())  # type: ignore[no-untyped-call]

    def lists(self) -> list[list[Tensor]]:
        """Return the tensors on the host; waits for them."""
        if self._found is None:
            self._copied.synchronize()
            self._found = unpacked(self._data, self._lists)
        return self._found
