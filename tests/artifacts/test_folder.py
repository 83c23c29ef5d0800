"""Where things lie in `.runner/`: names on the disk do not change."""

from pathlib import Path

import pytest

from runner.artifacts.folder import (
    Artifacts,
    code_file,
    folder_beside,
    folder_bytes,
    hashes_folder,
    layouts_file,
    names_in,
    transparent_file,
)

OLD = Path(__file__).parent.parent / "store" / "fixtures" / "schema_0004.runner"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("pixels/p", "pixels/p"),
        ("features/f", "features/f"),
        ("states/s-3", "states/db/s-3"),
        ("checkpoints/c", "checkpoints/db/c"),
        ("weights/run-best", "weights/db/run-best.safetensors"),
    ],
)
def test_artifact_lies_where_it_lay(name: str, place: str) -> None:
    assert Artifacts(Path("home"), "db").path(name) == Path("home") / place


def test_files_that_remember_lie_where_they_lay() -> None:
    folder = folder_beside(Path("home"))
    assert folder == Path("home/.runner")
    assert hashes_folder(folder) == folder / "hashes"
    assert layouts_file(folder) == folder / "layouts.json"
    assert code_file(folder) == folder / "code.json"
    assert transparent_file(folder) == folder / "hashes" / "transparent.json"


def test_artifacts_of_an_earlier_version_are_found() -> None:
    (database,) = (each.name for each in (OLD / "weights").iterdir())
    artifacts = Artifacts(OLD, database)
    names = [f"pixels/{each.name}" for each in (OLD / "pixels").iterdir()]
    names += [f"features/{each.name}" for each in (OLD / "features").iterdir()]
    names += [f"states/{each.name}" for each in (OLD / "states" / database).iterdir()]
    names += [f"weights/{each.stem}" for each in (OLD / "weights" / database).iterdir()]
    assert len(names) > 4
    assert all(map(artifacts.lies_there, names))
    assert not Artifacts(OLD, "another").lies_there(names[-1])
    assert folder_bytes(OLD) > 1000


def test_unfinished_folder_does_not_count(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path, "db")
    artifacts.path("states/s-3").mkdir(parents=True)
    assert not artifacts.lies_there("states/s-3")
    (artifacts.path("states/s-3") / "checkpoint.json").write_text("{}")
    assert artifacts.lies_there("states/s-3")


def test_names_in_what_is_no_folder_or_gone_are_none(tmp_path: Path) -> None:
    """It is one system call: whoever asks first whether it is there may come too late."""
    (tmp_path / "file").write_text("")
    assert names_in(tmp_path) == ["file"]
    assert names_in(tmp_path / "file") == names_in(tmp_path / "gone") == []
