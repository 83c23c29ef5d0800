"""Stages go to the JSON that databases hold and come back, whatever their kind."""

import json
import pickle
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import stages

from runner.core.keys import canonical_json
from runner.core.prefix import FrozenPrefix
from runner.core.run import ResolvedSettings
from runner.core.stages import STAGE_KINDS, Stage, Train
from runner.core.stages.training import HELD_BYTES
from runner.core.stored_stages import stage_from_json
from runner.store.reference import REFERENCE_FILE

FIXTURES = Path(__file__).parents[1] / "store" / "fixtures"
DATABASES = [FIXTURES / "schema_0001.db", FIXTURES / "schema_0004.db", REFERENCE_FILE]
PREFIX = FrozenPrefix("f", "flatten", (3, 2), 2)


def stored(database: Path) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield key, kind, JSON, needs and cost key of each stage in a database."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro&immutable=1", uri=True)) as raw:
        yield from raw.execute("SELECT stage_key, kind, spec, needs, cost_kind FROM stages")


def back(stage: Stage) -> Stage:
    """Return what a database would give back of a stage."""
    values = json.loads(json.dumps(stage.to_json()))
    return stage_from_json(stage.kind, stage.key, values, stage.needs, stage.cost_key)


@pytest.mark.parametrize("database", DATABASES, ids=lambda path: path.stem)
def test_stored_stages_are_read_as_they_stand(database: Path) -> None:
    kinds = set()
    for key, kind, text, needs, cost in stored(database):
        stage = stage_from_json(kind, key, json.loads(text), json.loads(needs), cost)
        assert canonical_json(stage.to_json()) == canonical_json(json.loads(text))
        assert (stage.key, stage.kind, stage.cost_key) == (key, kind, cost)
        assert back(stage) == stage
        kinds.add(kind)
    assert kinds >= set(STAGE_KINDS) - {"features", "analyse"}


def test_a_training_holds_logits_of_each_epoch_that_is_kept_up_to_a_limit() -> None:
    readers = {"a": stages.reader(), "b": stages.reader(tested="last")}
    held = {
        size: stages.train("t", 9, readers=readers, logits_bytes=size).held_bytes
        for size in (0, 7, HELD_BYTES // 2, HELD_BYTES, HELD_BYTES + 1)
    }
    assert list(held.values()) == [0, 3 * 7, HELD_BYTES, HELD_BYTES, 0]


@pytest.mark.parametrize(
    "stage",
    [
        stages.prepare(),
        stages.train("t", stages.segments(("x", 2), ("y", 3)), readers={}),
        stages.train("t", 9, first_epoch=4, start="states/s-3", epochs=6),
        stages.train("t", 9, recorded=7, epochs=0),
        stages.train("t", 9, prefix=PREFIX, on_features=True),
        stages.evaluate("e", "t", epoch="last"),
        stages.analyse("a", "t"),
        stages.analyse("a", "t", epoch_number=3, leaves_arrays=True),
        stages.analyse("a", "t", image_shape=(3, 8, 9), num_classes=5),
        stages.evaluate("e", "t", prefix=PREFIX, on_features=True),
    ],
    ids=lambda stage: stage.title(),
)
def test_planned_stages_come_back_equal(stage: Stage) -> None:
    assert back(stage) == stage
    assert back(stage).produces == stage.produces
    assert back(stage).consumes == stage.consumes


def test_features_come_back_without_the_name_that_no_database_holds() -> None:
    stage = stages.features(prefix=PREFIX)
    other = back(stage)
    assert other.to_json() == stage.to_json()
    with pytest.raises(ValueError, match="no name of an artifact"):
        other.produces  # noqa: B018


def test_what_a_training_leaves_and_takes_follows_from_its_fields() -> None:
    readers = {"a": stages.reader(), "b": stages.reader(tested="last")}
    path = stages.segments(("x", 2), ("y", 3))
    branch = {"first_epoch": 3, "start": "states/x-2", "has_branches": True}
    stage = stages.train("t", path, readers=readers, **branch)
    weights = ("weights/a-best", "weights/b-best", "weights/b-last")
    assert stage.weights == weights
    assert stage.produces == (*weights, "states/y-5")
    assert stage.consumes == ("pixels/p", "states/x-2")
    passed = stages.train("t", path, passed_start=True, **branch)
    assert passed.consumes == ("pixels/p",)
    read = stages.train("t", 3, recorded=3, read_states=("states/x-2",))
    assert read.consumes == ("pixels/p", "states/x-2")
    on_features = stages.train("t", 3, prefix=PREFIX, on_features=True)
    assert on_features.consumes == ("pixels/p", "features/f")


@pytest.mark.parametrize(
    ("stage", "title"),
    [
        (stages.prepare(), "prepare digits"),
        (stages.features(), "features of mlp up to flatten"),
        (stages.train("t", 5), "train mlp, epochs 1–5"),
        (stages.train("t", 5, epochs=2), "train mlp, epochs 4–5"),
        (stages.train("t", 5, epochs=0), "train mlp, nothing: epoch 5 was reached before"),
        (stages.train("t", 5, recorded=4, epochs=0), "read mlp, epochs 1–4 as recorded"),
        (
            stages.train("t", 5, prefix=PREFIX, on_features=True),
            "train mlp on features, epochs 1–5",
        ),
        (stages.evaluate("e", "t"), "evaluate mlp, best weights on test"),
    ],
)
def test_a_stage_says_what_it_does(stage: Stage, title: str) -> None:
    assert stage.title() == title


def test_stages_are_pickled_with_their_settings_as_json_alone() -> None:
    unpicklable: Any = lambda: None  # noqa: E731
    stage = stages.train("t", settings=ResolvedSettings({"seed": 1}, unpicklable))
    again = pickle.loads(pickle.dumps(stage))
    assert isinstance(again, Train)
    assert again == stage
    assert (again.settings.json, again.settings.typed) == ({"seed": 1}, None)
