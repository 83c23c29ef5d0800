"""A spec with something wrong anywhere in it ends in a SpecError, never in another exception."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.errors import SpecError, UsageError
from runner.spec.compose import check_document
from runner.spec.experiment import build_experiment
from runner.spec.names import SHORT_NAMES
from runner.spec.yaml_loader import parse_yaml

SPEC: dict[str, Any] = {
    "name": "robust",
    "about": "everything that a spec may hold",
    "data": {"dataset": "synthetic", "resize": [8, 8], "normalize": {"mean": [0.5], "std": [0.5]}},
    "model": {"name": "convnet", "filters": [4, 4], "order": ["conv", "activation", "pool"]},
    "train": {
        "epochs": 3,
        "optimizer": {"name": "adam", "betas": [0.9, 0.99]},
        "schedule": {"name": "plateau", "monitor": "val_loss"},
        "early_stopping": {"monitor": "val_accuracy"},
        "best": {"monitor": "last"},
        "augment": {
            "p": 0.5,
            "steps": [
                "RandomEqualize",
                {"name": "ColorJitter", "hue": [-0.1, 0.1], "contrast": 0.5},
                {
                    "name": "one_of",
                    "choices": [["RandomGrayscale"], [], {"name": "Resize", "size": 8}],
                },
            ],
        },
    },
    "evaluate": {"test": "each_epoch"},
    "seeds": [0, 1],
    "sweep": {
        "rows": [
            {"labels": {"NET": "a"}, "lr": 0.5, "published": {"ACC": 0.5}},
            {"labels": {"NET": "b"}, "zip": {"lr": [0.25, 0.125], "epochs": [1, 2]}},
        ],
        "grid": {"batch_size": [4, 8]},
    },
    "tables": {
        "grid": {
            "columns": {
                "NET": {"label": "NET"},
                "LR": "lr",
                "ACC": {"metric": "test_accuracy", "at": "max", "digits": 2},
                "GAP": {"metric": "train_loss - val_loss", "at": 1},
            },
            "order": ["-ACC"],
            "about": "a table",
        },
        "pivoted": {
            "columns": {"NET": "NET", "LR": "lr", "SIZE": "batch_size", "ACC": "val_accuracy"},
            "pivot": {"column": "SIZE", "titles": {"4": "SMALL"}},
            "order": "-LR",
        },
    },
    "published": [
        {"where": {"NET": "b", "lr": 0.25}, "values": {"ACC": {"value": 0.25, "within": 0.1}}}
    ],
    "profiles": {"quick": {"epochs": 1, "seeds": [3]}},
}


def paths(value: Any, path: tuple = ()) -> list[tuple]:
    children = value.items() if isinstance(value, dict) else ()
    children = enumerate(value) if isinstance(value, list) else children
    return [path] + [below for key, child in children for below in paths(child, (*path, key))]


def replaced(value: Any, path: tuple, change) -> Any:
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], change)
    return copy


words = st.sampled_from(
    ["", "adam", "name", "lr", "train.epochs", "label", "val_loss", "a - b", "-ACC", "grid", "ü\n"]
)
numbers = st.sampled_from([0, 1, -1, 2, 10**17, 0.5, -0.0, 1e308, float("inf"), float("nan")])
scalars = st.one_of(st.none(), st.booleans(), numbers, words)
junk = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=4,
)


def error_of(spec: Any, profile: str | None = None, sets: Sequence[str] = ()) -> UsageError | None:
    """Return the error on purpose that a spec ends in, or None; any other escapes."""
    tree = parse_yaml(yaml.safe_dump(spec, sort_keys=False), "a.yaml")
    try:
        check_document(tree)
        build_experiment(tree, Path("a.yaml"), profile, sets)
    except UsageError as error:
        return error
    return None


def check(spec: Any, profile: str | None) -> None:
    error = error_of(spec, profile)
    if error is not None:
        assert isinstance(error, SpecError)
        placed = all(problem.position is not None for problem in error.problems)
        assert placed or "no profile 'quick'" in str(error), str(error)


fuzz = settings(max_examples=examples(150))
profiles = st.sampled_from([None, "quick"])


def test_spec_itself_is_right() -> None:
    assert error_of(SPEC) is None
    assert error_of(SPEC, "quick") is None


@fuzz
@given(st.sampled_from(paths(SPEC)), junk, profiles)
def test_spec_with_any_value_anywhere_ends_in_an_error_on_purpose_or_none(
    path: tuple, value: Any, profile: str | None
) -> None:
    check(replaced(SPEC, path, lambda _: value), profile)


@fuzz
@given(st.sampled_from(paths(SPEC)), words | st.sampled_from(sorted(SHORT_NAMES)), junk, profiles)
def test_spec_with_any_key_anywhere_ends_in_an_error_on_purpose_or_none(
    path: tuple, key: str, value: Any, profile: str | None
) -> None:
    def grown(old: Any) -> Any:
        if isinstance(old, dict):
            return {**old, key: value}
        return [*old, value] if isinstance(old, list) else {key: value}

    check(replaced(SPEC, path, grown), profile)


@settings(max_examples=examples(60))
@given(
    st.sampled_from([*SHORT_NAMES, "train", "model.name", "data.resize", "seed", "x", ""]),
    st.text(max_size=8) | st.sampled_from(["[1, 2]", "{name: sgd}", ".nan", "null", "!!x 1"]),
)
def test_set_option_of_any_text_ends_in_an_error_on_purpose_or_none(name: str, value: str) -> None:
    error = error_of(SPEC, sets=[f"{name}={value}"])
    assert error is None or str(error)
