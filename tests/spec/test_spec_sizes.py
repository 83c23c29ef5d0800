"""Sizes are computed from the tree: too large a spec is refused before anything is built."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from examples import examples
from hypothesis import HealthCheck, assume, given, settings
from test_spec_sweep import sweeps

from runner.components.settings import Settings
from runner.core.errors import MAX_PROBLEMS, SpecError
from runner.spec import cells, sizes, sweep
from runner.spec.experiment import Experiment, build_experiment, recorded_tables
from runner.spec.nodes import to_node
from runner.spec.sizes import num_values, sweep_size
from runner.spec.sweep import expand_sweep
from runner.spec.tables import checks as table_checks
from runner.spec.tables import pivot_checks
from runner.spec.yaml_loader import parse_yaml

HEAD = "name: big\ndata: {dataset: digits}\nmodel: mlp\n"


def build(text: str, **options: Any) -> Experiment:
    tree = parse_yaml(HEAD + text, "a.yaml")
    return build_experiment(tree, Path("a.yaml"), **options)


def numbers(count: int, first: int = 1) -> str:
    return "[" + ", ".join(str(number) for number in range(first, first + count)) + "]"


def refused(text: str, **options: Any) -> str:
    with pytest.raises(SpecError) as caught:
        build(text, **options)
    return str(caught.value)


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(sweeps())
def test_size_of_a_sweep_is_that_of_its_expansion(tree: dict) -> None:
    assume(tree)
    node = to_node(tree)
    try:
        combinations = expand_sweep(node)
    except SpecError:
        assume(False)
    size = sweep_size(node)
    assert size.combinations == len(combinations)
    settings_in = [sum(map(num_values, item.overrides.values())) for item in combinations]
    labels_in = [len(item.labels) for item in combinations]
    # of two labels of one name, in rows inside each other, the inner one is left
    assert size.values >= sum(settings_in) + sum(labels_in)
    assert size.values == sum(settings_in) or any(labels_in)


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits that small specs are beyond."""
    monkeypatch.setattr(sizes, "MAX_COMBINATIONS", 100)
    monkeypatch.setattr(sizes, "MAX_CELLS", 100)
    monkeypatch.setattr(sizes, "MAX_VALUES", 1000)
    monkeypatch.setattr(table_checks, "MAX_VALUES", 1000)


ALIASES = "rows: [&a {grid: {batch_size: %s, epochs: %s}}, *a, *a, *a, *a, *a, *a, *a, *a, *a]"
SWEEPS = {
    ALIASES % (numbers(9), numbers(9)): "4:8: 810 combinations: 810 (10 rows)\n",
    f"grid: {{lr: {numbers(20)}, epochs: {numbers(6)}}}": (
        "4:8: 120 combinations: 20 (lr) × 6 (epochs)\n    allowed: at most 100 in one sweep"
    ),
    f"rows: [{{grid: {{lr: {numbers(20)}, seed: {numbers(6)}}}}}]": (
        "4:16: 120 combinations: 20 (lr) × 6 (seed)\n"
    ),
    f"zip: {{lr: {numbers(20)}, epochs: {numbers(20)}}}, grid: {{seed: {numbers(6)}}}": (
        "4:8: 120 combinations: 20 (zip) × 6 (seed)\n"
    ),
    f"rows: [{{labels: {{A: {'a' * 2000}}}, grid: {{lr: {numbers(60)}}}}}]": (
        "4:16: 60 combinations with 1380 values in all\n    allowed: at most 1000"
    ),
}


