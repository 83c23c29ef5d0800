"""Augmentations on a GPU: they wait for nothing, copy once, and no shape depends on a draw."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import yaml
from augmentation_steps import SIZE, STEPS
from counted import DEVICE, Counted
from packaging.version import Version
from torch import Tensor

from runner.components.augmentations.augmentation import RandomlyApplied, UnsuitableSize
from runner.components.augmentations.pipeline import Pipeline
from runner.engine.data.augment import Augmenter, by_masks
from runner.engine.data.draws import DrawnStep, Draws

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
MEAN = (0.1, 0.5, 0.9)


def pipelines_in(document: Any) -> list[dict[str, Any]]:
    """Return what the keys ``augment`` of a spec say, wherever they are."""
    if isinstance(document, list):
        return [found for each in document for found in pipelines_in(each)]
    if not isinstance(document, dict):
        return []
    found = [found for each in document.values() for found in pipelines_in(each)]
    for key, value in document.items():
        if key.split(".")[-1] == "augment" and value:
            found.append(value if isinstance(value, dict) else {"steps": value})
    return found


def named(step: Any) -> dict[str, Any]:
    return {"name": step} if isinstance(step, str) else step


def documents() -> dict[str, dict[str, Any]]:
    """Return every augmentation by itself, choices, and every pipeline of the experiments."""
    steps = [{"name": name, **settings} for name, settings in STEPS.items()]
    found: dict[str, dict[str, Any]] = {each["name"]: {"steps": [each]} for each in steps}
    found["RandomErasing of the mean"] = {"steps": [{"name": "RandomErasing", "value": "mean"}]}
    for mode in ("edge", "reflect", "symmetric"):
        crop = {"name": "RandomCrop", "size": list(SIZE), "padding": 3, "padding_mode": mode}
        found[f"RandomCrop {mode}"] = {"steps": [crop]}
    for name in ("RandomPerspective", "RandomAffine", "RandomRotation"):
        for how in ("nearest", "bilinear"):
            step = {"name": name, **STEPS[name], "interpolation": how, "fill": 77}
            found[f"{name} {how}"] = {"steps": [step]}
    one_of = {"name": "one_of", "choices": [[], [steps[0], steps[6]], [steps[1]]]}
    found["one_of"] = {"p": 0.7, "steps": [one_of, steps[0]]}
    for path in sorted(EXPERIMENTS.glob("*.yaml")):
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
        for number, pipeline in enumerate(pipelines_in(read)):
            own = {**pipeline, "steps": [named(each) for each in pipeline["steps"]]}
            if own not in found.values():
                found[f"{path.stem} {number}"] = own
    return found


DOCUMENTS = documents()
every_pipeline = pytest.mark.parametrize(
    "name",
    # each augmentation always, also one that is new
    [pytest.param(name, marks=[] if name in STEPS else pytest.mark.slow) for name in DOCUMENTS],
)


def pipeline_of(document: Mapping[str, Any]) -> Pipeline:
    return Pipeline.model_validate_json(json.dumps(document))


def size_for(pipeline: Pipeline) -> tuple[int, int]:
    """Return a size that a pipeline takes, and gives back if it does so with any."""
    for size in (SIZE, (32, 32), (224, 224)):
        try:
            pipeline.check(size)
            return size
        except UnsuitableSize:
            continue
    return SIZE


def counted(pipeline: Pipeline, steps: int, count: int = 5) -> list[Counted]:
    """Return what the steps of an epoch ask of a GPU, but for the first one."""
    images = torch.empty((count, 3, *size_for(pipeline)), dtype=torch.uint8, device=DEVICE)
    augment = Augmenter(pipeline, 3, MEAN)
    found = []
    for step in range(1 + steps):
        with Counted() as mode:
            augment(images, 1, step + 1)
        found.append(mode)
    # constants are made on the device at the first step
    return found[1:]


def test_the_experiments_have_pipelines() -> None:
    assert len([name for name in DOCUMENTS if "augmentation" in name]) == 6


@pytest.mark.slow
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_step_waits_for_nothing_copies_once_and_has_equal_shapes(name: str) -> None:
    first, *others = counted(pipeline_of(DOCUMENTS[name]), 20)
    assert first.kernels
    for each in (first, *others):
        assert each.blocking == []
        assert each.copies == first.copies
        assert each.kernels == first.kernels
    assert len(first.copies) <= 1


def test_few_kernels_do_a_jitter_of_all_four() -> None:
    """Turn by turn, with the images of each adjustment gathered, they would be some 500."""
    (one,) = counted(pipeline_of(DOCUMENTS["ColorJitter"]), steps=1)
    assert len(one.kernels) <= 170


@every_pipeline
def test_every_image_at_once_gives_the_levels_of_the_picked_ones_alone(name: str) -> None:
    pipeline = pipeline_of(DOCUMENTS[name])
    size = size_for(pipeline)
    for channels in (3, 1):
        generator = torch.Generator().manual_seed(4)
        images = torch.randint(0, 256, (12, channels, *size), generator=generator).to(torch.uint8)
        mean = MEAN[:channels]
        expected = Augmenter(pipeline, 3, mean)(images, 1, 1)
        picked, steps = Draws(3, 1, 1, len(images)).pipeline(pipeline, size)
        before = images.clone()
        some = picked if pipeline.p < 1 else None
        # the parameters are those for a GPU
        found = by_masks(images, some, steps, mean, torch.device("cuda"))
        assert torch.equal(found, expected)
        assert torch.equal(images, before)


class Blocking(RandomlyApplied):
    """Does in one way or another what a GPU waits for."""

    name: Literal["Blocking"] = "Blocking"
    how: str

    def draw(self, generator: torch.Generator, count: int, size: Any) -> dict[str, Tensor]:
        return {"numbers": torch.rand(count, generator=generator)}

    def apply(self, images: Tensor, drawn: Mapping[str, Tensor], mean: Sequence[float]) -> Tensor:
        return WAYS[self.how](images, drawn["numbers"], torch.arange(len(images)))


WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "to": lambda images, numbers, here: images + here.to(images.device)[:, None, None, None],
    "a second copy": lambda images, numbers, here: (
        images + here.to(images.device, non_blocking=True)[:, None, None, None]
    ),
    "index": lambda images, numbers, here: images[here],
    "new tensor": lambda images, numbers, here: images * torch.tensor(3, device=images.device),
    "item": lambda images, numbers, here: images * int(numbers[0].item() > 0),
    "tolist": lambda images, numbers, here: images * len(numbers.tolist()),
    "branch": lambda images, numbers, here: images.flip(-1) if (numbers > 0.5).any() else images,
    "nonzero": lambda images, numbers, here: images[(numbers > 2).nonzero()],
    "mask": lambda images, numbers, here: images[numbers > 2],
    "to the CPU": lambda images, numbers, here: images * numbers.cpu().mean(),
}


@pytest.mark.parametrize("how", WAYS)
def test_whatever_waits_for_the_device_is_found(how: str) -> None:
    if how == "new tensor" and Version(torch.__version__) < Version("2.15"):
        pytest.skip("there the copy of a new tensor is not seen")
    step = Blocking(how=how)
    images = torch.empty((4, 3, *SIZE), dtype=torch.uint8, device=DEVICE)
    drawn = step.draw(torch.Generator(), len(images), SIZE)
    steps = (DrawnStep("0", step, SIZE, torch.ones(4, dtype=torch.bool), drawn),)
    mode = Counted()
    try:
        with mode:
            by_masks(images, None, steps, MEAN, DEVICE)
    except (AssertionError, RuntimeError, NotImplementedError):
        return  # as the test of every pipeline would
    assert mode.blocking or len(mode.copies) > 1
