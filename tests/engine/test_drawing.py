"""A generator is seeded for each step unless the network is known to draw nothing."""

from pathlib import Path
from typing import Any

import pytest
import torch
from benches import Bench, settings_of
from torch import Tensor, nn
from torch.nn import functional

from runner.engine.network.drawing import may_draw
from runner.engine.training import step

CONVNET = {"name": "convnet", "filters": [4], "batch_norm": True}


class Drawing(nn.Linear):
    """A layer that looks like one that draws nothing."""

    def forward(self, inputs: Tensor) -> Tensor:
        return functional.dropout(super().forward(inputs), 0.5, self.training)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "draws"),
    [
        ({"name": "mlp", "hidden": [4], "batch_norm": True}, False),
        (CONVNET, False),
        ({"name": "mlp", "hidden": [4], "dropout": 0.1}, True),
        ({**CONVNET, "dropout": 0.1}, True),
    ],
)
def test_each_step_is_seeded_where_the_network_draws(
    model: dict[str, Any], draws: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(step, "seed_generator", lambda device, seed: seeds.append(seed))
    Bench(tmp_path, settings_of({"epochs": 2}, model)).train()
    assert len(set(seeds)) == (6 if draws else 0)


@pytest.mark.parametrize(
    "layer", [nn.Dropout(0.5), nn.RReLU(), Drawing(3, 3), nn.Sequential(nn.ReLU(), nn.Dropout2d())]
)
def test_what_is_not_known_may_draw(layer: nn.Module) -> None:
    assert may_draw(nn.Sequential(nn.Linear(3, 3), layer))


def test_a_changed_layer_may_draw() -> None:
    hooked, patched = nn.Linear(2, 2), nn.Linear(2, 2)
    assert not may_draw(hooked, patched)
    hooked.register_forward_hook(lambda layer, inputs, output: output + torch.rand(2))
    assert may_draw(hooked)
    patched.forward = lambda inputs: torch.rand(2)  # type: ignore[method-assign]
    assert may_draw(patched)
