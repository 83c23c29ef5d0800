"""What the program relies on is tried with an own network, and what does not hold is told."""

from pathlib import Path

import pytest
from own_nets import NETS, own_settings

from runner.components.own.problems import OwnCodeFailed
from runner.core.sharing import SHARED, Unshared
from runner.engine.own_probe import try_training

pytestmark = pytest.mark.slow

SHAPE = (1, 8, 8)


def test_network_with_dropout_and_normalisation_holds(tmp_path: Path) -> None:
    normed = NETS.replace("F.relu(self.inside(x))", "F.relu(self.norm(self.inside(x)))").replace(
        "        self.drop = drop\n",
        "        self.drop = drop\n        self.norm = nn.BatchNorm2d(width)\n",
    )
    for text in (NETS, normed):
        assert try_training(own_settings(tmp_path, text), SHAPE, 10) == SHARED


BUILT = "        self.drop = drop\n"
USED = "        hidden ="


def tried(folder: Path, old: str, new: str) -> Unshared:
    """Return what does not hold of a network with another line."""
    assert old in NETS
    return try_training(own_settings(folder, f"import random\n{NETS.replace(old, new)}"), SHAPE, 10)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            BUILT,
            f"{BUILT}        self.out.weight.data.mul_(random.random())\n",
            "is built with other weights each time",
        ),
        (
            "flatten(1) * SCALE",
            "flatten(1) * (1 + random.random() * self.training)",
            "is trained otherwise each time",
        ),
        (
            USED,
            "        self.seen = getattr(self, 'seen', 0) + self.training\n"
            f"        x = x * (1 + self.seen * self.training)\n{USED}",
            "remembers something between steps that is not in its state_dict()",
        ),
        (
            USED,
            "        self.seen = (getattr(self, 'seen', 0) + 1) * self.training\n"
            f"        x = x * (1 + self.seen)\n{USED}",
            "remembers something between steps that is not in its state_dict()",
        ),
        (
            USED,
            "        self.seen = getattr(self, 'seen', 0) + (not self.training)\n"
            f"        x = x * (1 + self.seen * self.training)\n{USED}",
            "remembers something between steps that is not in its state_dict()",
        ),
    ],
    ids=["built", "trained", "steps", "steps of an epoch", "evaluations"],
)
def test_network_that_does_not_repeat_itself_shares_nothing(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert tried(tmp_path, old, new) == Unshared(f"'nets.py:WideNet' {told}")


def test_network_that_mixes_the_images_of_a_batch_is_told(tmp_path: Path) -> None:
    found = tried(
        tmp_path, "flatten(1) * SCALE", "flatten(1)\n        hidden = hidden - hidden[:1]"
    )
    assert found == Unshared(
        images="'nets.py:WideNet' gives an image other logits in another batch"
    )


def test_logits_that_differ_by_rounding_alone_are_those_of_the_halves(tmp_path: Path) -> None:
    """Let the last digits depend on the size of the batch, as products of matrices do."""
    rounded = "flatten(1) * (1 + 1e-6 * len(x))"
    assert tried(tmp_path, "flatten(1) * SCALE", rounded) == SHARED
    assert tried(tmp_path, "flatten(1) * SCALE", rounded.replace("1e-6", "1e-2")).images


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            USED,
            f"        assert not self.training, 'never'\n{USED}",
            r"cannot be trained: \S*nets\.py:\d+: AssertionError: never",
        ),
        (
            USED,
            "        self.seen = getattr(self, 'seen', 0) + self.training\n"
            f"        x = x * (1 + self.seen)\n{USED}",
            "gives other logits once its weights are loaded into it anew",
        ),
        (
            BUILT,
            f"{BUILT}        self.inside.bias = None\n        draw = random.random()\n"
            "        self.inside.register_forward_hook(lambda m, i, o: o * draw)\n",
            "gives other logits once its weights are loaded",
        ),
        ("self.training))", "self.training)).squeeze()", r"gives \(10,\), not logits \(1, 10\)"),
    ],
    ids=["raises", "kept outside", "built outside", "squeezed"],
)
def test_network_that_cannot_work_is_an_error(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    with pytest.raises(OwnCodeFailed, match=rf"^'nets\.py:WideNet' {told}"):
        tried(tmp_path, old, new)


def test_frozen_weights_that_are_not_drawn_from_the_seed_are_an_error(tmp_path: Path) -> None:
    """What is frozen is built again and not kept: it must be built alike."""
    nets = NETS.replace(BUILT, f"{BUILT}        self.out.weight.data.mul_(random.random())\n")
    given = own_settings(tmp_path, f"import random\n{nets}", model={"freeze": "classifier"})
    with pytest.raises(OwnCodeFailed, match=r"freezes weights that are not drawn from the seed"):
        try_training(given, SHAPE, 10)


def test_state_in_buffers_holds(tmp_path: Path) -> None:
    counted = NETS.replace(
        "        self.drop = drop\n",
        "        self.drop = drop\n        self.register_buffer('seen', torch.zeros(()))\n",
    ).replace(
        "        hidden =",
        "        self.seen += self.training\n        x = x * (1 + self.seen)\n        hidden =",
    )
    assert try_training(own_settings(tmp_path, f"import torch\n{counted}"), SHAPE, 10) == SHARED
