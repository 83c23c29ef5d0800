"""Weights as pictures, and images by what a layer makes of them."""

import numpy as np
import pytest
import torch
from benches import settings_of
from sklearn.datasets import make_blobs
from torch import nn

from runner.components.models.classifier import UnknownLayer
from runner.engine.inspection.embedding import embedding_map, layer_outputs, nearest_images
from runner.engine.inspection.filters import filter_pictures, neuron_pictures
from runner.engine.inspection.layers import NotSuitable
from runner.engine.network.build import build_network

CPU = torch.device("cpu")
SHAPE = (3, 6, 5)


def built(model: dict, seed: int = 0, shape: tuple[int, int, int] = SHAPE) -> nn.Module:
    return build_network(settings_of(model=model, seed=seed), shape, 4, CPU).module


CONVNET = {"name": "convnet", "filters": [4, 6], "kernel": 3}
MLP = {"name": "mlp", "hidden": [7]}


def test_filters_before_and_after_are_under_one_scale() -> None:
    before, after = built(CONVNET), built(CONVNET)
    with torch.no_grad():
        after.get_submodule("features.block1.conv").weight.mul_(3)
    made = filter_pictures(before, after)
    assert made.layer == "features.block1.conv"
    assert made.before.shape == made.after.shape == (4, 3, 3, 3)
    assert (made.after.min(), made.after.max()) == (0, 1)
    spread = np.ptp(made.before) / np.ptp(made.after)
    assert spread == pytest.approx(1 / 3, rel=1e-5)
    weights = after.get_submodule("features.block1.conv").weight
    one, other = weights[2, 1, 0, 2].item(), weights[3, 0, 1, 1].item()
    shown = float(made.after[2, 0, 2, 1]), float(made.after[3, 1, 1, 0])
    span = (weights.max() - weights.min()).item()
    assert shown[0] - shown[1] == pytest.approx((one - other) / span, abs=1e-6)


def test_initial_filters_follow_from_the_seed() -> None:
    same = filter_pictures(built(CONVNET, 5), built(CONVNET, 5))
    assert np.array_equal(same.before, same.after)
    others = filter_pictures(built(CONVNET, 5), built(CONVNET, 6))
    assert not np.array_equal(others.before, others.after)


@pytest.mark.parametrize(
    ("model", "said"),
    [(MLP, "has no convolution"), ("deep", "look at 5 channels, not at a picture")],
)
def test_filters_of_other_networks_are_refused(model: dict | str, said: str) -> None:
    network = nn.Sequential(nn.Conv2d(5, 2, 1)) if isinstance(model, str) else built(model)
    with pytest.raises(NotSuitable, match=said):
        filter_pictures(network, network)


def test_neurons_are_laid_out_as_the_image_is() -> None:
    network = built(MLP)
    weight = network.get_submodule("hidden1.linear").weight
    with torch.no_grad():
        weight.zero_()
        weight[3].view(SHAPE)[2, 4, 1] = -8.0  # blue, row 4, column 1
        weight[3].view(SHAPE)[0, 4, 1] = 2.0
    made = neuron_pictures(network, SHAPE, [0, 3])
    assert (made.layer, made.neurons) == ("hidden1.linear", (0, 3))
    assert made.color[1, 4, 1].tolist() == [0.625, 0.5, 0.0]
    assert (made.color[0] == 0.5).all()
    assert made.summed.shape == (2, 6, 5)
    assert made.summed[1, 4, 1] == 0
    assert (np.delete(made.summed.reshape(2, -1), 4 * 5 + 1, axis=1) == 0.5).all()


@pytest.mark.parametrize(
    ("neurons", "layer", "said"),
    [
        ([7], None, "there is no neuron 7; hidden1.linear has 0 to 6"),
        ([-1], None, "there is no neuron -1"),
        ([], None, "no neuron is named"),
        ([0], "output", "the neurons of output do not look at the 3×6×5 values of an image"),
        ([0], "flatten", "a Flatten has no weights"),
    ],
)
def test_neurons_that_are_not_there_are_refused(
    neurons: list[int], layer: str | None, said: str
) -> None:
    with pytest.raises(NotSuitable, match=said):
        neuron_pictures(built(MLP), SHAPE, neurons, layer)


