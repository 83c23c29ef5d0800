"""Frozen layers of timm's networks: computed up to `forward_features`, where that is the whole."""

from typing import Any

import pytest
import torch
from benches import SYNTHETIC, settings_of

from runner.components.models.timm_names import timm_version
from runner.components.settings import Settings
from runner.engine.network.build import build_network
from runner.engine.network.layout import network_layout
from runner.engine.own_prefix_probe import why_not_in_parts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not timm_version(), reason="timm is not installed"),
]
SHAPE, CLASSES = (3, 32, 32), 3


def settings_with(name: str, freeze: Any = "features") -> Settings:
    data = {**SYNTHETIC, "height": 32, "width": 32}
    return settings_of(model={"name": f"timm/{name}", "freeze": freeze}, data=data)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
def test_timm_features_and_head_are_the_whole(name: str) -> None:
    settings = settings_with(name)
    network = build_network(settings, SHAPE, CLASSES, torch.device("cpu"))
    network.eval()
    split = network.split()
    images = torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = split.prefix(images)
        assert torch.equal(split.head(features), network(images))
    layout = network_layout(settings, SHAPE, CLASSES)
    assert layout.cut == "forward_features"
    assert layout.features == tuple(features.shape[1:])
    assert layout.structure


def test_timm_parts_are_tried_and_found_to_be_the_whole() -> None:
    assert why_not_in_parts(settings_with("test_convnext"), SHAPE, CLASSES) == ""


def test_timm_networks_of_two_names_have_features_of_their_own() -> None:
    plain, tagged = (
        network_layout(settings_with(name), SHAPE, CLASSES)
        for name in ("test_resnet", "test_resnet.r160_in1k")
    )
    assert plain.features == tagged.features
    assert plain.structure != tagged.structure


def test_timm_parts_that_are_not_the_whole_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from timm.models.resnet import ResNet

    def forward(self: ResNet, images: torch.Tensor) -> torch.Tensor:
        return self.forward_head(2 * self.forward_features(images))

    monkeypatch.setattr(ResNet, "forward", forward)
    why = why_not_in_parts(settings_with("test_resnet"), SHAPE, CLASSES)
    assert why == "trained behind forward_features, it becomes another network"


def test_timm_features_that_change_in_training_are_refused() -> None:
    why = why_not_in_parts(settings_with("test_resnet", ["conv1.*", "layer*"]), SHAPE, CLASSES)
    assert "forward_features" in why


@pytest.mark.parametrize("freeze", ["none", "classifier", ["layer4"]])
def test_timm_network_whose_first_layers_are_trained_has_no_features(freeze: Any) -> None:
    layout = network_layout(settings_with("test_resnet", freeze), SHAPE, CLASSES)
    assert (layout.cut, layout.unsplit) == ("", "")
