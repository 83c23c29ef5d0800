"""A training step of the user's own as a setting: named, validated, and refused."""

from pathlib import Path
from typing import Any

import pytest
from own_nets import SAM
from pydantic import ValidationError

from runner.components.component import canonical_settings, keyed_settings
from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed
from runner.components.settings import Settings, Training
from runner.core.errors import SpecError
from runner.spec.experiment import load_experiment
from runner.spec.schema import spec_schema

SPEC = "name: a\ndata: digits\nmodel: mlp\ntrain:\n  epochs: 1\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "steps.py").write_text(f"raise RuntimeError('was run')\n{SAM}")
    return tmp_path / "a.yaml"


def refused(path: Path, text: str) -> str:
    path.write_text(SPEC + text)
    with pytest.raises(SpecError) as caught:
        load_experiment(path)
    return str(caught.value).removeprefix(f"{path}:")


def test_a_step_has_the_settings_of_its_signature_and_is_neutral_when_not_given(
    spec: Path,
) -> None:
    spec.write_text(SPEC)
    plain = load_experiment(spec).cells[0].settings
    assert plain.train.step is None
    assert "step" not in keyed_settings(plain)["train"]
    with allow_code(spec.parent):
        spec.write_text(
            f"{SPEC}  step: steps.py:Sam\nsweep:\n  grid:\n    train.step.rho: [0, 1]\n"
        )
        found = [cell.settings.train.step for cell in load_experiment(spec).cells]
        assert [canonical_settings(each)["rho"] for each in found if each] == [0.0, 1.0]
        spec.write_text(f"{SPEC}sweep:\n  grid:\n    train.step: [null, 'steps.py:Sam']\n")
        cells = load_experiment(spec).cells
        assert [cell.settings.train.step is None for cell in cells] == [True, False]
        as_json = canonical_settings(cells[1].settings)
        assert as_json["train"]["step"]["rho"] == 0.05
        assert Settings.model_validate(cells[1].settings) == cells[1].settings


def test_steps_in_a_spec_need_permission_and_have_positions(spec: Path) -> None:
    told = "'steps.py:Sam' is Python code; allow it with --code steps.py"
    assert refused(spec, "  step: steps.py:Sam\n") == f"6:9: {told}"
    with allow_code(spec.parent):
        found = refused(spec, "  step: {name: 'steps.py:Sam', roh: 1}\n")
        assert found.startswith("6:32: unknown setting 'roh' in train.step")
        assert "rho" in found
        found = refused(spec, "  step: {name: 'steps.py:Sam', rho: a}\n")
        assert found.startswith("6:37: train.step.rho is 'a' (text)")
        found = refused(spec, "  step: {name: 'steps.py:Sma'}\n")
        assert found.startswith("6:16: steps.py has no class Sma")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("  step: sam\n", "6:9: 'sam' is no own code"),
        ("  step: {name: sam}\n", "6:16: 'sam' is no own code"),
        ("  step: {rho: 1}\n", "6:9: own code without a name"),
        ("  step: 3\n", "6:9: 3 is no own code"),
        ("sweep:\n  grid:\n    train.step.rho: [1]\n", "8:"),
    ],
)
def test_what_is_no_code_is_refused_with_what_is_allowed(spec: Path, text: str, told: str) -> None:
    found = refused(spec, text)
    assert found.startswith(told)
    assert "FILE.py:CLASS, as" in found


def test_other_code_than_was_recorded_and_files_without_a_version_are_refused(
    spec: Path,
) -> None:
    reading = SAM.replace("self.rho = rho", "self.rho = float(open('rho').read())")
    (spec.parent / "steps.py").write_text(reading)
    with allow_code(spec.parent):
        assert "add version: 1 beside the name" in refused(spec, "  step: steps.py:Sam\n")
        with pytest.raises(ValidationError, match="is other code now than it was"):
            Training.model_validate({"step": {"name": "steps.py:Sam", "code": "0", "version": 1}})


def test_a_step_is_built_once_and_must_be_callable(spec: Path) -> None:
    (spec.parent / "steps.py").write_text(SAM.replace("__call__", "call"))
    with allow_code(spec.parent):
        step: Any = Training.model_validate({"step": {"name": "steps.py:Sam"}}).step
        with pytest.raises(OwnCodeFailed, match=r"'steps\.py:Sam' has no method __call__"):
            step.build()


@pytest.mark.slow
def test_the_schema_for_editors_allows_own_code_and_nothing_else() -> None:
    step = Training.model_json_schema()["properties"]["step"]
    assert [each["type"] for each in step["anyOf"]] == ["string", "null"]
    step = spec_schema()["$defs"]["Training"]["properties"]["step"]
    assert [each.get("type") for each in step["anyOf"]][::2] == ["string", "null"]
