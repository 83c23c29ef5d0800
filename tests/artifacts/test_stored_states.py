"""States of trainings as files: what can be told of them without their tensors."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from state_values import STATE_VALUES

from runner.artifacts.checkpoints import remove_checkpoints
from runner.artifacts.folder import Artifacts
from runner.artifacts.hashes import file_digest
from runner.artifacts.state_folder import describe_state, mark_used, put_state, whole_state
from runner.artifacts.states import (
    names_of_states,
    readers_of_checkpoints,
    resume_points,
    stored_states,
    stored_weights,
)


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    found = Artifacts(tmp_path, "db")
    written = found.path("weights/one-best")
    written.parent.mkdir(parents=True)
    written.write_text("")
    return found


def put(folder: Path, **values: Any) -> None:
    def write(path: Path) -> str:
        path.write_text("tensors")
        return file_digest(path)

    put_state(folder, {**STATE_VALUES, **values}, write)


def test_state_comes_back_with_its_tensors(artifacts: Artifacts) -> None:
    folder = artifacts.path("states/seg-3")
    put(folder)
    found = whole_state(folder)
    assert found is not None
    values, tensors = found
    assert {name: values[name] for name in STATE_VALUES} == STATE_VALUES
    assert tensors.read_text() == "tensors"


def test_state_replaces_the_one_before(artifacts: Artifacts) -> None:
    folder = artifacts.checkpoint("training")
    for epoch in (3, 4):
        put(folder, epoch=epoch)
    values = describe_state(folder)
    assert values is not None
    assert values["epoch"] == 4
    assert sorted(each.name for each in folder.iterdir()) == ["checkpoint.json", values["file"]]


def test_state_that_names_a_file_elsewhere_is_none(artifacts: Artifacts, tmp_path: Path) -> None:
    folder = artifacts.path("states/seg-3")
    put(folder)
    (tmp_path / "secret").write_text("tensors")
    described = folder / "checkpoint.json"
    values = json.loads(described.read_text())
    for elsewhere in (str(tmp_path / "secret"), f"../{folder.name}/{values['file']}"):
        described.write_text(json.dumps({**values, "file": elsewhere}))
        assert describe_state(folder) is None
        assert whole_state(folder) is None


def test_state_with_damaged_tensors_is_not_whole(artifacts: Artifacts) -> None:
    folder = artifacts.path("states/seg-3")
    put(folder)
    values = describe_state(folder)
    assert values is not None
    (folder / values["file"]).write_text("tensorz")
    assert whole_state(folder) is None
    assert describe_state(folder) is not None  # which did not look
    (folder / values["file"]).unlink()
    assert describe_state(folder) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 3, "file": "x"}', '{"format": 4}'])
def test_state_without_a_description_is_none(text: str, artifacts: Artifacts) -> None:
    folder = artifacts.path("states/seg-3")
    put(folder)
    (folder / "checkpoint.json").write_text(text)
    assert describe_state(folder) is None
    assert whole_state(folder) is None


def test_states_and_checkpoints_of_one_database_are_listed(artifacts: Artifacts) -> None:
    put(artifacts.path("states/seg-3"))
    put(artifacts.checkpoint("training"), segment="later", epoch=5)
    put(Artifacts(artifacts.folder, "other").path("states/seg-3"))
    (artifacts.home("states") / "notes").mkdir()
    found = [(each.name, each.segment, each.epoch, each.stage) for each in stored_states(artifacts)]
    assert found == [
        ("states/seg-3", "seg", 3, ""),
        ("checkpoints/training", "later", 5, "training"),
    ]
    assert names_of_states(artifacts) == {"states/seg-3"}
    assert list(stored_states(Artifacts(artifacts.folder, "none"))) == []


def test_weights_beside_a_state_are_those_of_its_epoch_and_of_the_best(
    artifacts: Artifacts,
) -> None:
    put(artifacts.path("states/seg-3"))
    put(artifacts.checkpoint("training"))
    put(artifacts.path("states/elsewhere-3"), segment="elsewhere")
    kept, waiting = stored_weights(artifacts, {"seg"})
    assert (kept.name, kept.epochs, kept.waiting) == ("states/seg-3", (2, 3), frozenset())
    assert (waiting.name, waiting.waiting) == ("checkpoints/training", {"one", "two"})


def test_resume_point_knows_which_weights_are_still_there(artifacts: Artifacts) -> None:
    put(artifacts.path("states/seg-3"))
    (point,) = resume_points(artifacts, {"seg": {"threads": 1}})
    assert (point.segment, point.epoch, point.kept) == ("seg", 3, {2})
    assert point.written == {"weights/one-best"}
    assert list(resume_points(artifacts, {"seg": {"threads": 2}})) == []
    assert len(list(resume_points(artifacts, {"seg": None}))) == 1


def test_checkpoints_are_for_readers_and_are_removed(artifacts: Artifacts) -> None:
    put(artifacts.checkpoint("training"))
    artifacts.checkpoint("damaged").mkdir()
    assert readers_of_checkpoints(artifacts) == {"training": ["one", "two"], "damaged": []}
    remove_checkpoints(artifacts, ["training", "never there"])
    assert readers_of_checkpoints(artifacts) == {"damaged": []}


def test_state_that_is_used_is_the_newest(artifacts: Artifacts) -> None:
    folder = artifacts.path("states/seg-3")
    put(folder)
    os.utime(folder / "checkpoint.json", (1.0, 1.0))
    mark_used(folder)
    assert (folder / "checkpoint.json").stat().st_mtime > 1.0
    mark_used(artifacts.path("states/gone-1"))


def test_states_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    old = Path(__file__).parent.parent / "store" / "fixtures" / "schema_0004.runner"
    (database,) = (each.name for each in (old / "states").iterdir())
    artifacts = Artifacts(old, database)
    states = list(stored_states(artifacts))
    assert {each.name for each in states} >= names_of_states(artifacts) > set()
    assert all(whole_state(each.folder) for each in states)
    assert json.loads((states[0].folder / "checkpoint.json").read_text())["format"] == 4
