"""Which modules a run uses, and what is remembered of their text."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest

import runner.bind.code_digests as sources_module
from runner.bind.code_digests import Sources, modules_of, own_modules, recorded_code
from runner.components.component import Component
from runner.components.settings import Settings

HOME = "runner.components"
RANDOM = {"name": "RandomCrop", "size": 8, "padding": 1}


def used(tmp_path: Path, train: str = "", model: str = '"name": "mlp"') -> set[str]:
    """Return the modules that a run uses, without where they lie."""
    text = f'{{"data": {{"dataset": "digits"}}, "model": {{{model}}}, "train": {{{train}}}}}'
    settings = Settings.model_validate_json(text)
    names = Sources(tmp_path).used(modules_of(settings))
    assert all(name.startswith(f"{HOME}.") for name in names)
    return {name.removeprefix(f"{HOME}.") for name in names}


PLAIN = {
    *(
        "component",
        "losses",
        "losses_net",
        "measures",
        "optimizers",
        "optimizers_net",
        "schedules",
        "scores",
    ),
    *(
        "data.dataset",
        "data.digits",
        "data.folds",
        "data.group_folds",
        "data.normalizing",
        "data.splitting",
        "data.stratifying",
    ),
    *("data.transparency",),
    *("models.classifier", "models.init_net", "models.layers_net", "models.shapes_net"),
    *("models.mlp", "models.mlp_net"),
}


def test_a_run_uses_the_modules_of_its_components_and_what_these_import(tmp_path: Path) -> None:
    assert used(tmp_path) == PLAIN
    convnet = used(tmp_path, model='"name": "convnet"')
    assert convnet ^ PLAIN == {
        *("models.mlp", "models.mlp_net"),
        *("models.convnet", "models.convnet_net"),
    }


def test_every_module_that_a_run_uses_has_a_digest(tmp_path: Path) -> None:
    sources = Sources(tmp_path)
    digests = sources.digests(own_modules())
    assert {f"{HOME}.{name}" for name in PLAIN} <= digests.keys()
    assert "runner.engine.training.loop" in digests
    assert all(name.startswith((HOME, "runner.engine")) for name in digests)
    assert len(digests) == len(own_modules())


def test_steps_use_the_modules_of_their_operations(tmp_path: Path) -> None:
    for step, net in (
        ('"RandomEqualize"', "color_net"),
        ('"GaussianBlur", "kernel_size": 3, "sigma": 1.0', "gaussian_net"),
        ('"Resize", "size": 8', "cropping_net"),
        ('"Resize", "size": 8', "resampling_net"),
        ('"RandomRotation", "degrees": 9', "sampling_net"),
    ):
        found = used(tmp_path, f'"augment": {{"steps": [{{"name": {step}}}]}}')
        assert f"augmentations.{net}" in found


def test_steps_that_a_run_does_not_have_are_not_used(tmp_path: Path) -> None:
    flips = used(tmp_path, '"augment": {"steps": [{"name": "RandomHorizontalFlip"}]}')
    assert {"augmentations.geometry", "augmentations.geometry_net"} <= flips
    assert not {"augmentations.color", "augmentations.color_net"} & flips


def test_what_was_parsed_is_remembered_by_its_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources_module, "_PARSED", {})
    names = ["runner.engine.stages.evaluate", f"{HOME}.models.mlp"]
    first = Sources(tmp_path).digests(names)

    def parse(*_: object) -> None:
        raise AssertionError("parsed again")

    with monkeypatch.context() as patch:
        patch.setattr(sources_module, "read_source", parse)
        assert Sources(tmp_path).digests(names) == first
        patch.setattr(sources_module, "_PARSED", {})
        assert Sources(tmp_path).digests(names) == first
    path = tmp_path / "code.json"
    for damaged in ("", "[]", "{}", '{"format": 1, "known": {"a": 3}}', '{"format": 1}'):
        path.write_text(damaged)
        assert Sources(tmp_path).digests(names) == first
        assert json.loads(path.read_text())["known"]
    assert Sources(path / "no folder").digests(names) == first


def test_modules_that_were_parsed_before_are_not_parsed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Sources(tmp_path).digests(own_modules())
    monkeypatch.setattr(sources_module, "_PARSED", {})  # as another process begins
    monkeypatch.setattr(sources_module, "read_source", None)
    assert Sources(tmp_path).digests(own_modules()) == first


SQUARE = """\
from typing import Literal
from runner.components.component import Component
from . import helper
import other_package.unseen

class Square(Component):
    name: Literal["square"]
    side: int = 3

    def build(self):
        from made_models.square_net import build
        return build(self.side)
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the folder of a package with a component of its own."""
    home = tmp_path / "made_models"
    home.mkdir()
    (home / "__init__.py").write_text("")
    (home / "square.py").write_text(SQUARE.replace("import other_package.unseen\n", ""))
    (home / "helper.py").write_text("WIDTH = 1\n")
    (home / "square_net.py").write_text("def build(side):\n    return side\n")
    (home / "unused.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield home
    for name in [each for each in sys.modules if each.startswith("made_models")]:
        del sys.modules[name]


def test_a_component_of_another_package_counts_with_what_it_imports_there(
    package: Path, tmp_path: Path
) -> None:
    from made_models.square import Square  # type: ignore[import-not-found]

    class Wrapped(Component):
        name: Literal["wrapped"] = "wrapped"
        model: Square

    settings = Wrapped(model=Square(name="square"))
    found = recorded_code(Sources(tmp_path), [settings])
    others = {name for name in found if name.startswith("made_models")}
    assert others == {
        *("made_models", "made_models.helper", "made_models.square", "made_models.square_net")
    }
    net = package / "square_net.py"
    net.write_text("# build\ndef build(side):\n    return  side\n")
    assert recorded_code(Sources(tmp_path), [settings]) == found
    net.write_text("def build(side):\n    return side + 1\n")
    changed = recorded_code(Sources(tmp_path), [settings])
    assert {name for name in found if changed[name] != found[name]} == {"made_models.square_net"}
