"""Runs with a result whose code has changed since: `run`, `plan` and `show` say so."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from commands import Call

import runner.bind.code_digests as sources_module
from runner.bind.changed_code import ChangedCode

SPEC = """\
name: two
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8}
train: {epochs: 1, batch_size: 16}
sweep:
  rows:
    - {label: plain, model: {name: mlp, hidden: [4]}}
    - {label: deep, model: {name: convnet, filters: [4]}}
"""
MODELS = "runner.components.models"
Edit = Callable[..., None]


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Replace the source of modules, as an editor would that saves them."""
    edited: dict[str, Path] = {}
    real = sources_module.source_file

    def source_file(name: str) -> Path | None:
        return edited.get(name) or real(name)

    monkeypatch.setattr(sources_module, "source_file", source_file)

    def replace(name: str, more: str) -> None:
        path = real(name)
        assert path is not None
        edited[name] = tmp_path / f"{name}.py"
        edited[name].write_text(path.read_text() + more)

    return replace


def words(runs: int, names: str) -> str:
    made, their, them = ("run was", "its", "it") if runs == 1 else ("runs were", "their", "them")
    return (
        f"{runs} finished {made} made with other code of {names} (changed since);"
        f" {their} results stay; --rerun makes {them} again\n"
    )


@pytest.fixture
def done(call: Call) -> None:
    Path("two.yaml").write_text(SPEC)
    assert call("run", "two.yaml", "--device", "cpu").code == 0


def told(call: Call) -> str:
    """Return what `run` says of changed code; nothing is done again, and `plan` says the same."""
    ran = call("run", "two.yaml", "--device", "cpu")
    assert ran.code == 0
    head, _, said = ran.err.partition("2 runs: 2 done (2 of them before); ")
    assert head == ""
    said = said.partition("\n")[2]
    planned = call("plan", "two.yaml", "--device", "cpu").out
    notes = [line.removeprefix("note      ") for line in planned.splitlines() if "note" in line]
    assert said == "".join(f"{line}\n" for line in notes)
    return said


@pytest.mark.slow
@pytest.mark.usefixtures("done")
def test_changed_code_is_said_of_the_runs_that_used_it(call: Call, edit: Edit) -> None:
    assert told(call) == ""
    edit(f"{MODELS}.convnet_net", "\n\n# a comment\n'''and a text'''\n")
    assert told(call) == ""
    edit(f"{MODELS}.torchvision_net", "\n\nUNUSED = 1\n")
    assert told(call) == ""
    edit(f"{MODELS}.convnet_net", "\n\nMORE = 1\n")
    assert told(call) == words(1, f"{MODELS}.convnet_net")
    shown = [call("show", f"two:{position}:0").out for position in (0, 1)]
    line = f"code      made with other code of {MODELS}.convnet_net (changed since)\n"
    assert [line in each for each in shown] == [False, True]
    assert json.loads(call("show", "two:1:0", "--format", "json").out)["changed_code"] == [
        f"{MODELS}.convnet_net"
    ]
    planned = json.loads(call("plan", "two.yaml", "--format", "json").out)
    assert planned["changed"] == {"runs": 1, "modules": {f"{MODELS}.convnet_net": 1}}
    edit("runner.engine.training.loop", "\n\nMORE = 1\n")
    edit("runner.engine.network.build", "\n\nMORE = 1\n")
    assert told(call) == words(2, f"{MODELS}.convnet_net (1 of them) and the engine")


@pytest.mark.slow
@pytest.mark.usefixtures("done")
def test_runs_that_are_made_again_are_of_the_code_as_it_is(call: Call, edit: Edit) -> None:
    edit("runner.components.optimizers", "\n\nMORE = 1\n")
    assert told(call) == words(2, "runner.components.optimizers")
    again = call("run", "two.yaml", "--rerun", "--only", "deep", "--device", "cpu")
    assert "made with other code" not in again.err
    assert told(call) == words(1, "runner.components.optimizers")


@pytest.mark.slow
@pytest.mark.usefixtures("done")
def test_runs_that_are_read_from_epochs_of_other_code_are_said_at_once(
    call: Call, edit: Edit
) -> None:
    edit("runner.components.optimizers", "\n\nMORE = 1\n")
    stopping = "train.early_stopping={monitor: train_loss, patience: 9}"
    ran = call("run", "two.yaml", "--set", stopping, "--device", "cpu")
    assert "read epochs 1–1 as recorded: nothing is trained" in ran.err
    assert ran.err.endswith(words(2, "runner.components.optimizers"))


@pytest.mark.slow
@pytest.mark.usefixtures("done")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE environments SET content = json_remove(content, '$.modules')",
        "UPDATE attempts SET status = 'reference', checksum = NULL",
    ],
)
def test_warning_of_changed_code_leaves_out_older_records_and_the_reference(
    statement: str, call: Call, edit: Edit
) -> None:
    edit("runner.components.optimizers", "\n\nMORE = 1\n")
    with closing(sqlite3.connect("results.db")) as raw:
        raw.execute(statement)
        raw.commit()
    assert told(call) == ""
    assert "code      " not in call("show", "two:1:0").out
    assert "code      " not in call("show", "--reference", "quickstart:0:0").out


@pytest.mark.slow
@pytest.mark.usefixtures("done")
def test_diff_names_the_modules_that_differ_where_both_are_recorded(call: Call, edit: Edit) -> None:
    edit(f"{MODELS}.convnet_net", "\n\nMORE = 1\n")
    assert call("run", "two.yaml", "--rerun", "--only", "deep", "--device", "cpu").code == 0
    name = f"modules.{MODELS}.convnet_net"
    assert call("diff", "two:0", "two:1").out.count("modules.") == 1
    assert name in call("diff", "two:0", "two:1").out
    with closing(sqlite3.connect("results.db")) as raw:
        raw.execute(
            "UPDATE environments SET content = json_remove(content, '$.modules') WHERE id = 1"
        )
        raw.commit()
    assert "modules." not in call("diff", "two:0", "two:1").out


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (ChangedCode(0, {}), ""),
        (ChangedCode(12, {"a": 12}), words(12, "a")[:-1]),
        (
            ChangedCode(3, {"a": 3, "b": 2, "c": 2, "d": 1, "e": 1, "the engine": 3}),
            words(3, "a, b (2 of them), c (2 of them), d (1 of them) and 2 more")[:-1],
        ),
    ],
)
def test_warning_of_changed_code_is_one_sentence_for_all_runs(
    changed: ChangedCode, expected: str
) -> None:
    assert changed.words() == expected
