"""Trainings by a step of the user's own: what it is given, and what becomes of it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from benches import Bench, plain_records, settings_of
from own_nets import PLAIN_STEP, SAM
from test_features import BLOCKS, FeaturesBench

from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.core.errors import StageFailed

pytestmark = pytest.mark.slow

SHRINKING = {"name": "multistep", "milestones": [2], "gamma": 0.5}


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "steps.py"


def trained(folder: Path, settings: Settings) -> Any:
    """Return what a training records, and the digests of what it leaves."""
    bench = Bench(folder, settings)
    bench.do("prepare")
    bench.do("train")
    return plain_records([*bench.records.values()]), bench.digests


def both(steps: Path, text: str, step: dict[str, Any], **others: Any) -> tuple[Any, Any]:
    """Return the same training by an own step and by the program's."""
    steps.write_text(text)
    train = others.pop("train", {})
    with allow_code(steps):
        own = settings_of(train={"step": step, **train}, **others)
        return (
            trained(steps.parent / f"own {step}", own),
            trained(steps.parent / f"plain {step}", settings_of(train=train, **others)),
        )


CONVNET = {"name": "convnet", "filters": [4], "batch_norm": True, "dropout": 0.3}


@pytest.mark.parametrize(
    "train",
    [
        {"schedule": SHRINKING, "clip_grad_norm": 0.1},
        {"precision": "bf16", "loss": {"name": "focal", "class_weights": [1.0, 2.0, 0.5]}},
        {"augment": {"steps": [{"name": "RandomHorizontalFlip"}]}, "optimizer": {"name": "adam"}},
    ],
)
def test_the_programs_own_step_written_out_trains_to_the_same_bytes(
    steps: Path, train: dict[str, Any]
) -> None:
    (own, own_left), (plain, left) = both(
        steps, PLAIN_STEP, {"name": "steps.py:Plain"}, model=CONVNET, train=train
    )
    assert own == plain
    assert sorted(own_left.values()) == sorted(left.values())


def test_a_step_with_two_passes_is_the_programs_where_they_are_the_same(steps: Path) -> None:
    clipped = {"clip_grad_norm": 0.5}
    (sam, _), (plain, _) = both(steps, SAM, {"name": "steps.py:Sam", "rho": 0.5}, train=clipped)
    assert [each[0] for each in sam] == [1, 2, 3]
    assert sam[0][2][0] == plain[0][2][0]  # the loss of the first step, before any update
    assert sam[0][2][1] != plain[0][2][1]
    (sam, _), (plain, _) = both(steps, SAM, {"name": "steps.py:Sam", "rho": 0.0}, train=clipped)
    assert sam == plain


GIVEN = """
import torch


class Given:
    def __call__(self, model, images, labels, loss, optimizer, generator):
        draws.append((torch.rand((), generator=generator).item(), torch.rand(()).item()))
        return loss(model(images), labels), model(images)

draws = []
torch.draws_of_a_test = draws
"""


def test_draws_are_keyed_by_epoch_and_step(steps: Path) -> None:
    steps.write_text(GIVEN)
    with allow_code(steps):
        settings = settings_of(train={"step": {"name": "steps.py:Given"}})
        trained(steps.parent / "one", settings)
        first = list(torch.draws_of_a_test)
        torch.draws_of_a_test.clear()
        trained(steps.parent / "two", settings)
    assert torch.draws_of_a_test == first
    assert len(first) == len(set(first)) == 9
    del torch.draws_of_a_test


def test_gradients_of_an_epoch_do_not_reach_into_the_next(steps: Path) -> None:
    """Let a step leave its gradients behind: a resumed training would not have them."""
    late = PLAIN_STEP.replace("        optimizer.zero_grad()\n", "").replace(
        "        optimizer.step()\n",
        "        optimizer.step()\n        SEEN.append(GRADS(model))\n",
    )
    head = (
        "import torch\nSEEN = []\ntorch.seen_of_a_test = SEEN\n"
        "GRADS = lambda model: sum(float(w.grad.abs().sum()) for w in model.parameters())\n"
    )
    steps.write_text(head + late)
    with allow_code(steps):
        settings = settings_of(
            train={"step": {"name": "steps.py:Plain"}, "optimizer": {"name": "sgd", "lr": 1e-30}}
        )
        trained(steps.parent / "one", settings)
    first, second, third = torch.seen_of_a_test[:3]
    assert first < second < third
    assert torch.seen_of_a_test[3] < third
    del torch.seen_of_a_test


@pytest.mark.parametrize(
    ("old", "new", "error", "told"),
    [
        ("return value, logits", "return value", OwnCodeFailed, "gives float32 .*, not a loss"),
        ("value = loss", "value = 1 / 0 * loss", StageFailed, r"steps\.py:\d+: ZeroDivisionError"),
    ],
)
def test_what_goes_wrong_at_work_names_the_code(
    steps: Path, old: str, new: str, error: type[Exception], told: str
) -> None:
    steps.write_text(PLAIN_STEP.replace(old, new))
    with allow_code(steps), pytest.raises(error, match=told):
        trained(steps.parent, settings_of(train={"step": {"name": "steps.py:Plain"}}))


@pytest.mark.slow
def test_behind_frozen_layers_a_step_sees_images_and_evaluations_take_features(
    steps: Path,
) -> None:
    steps.write_text(PLAIN_STEP)
    with allow_code(steps):
        own = settings_of(
            model=BLOCKS,
            train={"step": {"name": "steps.py:Plain"}},
            evaluate={"train_eval": "full"},
        )
        shared, plain = FeaturesBench(steps.parent / "a", own), Bench(steps.parent / "b", own)
        for bench in (shared, plain):
            bench.do("prepare")
        shared.do("features")
        for bench in (shared, plain):
            bench.do("train")
    one, other = ([*each.records.values()] for each in (shared, plain))
    assert [each.step_losses for each in one] == [each.step_losses for each in other]
    for mine, theirs in zip(one, other, strict=True):
        for metric, twin in zip(mine.metrics, theirs.metrics, strict=True):
            assert metric.value == pytest.approx(twin.value, rel=1e-4)
