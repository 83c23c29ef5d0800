"""What the program relies on is tried with an own training step, and what does not hold is told."""

from pathlib import Path
from typing import Any

import pytest
from own_nets import PLAIN_STEP, SAM

from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings
from runner.engine.own_step_probe import try_training_step

pytestmark = pytest.mark.slow

HEAD = "import random\nimport torch\nSEEN = [0]\n"
NETWORK = {"name": "convnet", "filters": (2,), "batch_norm": True, "dropout": 0.5}


def settings(folder: Path, text: str, name: str, **train: Any) -> Settings:
    (folder / "steps.py").write_text(HEAD + text)
    with allow_code(folder):
        return Settings.model_validate(
            {
                "data": {"dataset": "digits"},
                "model": train.pop("model", NETWORK),
                "train": {"step": {"name": f"steps.py:{name}"}, **train},
            }
        )


def try_it(folder: Path, text: str = PLAIN_STEP, name: str = "Plain", **train: Any) -> str:
    return try_training_step(settings(folder, text, name, **train), (1, 8, 8), 10)


MIXUP = """
class Mixup:
    def __call__(self, model, images, labels, loss, optimizer, generator):
        share = torch.rand((), generator=generator).item()
        order = torch.randperm(len(images), generator=generator).to(images.device)
        logits = model(share * images + (1 - share) * images[order])
        value = share * loss(logits, labels) + (1 - share) * loss(logits, labels[order])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        return value, logits
"""


def test_steps_with_two_passes_draws_and_clipping_hold(tmp_path: Path) -> None:
    assert try_it(tmp_path) == ""
    assert try_it(tmp_path, SAM, "Sam", clip_grad_norm=0.5, loss={"name": "focal"}) == ""
    assert try_it(tmp_path, MIXUP, "Mixup", precision="bf16") == ""
    assert (
        try_it(tmp_path, optimizer={"name": "sgd", "lr": 1e30}) == ""
    )  # is tried at a rate of its own


BODY = "        value = loss"


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return value, logits", "return value", r"gives float32 \(\), not a loss and logits"),
        ("return value, logits", "return value.item(), logits", "gives a float as its loss, not"),
        ("return value, logits", "return logits, logits", r"gives float32 \(4, 10\) as its loss"),
        (
            "return value, logits",
            "return value, logits[:2]",
            r"gives float32 \(2, 10\) as its logits, not \(4, classes\)",
        ),
        ("return value, logits", "return value, logits.argmax(1)", r"gives int64 \(4,\) as its"),
        ("return value, logits", "return value, logits[:, :3]", "gives logits of 3 classes, not"),
        ("return value, logits", "return value / 0, logits", "gives a loss that is not finite"),
        ("optimizer.step()", "pass", "does not change the weights"),
        (
            "optimizer.step()",
            "[w.data.sub_(0.01 * w.grad) for w in model.parameters()]",
            "takes no notice of the rate in force",
        ),
        (BODY, f"        model.eval()\n{BODY}", "leaves layers in another mode"),
        (", generator", "", r"cannot update the weights \(it is called with .* TypeError"),
        ("loss(logits", "los(logits", r"cannot update the weights .*steps\.py:\d+: NameError"),
        ("def __call__", "def call", "has no method __call__"),
        ("optimizer.step()", "optimizer.step(lambda: value)", "cannot update the weights"),
    ],
)
def test_what_does_not_hold_of_a_step_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in PLAIN_STEP
    with pytest.raises(OwnCodeFailed, match=rf"^'steps\.py:Plain' {told}"):
        try_it(tmp_path, PLAIN_STEP.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (BODY, f"        logits = logits * random.random()\n{BODY}", "updates equal weights other"),
        (
            BODY,
            f"        SEEN[0] += 1\n        logits = logits * SEEN[0]\n{BODY}",
            "updates equal weights otherwise each time",
        ),
        (
            BODY,
            "        self.seen = vars(self).get('seen', 0) + 1\n"
            f"        logits = logits * self.seen\n{BODY}",
            "remembers something between steps",
        ),
        (
            BODY,
            "        model.seen = vars(model).get('seen', 0) + 1\n"
            f"        logits = logits * model.seen\n{BODY}",
            "remembers something between steps",
        ),
        ("        optimizer.zero_grad()\n", "", "remembers something between steps"),
        (
            BODY,
            f"        self.seen = vars(self).get('seen', []) + [len(images)]\n{BODY}",
            "remembers something between steps",
        ),
    ],
)
def test_what_keeps_a_step_from_sharing_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in PLAIN_STEP
    found = try_it(tmp_path, PLAIN_STEP.replace(old, new))
    assert found.startswith(f"'steps.py:Plain' {told}")


def test_what_is_drawn_as_a_step_is_built_follows_from_the_seed(tmp_path: Path) -> None:
    drawing = PLAIN_STEP.replace(
        "    def __call__",
        "    def __init__(self):\n        self.scale = torch.rand(())\n\n    def __call__",
    ).replace("value = loss", "value = self.scale * loss")
    assert try_it(tmp_path, drawing) == ""


def test_frozen_weights_are_left_alone(tmp_path: Path) -> None:
    frozen = {"model": {"name": "mlp", "hidden": (3,), "freeze": "features"}}
    assert try_it(tmp_path, **frozen) == ""
    shrinking = "[w.data.mul_(0.9) for w in model.parameters()]"
    with pytest.raises(OwnCodeFailed, match=r"changes weights that model\.freeze says"):
        try_it(tmp_path, PLAIN_STEP.replace("optimizer.step()", shrinking), **frozen)
