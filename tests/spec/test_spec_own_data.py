"""Own data sets in specs: by name alone, in sweeps, with positions, and in the JSON Schema."""

import re
from pathlib import Path

import pytest
from own_cells import CELLS, SPEC, write_cells

from runner.components.own.permission import allow_code
from runner.core.errors import SpecError
from runner.spec.experiment import load_experiment
from runner.spec.schema import spec_schema


def refused(folder: Path, spec: str) -> str:
    path = write_cells(folder, spec=spec)
    with allow_code(folder), pytest.raises(SpecError) as caught:
        load_experiment(path)
    return str(caught.value).removeprefix(f"{path}:")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (
            "path: cells.npz, stian: 1",
            "2:52: unknown setting 'stian' in data\n    did you mean: stai",
        ),
        (
            "path: cells.npz, stain: a",
            "2:59: data.stain is 'a' (text)\n    allowed: a whole number",
        ),
        ("stain: 1", "2:1: data lacks 'path'\n    allowed: "),
        ("path: ''", "2:41: data.path is '' (text)"),
        ("path: a, include: [b]", "2:44: 'include' is a setting of imagefolder"),
    ],
)
def test_mistakes_in_settings_have_a_position(tmp_path: Path, settings: str, told: str) -> None:
    assert refused(tmp_path, SPEC.replace("path: cells.npz", settings)).startswith(told)


def test_names_of_classes_are_suggested(tmp_path: Path) -> None:
    told = refused(tmp_path, SPEC.replace("py:Cells", "py:Cels"))
    assert told.startswith("2:17: cells.py has no class Cels\n    did you mean: Cells")


def test_settings_can_be_swept_and_data_sets_of_other_kinds_beside_them(tmp_path: Path) -> None:
    sweep = "sweep:\n  rows:\n    - {data.stain: 1}\n    - {data: {dataset: digits}}\n"
    path = write_cells(tmp_path, spec=f"{SPEC}{sweep}")
    with allow_code(tmp_path):
        first, second = load_experiment(path).cells
    assert first.settings.data.stain == 1  # type: ignore[union-attr]
    assert second.settings.data.dataset == "digits"
    swept = f"{SPEC}sweep:\n  grid:\n    data.stain: [0, 1]\n"
    path = write_cells(tmp_path, CELLS, swept)
    with allow_code(tmp_path):
        keys = {each.cell.settings_key for each in load_experiment(path).cells}
    assert len(keys) == 2


def test_schema_for_editors_allows_own_code_by_name_and_with_settings() -> None:
    by_name, with_settings = spec_schema()["properties"]["data"]["oneOf"][1:3]
    assert re.search(by_name["pattern"], "cells.py:Cells")
    assert with_settings["required"] == ["dataset"]
    assert with_settings["properties"] == {"dataset": by_name}
