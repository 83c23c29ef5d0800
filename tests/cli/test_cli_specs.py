"""`validate`, `new` and `schema`."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import Call
from pictures import draw_classes

from runner.spec.experiment import load_experiment


def test_validate_counts_cells_runs_and_tables(fresh: Path, call: Call) -> None:
    checked = call("validate", "tiny.yaml")
    assert checked.out == "tiny.yaml: tiny: 4 cells, 4 runs, tables: tiny\n"
    assert checked.code == 0


def test_resolved_names_the_place_of_every_setting(fresh: Path, call: Call) -> None:
    lines = call("validate", "tiny.yaml", "--resolved").out.splitlines()
    assert lines[0] == "tiny:0:0"
    assert "  train.epochs: 2  (tiny.yaml:5:17)" in lines
    assert "  train.optimizer.lr: 0.01  (tiny.yaml:9:25)" in lines
    assert "  train.optimizer.momentum: 0.0  (default)" in lines
    assert [line for line in lines if not line.startswith(" ")] == [
        "tiny:0:0",
        "tiny:0:1",
        "tiny:1:0",
        "tiny:1:1",
    ]


def test_resolved_shows_what_an_option_changed(fresh: Path, call: Call) -> None:
    lines = call("validate", "tiny.yaml", "--resolved", "--set", "epochs=7").out.splitlines()
    assert "  train.epochs: 7  (--set epochs=7)" in lines


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["photos", "my holiday photos", "it's: a \"#folder", "1.5", "true"]
)
def test_new_writes_a_short_spec_that_validates_and_runs(
    tmp_path: Path, call: Call, name: str
) -> None:
    draw_classes(tmp_path / name, {"left hand": 10, "right hand": 10})
    made = call("new", tmp_path / name)
    assert made.code == 0
    path = Path(made.out.partition(" written; try: runner plan ")[0])
    assert made.out == f"{path} written; try: runner plan {path} --probe\n"
    assert len(path.read_text().splitlines()) <= 10
    assert load_experiment(path).document["data"]["path"] == name
    assert call("validate", path, "--deep").code == 0
    ran = call("run", path, "--set", "epochs=1", "--limit", "1")
    assert (ran.code, "1 run: 1 done" in ran.err) == (0, True)


def test_new_on_large_images_resizes_them(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "large", {"a": 10, "b": 10}, side=100)
    printed = call("new", "large", "--out", "-").out
    assert "resize: 64, crop: 64" in printed
    assert "resize: 32, crop: 32" in call("new", "large", "--out", "-", "--size", "32").out
    assert not Path("large.yaml").exists()


def test_new_never_overwrites(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"a": 10, "b": 10})
    Path("photos.yaml").write_text("mine")
    refused = call("new", "photos")
    assert (refused.code, refused.err) == (
        2,
        "error: photos.yaml is there already\n    hint: give another --out\n",
    )
    assert Path("photos.yaml").read_text() == "mine"
    assert call("new", "photos", "--out", "other.yaml").code == 0


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"only": 3}, "photos has 1 class folder with images\n    allowed: 2 or more"),
        ({}, "no folder or file photos"),
        (
            {"one/empty": 0, "two/empty": 0},
            "photos has no class folders with images\n    allowed: 2 or more",
        ),
    ],
)
def test_new_needs_two_classes(
    tmp_path: Path, call: Call, counts: dict[str, int], message: str
) -> None:
    draw_classes(tmp_path / "photos", counts)
    refused = call("new", "photos")
    assert (refused.code, refused.err) == (2, f"error: {message}\n")


def test_schema_accepts_the_quickstart(call: Call) -> None:
    schema = json.loads(call("schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    quickstart = Path(__file__).parents[2] / "experiments" / "quickstart.yaml"
    assert load_experiment(quickstart).name == "quickstart"
    assert list(violations(yaml.safe_load(quickstart.read_text()), schema, schema)) == []


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("model", ["nets.py:Net", {"name": "nets.py:Net", "width": 3}])
def test_schema_accepts_own_code_with_any_settings(call: Call, model: object) -> None:
    schema = json.loads(call("schema").out)
    train: dict[str, Any] = {
        "loss": {"name": "losses.py:Poly", "epsilon": 1},
        "optimizer": "lion.py:Lion",
    }
    train["augment"] = ["RandomVerticalFlip", "pepper.py:Pepper", {"name": "pepper.py:Pepper"}]
    spec = {"name": "a", "data": {"dataset": "digits"}, "model": model, "train": train}
    assert list(violations(spec, schema, schema)) == []
    assert list(violations({**spec, "train": {"schedule": "a.py:B"}}, schema, schema)) != []


LIMITED = """
raise RuntimeError("was imported")
class Net(nn.Module):
    def __init__(self, width: Annotated[int, Field(ge=8, description="how wide")], deep: int = 1):
        pass
