"""Own steps of an augmentation: each image by itself, with a generator of its own."""

from pathlib import Path
from typing import Any

import pytest
import torch

from runner.components.augmentations.own_step import OwnStep
from runner.components.augmentations.pipeline import Pipeline
from runner.components.component import canonical_settings, keyed_settings
from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed
from runner.core.errors import SpecError
from runner.engine.data.augment import Augmenter
from runner.engine.own_parts_probe import try_step
from runner.spec.experiment import load_experiment

PEPPER = """
import torch


class Pepper:
    def __init__(self, share: float = 0.5):
        self.share = share

    def __call__(self, image, generator):
        image *= torch.rand(image.shape[1:], generator=generator) >= self.share
        return image
"""
IMAGES = torch.full((6, 3, 5, 4), 200, dtype=torch.uint8)


def pipeline(folder: Path, text: str = PEPPER, **settings: Any) -> Pipeline:
    (folder / "pepper.py").write_text(text)
    with allow_code(folder):
        return Pipeline.model_validate(
            {"steps": ({"name": "pepper.py:Pepper", **settings}, {"name": "RandomVerticalFlip"})}
        )


def own_step(folder: Path, text: str = PEPPER, **settings: Any) -> OwnStep:
    step = pipeline(folder, text, **settings).steps[0]
    assert isinstance(step, OwnStep)
    return step


def test_settings_of_a_step_stand_in_the_pipeline_and_in_its_key(tmp_path: Path) -> None:
    found = pipeline(tmp_path, share=0.25)
    (step, _) = canonical_settings(found)["steps"]
    assert (step["name"], step["share"], step["p"]) == ("pepper.py:Pepper", 0.25, 0.5)
    assert keyed_settings(found) != keyed_settings(pipeline(tmp_path))
    other = pipeline(tmp_path, PEPPER.replace(">=", ">"), share=0.25)
    assert keyed_settings(found) != keyed_settings(other)
    with allow_code(tmp_path):
        again = Pipeline.model_validate_json(other.model_dump_json())
    assert keyed_settings(again) == keyed_settings(other)


def test_draws_follow_from_seed_epoch_and_step_and_the_batch_stays(tmp_path: Path) -> None:
    augment = Augmenter(pipeline(tmp_path, p=1.0), seed=3)
    before = IMAGES.clone()
    first, again, later = augment(IMAGES, 1, 1), augment(IMAGES, 1, 1), augment(IMAGES, 1, 2)
    assert torch.equal(IMAGES, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, later)
    assert 0.3 < float((first == 0).double().mean()) < 0.7
    assert len({image.numpy().tobytes() for image in first}) == len(first)


def test_p_picks_images_and_moves_no_draws_of_others(tmp_path: Path) -> None:
    every = Augmenter(pipeline(tmp_path, p=1.0), seed=3)(IMAGES, 1, 1)
    some = Augmenter(pipeline(tmp_path, p=0.5), seed=3)(IMAGES, 1, 1)
    same = [bool(torch.equal(*pair)) for pair in zip(every, some, strict=True)]
    plain = [bool((image == 200).all()) for image in some]
    assert any(plain)
    assert [not each for each in plain] == same


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return image", "return image[:, 1:]", r"gives uint8 \(3, 4, 4\), not uint8 \(3, 5, 4\)"),
        ("return image", "return image / 2", r"gives float32 \(3, 5, 4\), not uint8"),
        ("return image", "pass", "gives a NoneType, not an image"),
        ("image *=", "imag *=", r"does not take an image .*: \S*pepper\.py:10: UnboundLocalError"),
        ("= share", "= shar", r"cannot be built: \S*pepper\.py:7: NameError"),
    ],
)
def test_what_does_not_hold_of_a_step_is_told(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in PEPPER
    with pytest.raises(OwnCodeFailed, match=rf"^'pepper\.py:Pepper' {told}"):
        try_step(own_step(tmp_path, PEPPER.replace(old, new)), (3, 5, 4))


def test_step_that_draws_from_elsewhere_shares_nothing(tmp_path: Path) -> None:
    assert try_step(own_step(tmp_path), (3, 5, 4)) == ""
    drawing = PEPPER.replace(", generator=generator", "")
    told = "'pepper.py:Pepper' gives other images for the same images and draws"
    assert try_step(own_step(tmp_path, drawing), (3, 5, 4)) == told


def refused(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    return str(caught.value).splitlines()[0].removeprefix(f"{path}:")


def test_steps_in_a_spec_need_permission_and_have_positions(tmp_path: Path) -> None:
    spec = tmp_path / "a.yaml"
    (tmp_path / "pepper.py").write_text(PEPPER)
    text = "name: a\ndata: digits\nmodel: mlp\ntrain:\n  augment:\n    - RandomVerticalFlip\n"
    spec.write_text(f"{text}    - 'pepper.py:Pepper'\n")
    told = "'pepper.py:Pepper' is Python code; allow it with --code pepper.py"
    assert refused(spec) == f"7:7: {told}"
    with allow_code(tmp_path):
        (cell,) = load_experiment(spec).cells
        assert cell.settings.train.augment is not None
        spec.write_text(f"{text}    - {{name: 'pepper.py:Pepper', shar: 0.1}}\n")
        found = refused(spec)
        assert found == "7:34: unknown setting 'shar' in train.augment.steps.1"
        spec.write_text(f"{text}    - {{name: 'pepper.py:Pepper', share: a}}\n")
        assert refused(spec).startswith("7:41: train.augment.steps.1.share is 'a' (text)")
