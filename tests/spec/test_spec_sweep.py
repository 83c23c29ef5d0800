import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from examples import examples
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from runner.core.errors import SpecError
from runner.spec.experiment import Experiment, build_experiment
from runner.spec.nodes import plain
from runner.spec.sweep import Combination, expand_sweep
from runner.spec.yaml_loader import parse_yaml

PATHS = {
    "lr": "train.optimizer.lr",
    "epochs": "train.epochs",
    "batch_size": "train.batch_size",
    "patience": "train.early_stopping.patience",
    "split_seed": "data.split_seed",
    "train.diverged_if": "train.diverged_if",
    "model.hidden": "model.hidden",
}
SWEEP_KEYS = ("rows", "zip", "grid")


def values_of(name: str) -> st.SearchStrategy[Any]:
    numbers = st.integers(2, 5)
    return st.lists(numbers, min_size=1, max_size=2) if name == "model.hidden" else numbers


@st.composite
def sweeps(draw: st.DrawFn, names: tuple[str, ...] = tuple(PATHS), depth: int = 2) -> dict:
    """Return a random valid sweep over some of ``names``; rows nest up to ``depth`` deep."""
    use = {name: draw(st.sampled_from(["grid", "zip", "rows", "unused"])) for name in names}
    sweep: dict[str, Any] = {}
    if gridded := [name for name in names if use[name] == "grid"][:2]:
        unique = {"min_size": 1, "max_size": 3, "unique_by": json.dumps}
        sweep["grid"] = {name: draw(st.lists(values_of(name), **unique)) for name in gridded}
    if zipped := [name for name in names if use[name] == "zip"]:
        size = draw(st.integers(1, 3))
        exactly = {"min_size": size, "max_size": size}
        sweep["zip"] = {name: draw(st.lists(values_of(name), **exactly)) for name in zipped}
    if rowed := tuple(name for name in names if use[name] == "rows"):
        count = draw(st.integers(1, 3))
        sweep["rows"] = [draw(rows(rowed, depth)) for _ in range(count)]
    return sweep


@st.composite
def rows(draw: st.DrawFn, names: tuple[str, ...], depth: int) -> dict:
    own = [name for name in names if draw(st.booleans())]
    row: dict[str, Any] = {name: draw(values_of(name)) for name in own}
    if draw(st.booleans()):
        row["label"] = draw(st.sampled_from(["small", "large"]))
    left = tuple(name for name in names if name not in own)
    nested = draw(sweeps(left, depth - 1)) if left and depth else {}
    return {**row, **nested}


def brute_force(sweep: dict) -> list[dict[str, Any]]:
    """Return every combination as a mapping of settings, with ``label`` where there is one."""
    found: list[dict[str, Any]] = [{}]
    if "rows" in sweep:
        expanded = []
        for row in sweep["rows"]:
            own = {name: value for name, value in row.items() if name not in SWEEP_KEYS}
            inner = {name: value for name, value in row.items() if name in SWEEP_KEYS}
            expanded += [own | nested for nested in brute_force(inner)]
        found = [one | row for one in found for row in expanded]
    if "zip" in sweep:
        size = len(next(iter(sweep["zip"].values())))
        steps = [{name: sweep["zip"][name][n] for name in sweep["zip"]} for n in range(size)]
        found = [one | step for one in found for step in steps]
    for name, values in sweep.get("grid", {}).items():
        found = [one | {name: value} for one in found for value in values]
    return found


