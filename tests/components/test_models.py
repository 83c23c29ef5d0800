import pytest
import torch
from pydantic import ValidationError

from runner.components.models.convnet import ConvNet
from runner.components.models.mlp import MLP

REPORT_FILTERS = (128, 512, 512, 512, 512)
REPORT_ORDER = ("conv", "norm", "pool", "activation")


def num_parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def report_network(**settings: object) -> ConvNet:
    return ConvNet(name="convnet", filters=REPORT_FILTERS, order=REPORT_ORDER, **settings)


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
    ],
    ids=str,
)
@pytest.mark.parametrize("image_shape", [(1, 8, 8), (3, 12, 20)], ids=str)
def test_forward_gives_one_logit_per_class(settings, image_shape: tuple[int, int, int]) -> None:
    model = settings.build(image_shape, 6).eval()
    logits = model(torch.rand(4, *image_shape))
    assert logits.shape == (4, 6)
    assert torch.isfinite(logits).all()


def test_an_mlp_without_hidden_layers_is_linear() -> None:
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


def test_too_small_images_are_an_error_that_says_so() -> None:
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
    ],
)
def test_convnet_refuses_blocks_that_cannot_be_built(settings: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ConvNet(name="convnet", **settings)


def test_an_even_kernel_goes_with_padding_in_pixels() -> None:
    model = ConvNet(name="convnet", kernel=4, padding=1, filters=(2,)).build((1, 8, 8), 2)
    assert model(torch.rand(1, 1, 8, 8)).shape == (1, 2)
