"""The components that docs/extending.md shows are real ones."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from example_settings import example_settings
from torchvision_oracle import as_torchvision

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


def test_the_examples_of_the_page_are_formatted_as_the_checks_want_them() -> None:
    ruff = [sys.executable, "-m", "ruff", "format", "--diff", "-"]
    for text in BLOCKS:
        found = subprocess.run(ruff, input=text, cwd=ROOT, capture_output=True, text=True)
        assert found.returncode == 0, found.stdout


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


def test_the_augmentation_of_the_page_is_that_of_torchvision(tmp_path: Path) -> None:
    (text,) = [each for each in BLOCKS if "class RandomPosterize" in each]
    made = module_of(text, tmp_path, "posterize").RandomPosterize
    settings = example_settings(made, "nowhere")
    assert settings == {"bits": 3}
    for bits in range(1, 9):
        step = made(name="RandomPosterize", bits=bits)
        images = torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8)
        assert torch.equal(step.apply(images, {}, (0.0,)), as_torchvision(step, images, {}, (0.0,)))
