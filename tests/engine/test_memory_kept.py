"""Freed memory stays with the process: a later epoch takes no new page from the system."""

import gc
import resource
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from benches import SYNTHETIC, Bench, settings_of
from torch import Tensor, nn

from runner.engine import memory
from runner.engine.context import Progress
from runner.engine.network.build import Network
from runner.engine.stages import train as stage
from runner.engine.training import loop

glibc = pytest.mark.skipif(memory._glibc() is None, reason="no glibc here")

CONVNET = {"name": "convnet", "filters": [16]}
DATA = {**SYNTHETIC, "images": 400, "height": 32, "width": 32}


def faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


@pytest.mark.slow
@glibc
def test_a_later_epoch_takes_at_most_a_thousand_pages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.engine.training.loop.POLL_SECONDS", 0.0)
    starts: dict[int, int] = {}

    def on_progress(progress: Progress) -> None:
        if progress.epoch:
            starts.setdefault(progress.epoch, faults())

    settings = settings_of({"epochs": 6, "batch_size": 64}, CONVNET, DATA)
    Bench(tmp_path, settings, options={"on_progress": on_progress}).train()
    # the first epochs take what is kept from then on, also beside what other tests have left
    assert min(starts[epoch] - starts[epoch - 1] for epoch in (4, 5, 6)) <= 1000


@glibc
def test_the_end_of_a_stage_gives_memory_back() -> None:
    code = (
        "import gc, resource\n"
        "from runner.engine.memory import keep_freed_memory, return_freed_memory\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()\n"
        "keep_freed_memory()\n"
        "before = resident()\n"
        "block = bytearray(64 << 20)\n"
        "block[::4096] = b'1' * (len(block) // 4096)\n"
        "del block\n"
        "assert resident() - before > 60 << 20\n"
        "return_freed_memory()\n"
        "assert resident() - before < 8 << 20, resident() - before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_nothing_is_done_where_there_is_no_glibc(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    memory._glibc.cache_clear()
    try:
        assert memory._glibc() is None
        memory.keep_freed_memory()
        memory.return_freed_memory()
    finally:
        memory._glibc.cache_clear()


def test_weights_that_are_no_longer_the_best_are_gone_before_others_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies: list[weakref.ref[Tensor]] = []
    alive: list[int] = []
    real = loop.copy_state

    def copy_state(network: Network) -> dict[str, Tensor]:
        alive.append(sum(copy() is not None for copy in copies))
        found = real(network)
        copies.append(weakref.ref(next(iter(found.values()))))
        return found

    monkeypatch.setattr(loop, "copy_state", copy_state)
    settings = settings_of({"epochs": 4, "best": {"monitor": "last"}})
    Bench(tmp_path, settings).train()
    assert alive == [0, 0, 0, 0]


SQUEEZED = {"name": "squeezenet1_1", "weights": None, "cut": "features.3"}


@pytest.mark.parametrize(
    "model",
    [
        {**CONVNET, "freeze": "none"},
        {**CONVNET, "freeze": "features"},
        pytest.param({**SQUEEZED, "freeze": "none"}, marks=pytest.mark.slow),
        pytest.param({**SQUEEZED, "freeze": ["features.0"]}, marks=pytest.mark.slow),
    ],
)
def test_the_network_of_a_stage_is_gone_when_the_stage_has_ended(
    model: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing refers to itself: not even a traced network waits for the collector of garbage."""
    built: list[weakref.ref[nn.Module]] = []
    real = stage.network_for

    def network_for(*args: Any, **values: Any) -> Network:
        network = real(*args, **values)
        network.split()
        built.append(weakref.ref(network.module))
        return network

    monkeypatch.setattr(stage, "network_for", network_for)
    bench = Bench(tmp_path, settings_of(model=model, data={**SYNTHETIC, "height": 64, "width": 64}))
    bench.do("prepare")
    gc.disable()
    try:
        bench.do("train")
        assert [network() for network in built] == [None]
    finally:
        gc.enable()
