"""Networks as lines of Python: the layers that they make are those that a run builds."""

import pytest
from torch import nn

from runner.components.settings import Settings
from runner.engine.inference.network_source import network_source
from runner.engine.network.layout import network_on_meta

DATA = {"dataset": "digits"}
NETWORKS = [
    {"name": "mlp", "hidden": (5, 4), "activation": "tanh", "batch_norm": True, "dropout": 0.2},
    {
        **{"name": "convnet", "filters": (3, 4), "kernel": (3, 1), "stride": (2, 1)},
        **{"padding": 1, "pool": "average", "pool_blocks": "last", "activation": "gelu"},
        **{"global_pool": "max", "linear": (6,), "linear_batch_norm": True},
    },
    {
        **{"name": "convnet", "batch_norm": True, "activation": "leaky_relu", "dropout": 0.1},
        **{"dropout_at": ("between_blocks", "flatten"), "global_pool": "average"},
    },
]


def made(model: dict[str, object], **more: object) -> Settings:
    return Settings.model_validate({"data": DATA, "model": {**model, **more}})


@pytest.mark.parametrize("model", NETWORKS)
def test_lines_make_the_same_layers(model: dict[str, object]) -> None:
    settings = made(model)
    source = network_source(settings, (1, 8, 8), 10, None)
    layers = eval("[" + "\n".join(source.lines) + "\n]", {"nn": nn})
    module = network_on_meta(settings.model, (1, 8, 8), 10)
    wanted = [each for each in module.modules() if not any(each.children())]
    assert list(map(repr, layers)) == list(map(repr, wanted))
    assert source.draws == ("dropout" in model)


def test_frozen_layers_are_called_by_their_numbers() -> None:
    settings = made(NETWORKS[1], freeze=("features.block1", "classifier.output.bias"))
    source = network_source(settings, (1, 8, 8), 10, None)
    last = sum(not line.startswith("#") for line in source.lines) - 1
    assert source.frozen == ("0", "1", f"{last}.bias")