@pytest.mark.usefixtures("limits")
@pytest.mark.parametrize("text", SWEEPS, ids=["aliases", "grid", "row", "zip", "labels"])
def test_sweep_too_large_is_refused_before_anything_is_built(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(sweep, "_parts")
    assert refused(f"sweep: {{{text}}}").startswith(f"a.yaml:{SWEEPS[text]}")


@pytest.mark.usefixtures("limits")
def test_cells_too_many_are_refused_before_anything_is_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(cells, "resolve")
    grid = f"sweep: {{grid: {{epochs: {numbers(30)}}}}}"
    message = "a.yaml:4:8: 120 cells (30 combinations × 4 seeds)\n    allowed: at most 100"
    assert refused(f"seeds: {numbers(4)}\n{grid}") == message
    train = f"train: {{schedule: {{name: multistep, milestones: {numbers(40)}}}}}"
    message = (
        "a.yaml:1:1: 30 cells of 48 settings, with 1440 values in all\n    allowed: at most 1000"
    )
    assert refused(f"{train}\n{grid}") == message


@pytest.mark.usefixtures("limits")
def test_profile_that_keeps_few_cells_may_have_many_seeds() -> None:
    text = f"sweep: {{grid: {{epochs: {numbers(30)}}}}}\nseeds: {numbers(4)}\n"
    text += f"profiles: {{few: {{cells: 2, seeds: {numbers(40)}}}}}"
    assert "120 cells" in refused(text)
    assert len(build(text, profile="few").cells) == 80


@pytest.mark.usefixtures("limits")
def test_published_values_are_not_held_against_ever_so_many_cells() -> None:
    entries = ", ".join("{where: {lr: 1}, values: {TEST_ACC: 1}}" for _ in range(10))
    text = f"sweep: {{grid: {{lr: {numbers(50)}}}}}\npublished: [{entries}]"
    message = "a.yaml:5:12: 51 published values and what they are for, compared with 50 cells\n"
    assert refused(text).startswith(message)


def test_records_from_before_limits_are_read() -> None:
    labels = {f"L{number}": "a" for number in range(150)}
    inner = [{"labels": {"INNER": number}} for number in (1, 2)]
    rows = [{"label": "one", "labels": labels, "rows": inner}]
    columns = {f"C{number}": f"L{number % 150}" for number in range(600)}
    document = {"sweep": {"rows": rows}, "tables": {"t": {**columns, "I": "INNER", "L": "label"}}}
    (table,) = recorded_tables(document)
    assert len(table.columns) == 602


@pytest.mark.slow
def test_labels_columns_and_pivots_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = ", ".join(f"L{number}: a" for number in range(101))
    assert "more than 100 names of labels" in refused(
        f"sweep: {{rows: [{{labels: {{{labels}}}}}]}}"
    )
    columns = ", ".join(f"C{number}: lr" for number in range(501))
    found = "a.yaml:4:10: table t has 501 columns\n    allowed: at most 500"
    assert refused(f"tables: {{t: {{{columns}}}}}") == found
    shaken = "analyses: {s: {name: robustness, transforms: [RandomHorizontalFlip]}}\n"
    column = "{metric: accuracy, analysis: s, where: {transform: none, severity: 0}}"
    columns = ", ".join(f"C{number}: {column}" for number in range(401))
    found = "a.yaml:5:10: table t has 401 columns of analyses\n    allowed: at most 400"
    assert refused(f"{shaken}tables: {{t: {{{columns}}}}}") == found
    monkeypatch.setattr(pivot_checks, "MAX_COLUMNS", 3)
    text = "sweep: {grid: {lr: [1, 2, 3, 4], epochs: [1, 2]}}\ntables:\n  t:\n"
    text += "    columns: {LR: lr, N: epochs, ACC: val_accuracy}\n    pivot: "
    found = "a.yaml:8:12: pivot is LR, whose 4 values would make 4 columns\n"
    assert refused(f"{text}LR").startswith(found)
    monkeypatch.setattr(table_checks, "MAX_COLUMNS", 3)
    titles = "{column: LR, titles: {1: A, 2: B, 3: C, 4: D}}"
    found = "a.yaml:6:3: table t has 3 columns, and its pivot titles of 4 values\n"
    assert refused(f"{text}{titles}").startswith(found)


@pytest.mark.usefixtures("limits")
def test_tables_are_not_held_against_ever_so_many_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = ", ".join(f"C{number}: lr" for number in range(20))
    text = f"sweep: {{grid: {{lr: {numbers(51)}}}}}\ntables: {{t: {{{columns}}}}}"
    assert refused(text).startswith("a.yaml:5:10: tables of 20 columns in all, over 51 cells\n")
    found = "a.yaml:1:1: tables of 3 columns in all, over 99 cells\n"
    monkeypatch.setattr(table_checks, "MAX_VALUES", 296)
    assert refused(f"sweep: {{grid: {{lr: {numbers(99)}}}}}").startswith(found)


@pytest.mark.parametrize(
    ("schedule", "count"),
    [
        ("{name: step, step_size: 1}", 100_000),
        ("{name: step, step_size: 9, warmup: 100}", 11_212),
        ("{name: constant, warmup: 20000}", 20_001),
        ("{name: multistep, milestones: [1, 2], warmup: 9998}", 10_001),
    ],
)
def test_schedule_of_very_many_rates_is_refused(schedule: str, count: int) -> None:
    message = refused(f"train: {{epochs: 100000, schedule: {schedule}}}")
    found = f": the schedule has up to {count} learning rates in 100000 epochs\n"
    assert re.match(
        rf"a\.yaml:4:\d+{found}    allowed: at most 10000\n    hint: use a cosine", message
    )


def test_rates_of_all_cells_together_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sizes, "MAX_PHASES", 100)
    text = "train: {epochs: 30, schedule: {name: step, step_size: 1}}\nsweep: {grid: {seed: %s}}"
    found = "a.yaml:4:8: 120 learning rates in the trainings of 4 cells, each planned by itself\n"
    assert refused(text % numbers(4)).startswith(found)
    assert build(text % numbers(3)).cells


