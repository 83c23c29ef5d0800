"""Batches: the numbers and strides of the plain formula, at the cost of picking rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import SYNTHETIC, Bench, settings_of
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from runner.components.data.splitting import Split
from runner.core.keys import keyed_seed
from runner.engine.data import samples as module
from runner.engine.data.augment import Augmenter
from runner.engine.data.samples import Images

HALF = {"mean": [0.3, 0.1, 0.7], "std": [0.2, 0.9, 0.4]}
GRAY: dict[str, Any] = {"color": "gray", "normalize": {"mean": [0.3], "std": [0.7]}}
CROP = {"name": "RandomCrop", "size": [5, 7], "padding": 2}
VIEWS = ("aten.view.", "aten.permute.", "aten.split.", "aten.as_strided.", "aten.detach.")


class Kernels(TorchDispatchMode):
    """Counts what is computed; views are not."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if not str(func).startswith(VIEWS):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


def plainly(images: Images, indices: Tensor, change: Callable[[Tensor], Tensor] | None) -> Tensor:
    """Return the batch by the formula, one mean and deviation for each channel."""
    levels = images._pixels[indices].permute(0, 3, 1, 2)
    if change is not None:
        levels = change(levels).contiguous(memory_format=torch.channels_last)
    mean, std = (torch.tensor(each) for each in images.settings.normalization())
    view = (1, -1, 1, 1)
    return levels.to(torch.float32).sub_(mean.view(view) * 255).div_(std.view(view) * 255)


@pytest.mark.slow
@pytest.mark.parametrize("floats", [True, False])
@pytest.mark.parametrize("augment", [None, [CROP]])
@pytest.mark.parametrize("data", [{"normalize": HALF}, {"width": 11}, GRAY])
def test_batches_are_those_of_the_formula_to_the_bit_and_the_stride(
    data: dict[str, Any],
    augment: list[Any] | None,
    floats: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not floats:
        monkeypatch.setattr(module, "FLOAT_BYTES", 0)
    train = {"augment": {"steps": augment}} if augment else {}
    settings = settings_of(train, data={**SYNTHETIC, **data})
    pipeline = settings.train.augment
    images = Bench(tmp_path, settings).images()
    generator = torch.Generator().manual_seed(keyed_seed(4, "order", 2))
    order = images.splits["train"][torch.randperm(36, generator=generator)]
    mean, _ = settings.data.normalization()
    batches = list(images.training_batches(4, 2, 10, False, pipeline))
    assert [len(labels) for _, labels in batches] == [10, 10, 10, 6]
    for step, (inputs, labels) in enumerate(batches, start=1):
        indices = order[10 * step - 10 : 10 * step]
        augmenter = None if pipeline is None else Augmenter(pipeline, 4, mean)
        change = None if augmenter is None else lambda x, a=augmenter, s=step: a(x, 2, s)
        expected = plainly(images, indices, change)
        assert torch.equal(inputs, expected)
        assert inputs.stride() == expected.stride()
        assert labels.tolist() == [images.index["labels"][each] for each in indices]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_evaluated_batches_are_those_of_the_formula(split: Split, tmp_path: Path) -> None:
    images = Bench(tmp_path, settings_of(data={**SYNTHETIC, "normalize": HALF})).images()
    for _ in range(2):  # what was made for the first evaluation serves the second
        with torch.inference_mode():
            ((inputs, labels),) = images.evaluation_batches(split)
        expected = plainly(images, images.splits[split], None)
        assert torch.equal(inputs, expected)
        assert inputs.stride() == expected.stride()
        assert labels.tolist() == [images.index["labels"][each] for each in images.splits[split]]


def test_what_an_evaluation_made_serves_a_training(tmp_path: Path) -> None:
    images = Bench(tmp_path, settings_of()).images()
    with torch.inference_mode():
        list(images.evaluation_batches("val"))
    weight = torch.ones(3, requires_grad=True)
    for inputs, _ in images.training_batches(0, 1, 12, False):
        (inputs.sum((2, 3)) * weight).sum().backward()
    assert weight.grad is not None


@pytest.mark.parametrize(
    ("floats", "kernels"),
    [
        (True, ["aten.index_select.default"]),
        (False, ["aten.index_select.default", "aten._to_copy.default", "aten.sub_.Tensor",
                 "aten.div_.Tensor"]),
    ],
)  # fmt: skip
def test_a_batch_is_picked_and_normalised_by_rows(
    floats: bool, kernels: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not floats:
        monkeypatch.setattr(module, "FLOAT_BYTES", 0)
    images = Bench(tmp_path, settings_of()).images()
    list(images.evaluation_batches("train"))
    training = images.training_batches(0, 1, 12, False)
    next(training)
    for batches in (training, images.evaluation_batches("train")):
        with Kernels() as counted:
            next(batches)
        assert counted.names == kernels
