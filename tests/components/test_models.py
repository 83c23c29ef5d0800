import pytest
import torch
from pydantic import ValidationError

from runner.components.component import keyed_settings
from runner.components.models.convnet import ConvNet
from runner.components.models.layers_net import on_meta
from runner.components.models.mlp import MLP

REPORT_FILTERS = (128, 512, 512, 512, 512)
REPORT_ORDER = ("conv", "norm", "pool", "activation")


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def report_network(**settings: object) -> ConvNet:
    return ConvNet(name="convnet", filters=REPORT_FILTERS, order=REPORT_ORDER, **settings)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(("batch_norm", "expected"), [(False, 7_678_474), (True, 7_682_826)])
def test_network_of_report_r2_1_has_its_number_of_parameters(
    batch_norm: bool, expected: int
) -> None:
    model = report_network(batch_norm=batch_norm).build((3, 32, 32), 10)
    assert num_parameters(model) == expected


@pytest.mark.parametrize(
    "settings",
    [
        MLP(name="mlp"),
        MLP(name="mlp", hidden=()),
        MLP(name="mlp", hidden=(7, 5), batch_norm=True, dropout=0.5, activation="gelu"),
        ConvNet(name="convnet"),
        ConvNet(name="convnet", pool="none", stride=2, padding=0, linear=(11,), dropout=0.5),
        ConvNet(name="convnet", pool="average", batch_norm=True, kernel=5, filters=(4,)),
        ConvNet(name="convnet", kernel=(5, 3), stride=(2, 1), pool_blocks=(2,)),
        ConvNet(name="convnet", global_pool="max", linear=(7,), linear_batch_norm=True),
    ],
    ids=str,
)
@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 12, 20)], ids=str)
def test_forward_gives_one_logit_per_class(settings, image_shape: tuple[int, int, int]) -> None:
    model = settings.build(image_shape, 6).eval()
    logits = model(torch.rand(4, *image_shape))
    assert logits.shape == (4, 6)
    assert torch.isfinite(logits).all()


def test_mlp_without_hidden_layers_is_linear() -> None:
    model = MLP(name="mlp", hidden=()).build((1, 8, 8), 10)
    assert num_parameters(model) == 64 * 10 + 10


def test_hidden_layers_are_linear_norm_activation_dropout() -> None:
    settings = MLP(name="mlp", hidden=(5,), batch_norm=True, dropout=0.1, activation="tanh")
    model = settings.build((1, 2, 2), 3)
    kinds = [type(part).__name__ for part in model.hidden1]
    assert kinds == ["Linear", "BatchNorm1d", "Tanh", "Dropout"]


@pytest.mark.parametrize(
    "order",
    [
        ("conv", "norm", "activation", "pool", "dropout"),
        ("conv", "norm", "pool", "activation", "dropout"),
        ("dropout", "pool", "norm", "activation", "conv"),
    ],
    ids=",".join,
)
def test_blocks_have_their_parts_in_the_given_order(order: tuple[str, ...]) -> None:
    settings = ConvNet(name="convnet", order=order, batch_norm=True, dropout=0.1, filters=(3, 3))
    model = settings.build((3, 8, 8), 2)
    for block in model.features:
        assert tuple(name for name, _ in block.named_children()) == order


def test_parts_that_are_switched_off_are_left_out() -> None:
    model = ConvNet(name="convnet", pool="none", filters=(4,)).build((1, 8, 8), 2)
    assert [name for name, _ in model.features.block1.named_children()] == ["conv", "activation"]


def test_same_padding_keeps_the_size() -> None:
    settings = ConvNet(name="convnet", kernel=5, pool="none", filters=(4, 6))
    features = settings.build((3, 9, 11), 2).features
    assert features(torch.rand(1, 3, 9, 11)).shape == (1, 6, 9, 11)


