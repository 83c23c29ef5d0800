"""The frozen prefix of own networks: found by a trace or by methods, and held against the whole."""

from pathlib import Path
from typing import Any

import pytest
import torch
from own_nets import own_settings

from runner.core.sharing import SHARED, Unshared
from runner.engine.network.build import Network, build_network
from runner.engine.network.layout import Layout, network_layout
from runner.engine.own_probe import try_training

pytestmark = pytest.mark.slow
SHAPE = (1, 8, 8)
NETS = """
import torch
from torch import nn
from torch.nn import functional as F


class WideNet(nn.Module):
    def __init__(self, num_classes: int, in_channels: int, width: int = 4, drop: float = 0.5):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Dropout(0.2)
        )
        self.middle = nn.Linear(width, width)
        self.out = nn.Linear(width, num_classes)
        self.drop = drop

    def forward(self, x):
        x = self.features(x).mean((2, 3))
        x = F.relu(self.middle(x))
        return self.out(F.dropout(x, self.drop, self.training))
"""
METHODS = NETS.replace(
    """    def forward(self, x):
        x = self.features(x).mean((2, 3))
        x = F.relu(self.middle(x))
        return self.out(""",
    """    def forward(self, x):
        assert x.shape[1] == 1
        return self.forward_head(self.forward_features(x))

    def forward_features(self, x):
        return F.relu(self.middle(self.features(x).mean((2, 3))))

    def forward_head(self, x):
        return self.out(""",
)
UNTRACED = METHODS.replace("forward_features", "first").replace("forward_head", "second")


def of(folder: Path, nets: str, freeze: Any = "features") -> tuple[Layout, Unshared, Network]:
    """Return what is known of a network, what the probe says of it, and the network."""
    given = own_settings(folder, nets, model={"width": 4, "freeze": freeze})
    network = build_network(given, SHAPE, 10, torch.device("cpu"))
    return network_layout(given, SHAPE, 10), try_training(given, SHAPE, 10), network


def check_parts(network: Network) -> None:
    """Hold the two parts of a network against the whole, in both modes, with equal draws."""
    split = network.split()
    assert split is not None
    images = torch.randn(5, *SHAPE)
    for mode in (network.eval, network.train):
        mode()
        torch.manual_seed(7)
        whole = network(images)
        torch.manual_seed(7)
        assert torch.equal(split.head(split.prefix(images)), whole)


@pytest.mark.parametrize(
    ("freeze", "cut", "shape"),
    [
        ("features", "relu", (4,)),
        (("features",), "mean", (4,)),
        (("features.0",), "features_0", (4, 6, 6)),
        (("features.0", "features.1"), "features_2", (4, 6, 6)),
    ],
    ids=str,
)
def test_traced_prefix_ends_before_what_is_trained_or_drawn(
    tmp_path: Path, freeze: Any, cut: str, shape: tuple[int, ...]
) -> None:
    layout, unshared, network = of(tmp_path, NETS, freeze)
    assert (layout.cut, layout.features, layout.unsplit) == (cut, shape, "")
    assert unshared == SHARED
    check_parts(network)


@pytest.mark.parametrize("freeze", ["none", "classifier", ("middle",)], ids=str)
def test_network_that_begins_with_a_trained_layer_has_no_prefix_and_no_reason(
    tmp_path: Path, freeze: Any
) -> None:
    layout, unshared, _ = of(tmp_path, NETS, freeze)
    assert (layout.cut, layout.unsplit, unshared) == ("", "", SHARED)


def test_frozen_layers_may_do_what_cannot_be_traced(tmp_path: Path) -> None:
    """Let a frozen block choose by the values of its input, and a trained one too."""
    block = """
class Block(nn.Sequential):
    def forward(self, x):
        return super().forward(x) if float(x.sum()) < 1e9 else x


class WideNet("""
    nets = NETS.replace("class WideNet(", block.lstrip("\n"))
    nets = nets.replace("self.features = nn.Sequential(", "self.features = Block(")
    nets = nets.replace("nn.Linear(width, width)", "Block(nn.Linear(width, width))")
    layout, unshared, network = of(tmp_path, nets, ("features",))
    assert (layout.cut, unshared) == ("mean", SHARED)
    check_parts(network)


