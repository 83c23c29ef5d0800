"""What a spec writes is checked, whatever a sweep, a profile or ``--set`` puts into or over it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from every_setting import FREE_SETTINGS, SETTINGS, SPEC, Setting, value_at, with_value
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from runner.components.settings import Settings
from runner.core.errors import Problem, SourcePosition, SpecError
from runner.spec.experiment import Experiment, build_experiment
from runner.spec.matching import same_value, setting_value
from runner.spec.names import SETTING_ROOTS, spell_out
from runner.spec.nodes import find, plain, to_node
from runner.spec.resolve import layered, origins
from runner.spec.yaml_loader import parse_yaml

JUNK = (None, True, 5, 0.5, -1, "sgd", "no such", [], [1], ["sgd"], [[1, "a"]], {"no": 1}, {})
SWEEPS = ("grid", "zip", "rows", "nested", "grid of wholes")


def swept(how: str, path: str, value: Any) -> dict[str, Any]:
    """Return the parts of a document that put a value at a path, and the options that do."""
    other = {"seed": 3} if path != "seed" else {"clip_grad_norm": 1.5}
    if how == "grid":
        return {"sweep": {"grid": {path: [value]}}}
    if how == "zip":
        return {"sweep": {"zip": {path: [value], **{name: [one] for name, one in other.items()}}}}
    if how == "rows":
        return {"sweep": {"rows": [{path: value}]}}
    if how == "nested":
        return {"sweep": {"rows": [{**other, "grid": {path: [value]}}]}}
    top, _, rest = path.partition(".")
    return {"sweep": {"grid": {top: [with_value({}, rest, value)]}}}


def build(
    document: dict[str, Any], sets: tuple[str, ...] = (), profile: str | None = None
) -> Experiment:
    tree = parse_yaml(yaml.safe_dump(document, sort_keys=False), "a.yaml")
    return build_experiment(tree, Path("a.yaml"), profile, sets)


def problems_of(
    document: dict[str, Any], sets: tuple[str, ...] = (), profile: str | None = None
) -> tuple[Problem, ...]:
    try:
        build(document, sets, profile)
    except SpecError as error:
        return error.problems
    return ()


def position_of(document: dict[str, Any], path: list[str]) -> SourcePosition | None:
    node = find(parse_yaml(yaml.safe_dump(document, sort_keys=False), "a.yaml"), path)
    return None if node is None else node.position


def said_of(
    problems: tuple[Problem, ...], position: SourcePosition | None
) -> set[tuple[str, str, str]]:
    """Return what is said of a position."""
    return {
        (problem.found, problem.allowed, problem.suggestion)
        for problem in problems
        if problem.position == position
    }


def option(path: str, value: Any) -> str:
    return f"{path}={yaml.safe_dump(value, default_flow_style=True).removesuffix('...' + chr(10))}"


def over(how: str, path: str, value: Any) -> tuple[dict[str, Any], tuple[str, ...], str | None]:
    """Return what puts a value over everything: parts of the document, ``--set``, the profile."""
    if how == "set":
        return {}, (option(path, value),), None
    if how == "profile":
        return {"profiles": {"quick": {path: value}}}, (), "quick"
    return swept(how, path, value), (), None


def prefixes(path: str) -> list[str]:
    steps = path.split(".")
    return [".".join(steps[:end]) for end in range(1, len(steps) + 1)]


@st.composite
def mistakes(draw: st.DrawFn) -> tuple[Setting, str, Any, tuple[str, Any]]:
    """Return a setting, a path on the way to it, a wrong value there, and what is put over it.

    What is put there is the setting itself, or one beside it.
    """
    setting = draw(st.sampled_from(SETTINGS))
    path = draw(st.sampled_from(prefixes(setting.path)))
    value = draw(st.sampled_from(JUNK))
    above = setting.path.rpartition(".")[0]
    beside = [each for each in SETTINGS if each.path.rpartition(".")[0] == above]
    beside = [each for each in beside if each.owner == setting.owner]
    reached = draw(st.sampled_from([setting, setting, *beside]))
    return setting, path, value, (reached.path, draw(st.sampled_from(reached.values)))


def is_wrong_by_itself(document: dict[str, Any], path: str, value: Any) -> bool:
    """Return whether a spec that nothing is put over says that this value cannot stand there."""
    if isinstance(value, dict) and isinstance(value_at(SPEC, path), dict):
        return False  # a mapping where one belongs: it may lack something, and get it from above
    wrong = with_value(document, path, value)
    return not keeps_to_rules_alone(wrong) and bool(
        said_of(problems_of(wrong), position_of(wrong, path.split(".")))
    )


def keeps_to_rules_alone(document: dict[str, Any]) -> bool:
    """Return whether each setting is right, so that only a rule between them can be broken.

    What is put over one of them may keep the rule again.
    """
    own = {key: child for key, child in document.items() if key in SETTING_ROOTS}
    try:
        Settings.model_validate(plain(layered(spell_out("", to_node(own)), [])))
    except (ValidationError, SpecError):
        return False
    return True


tries = settings(max_examples=examples(500), deadline=None)


@pytest.mark.slow
@tries
@given(mistakes(), st.sampled_from([*SWEEPS, "profile", "set"]))
def test_wrong_value_is_an_error_whatever_is_put_into_over_or_beside_it(
    mistake: tuple[Setting, str, Any, tuple[str, Any]], how: str
) -> None:
    setting, path, value, reached = mistake
    wrong = with_value(setting.spec, path, value)
    position = position_of(wrong, path.split("."))
    said = said_of(problems_of(wrong), position)
    parts, sets, profile = over(how, *reached)
    if is_wrong_by_itself(setting.spec, path, value):
        assert said_of(problems_of({**wrong, **parts}, sets, profile), position) == said


@pytest.mark.slow
@tries
@given(mistakes(), st.sampled_from(SWEEPS), st.sampled_from(["profile", "set", "row", "nothing"]))
def test_wrong_swept_value_is_an_error_whatever_is_put_into_over_or_beside_it(
    mistake: tuple[Setting, str, Any, tuple[str, Any]], below: str, how: str
) -> None:
    setting, path, value, reached = mistake
    if not is_wrong_by_itself(setting.spec, path, value):
        return
    if how == "row":
        row = {path: value} | ({reached[0]: reached[1]} if reached[0] != path else {})
        wrong = {**setting.spec, "sweep": {"rows": [row]}}
        assert any(each.position is not None for each in problems_of(wrong))
        return
    wrong = {**setting.spec, **swept(below, path, value)}
    alone = problems_of(wrong)
    assert alone
    if how != "nothing":
        parts, sets, profile = over(how, *reached)
        covered = problems_of({**wrong, **parts}, sets, profile)
        assert {each.found for each in alone} <= {each.found for each in covered}


@pytest.mark.slow
@tries
@given(st.sampled_from(FREE_SETTINGS), st.sampled_from([*SWEEPS, "profile", "set"]), st.data())
def test_right_value_of_any_setting_passes_wherever_it_is_put(
    setting: Setting, how: str, data: st.DataObject
) -> None:
    value = data.draw(st.sampled_from(setting.values))
    written = with_value(setting.spec, setting.path, value)
    steps = setting.path.split(".")
    expected = setting_value(build(written).cells[0].cell.settings, steps)
    parts, sets, profile = over(how, setting.path, value)
    for spec in (setting.spec, written):
        (item,) = build({**spec, **parts}, sets, profile).cells
        assert setting_value(item.cell.settings, steps) == expected


def test_every_setting_of_the_language_is_among_those_tried() -> None:
    paths = {setting.path for setting in SETTINGS}
    assert {"seed", "train.augment.steps", "model.weights.sha256", "data.normalize.std"} <= paths
    (item,) = build(SPEC).cells
    resolved = {path for path, _, _ in origins(item.settings, item.tree)}
    assert resolved <= paths


SGD_FAST = {"name": "sgd", "lr": 0.5}


@pytest.mark.parametrize(
    ("train", "path", "value", "expected"),
    [
        ({"early_stopping": None}, "patience", 3, {"early_stopping": {"patience": 3}}),
        ({"optimizer": "sgd"}, "lr", 0.5, {"optimizer": SGD_FAST}),
        ({"augment": ["RandomHorizontalFlip"]}, "train.augment.p", 0.5, {"augment": {"p": 0.5}}),
        ({"optimizer": {"lr": 0.5}}, "optimizer", "sgd", {"optimizer": SGD_FAST}),
        (
            {"schedule": {"step_size": 3}},
            "schedule",
            {"name": "step", "gamma": 0.5},
            {"schedule": {"name": "step", "step_size": 3, "gamma": 0.5}},
        ),
        (
            {"optimizer": {"name": "sgd", "nesterov": True}},
            "momentum",
            0.9,
            {"optimizer": {"nesterov": True, "momentum": 0.9}},
        ),
    ],
    ids=str,
)
@pytest.mark.parametrize("how", ["grid", "profile", "set"])
def test_settings_that_other_layers_complete_are_right(
    how: str, train: Any, path: str, value: Any, expected: Any
) -> None:
    parts, sets, profile = over(how, path, value)
    (item,) = build({**SPEC, "train": train, **parts}, sets, profile).cells
    assert same_value(item.cell.settings["train"], expected)


def test_data_that_only_the_sweep_names_may_have_settings_in_the_spec() -> None:
    spec = {**SPEC, "data": {"images": 50, "validation": 0.1}, "model": {"dropout": 0.5}}
    grid = {"data.dataset": ["synthetic"], "model": ["mlp", {"name": "convnet", "filters": [4]}]}
    cells = build({**spec, "sweep": {"grid": grid}}).cells
    assert [item.settings.model.name for item in cells] == ["mlp", "convnet"]
    assert {item.settings.data.images for item in cells} == {50}


def test_component_and_other_settings_of_it_may_stand_in_one_row() -> None:
    row = {"augment": ["RandomHorizontalFlip"], "train.augment.p": 0.5, "optimizer": "sgd"}
    row |= {"lr": 0.5, "train": {"optimizer": {"momentum": 0.9}, "epochs": 3}}
    (item,) = build({**SPEC, "sweep": {"rows": [row]}}).cells
    train = item.settings.train
    assert train.augment is not None
    assert (train.augment.p, len(train.augment.steps), train.epochs) == (0.5, 1, 3)
    assert (train.optimizer.name, train.optimizer.lr) == ("sgd", 0.5)


@pytest.mark.parametrize("how", ["profile", "set"])
def test_swept_null_gives_way_to_what_a_variant_sets_inside(how: str) -> None:
    parts, sets, profile = over(how, "patience", 3)
    spec = {**SPEC, "sweep": {"grid": {"early_stopping": [None, {"patience": 5}]}}}
    cells = build({**spec, **parts}, sets, profile).cells
    stops = [item.settings.train.early_stopping for item in cells]
    assert [each.patience for each in stops if each is not None] == [3, 3]