def test_problems_too_many_to_print_are_cut() -> None:
    text = "train: {" + ", ".join(f"x{number}: 1" for number in range(1000)) + "}"
    with pytest.raises(SpecError) as caught:
        build(text)
    assert len(caught.value.problems) == MAX_PROBLEMS
    last = f"these are the first {MAX_PROBLEMS} problems; there may be more"
    assert str(caught.value).splitlines()[-1] == last


def unlimited(schema: Any, path: str = "") -> Iterator[str]:
    """Yield the places of numbers and lists without limits in a JSON schema."""
    inside = schema.items() if isinstance(schema, dict) else ()
    inside = enumerate(schema) if isinstance(schema, list) else inside
    for key, child in inside:
        yield from unlimited(child, f"{path}/{key}")
    keys = set(schema) if isinstance(schema, dict) else set()
    if "type" not in keys or not isinstance(schema["type"], str) or keys & {"const", "enum"}:
        return
    wanted = {
        "integer": [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}],
        "number": [{"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}],
        "array": [{"maxItems"}],
    }
    for names in wanted.get(schema["type"], ()):
        if not keys & names:
            yield f"{path}: one of {', '.join(sorted(names))}"


def test_every_number_and_list_of_the_settings_has_limits() -> None:
    assert list(unlimited(Settings.model_json_schema())) == []


SETTINGS = {
    "data.resize": "100000000",
    "data.crop": "[8, 100000000]",
    "data.train_images": "1000000000000000000",
    "data.split_seed": "4294967296",
    "data.validation": "1e300",
    "model.hidden": "[10000000000]",
    "model.classes": "1000000000000000000",
    "train.epochs": "1000000000000000000",
    "train.batch_size": "1000000000000000000",
    "train.clip_grad_norm": "1e300",
    "train.diverged_if": "1e300",
    "lr": "1e300",
    "weight_decay": "1e300",
    "patience": "1000000000000000000",
    "tolerance": "1e300",
    "warmup": "1000000000000000000",
    "schedule": "{name: multistep, milestones: [1000000000000000000]}",
    "step_size": "1000000000000000000",
    "seed": "2147483648",
    "normalize": "{mean: [1e300], std: [1]}",
    "augment": "{name: RandomRotation, degrees: 1e300}",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_size_that_can_only_be_a_mistake_is_refused_at_its_position(name: str) -> None:
    component = {"step_size": "schedule: step", "patience": "early_stopping: {}"}.get(name, "{}")
    text = f"train: {component if component == '{}' else '{' + component + '}'}\n"
    value = SETTINGS[name]
    message = refused(f"{text}sweep:\n  rows:\n    - {{{name}: {value}}}\n")
    column = re.match(r"a\.yaml:7:(\d+): ", message)
    assert column is not None, message
    assert int(column[1]) > len(f"    - {{{name}")
    assert re.search(r"allowed: .*(at most|below) ", message)
    with pytest.raises(SpecError, match=r"^--set "):
        build(text, sets=[f"{name}={value}"])
