"""Freeze policies: which layers they name, and that these neither train nor count."""

from pathlib import Path

import pytest
import torch
import torchvision
from benches import Bench, reading_of, settings_of
from torch import nn

from runner.components.models.classifier import UnknownLayer
from runner.components.models.convnet import ConvNet
from runner.components.models.mlp import MLP
from runner.engine.network import build as network_module
from runner.engine.network.build import Network, build_network
from runner.engine.network.freezing import EmptyPolicy, apply_frozen, count_layers, find_frozen

BLOCKS = {"name": "convnet", "filters": [4, 6], "batch_norm": True, "dropout": 0.3, "linear": [8]}


def network() -> nn.Module:
    return ConvNet(name="convnet", filters=(4, 6), batch_norm=True, linear=(8,)).build((3, 8, 8), 3)


@pytest.mark.parametrize(
    ("freeze", "layers"),
    [
        ("none", ()),
        ("features", ("features", "flatten")),
        ("classifier", ("classifier",)),
        (("features",), ("features",)),
        (("features.block1",), ("features.block1",)),
        (("features.block?.conv",), ("features.block1.conv", "features.block2.conv")),
        (("*.norm", "features.block1"), ("features.block1", "features.block2.norm")),
        (("*block1*", "classifier"), ("features.block1", "classifier")),
    ],
)
def test_a_policy_names_the_outermost_layers(freeze, layers: tuple[str, ...]) -> None:
    assert sorted(find_frozen(network(), freeze).layers) == sorted(layers)


@pytest.mark.parametrize(
    ("name", "classifier"),
    [("alexnet", "classifier"), ("resnet18", "fc"), ("vgg11_bn", "classifier"), ("swin_t", "head")],
)
def test_the_classifier_is_the_last_part_with_weights(name: str, classifier: str) -> None:
    with torch.device("meta"):
        found = torchvision.models.get_model(name)
    frozen = find_frozen(found, "classifier")
    assert frozen.layers == (classifier,)
    others = find_frozen(found, "features").parameters
    weights = {key for key, _ in found.named_parameters()}
    assert others == weights - frozen.parameters
    assert others
    assert frozen.parameters


def test_a_single_weight_can_be_frozen() -> None:
    frozen = find_frozen(network(), ("features.block1.conv.bias",))
    assert (frozen.layers, frozen.parameters) == ((), {"features.block1.conv.bias"})


def test_a_pattern_that_matches_nothing_names_the_layers() -> None:
    with pytest.raises(UnknownLayer) as caught:
        find_frozen(network(), ("features", "feature.*"))
    assert caught.value.pattern == "feature.*"
    assert "features.block1.conv" in caught.value.layers


def test_a_layer_without_weights_is_nothing_to_freeze() -> None:
    with pytest.raises(UnknownLayer):
        find_frozen(network(), ("flatten",))


@pytest.mark.parametrize("freeze", [("*",), ("features", "classifier"), ("features", "c*")])
def test_something_must_be_left_to_train(freeze: tuple[str, ...]) -> None:
    with pytest.raises(EmptyPolicy):
        find_frozen(network(), freeze)


def test_layers_are_counted_with_what_is_trained() -> None:
    found = network()
    counts = count_layers(found, find_frozen(found, ("features.block1", "classifier.output.bias")))
    by_name = {each.name: (each.parameters, each.trainable) for each in counts}
    assert by_name["features.block1.conv"] == (3 * 9 * 4 + 4, 0)
    assert by_name["features.block1.norm"] == (8, 0)
    assert by_name["features.block2.conv"] == (4 * 9 * 6 + 6,) * 2
    assert by_name["classifier.output"] == (8 * 3 + 3, 8 * 3)
    assert sum(each.parameters for each in counts) == sum(p.numel() for p in found.parameters())


def test_frozen_layers_stay_in_eval_mode_and_without_gradient() -> None:
    settings = settings_of(model={**BLOCKS, "freeze": ["features.block1"]})
    built = build_network(settings, (3, 8, 8), 3, torch.device("cpu"))
    built.train()
    block1, block2 = built.module.features.block1, built.module.features.block2
    assert not any(module.training for module in block1.modules())
    assert all(module.training for module in block2.modules())
    assert not any(each.requires_grad for each in block1.parameters())
    assert all(each.requires_grad for each in block2.parameters())
    assert len(list(built.trainable())) == len(list(built.module.parameters())) - 4
    assert apply_frozen(built.module, built.frozen) == (block1,)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("freeze", ["features", "classifier", ["features.block1", "*.linear"]])
def test_frozen_weights_and_statistics_do_not_move(
    tmp_path: Path, freeze, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(model={**BLOCKS, "freeze": freeze})
    bench = Bench(tmp_path, settings)
    images = bench.images()
    before = build_network(settings, images.shape, len(images.classes), torch.device("cpu"))
    frozen = before.frozen
    built: list[Network] = []

    def build(*args):
        built.append(build_network(*args))
        return built[-1]

    monkeypatch.setattr(network_module, "build_network", build)
    bench.train()
    (trained,) = built
    after = trained.module.state_dict()
    moved = {
        name
        for name, tensor in before.module.state_dict().items()
        if not torch.equal(tensor, after[name]) and not name.endswith("num_batches_tracked")
    }
    weights = {name for name, _ in before.module.named_parameters()}
    assert not any(frozen.holds(name) for name in moved)
    assert {name for name in weights if not frozen.holds(name)} <= moved
    assert set(bench.weights()) == {name for name in after if not frozen.holds(name)}


def test_what_is_recorded_says_what_was_trained(tmp_path: Path) -> None:
    settings = settings_of(model={**BLOCKS, "freeze": "features"})
    outcome = Bench(tmp_path, settings).train()
    layers = {name: (total, trained) for name, total, trained in reading_of(outcome)["layers"]}
    assert layers["features.block1.conv"][1] == 0
    assert layers["classifier.output"] == (27, 27)
    assert sum(total for total, _ in layers.values()) == reading_of(outcome)["parameters"]


def test_features_of_a_network_that_is_all_classifier_are_nothing() -> None:
    linear = MLP(name="mlp", hidden=()).build((3, 8, 8), 3)
    with pytest.raises(EmptyPolicy, match="finds no layer with weights before the classifier"):
        find_frozen(linear, "features")
