"""`--artifacts`, RUNNER_ARTIFACTS and `[tool.runner] artifacts`: where artifacts are shared."""

import shutil
from pathlib import Path

import pytest
from commands import TINY, Call

pytestmark = pytest.mark.slow

ONE = ("--only", "slow", "--only", "seed=0")


@pytest.fixture(autouse=True)
def spec(monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RUNNER_ARTIFACTS", raising=False)
    path = Path("tiny.yaml")
    path.write_text(TINY)
    return path


@pytest.fixture
def store() -> Path:
    path = Path("store").absolute()
    path.mkdir()
    return path


def kinds(store: Path) -> set[str]:
    return {each.name for each in store.iterdir()}


def test_option_variable_and_project_name_the_place(
    call: Call, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "tiny.yaml", *ONE).code == 0
    assert kinds(store) == set()
    assert call("run", "tiny.yaml", *ONE, "--rerun", "--artifacts", "store").code == 0
    assert {"states", "weights", "logits"} <= kinds(store)
    shutil.rmtree(store)
    store.mkdir()
    monkeypatch.setenv("RUNNER_ARTIFACTS", "store")
    assert call("run", "tiny.yaml", *ONE, "--rerun").code == 0
    assert "weights" in kinds(store)
    monkeypatch.delenv("RUNNER_ARTIFACTS")
    shutil.rmtree(store)
    store.mkdir()
    Path("pyproject.toml").write_text('[tool.runner]\nartifacts = "store"\n')
    assert call("run", "tiny.yaml", *ONE, "--rerun").code == 0
    assert "weights" in kinds(store)


def test_other_commands_find_what_is_shared(
    call: Call, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_ARTIFACTS", str(store))
    assert call("run", "tiny.yaml", *ONE).code == 0
    shutil.rmtree(".runner")
    told = call("export", "tiny:0:0", "--out", "net.safetensors")
    assert told.code == 0, told.err
    assert Path("net.safetensors").exists()


def test_a_damaged_artifact_is_named_by_the_command_that_needs_it(
    call: Call, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNNER_ARTIFACTS", str(store))
    assert call("run", "tiny.yaml", *ONE).code == 0
    shutil.rmtree(".runner")
    (blob,) = (store / "weights").rglob("*.safetensors")
    blob.write_bytes(blob.read_bytes()[:-1] + b"?")
    told = call("export", "tiny:0:0", "--out", "net.safetensors")
    assert told.code == 2
    assert "best.safetensors is not what was put there): it is not used" in told.err
    (blob.parent.parent / f"{blob.parent.name}.json").write_text("{")
    planned = call("plan", "tiny.yaml", *ONE, "--set", "epochs=3")
    assert planned.code == 0, planned.err


def test_a_worker_shares_too(call: Call, store: Path) -> None:
    assert call("run", "tiny.yaml", *ONE, "--workers", "0").code == 0
    assert call("worker", "--artifacts", store).code == 0
    assert "weights" in kinds(store)


def test_what_is_shared_is_listed_and_cleared_by_kind(call: Call, store: Path) -> None:
    assert call("run", "tiny.yaml", *ONE, "--artifacts", store).code == 0
    listed = call("cache", "list", "--artifacts", store).out.splitlines()
    counts = {line.split()[0]: int(line.split()[1]) for line in listed}
    assert counts == {
        **{"pixels": 2, "features": 0, "states": 2, "checkpoints": 0, "weights": 1},
        **{"logits": counts["logits"], "analyses": 0, "all": 5 + counts["logits"]},
    }
    removed = call("cache", "clear", "states", "pixels", "hashes", "--artifacts", store)
    assert [line.split()[0] for line in removed.out.splitlines()] == ["pixels", "states", "all"]
    assert [each for each in (store / "states").rglob("*") if each.is_file()] == []
    assert list((store / "weights").rglob("*.safetensors"))
    assert list(Path(".runner", "states").rglob("*.safetensors"))
    assert call("cache", "clear", "states", "--artifacts", store).err == "nothing to remove\n"


def test_what_cannot_be_listed_is_an_error(call: Call) -> None:
    assert "there is no folder" in call("cache", "list", "--artifacts", "gone").err
    told = call("cache", "clear", "--artifacts", "")
    assert "no place is named where artifacts are shared" in told.err


@pytest.mark.parametrize("command", [("run", "tiny.yaml"), ("plan", "tiny.yaml"), ("worker",)])
def test_a_place_that_is_not_there_is_an_error_before_any_work(
    call: Call, command: tuple[str, ...]
) -> None:
    call("run", "tiny.yaml", "--workers", "0")
    told = call(*command, "--artifacts", "gone")
    assert told.code == 2
    assert f"there is no folder {Path('gone').absolute()} for artifacts" in told.err
    assert not Path(".runner/pixels").exists()


def test_a_project_with_another_value_is_an_error(call: Call) -> None:
    Path("pyproject.toml").write_text("[tool.runner]\nartifacts = ['store']\n")
    told = call("run", "tiny.yaml")
    assert told.code == 2
    assert "pyproject.toml: [tool.runner] artifacts is ['store']" in told.err


def test_a_password_is_neither_taken_nor_printed(call: Call) -> None:
    told = call("run", "tiny.yaml", "--artifacts", "s3://key:secret@bucket/x")
    assert told.code == 2
    assert "the s3:// address for artifacts holds more than a place" in told.err
    assert "secret" not in told.err + told.out