class Step:
    def __init__(self, share: Annotated[float, Field(ge=0.1)] = 0.5):
        pass
class Wrong:
    def __init__(self, share):
        pass
"""


@pytest.mark.slow
def test_schema_knows_the_settings_of_own_code_that_is_allowed(call: Call) -> None:
    Path("code").mkdir()
    Path("code", "nets.py").write_text(LIMITED)
    Path("code", "broken.py").write_text("def (")
    schema = json.loads(call("schema", "--code", "code").out)
    spec: dict[str, Any] = {"name": "a", "data": {"dataset": "digits"}, "model": "mlp"}

    def wrong(model: dict[str, Any], step: dict[str, Any]) -> bool:
        named = {"name": "nets.py:Net", **model}
        train = {"augment": [{"name": "nets.py:Step", **step}]}
        return violations({**spec, "model": named, "train": train}, schema, schema) != []

    assert not wrong({"width": 8}, {"share": 0.1, "p": 1.0})
    assert not wrong({}, {})  # a sweep may give it
    assert wrong({"width": 7}, {})
    assert wrong({"widht": 8}, {})
    assert wrong({}, {"share": 0.01})
    assert '"description": "how wide"' in call("schema", "--code", "code/nets.py").out
    assert "how wide" not in call("schema").out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"nmae": 1}, "nmae"),
        ({"train": {"epochs": "ten"}}, "epochs"),
        ({"train": {"epochs": 0}}, "epochs"),
        ({"model": {"name": "mlp", "hiden": [3]}}, "model"),
        ({"train": {"optimizer": "adma"}}, "optimizer"),
        ({"sweep": {"gird": {}}}, "gird"),
        ({"tables": {"t": {"A": {"metirc": "val_accuracy"}}}}, "t"),
    ],
)
def test_schema_refuses_what_validate_refuses(
    call: Call, change: dict[str, Any], where: str
) -> None:
    schema = json.loads(call("schema").out)
    spec = {"name": "a", "data": {"dataset": "digits"}, "model": "mlp"}
    assert list(violations(spec, schema, schema)) == []
    found = list(violations({**spec, **change}, schema, schema))
    assert [path for path in found if path.rpartition(".")[2] == where]


def test_every_reference_in_the_schema_leads_somewhere(call: Call) -> None:
    text = call("schema").out
    definitions = json.loads(text)["$defs"]
    names = [part.partition('"')[0] for part in text.split('"#/$defs/')[1:]]
    assert names
    assert {name for name in names if name not in definitions} == set()


def violations(value: Any, schema: Any, root: Any, path: str = "") -> list[str]:
    """Return the paths that break a schema: as much of JSON Schema as specs need."""
    if "$ref" in schema:
        return violations(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, path)
    for each in schema.get("allOf", []):
        if not violations(value, each["if"], root) and violations(value, each["then"], root):
            return [path]
    for key in ("oneOf", "anyOf"):
        if key in schema:
            fitting = [each for each in schema[key] if not violations(value, each, root, path)]
            return [] if len(fitting) == 1 or (fitting and key == "anyOf") else [path]
    types = {
        "object": dict,
        "array": list,
        "string": str,
        "integer": int,
        "number": int | float,
        "boolean": bool,
        "null": type(None),
    }
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        return [path]
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return [path]
    if "enum" in schema and value not in schema["enum"]:
        return [path]
    if "const" in schema and value != schema["const"]:
        return [path]
    if value < schema["minimum"] if "minimum" in schema else False:
        return [path]
    if isinstance(value, list):
        items = schema.get("items", {})
        return [hit for each in value for hit in violations(each, items, root, path)]
    return _inside(value, schema, root, path) if isinstance(value, dict) else []


def _inside(value: dict[str, Any], schema: Any, root: Any, path: str) -> list[str]:
    found = [f"{path}.{name}" for name in schema.get("required", []) if name not in value]
    for name, child in value.items():
        known = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
        if known is False:
            found.append(f"{path}.{name}")
        elif known is not True:
            found += violations(child, known, root, f"{path}.{name}")
    return found


def test_new_takes_data_or_a_run(tmp_path: Path, call: Call) -> None:
    for words in ((), ("photos", "--script", "tiny:0:0")):
        made = call("new", *words)
        assert (made.code, made.out) == (2, "")
        assert "one of DATA and --script is needed" in made.err
    assert "--size is of a spec" in call("new", "--script", "tiny:0:0", "--size", "9").err


def test_new_names_what_a_run_has_no_script_for(tiny: Path, call: Call) -> None:
    made = call("new", "--script", "tiny:0:0", "--out", "tiny.py")
    assert made.code == 2
    assert made.err == (
        "error: this run uses data: synthetic, for which no script is written\n"
        "    allowed: digits, cifar10, imagefolder\n"
    )
    assert not Path("tiny.py").exists()
