"""Frozen layers of own networks: computed once where parts are the whole, else in each epoch."""

from pathlib import Path

import pytest
from own_nets import SPEC, write_nets

from runner import api

FROZEN = """
from torch import nn
from torch.nn import functional as F


class WideNet(nn.Module):
    def __init__(self, num_classes: int, in_channels: int, width: int = 8, drop: float = 0.3):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(in_channels, width, 3), nn.ReLU())
        self.middle = nn.Linear(width * 9, 16)
        self.out = nn.Linear(16, num_classes)
        self.drop = drop

    def forward(self, x):
        x = F.max_pool2d(self.features(x), 2).flatten(1)
        x = F.relu(self.middle(x))
        return self.out(F.dropout(x, self.drop, self.training))
"""
RATES = SPEC.replace('WideNet"}', 'WideNet", freeze: [features]}').replace(
    "model.width: [2, 3]", "lr: [0.1, 0.2]"
)
CROP = "loss: cross_entropy, augment: [{name: RandomCrop, size: 8, padding: 1}]"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_nets(tmp_path, FROZEN, spec=RATES.replace("epochs: 1", "epochs: 3"))
    return tmp_path


def kinds() -> list[str]:
    return [stage.kind for stage in api.plan("own.yaml").stages]


@pytest.mark.slow
def test_frozen_layers_of_an_own_network_are_computed_once_and_change_nothing(home: Path) -> None:
    with api.allow_code("nets.py"):
        assert kinds().count("features") == 1
        assert api.plan("own.yaml").not_shared == ()
        verified = api.verify("own.yaml")
        assert verified.is_same
        assert [run.exact for run in verified.runs] == [False, False]
        assert set(api.run("own.yaml").statuses.values()) == {"done"}
    spec = Path("own.yaml").read_text()
    for nets, features in ((f"{FROZEN}# a comment\n", 0), (FROZEN.replace("ReLU", "Tanh"), 1)):
        write_nets(home, nets, spec=spec)
        with api.allow_code("nets.py"):
            assert kinds().count("features") == features


@pytest.mark.slow
def test_trainings_of_an_own_network_take_each_batch_through_its_frozen_layers_once(
    home: Path,
) -> None:
    spec = RATES.replace("epochs: 1", "epochs: 2").replace("lr: 0.1}", "lr: 0.1}, " + CROP)
    write_nets(home, FROZEN, spec=spec)
    with api.allow_code("nets.py"):
        (together,) = api.plan("own.yaml").together
        assert "augmented images and the output of their frozen layers" in together.why
        verified = api.verify("own.yaml")
        assert verified.is_same
        assert verified.num_shared == 2


@pytest.mark.slow
def test_plan_says_why_frozen_layers_are_computed_in_every_epoch(home: Path) -> None:
    chosen = FROZEN.replace(
        "        x = F.max", "        assert x.shape[2] == 8\n        x = F.max"
    )
    write_nets(home, chosen, spec=RATES)
    with api.allow_code("nets.py"):
        (why,) = api.plan("own.yaml").not_shared
        assert why.startswith(
            "frozen features of 2 trainings: 'nets.py:WideNet': torch.fx cannot trace it ("
        )
        assert "features" not in kinds()
        assert set(api.run("own.yaml").statuses.values()) == {"done"}

    mixing = FROZEN.replace(
        "        x = F.relu(self", "        x = x - x[:1]\n        x = F.relu(self"
    )
    write_nets(home, mixing, spec=RATES)
    with api.allow_code("nets.py"):
        (why,) = api.plan("own.yaml").not_shared
        assert why.endswith(
            "'nets.py:WideNet' gives an image other logits in another batch;"
            " measured in batches of one size, without frozen features"
        )
        assert "features" not in kinds()
