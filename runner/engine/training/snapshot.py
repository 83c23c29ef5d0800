"""The tensors of a training at one moment, to be written while it goes on.

Owns what is copied, and where to: tensors that a training changes are copied on their device, so
that it does not wait for a slower one; what it never changes, the weights that readers keep, is
not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return copies of tensors that change later, on their device where they fit there."""
    try:
        return {name: tensor.detach().clone() for name, tensor in tensors.items()}
    except torch.OutOfMemoryError:  # of a GPU: training must not fail for a checkpoint
        return on_host(tensors)


def on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors that do not change any more without a hold on a GPU's memory."""
    return {
        name: tensor.detach() if tensor.is_cpu else tensor.detach().cpu()
        for name, tensor in tensors.items()
    }


def moment_on(device: torch.device) -> torch.cuda.Event | None:
    """Return the moment at which all that a GPU has been asked for so far is done, None without."""
    if device.type != "cuda":
        return None
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(device))
    return event


@contextmanager
def read_beside(device: torch.device, moment: torch.cuda.Event | None) -> Iterator[None]:
    """Within the block, copies to the host wait for a moment, and no step of a training for them.

    Args:
        device: where the tensors are.
        moment: when they have their values, of :func:`moment_on`.
    """
    if moment is None:
        yield
        return
    stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    stream.wait_event(moment)
    with torch.cuda.stream(stream):
        yield