def test_layer_outputs_are_those_of_the_layer() -> None:
    network = built(CONVNET, shape=(3, 8, 8)).eval()
    images = torch.randn(5, 3, 8, 8)
    name, outputs = layer_outputs(network, torch.split(images, 2), "features.block1.pool")
    maps = network.get_submodule("features.block1")(images)
    assert name == "features.block1.pool"
    assert np.allclose(outputs, maps.mean((2, 3)).detach().numpy(), atol=1e-6)
    name, taken = layer_outputs(network, [images])
    assert name == "classifier.output"
    logits = network.get_submodule(name)(torch.from_numpy(taken))
    assert torch.allclose(logits, network(images), atol=1e-6)


def test_layer_outputs_refuse_what_gives_no_row_for_each_image() -> None:
    network, images = built(MLP), torch.randn(2, *SHAPE)
    with pytest.raises(UnknownLayer):
        layer_outputs(network, [images], "hiden1")
    with pytest.raises(NotSuitable, match="no linear layer"):
        layer_outputs(nn.Flatten(), [images])
    with pytest.raises(NotSuitable, match="no images"):
        layer_outputs(network, [])
    with pytest.raises(NotSuitable, match="not finite"):
        layer_outputs(network, [images * float("inf")])
    flat = nn.Sequential(nn.Flatten(0), nn.Unflatten(0, (1, -1)))
    with pytest.raises(NotSuitable, match="0 gives no tensor with a row for each image"):
        layer_outputs(flat, [images], "0")


def blobs() -> tuple[np.ndarray, np.ndarray]:
    points, labels = make_blobs(60, 10, centers=3, cluster_std=0.5, random_state=1)
    return points.astype(np.float32), labels


@pytest.mark.slow
@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_a_map_keeps_groups_together_and_is_the_same_again(method: str) -> None:
    outputs, labels = blobs()
    found = embedding_map(outputs, method, seed=3)
    again = embedding_map(outputs, method, seed=3)
    assert np.array_equal(found.points, again.points)
    assert found.points.shape == (60, 2)
    for point, label in zip(found.points, labels, strict=True):
        nearest = np.argsort(np.square(found.points - point).sum(1))[1]
        assert labels[nearest] == label
    assert (len(found.explained) == 2) is (method == "pca")


def test_explained_variance_is_that_of_the_singular_values() -> None:
    outputs, _ = blobs()
    values = np.linalg.svd(outputs - outputs.mean(0), compute_uv=False) ** 2
    shares = embedding_map(outputs, "pca").explained
    assert shares == pytest.approx(list(values[:2] / values.sum()), rel=1e-5)


def test_a_map_of_too_little_is_refused() -> None:
    with pytest.raises(NotSuitable, match="needs 4 images"):
        embedding_map(np.zeros((3, 5), np.float32), "pca")
    with pytest.raises(NotSuitable, match="the same for every image"):
        embedding_map(np.ones((9, 5), np.float32), "tsne")


def test_nearest_images_point_in_the_same_direction() -> None:
    outputs = np.array([[1, 0], [0, 2], [3, 0.1], [-1, 0], [1, 1]], np.float32)
    found, distances = nearest_images(outputs, 3)
    assert found[0].tolist() == [2, 4, 1]
    assert distances[0] == pytest.approx([1 - 3 / np.hypot(3, 0.1), 1 - np.sqrt(0.5), 1], abs=1e-6)
    assert found.shape == (5, 3)


def test_no_image_is_its_own_neighbour_where_several_are_equal() -> None:
    found, distances = nearest_images(np.ones((6, 3), np.float32), 2)
    assert found.shape == (6, 2)
    assert not (found == np.arange(6)[:, None]).any()
    assert np.abs(distances).max() < 1e-6
    assert nearest_images(np.ones((2, 3), np.float32), 9)[0].tolist() == [[1], [0]]
