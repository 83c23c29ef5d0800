"""The bench of the engine: both of its sides give the same numbers, and it finds out a bare loop
that does less."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

BENCH = Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.append(str(BENCH))

from bare_loop import BareLoop  # noqa: E402
from engine_pairs import Sides, compare, make_sides, measure  # noqa: E402
from measuring import BenchFailed  # noqa: E402

SPEC = {
    "name": "tiny",
    "data": {
        "dataset": "synthetic",
        "classes": 3,
        "images": 60,
        "height": 8,
        "width": 8,
        "validation": 0.25,
        "test": 0,
    },
    "model": {"name": "convnet", "filters": [4], "batch_norm": True, "dropout": 0.3},
    "train": {"batch_size": 12, "optimizer": {"name": "adam", "lr": 0.01}},
    "evaluate": {"train_eval": "full", "test": "never"},
}
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    spec = tmp_path / "tiny.yaml"
    spec.write_text(json.dumps(SPEC))
    return make_sides(spec, None, CPU)


def test_both_sides_give_the_same_numbers(sides: Sides) -> None:
    first = sides.engine.epoch()
    compare("tiny", 1, first, sides.bare.epoch())
    assert len(first.losses) == 4
    names = {f"{split}_{name}" for split in ("train", "train_eval", "val") for name in NAMES}
    assert first.metrics.keys() == names
    second = sides.engine.epoch()
    assert second.losses != first.losses
    compare("tiny", 2, second, sides.bare.epoch())
    sides.compare_best()


NAMES = ("loss", "accuracy")


def test_sgd_without_dropout_likewise(tmp_path: Path) -> None:
    spec = tmp_path / "tiny.yaml"
    model = {"name": "mlp", "hidden": [6]}
    optimizer = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
    train = {"batch_size": 12, "drop_last": True, "optimizer": optimizer}
    spec.write_text(json.dumps({**SPEC, "model": model, "train": train}))
    sides = make_sides(spec, None, CPU)
    for _ in range(3):
        sides.pair(1, engine_first=True)
    assert sides.epochs == 3
    assert sides.steps == 9
    sides.compare_best()


def test_a_loop_that_skips_a_seed_is_found_out(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BareLoop, "_seed", lambda self, seed: None)
    with pytest.raises(BenchFailed, match=r"tiny: epoch 1, step 1: loss [\d.]+ of the engine"):
        sides.pair(1, engine_first=True)


def test_a_loop_that_does_not_update_at_one_step_is_found_out(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, taken = BareLoop.step, []

    def step(
        self: BareLoop, inputs: Tensor, labels: Tensor, kept: list[Tensor], scores: list[Tensor]
    ) -> None:
        taken.append(len(labels))
        before = {name: each.clone() for name, each in self._network.state_dict().items()}
        whole(self, inputs, labels, kept, scores)
        if len(taken) == 2:
            self._network.load_state_dict(before)

    monkeypatch.setattr(BareLoop, "step", step)
    with pytest.raises(BenchFailed, match="tiny: epoch 1, step 3: loss"):
        sides.pair(1, engine_first=False)


def test_a_side_that_evaluates_less_is_found_out(sides: Sides) -> None:
    one, other = sides.engine.epoch(), sides.bare.epoch()
    del other.metrics["val_loss"]
    with pytest.raises(BenchFailed, match="one side alone has val_loss"):
        compare("tiny", 1, one, other)


def test_weights_of_the_best_epoch_are_compared(sides: Sides) -> None:
    sides.pair(1, engine_first=True)
    epoch, kept = sides.bare.best
    name = next(iter(kept))
    sides.bare.best = epoch, {**kept, name: kept[name] + 1}
    with pytest.raises(BenchFailed, match=f"the kept weights {name} differ"):
        sides.compare_best()


@pytest.mark.slow
def test_pairs_are_measured(sides: Sides) -> None:
    found = measure(sides, 2)
    assert len(found) == 2
    assert all(each.steps and each.engine.cpu > 0 and each.bare.cpu > 0 for each in found)
