"""What a training that is stopped leaves for others, where machines share artifacts."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from grids import ask
from stage_log import Log

from runner.api.running import run
from runner.artifacts import uploads
from runner.artifacts.places import FolderPlace
from runner.core.errors import Interrupted

SMALL = """\
name: small
data: {dataset: digits, validation: 0.25, test: 0.2}
model: {name: mlp, hidden: [8]}
train: {epochs: 3, batch_size: 256, optimizer: {name: sgd, lr: 0.1}}
"""
STEPS = 5
"""Of an epoch."""
SECONDS = 20
"""After which a test that waits in vain fails."""


def stopped_after(folder: Path, steps: int, store: Path) -> Log:
    """Run the spec until its training has taken so many steps; return what was said."""
    log, asked = Log(), 0

    def should_stop() -> bool:
        nonlocal asked
        asked += any(stage.kind == "train" for stage in log.began)
        return asked > steps

    options = {"db": folder / "results.db", "artifacts": str(store), "checkpoint_seconds": 0.0}
    spec = folder / "small.yaml"
    spec.write_text(SMALL)
    with pytest.raises(Interrupted):
        run(spec, listen=lambda planned: log, threads=1, should_stop=should_stop, **options)
    return log


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


def checkpoints(store: Path) -> list[str]:
    return sorted(each.name for each in (store / "checkpoints").glob("*/*.json"))


@pytest.fixture
def on_checkpoint(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Returns what does something whenever tensors of a checkpoint are put."""
    put = FolderPlace.put

    def plant(do: Callable[[], object]) -> None:
        def slowly(place: FolderPlace, path: Path, name: str) -> None:
            if name.startswith("checkpoints") and name.endswith("safetensors"):
                do()
            put(place, path, name)

        monkeypatch.setattr(FolderPlace, "put", slowly)

    return plant


def test_its_checkpoint_is_there_before_its_claim_is_given_back(
    store: Path, tmp_path: Path, on_checkpoint: Callable[[Callable[[], object]], None]
) -> None:
    claims: list[int] = []
    at_work = "SELECT count(*) FROM claims"
    on_checkpoint(lambda: claims.append(ask(tmp_path, at_work)[0][0]))
    stopped_after(tmp_path, STEPS, store)
    assert claims
    assert set(claims) == {1}
    assert len(checkpoints(store)) == 1


def test_a_store_that_hangs_is_left_and_that_is_said(
    store: Path,
    tmp_path: Path,
    on_checkpoint: Callable[[Callable[[], object]], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    may_go_on = threading.Event()
    on_checkpoint(lambda: may_go_on.wait(SECONDS))
    monkeypatch.setattr(uploads.Uploads.hurry, "__defaults__", (0.05,))
    log = stopped_after(tmp_path, STEPS, store)
    may_go_on.set()
    late = f"no time was left to put everything to {store}: what is not there lies in .runner/"
    assert log.notes == [late]
    assert checkpoints(store) == []
    assert ask(tmp_path, "SELECT count(*) FROM claims") == [(0,)]