def as_text(settings: dict[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def expected_texts(sweep: dict) -> list[str]:
    return [
        as_text({PATHS.get(name, name): value for name, value in combination.items()})
        for combination in brute_force(sweep)
    ]


def actual_texts(combinations: list[Combination]) -> list[str]:
    return [
        as_text({path: plain(node) for path, node in item.overrides.items()} | dict(item.labels))
        for item in combinations
    ]


def expand(sweep: dict) -> list[Combination]:
    return expand_sweep(parse_yaml(yaml.safe_dump(sweep, sort_keys=False), "a.yaml"))


@settings(max_examples=examples(150))
@given(sweeps())
def test_expansion_is_every_combination_once_in_the_written_order(sweep: dict) -> None:
    assume(sweep)
    expected = expected_texts(sweep)
    if max(Counter(expected).values()) > 1:
        with pytest.raises(SpecError, match="stands twice"):
            expand(sweep)
    else:
        assert actual_texts(expand(sweep)) == expected


SPEC = {
    "name": "shuffled",
    "data": {"dataset": "synthetic", "validation": 0.25, "resize": [8, 8]},
    "model": {"name": "mlp", "hidden": [4], "dropout": 0.1},
    "train": {
        "optimizer": {"name": "sgd", "momentum": 0.9, "weight_decay": 1e-4},
        "schedule": {"name": "cosine", "min_lr": 0.0},
        "early_stopping": {"monitor": "val_accuracy", "tolerance": 0.5},
    },
    "seeds": [3, 4],
    "profiles": {"quick": {"optimizer": "adam", "lr": 0.5, "train": {"drop_last": True}}},
}


def shuffled(value: Any, random: Random) -> Any:
    if isinstance(value, dict):
        items = list(value.items())
        random.shuffle(items)
        return {name: shuffled(child, random) for name, child in items}
    return [shuffled(child, random) for child in value] if isinstance(value, list) else value


def build(spec: dict, profile: str | None = None) -> Experiment:
    text = yaml.safe_dump(spec, sort_keys=False)
    return build_experiment(parse_yaml(text, "a.yaml"), Path("a.yaml"), profile)


def identities(experiment: Experiment) -> set[tuple[str, str, str, int]]:
    cells = [item.cell for item in experiment.cells]
    return {
        (as_text(dict(cell.labels)), as_text(dict(cell.swept)), cell.settings_key, cell.seed)
        for cell in cells
    }


@pytest.mark.slow
@settings(max_examples=examples(40))
@given(sweeps(depth=1), st.randoms(use_true_random=False), st.sampled_from([None, "quick"]))
def test_order_of_keys_changes_no_cell(sweep: dict, random: Random, profile: str) -> None:
    expected = expected_texts(sweep)
    assume(sweep and len(expected) <= 12 and len(set(expected)) == len(expected))
    spec = {**SPEC, "sweep": sweep}
    one, other = build(spec, profile), build(shuffled(spec, random), profile)
    assert len(one.cells) == len(other.cells) == 2 * len(expected)
    assert identities(one) == identities(other)


@pytest.mark.parametrize("reverse", [False, True])
def test_component_stands_below_its_settings_in_whatever_order(reverse: bool) -> None:
    row = {"lr": 0.5, "momentum": 0.75, "optimizer": "sgd"}
    if reverse:
        row = dict(reversed(row.items()))
    train = {"optimizer": {"name": "adam", "eps": 0.5}}
    (item,) = build({**SPEC, "train": train, "seeds": [0], "sweep": {"rows": [row]}}).cells
    optimizer = item.settings.train.optimizer
    assert (optimizer.name, optimizer.lr, optimizer.momentum) == ("sgd", 0.5, 0.75)


def test_combination_without_a_sweep_is_the_only_one() -> None:
    assert expand_sweep(None) == [Combination()]


def test_positions_follow_the_spec_with_seeds_innermost() -> None:
    experiment = build({**SPEC, "sweep": {"grid": {"epochs": [1, 2], "batch_size": [8, 4]}}})
    seen = [(c.cell.position, *c.cell.swept.values(), c.cell.seed) for c in experiment.cells]
    assert seen[:5] == [(0, 1, 8, 3), (0, 1, 8, 4), (1, 1, 4, 3), (1, 1, 4, 4), (2, 2, 8, 3)]


def test_labels_of_nested_rows_join_and_the_inner_one_wins() -> None:
    sweep = {
        "rows": [
            {
                "label": "outer",
                "labels": {"NET": "small", "DEPTH": 2},
                "rows": [{"label": "inner", "lr": 0.5}, {"labels": {"NET": 1.5}, "lr": 0.25}],
            }
        ]
    }
    first, second = expand(sweep)
    assert first.labels == {"label": "inner", "NET": "small", "DEPTH": "2"}
    assert second.labels == {"label": "outer", "NET": "1.5", "DEPTH": "2"}


def test_same_settings_under_two_labels_are_two_combinations() -> None:
    assert len(expand({"rows": [{"label": "a", "lr": 0.5}, {"label": "b", "lr": 0.5}]})) == 2


def test_label_and_a_setting_of_one_name_are_different_things() -> None:
    rows_of = [{"labels": {"lr": "1"}, "lr": 2}, {"labels": {"lr": "2"}, "lr": 2}]
    assert len(expand({"rows": rows_of})) == 2


def test_empty_row_is_the_spec_as_it_stands() -> None:
    assert [item.overrides for item in expand({"rows": [{}]})] == [{}]


def test_published_values_of_rows_keep_their_positions() -> None:
    (item,) = expand({"rows": [{"lr": 1, "published": {"ACC": 0.5}}]})
    assert item.published["ACC"].value == 0.5
    assert item.published["ACC"].position.line == 4
