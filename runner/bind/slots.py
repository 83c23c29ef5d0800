"""Which workers a request starts: how many, and on which device each."""

from __future__ import annotations

from itertools import cycle, islice

from runner.bind.request import Request

AUTO = (None, "auto")


def first_device(request: Request) -> str | None:
    """Return the device by which a request is planned: all of its devices are of one kind."""
    return request.devices[0] if request.devices else None


def slots(request: Request) -> tuple[str | None, ...]:
    """Return the device of each worker, spread over those that were named.

    Where none is named they are all CUDA GPUs, or the CPU. Looks for them, which takes torch.
    """
    devices = request.devices or (None,)
    if all(name in AUTO for name in devices):
        from runner.engine.device import gpus

        devices = gpus() or ("cpu",)
    return tuple(islice(cycle(devices), request.num_workers))


def cores_of_each(request: Request) -> int | None:
    """Return the most CPU threads of each worker; None for all of the machine."""
    if request.threads is not None or request.num_workers == 1:
        return request.threads
    from runner.engine.numerics import available_cores

    return max(1, available_cores() // request.num_workers)