def test_methods_are_the_parts_where_nothing_can_be_traced(tmp_path: Path) -> None:
    layout, unshared, network = of(tmp_path, METHODS)
    assert (layout.cut, layout.features, unshared) == ("forward_features", (4,), SHARED)
    check_parts(network)


def test_what_cannot_be_traced_and_has_no_methods_is_told(tmp_path: Path) -> None:
    layout, unshared, network = of(tmp_path, UNTRACED)
    assert (layout.cut, network.split(), unshared) == ("", None, SHARED)
    assert layout.unsplit.startswith("torch.fx cannot trace it (")
    assert layout.unsplit.endswith("), and it has no forward_features and forward_head")


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("x = self.features", "x = x + torch.zeros(1)\n        x = self.features", "makes tensors"),
        (
            "x = F.relu(self.middle(x))",
            "x = F.relu(self.middle(x)) if torch.rand(()) < 2 else x",
            "draws numbers that decide",
        ),
    ],
)
def test_what_a_trace_would_hold_for_good_is_not_traced(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    assert old in NETS
    layout, _, network = of(tmp_path, NETS.replace(old, new))
    assert why in layout.unsplit
    assert network.split() is None
    assert not [name for name in vars(network.module) if "constant" in name]


@pytest.mark.parametrize(
    ("freeze", "old", "new", "why"),
    [
        (("features",), "", "", "forward_features has layers that are trained"),
        (
            "features",
            "self.middle(self.features(x)",
            "self.middle(self.features(F.dropout(x, 0.01, self.training))",
            "forward_features draws random numbers",
        ),
        (
            "features",
            "return F.relu(self.middle",
            "return (1 + self.training) * F.relu(self.middle",
            "forward_features gives others in training than in evaluation",
        ),
        (
            "features",
            "return self.forward_head(self.forward_features(x))",
            "return self.forward_head(self.forward_features(x) * (2 - self.training))",
            "evaluated behind forward_features, it gives other logits",
        ),
        (
            "features",
            "return self.forward_head(self.forward_features(x))",
            "return self.forward_head(self.forward_features(x) * (1 + self.training))",
            "trained behind forward_features, it becomes another network",
        ),
        (
            "features",
            "return F.relu(self.middle",
            "self.seen += self.training\n        return F.relu(self.middle",
            "what lies before forward_features changes in training",
        ),
    ],
    ids=["trained", "draws", "mode", "evaluation", "training", "state"],
)
def test_parts_that_are_not_the_whole_are_told(
    tmp_path: Path, freeze: Any, old: str, new: str, why: str
) -> None:
    assert old in METHODS
    counted = "self.drop = drop\n        self.register_buffer('seen', torch.zeros(()))"
    nets = METHODS.replace(old, new).replace("self.drop = drop", counted)
    _, unshared, _ = of(tmp_path, nets, freeze)
    assert unshared == Unshared(features=f"'nets.py:WideNet': {why}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("def forward_features(self, x)", "def forward_features(self, x, more)"),
        ("return F.relu(self.middle", "return [1], F.relu(self.middle"),
    ],
)
def test_methods_that_do_not_fit_are_told(tmp_path: Path, old: str, new: str) -> None:
    nets = METHODS.replace(old, new)
    nets = nets.replace(
        "self.forward_features(x)",
        "self.forward_features(x, 0)" if "more" in new else "self.forward_features(x)[1]",
    )
    layout, _, _ = of(tmp_path, nets)
    assert layout.cut == ""
    assert "cannot be computed alone" in layout.unsplit