def test_images_too_small_are_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match=r"images of 16×16 pixels are too small for 5 blocks"):
        report_network().build((3, 16, 16), 10)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": ("conv", "conv", "activation", "pool")}, "names a part twice"),
        ({"order": ("conv", "activation")}, "leaves out pool"),
        ({"order": ("activation", "pool")}, "leaves out conv"),
        ({"order": ("conv", "activation", "pool"), "batch_norm": True}, "leaves out norm"),
        ({"order": ("conv", "activation", "pool"), "dropout": 0.5}, "leaves out dropout"),
        ({"kernel": 4}, "needs an odd kernel"),
        ({"kernel": (3, 4)}, "needs an odd kernel"),
        ({"kernel": (3,)}, "kernel has 1 entries for 2 blocks"),
        ({"stride": (1, 1, 2)}, "stride has 3 entries for 2 blocks"),
        ({"pool_blocks": (1, 3)}, "pool_blocks names block 3, but filters has 2"),
        ({"pool_blocks": (2, 1)}, "pool_blocks must increase"),
        ({"dropout_at": ("flatten", "flatten")}, "a point is given twice"),
        ({"dropout": 0.5, "dropout_at": ("hidden",)}, "the network has none of hidden"),
        (
            {"dropout": 0.5, "dropout_at": ("between_blocks",), "filters": (8,)},
            "the network has none of between_blocks",
        ),
        ({"linear_batch_norm": True}, "linear_batch_norm needs hidden linear layers"),
        ({"pool": "none", "pool_blocks": (1,)}, "pool_blocks needs pooling"),
    ],
)
def test_convnet_refuses_blocks_that_cannot_be_built(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ConvNet(name="convnet", **settings)


def test_even_kernel_goes_with_padding_in_pixels() -> None:
    model = ConvNet(name="convnet", kernel=4, padding=1, filters=(2,)).build((1, 8, 8), 2)
    assert model(torch.rand(1, 1, 8, 8)).shape == (1, 2)


def test_kernel_and_stride_may_be_given_for_each_block() -> None:
    settings = ConvNet(name="convnet", filters=(4, 5), kernel=(7, 3), stride=(3, 1), pool="none")
    features = settings.build((3, 9, 9), 2).features
    convolutions = [(block.conv.kernel_size, block.conv.stride) for block in features]
    assert convolutions == [((7, 7), (3, 3)), ((3, 3), (1, 1))]
    assert features(torch.rand(1, 3, 9, 9)).shape == (1, 5, 3, 3)


@pytest.mark.parametrize(
    ("pool_blocks", "pooled"),
    [("all", [1, 2, 3, 4]), ("last", [4]), ((2,), [2]), ((1, 3), [1, 3])],
)
def test_pooling_may_be_in_some_blocks_only(pool_blocks, pooled: list[int]) -> None:
    settings = ConvNet(name="convnet", filters=(2, 2, 2, 2), pool_blocks=pool_blocks)
    features = settings.build((1, 16, 16), 2).features
    found = [number for number, block in enumerate(features, start=1) if hasattr(block, "pool")]
    assert found == pooled


def on_meta_shapes(network: torch.nn.Module) -> list[tuple[int, ...]]:
    weights = [each for name, each in network.named_parameters() if name.endswith("weight")]
    return [tuple(each.shape) for each in weights]


def test_network_of_report_r3_pools_once_and_has_two_hidden_layers() -> None:
    settings = ConvNet(
        name="convnet", filters=(32, 32, 32, 64), pool_blocks="last", linear=(4096, 4096)
    )
    network = on_meta(lambda: settings.build((3, 32, 32), 100))
    assert on_meta_shapes(network) == [
        (32, 3, 3, 3), (32, 32, 3, 3), (32, 32, 3, 3), (64, 32, 3, 3),
        (4096, 64 * 16 * 16), (4096, 4096), (100, 4096),
    ]  # fmt: skip


def layers_of(**settings: object) -> list[str]:
    """Return the kinds of the layers of a network with dropout, in order."""
    network = ConvNet(name="convnet", filters=(2, 3), dropout=0.25, **settings)
    leaves = [each for each in network.build((1, 8, 8), 2).modules() if not list(each.children())]
    return [type(each).__name__ for each in leaves]


BLOCK = ["Conv2d", "ReLU", "MaxPool2d"]
HIDDEN = ["Linear", "ReLU"]
DROP = ["Dropout"]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        (
            ("blocks", "hidden"),
            [*BLOCK, *DROP, *BLOCK, *DROP, "Flatten", *HIDDEN, *DROP, *HIDDEN, *DROP, "Linear"],
        ),
        (("between_blocks",), [*BLOCK, *DROP, *BLOCK, "Flatten", *HIDDEN, *HIDDEN, "Linear"]),
        (
            ("flatten", "output"),
            [*BLOCK, *BLOCK, "Flatten", *DROP, *HIDDEN, *HIDDEN, *DROP, "Linear"],
        ),
        (
            ("hidden", "output"),
            [*BLOCK, *BLOCK, "Flatten", *HIDDEN, *DROP, *HIDDEN, *DROP, "Linear"],
        ),
        (
            ("output", "flatten", "between_blocks", "blocks"),
            [*BLOCK, *DROP, *BLOCK, *DROP, "Flatten", *HIDDEN, *HIDDEN, *DROP, "Linear"],
        ),
    ],
    ids=str,
)
def test_dropout_is_where_it_is_asked_for_and_never_twice(
    points: tuple[str, ...], expected: list[str]
) -> None:
    assert layers_of(dropout_at=points, linear=(4, 4)) == expected


