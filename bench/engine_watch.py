"""A `runner run` in this process, with its time split up from outside: no timer in the program.

    python bench/engine_watch.py ANSWER BEGAN DEVICE -- run SPEC …

Wraps functions of the program by name and stands at its named moments. Time counts for the
innermost wrapped function of the main thread; what another thread writes meanwhile is counted
apart. ANSWER is a JSON file; BEGAN is when the process was started, by the monotonic clock.
"""

from __future__ import annotations

import builtins
import importlib
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial, wraps
from pathlib import Path
from typing import Any

from measuring import page_faults, peak_mib, wait_passively

MAIN = threading.main_thread()
BATCH, STEP, OPTIMIZER = "batch and augmentation", "forward and backward", "optimizer"
STARTUP, PREPARATION, EVALUATION = "start-up", "preparation", "evaluation"
RECORDING, WRITING, WAITING, OTHER = "recording", "writing", "waiting", "all else"
PARTS = (STARTUP, PREPARATION, BATCH, STEP, OPTIMIZER, EVALUATION, RECORDING, WRITING, WAITING)
ASIDE = "written beside it"

WRAPPED: dict[str, tuple[str, ...]] = {
    PREPARATION: (
        "runner.artifacts.hashes:HashCache.hash_files",
        "runner.engine.data.pixels:prepare",
        "runner.engine.data.pixels:open_images",
        "runner.engine.stages.features:features_stage",
    ),
    STEP: ("runner.engine.training.step:TrainingStep.__call__",),
    EVALUATION: ("runner.engine.stages.evaluate:evaluate",),
    RECORDING: (
        "runner.bind.planned_records:record_wanted",
        "runner.store.claims:claim_stage",
        "runner.store.recorder:record_epochs",
        "runner.store.recorder:record_ranges",
        "runner.store.recorder:end_attempt",
    ),
    WRITING: (
        "runner.engine.training.checkpoint:save_checkpoint",
        "runner.engine.training.checkpoint:save_weights",
    ),
}
"""What counts for a part, by module and name."""

BATCHES = "runner.engine.data.samples:Samples.training_batches"
OPTIMIZERS = tuple(
    f"runner.components.optimizers:{name}.build" for name in ("SGD", "Adam", "AdamW")
)


class Split:
    """Seconds by part, of the main thread; of others, what they write."""

    def __init__(self, began: float, synchronize: Callable[[], None]) -> None:
        self.seconds = dict.fromkeys((*PARTS, OTHER, ASIDE), 0.0)
        self._stack, self._last = [STARTUP], began
        self._synchronize = synchronize

    def enter(self, part: str) -> None:
        """Count for a part from now on."""
        self._count()
        self._stack.append(part)

    def leave(self) -> None:
        """Count again for what was interrupted."""
        self._count()
        self._stack.pop()

    def begin(self) -> None:
        """End the start-up, but for imports that come later."""
        self._count()
        self._stack = [OTHER]

    def end(self) -> dict[str, float]:
        """Return the seconds of each part."""
        self._count()
        return self.seconds

    def _count(self) -> None:
        self._synchronize()
        now = time.monotonic()
        self.seconds[self._stack[-1]] += now - self._last
        self._last = now

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, counting for a part."""

        @wraps(function)
        def counted(*values: Any, **named: Any) -> Any:
            if threading.current_thread() is not MAIN:
                started = time.monotonic()
                try:
                    return function(*values, **named)
                finally:
                    if part == WRITING:
                        self.seconds[ASIDE] += time.monotonic() - started
            self.enter(part)
            try:
                return function(*values, **named)
            finally:
                self.leave()

        return counted

    def batches(self, function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        """Return the function, whose batches count when they are taken."""

        def counted(*values: Any, **named: Any) -> Iterator[Any]:
            take = self.timed(BATCH, iter(function(*values, **named)).__next__)
            while True:
                try:
                    batch = take()
                except StopIteration:
                    return
                yield batch

        return counted

    def optimizer(self, build: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, whose optimizer counts by itself."""

        def counted(*values: Any, **named: Any) -> Any:
            made = build(*values, **named)
            for name in ("step", "zero_grad"):
                setattr(made, name, self.timed(OPTIMIZER, getattr(made, name)))
            return made

        return counted


class Moments:
    """What is read off at the program's named moments."""

    def __init__(self) -> None:
        self.faults: list[int] = []
        self.found: dict[str, Any] = {}
        self._before = 0

    def __call__(self, moment: str) -> None:
        """Hear of a moment."""
        if moment == "epoch begins":
            if "first_step_cpu" not in self.found:
                self.found["first_step_cpu"] = time.process_time()
            self._before = page_faults()
        elif moment == "epoch trained":
            self.faults.append(page_faults() - self._before)
            loaded = [name for name in ("torch._dynamo", "sklearn") if name in sys.modules]
            self.found.setdefault("modules", loaded)


def replace(where: str, change: Callable[[Any], Any]) -> None:
    """Put something in the place of a function, wherever it has been imported.

    Raises:
        AttributeError: when the program has no such function: this file must follow.
    """
    module, _, names = where.partition(":")
    *owners, name = names.split(".")
    owner: Any = importlib.import_module(module)
    for each in owners:
        owner = getattr(owner, each)
    before = getattr(owner, name)
    after = change(before)
    setattr(owner, name, after)
    if owners:
        return
    for other in [*sys.modules.values()]:
        if getattr(other, "__name__", "").startswith("runner") and (
            getattr(other, name, None) is before
        ):
            setattr(other, name, after)


def plant(split: Split) -> None:
    """Wrap everything that is counted."""
    builtins.__import__ = split.timed(STARTUP, builtins.__import__)
    for part, places in WRAPPED.items():
        for where in places:
            replace(where, partial(split.timed, part))
    replace(BATCHES, split.batches)
    for where in OPTIMIZERS:
        replace(where, split.optimizer)
    time.sleep = split.timed(WAITING, time.sleep)
    threading.Event.wait = split.timed(WAITING, threading.Event.wait)  # type: ignore[method-assign]
    Future.result = split.timed(WAITING, Future.result)  # type: ignore[method-assign]


def main() -> None:
    """Run the command, and write what was found."""
    answer, began, device = sys.argv[1:4]
    wait_passively()
    split = Split(float(began), _synchronizer(device))
    moments = Moments()
    from runner.__main__ import main as run
    from runner.core import moments as named

    plant(split)
    named.hook = moments
    split.begin()
    sys.argv = ["runner", *sys.argv[5:]]
    try:
        run()
    except SystemExit as ended:
        if ended.code:
            raise
    found = {
        "seconds": split.end(),
        "faults": moments.faults,
        "mib": peak_mib(),
        "cpu": time.process_time(),
        **moments.found,
    }
    Path(answer).write_text(json.dumps(found))


def _synchronizer(device: str) -> Callable[[], None]:
    """Return what waits for the device, so that its work counts where it was asked for."""
    if device == "cpu":
        return lambda: None

    def wait() -> None:
        torch = sys.modules.get("torch")
        if torch is not None and torch.cuda.is_initialized():
            torch.cuda.synchronize()

    return wait


if __name__ == "__main__":
    main()
