"""The components that docs/extending.md shows are real ones."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from runner.components.augmentations import operations_net, reference_net
from runner.components.data.dataset import DataPlaces
from runner.components.data.splitting import split_images

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.S
)


def module_of(text: str, folder: Path, name: str) -> object:
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # pydantic looks a class's names up there
    spec.loader.exec_module(module)
    return module


def test_the_data_set_of_the_page_can_be_read_and_split(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class Stripes" in each]
    stripes = module_of(text, tmp_path, "stripes").Stripes(dataset="stripes")
    source = stripes.build(DataPlaces((), lambda folder, names: []))
    assert np.asarray(source.read(1)).shape == (16, 16, 3)
    splits = split_images(
        source.labels, source.classes, source.splits, 0.2, stripes.test_share(), 0
    )
    assert len(splits["test"]) == 40


def test_the_optimizer_of_the_page_takes_a_step(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class RMSprop" in each]
    head = (ROOT / "runner" / "components" / "optimizers.py").read_text(encoding="utf-8")
    head = head[: head.index("Optimizer = Annotated[")]
    module = module_of(head + text, tmp_path, "more_optimizers")
    weight = torch.nn.Parameter(torch.ones(2))
    optimizer = module.RMSprop(name="rmsprop").build([weight])
    weight.sum().backward()
    optimizer.step()
    assert (weight < 1).all()


def test_the_augmentation_of_the_page_is_applied_both_ways(tmp_path: Path, monkeypatch) -> None:
    (text,) = [each for each in BLOCKS if "class RandomPosterize" in each]
    head = (ROOT / "runner" / "components" / "augmentations" / "color.py").read_text("utf-8")
    head = head[: head.index("class ColorJitter")]
    module = module_of(head + text, tmp_path, "more_augmentations")
    for table in (operations_net.BATCHED, reference_net.OPERATIONS):
        monkeypatch.setitem(table, "posterize", functional.posterize)
    step = module.RandomPosterize(name="RandomPosterize", bits=2)
    images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
    batched = step.apply(images, {}, (0.0,), operations_net.on_batches)
    assert torch.equal(batched, images & 0b11000000)
    assert torch.equal(step.apply(images, {}, (0.0,), operations_net.one_by_one), batched)