def test_last_layer_has_one_dropout_before_it_without_hidden_layers() -> None:
    expected = [*BLOCK, *BLOCK, "Flatten", *DROP, "Linear"]
    assert layers_of(dropout_at=("flatten", "output")) == expected
    assert layers_of(dropout_at=("output",)) == expected


def test_global_pooling_stands_between_two_places_of_dropout() -> None:
    found = layers_of(dropout_at=("blocks", "flatten"), global_pool="average")
    pooled = ["AdaptiveAvgPool2d", "Flatten"]
    assert found == [*BLOCK, *DROP, *BLOCK, *DROP, *pooled, *DROP, "Linear"]


def test_block_without_dropout_needs_none_in_its_order() -> None:
    order = ("conv", "norm", "pool", "activation")
    between = layers_of(order=order, dropout_at=("between_blocks",))
    assert between.count("Dropout") == 1
    with pytest.raises(ValidationError, match="leaves out dropout"):
        layers_of(order=order, dropout_at=("blocks",))


@pytest.mark.parametrize(("pool", "reduce"), [("average", torch.mean), ("max", torch.amax)])
def test_global_pooling_is_over_the_whole_image(pool: str, reduce) -> None:
    settings = ConvNet(name="convnet", filters=(4,), global_pool=pool)
    network = settings.build((1, 8, 12), 3)
    images = torch.rand(2, 1, 8, 12)
    pooled = reduce(network.features(images), (2, 3))
    torch.testing.assert_close(network(images), network.classifier.output(pooled))


def test_linear_layers_may_have_batch_normalisation_of_their_own() -> None:
    settings = ConvNet(name="convnet", linear=(5,), linear_batch_norm=True)
    network = settings.build((1, 8, 8), 2)
    kinds = [type(part).__name__ for part in network.classifier.hidden1]
    assert kinds == ["Linear", "BatchNorm1d", "ReLU"]
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in network.modules())


def test_settings_at_what_they_did_before_are_in_no_key() -> None:
    keyed = keyed_settings(ConvNet(name="convnet", dropout_at=("hidden", "blocks")))
    added = {"pool_blocks", "dropout_at", "global_pool", "linear_batch_norm"}
    assert added.isdisjoint(keyed)
    changed = {
        "pool_blocks": "last",
        "dropout_at": ("output",),
        "global_pool": "max",
        "linear_batch_norm": True,
    }
    for name, value in changed.items():
        settings = ConvNet(name="convnet", linear=(4,), **{name: value})
        assert name in keyed_settings(settings)
    assert set(changed) == added
