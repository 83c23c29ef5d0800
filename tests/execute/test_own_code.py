"""Runs of own code: only where it is allowed, new when it means another thing, killed and whole."""

from __future__ import annotations

import io
import tarfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask, left_in
from own_nets import LAYERS, NETS, SPEC, write_nets

from runner import api
from runner.cli.inspect import show
from runner.core.errors import RunnerError, SpecError, UsageError
from runner.execute.listener import NullListener

ALLOWED = ("--code", "nets.py")
MARK = "from pathlib import Path\nPath('was_run').touch()\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with own code that says when it is run, and a spec."""
    monkeypatch.chdir(tmp_path)
    write_nets(tmp_path, MARK + NETS)
    return tmp_path


def planned_epochs() -> int:
    with api.allow_code("nets.py"):
        return api.plan("own.yaml").planned.epochs


@pytest.fixture
def done(home: Path) -> Path:
    """Return the folder of runs that are done; whether code is run is seen anew."""
    with api.allow_code("nets.py"):
        assert set(api.run("own.yaml").statuses.values()) == {"done"}
    (home / "was_run").unlink()
    return home


def refused(do: Any, *words: Any, **options: Any) -> str:
    with pytest.raises(RunnerError) as caught:
        do(*words, **options)
    assert not Path("was_run").exists()
    return str(caught.value)


NOT_ALLOWED = "'nets.py:WideNet' is Python code; allow it with --code nets.py"


def test_code_that_a_spec_names_is_not_run_without_permission(home: Path) -> None:
    for do in (api.run, api.plan, api.validate, api.verify, api.inspect_sizes):
        assert refused(do, "own.yaml") == f"own.yaml:3:15: {NOT_ALLOWED}"
    with api.allow_code("layers.py"):
        assert "is in no file that is allowed (--code layers.py)" in refused(api.run, "own.yaml")
    assert not (home / "results.db").exists()


def test_code_is_read_and_not_run_where_a_spec_is_validated(home: Path) -> None:
    with api.allow_code("nets.py"):
        (experiment,) = api.validate("own.yaml").experiments
        assert [cell.settings.model.width for cell in experiment.cells] == [2, 3]  # type: ignore[union-attr]
        write_nets(home, MARK + NETS, spec=SPEC.replace('WideNet"', 'WideNet", widht: 3'))
        with pytest.raises(SpecError, match=r"own\.yaml:3:34: unknown setting 'widht' in model"):
            api.validate("own.yaml")
    assert not (home / "was_run").exists()


@pytest.mark.slow
def test_code_that_a_database_names_is_not_run_without_permission(done: Path) -> None:
    cell = "own:0:0"
    assert api.show(cell).record["settings"]["model"]["name"] == "nets.py:WideNet"
    assert len(api.list_runs().frame()) == 2
    assert len(api.report().frame()) == 2
    assert api.diff("own:0:0", "own:1:0").differences
    for do in (api.predict, api.evaluate):
        assert refused(do, cell, [done] if do is api.predict else done) == NOT_ALLOWED
    assert refused(api.export, cell, "safetensors") == NOT_ALLOWED
    assert not (done / "was_run").exists()
    with api.allow_code("nets.py"):
        assert api.export(cell, out="net.pt2").path.exists()
    assert (done / "was_run").exists()


@pytest.mark.slow
def test_code_beside_a_checkpoint_or_in_an_archive_is_not_run_without_permission(
    done: Path,
) -> None:
    """Plant code beside all that a run leaves, move all of it away as an archive, and use that."""
    for folder in done.joinpath(".runner").rglob("*"):
        if folder.is_dir():
            (folder / "nets.py").write_text("raise RuntimeError\n")
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(done, "there")
    archive.seek(0)
    with tarfile.open(fileobj=archive) as tar:
        tar.extractall(done / "unpacked", filter="data")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(done / "unpacked" / "there")
        assert refused(api.run, "own.yaml").endswith(NOT_ALLOWED)
        assert refused(api.export, "own:0:0", "safetensors") == NOT_ALLOWED


@pytest.mark.slow
def test_an_edit_that_means_nothing_trains_nothing_and_a_constant_makes_new_runs(
    done: Path,
) -> None:
    assert planned_epochs() == 0
    write_nets(done, f"# a comment\n{MARK}{NETS}")
    assert planned_epochs() == 0
    write_nets(done, MARK + NETS, "SCALE = 2.0\n")
    assert planned_epochs() == 2
    with api.allow_code("nets.py"), pytest.raises(UsageError, match="is other code now than"):
        api.export("own:0:0", "safetensors")


@pytest.mark.slow
def test_source_is_kept_and_lines_that_differ_are_shown(done: Path) -> None:
    first = api.show("own:0:0").record
    assert first["own_code"] == {"model": {"nets.py": MARK + NETS, "layers.py": LAYERS}}
    write_nets(done, MARK + NETS, "# twice\nSCALE = 2.0\n")
    with api.allow_code("nets.py"):
        api.run("own.yaml", only=["model.width=2"])
    found = api.diff(first["run_key"], "own:0:0").frame()
    rows = found[found["part"] == "code"].drop(columns="part").fillna("").values.tolist()
    assert rows == [["layers.py:1", "SCALE = 1.0", "# twice"], ["layers.py:2", "", "SCALE = 2.0"]]
    assert "code" not in set(api.diff("own:0:0", "own:0:0").frame()["part"])
    assert "own_code" not in str(found[found["part"] == "environment"])


@pytest.mark.slow
def test_files_that_code_reads_make_new_runs_and_are_shown_by_digest(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = (
        "from pathlib import Path\nREADS = ['scale.txt', 'teacher.bin']\n"
        "SCALE = float(Path(__file__).with_name(READS[0]).read_text())\n"
    )
    write_nets(home, layers=reading)
    keys, digests = [], []
    for scale, teacher in (("1.0\n", b"\x00\x01"), ("2.0\n", b"\x00\x02")):
        (home / "scale.txt").write_text(scale)
        (home / "teacher.bin").write_bytes(teacher)
        with api.allow_code("nets.py"):
            api.run("own.yaml", only=["model.width=2"])
        record = api.show("own:0:0").record
        keys.append(record["run_key"])
        digests.append([sha256(each).hexdigest() for each in (scale.encode(), teacher)])
        files = record["own_files"]["model"]
        assert files == {
            "scale.txt": {"sha256": digests[-1][0], "bytes": 4},
            "teacher.bin": {"sha256": digests[-1][1], "bytes": 2},
        }
        assert set(record["own_code"]["model"]) == {"nets.py", "layers.py", "scale.txt"}
    found = api.diff(*keys).frame()
    rows = found[found["part"] == "code"].drop(columns="part").values.tolist()
    assert rows == [
        ["scale.txt:1", "1.0", "2.0"],
        ["scale.txt", digests[0][0], digests[1][0]],
        ["teacher.bin", digests[0][1], digests[1][1]],
    ]
    assert "own_files" not in str(found)
    show(keys[1])
    assert f"reads     model: teacher.bin (2 bytes, SHA-256 {digests[1][1]})" in (
        capsys.readouterr().out
    )


@pytest.mark.slow
def test_code_that_changes_while_a_run_is_at_work_is_not_mixed(done: Path) -> None:
    """Let a child process find other code than the plan was made with."""
    from planted import at_moment

    def edit() -> None:
        write_nets(done, MARK + NETS, "SCALE = 3.0\n")

    with (
        api.allow_code("nets.py"),
        at_moment("runs planned, not recorded", edit),
        pytest.raises(RunnerError, match="is other code now than it was"),
    ):
        api.run("own.yaml", sets=["epochs=3"], executor="process")


@pytest.mark.slow
def test_errors_in_training_fail_the_run_and_name_the_line(home: Path) -> None:
    broken = NETS.replace(
        "        return self.out",
        "        self.training and len(x) > 9 and 1 / 0\n        return self.out",
    )
    write_nets(home, broken)
    with api.allow_code("nets.py"):
        assert set(api.run("own.yaml").statuses.values()) == {"failed"}
        attempts = api.show("own:0:0").record["attempts"]
    line = broken.splitlines().index("        self.training and len(x) > 9 and 1 / 0") + 1
    errors = [each["error"] for each in attempts if each["status"] == "failed"]
    assert errors == [
        f"own code raised an error: {home / 'nets.py'}:{line}: ZeroDivisionError: division by zero"
    ]


WRONG = {
    "F.dropout(hidden, self.drop, self.training)": (
        "F.dropout(hidden)",
        "gives other logits for the same images in evaluation mode",
    ),
    "(width * 9, num_classes)": ("(width * 9, 3)", r"gives \(B, 3\), not logits \(B, 10\)"),
    "return self.out(": ("return None, (", "gives a tuple, not a tensor of logits"),
    "in_channels, width, 3": ("in_channels, width, 1", "does not take images .* RuntimeError"),
}


@pytest.mark.parametrize("right", WRONG)
def test_networks_that_are_none_are_refused_before_anything_is_trained(
    home: Path, right: str
) -> None:
    wrong, told = WRONG[right]
    write_nets(home, NETS.replace(right, wrong))
    with (
        api.allow_code("nets.py"),
        pytest.raises(SpecError, match=rf"own\.yaml:3:8: 'nets\.py:WideNet' {told}"),
    ):
        api.run("own.yaml")
    assert not (home / "results.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "process"])
def test_killed_runs_of_own_code_with_dropout_end_as_if_undisturbed(
    forks: Forks, tmp_path: Path, executor: str
) -> None:
    lefts = []
    for name in ("undisturbed", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        spec = SPEC.replace("epochs: 1", "epochs: 5").replace("[2, 3]", "[4]")
        write_nets(folder, NETS, spec=spec)
        words = ["run", "own.yaml", *ALLOWED, "--checkpoint-seconds", "0"]
        if name == "killed":
            assert forks.run(folder, words, KillAt("epochs recorded", 3)) != 0
            words = ["run", "own.yaml", "--code", ".", *words[4:], "--executor", executor]
        assert forks.run(folder, words) == 0, (folder / OUTPUT).read_text()
        lefts.append(left_in(folder))
    assert lefts[0].tensors == lefts[1].tensors
    assert len(ask(tmp_path / "killed", "SELECT 1 FROM attempts WHERE status = 'lost'")) == 1
    assert lefts[0].dump == lefts[1].dump


REMEMBERS = NETS.replace(
    "        hidden =",
    "        self.seen = vars(self).get('seen', 0) + self.training\n"
    "        x = x * (1 + self.seen * self.training)\n        hidden =",
)
WHY = (
    "'nets.py:WideNet' remembers something between steps that is not in its state_dict();"
    " trained by itself, and again from the first epoch where it is stopped"
)
BUDGETS = SPEC.replace("model.width: [2, 3]", "epochs: [2, 3]")


@pytest.mark.slow
def test_network_with_state_outside_its_state_dict_is_trained_unshared(home: Path) -> None:
    write_nets(home, REMEMBERS, spec=BUDGETS)
    with api.allow_code("nets.py"):
        planned = api.plan("own.yaml")
        assert planned.not_shared == (f"epochs=2 seed=0, epochs=3 seed=0: {WHY}",)
        assert planned.planned.epochs == 5
        notes = list[str]()
        listener = NullListener()
        listener.on_note = notes.append  # type: ignore[method-assign]
        done = api.run("own.yaml", listen=lambda planned: listener, checkpoint_seconds=0)
        assert (set(done.statuses.values()), notes) == ({"done"}, [WHY])
        left = left_in(home)
        assert not left.states
        assert not list((home / ".runner").glob("checkpoints/*/*"))
        assert api.plan("own.yaml", sets=["epochs=2", "train.diverged_if=9"]).planned.epochs == 2
        told: list[str] = []
        assert api.verify("own.yaml", on_step=told.append).runs == ()
        assert told == ["left out, as they may share nothing (plan says why): 2 of 2 runs"]
    write_nets(home, NETS, spec=BUDGETS)
    assert planned_epochs() == 3


@pytest.mark.slow
def test_killed_run_of_a_network_with_state_outside_begins_again(
    forks: Forks, tmp_path: Path
) -> None:
    lefts = []
    for name in ("undisturbed", "killed"):
        folder = tmp_path / name
        folder.mkdir()
        spec = SPEC.replace("epochs: 1", "epochs: 5").replace("[2, 3]", "[4]")
        write_nets(folder, REMEMBERS, spec=spec)
        words = ["run", "own.yaml", *ALLOWED, "--checkpoint-seconds", "0"]
        if name == "killed":
            assert forks.run(folder, words, KillAt("epochs recorded", 1)) != 0
        assert forks.run(folder, words) == 0, (folder / OUTPUT).read_text()
        lefts.append(left_in(folder))
    assert lefts[0].tensors == lefts[1].tensors
    assert lefts[0].dump == lefts[1].dump


COUNTS = """
import torch


class Counts(torch.optim.Optimizer):
    def __init__(self, params, lr: float):
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                seen = self.state[weight].setdefault("seen", set())
                seen.add(len(seen))
                weight.add_(weight.grad, alpha=-group["lr"] / len(seen))
"""


@pytest.mark.slow
def test_optimizer_whose_state_no_checkpoint_can_hold_trains_unshared(home: Path) -> None:
    (home / "rule.py").write_text(COUNTS)
    spec = BUDGETS.replace("{name: sgd, lr: 0.1}", '{name: "rule.py:Counts", lr: 0.1}')
    write_nets(home, NETS, spec=spec)
    with api.allow_code("."):
        (why,) = api.plan("own.yaml").not_shared
        assert why.startswith(
            "epochs=2 seed=0, epochs=3 seed=0: 'rule.py:Counts' keeps other things in its state"
        )
        done = api.run("own.yaml", checkpoint_seconds=0)
        assert set(done.statuses.values()) == {"done"}


STEP = """\
class Same:
    def __init__(self, factor: int = {factor}):
        self.factor = factor

    def __call__(self, image, generator):
        return image * self.factor
"""
STEPS = """\
name: steps
data: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train:
  epochs: 1
  batch_size: 16
  augment: [{name: RandomHorizontalFlip}, {name: "steps.py:Same", p: 1.0}]
seeds: [0, 1]
"""


@pytest.mark.slow
def test_runs_are_compared_whose_own_code_stands_in_a_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("steps.yaml").write_text(STEPS)
    for factor in (1, 2):
        Path("steps.py").write_text(STEP.format(factor=factor))
        with api.allow_code("steps.py"):
            api.run("steps.yaml", device="cpu", threads=1)
        if factor == 1:
            before = api.show("steps:0:0").record["run_key"]
    found = api.diff("steps:0:0", "steps:0:1").frame()
    assert list(found[found["part"] == "settings"]["name"]) == ["seed"]
    assert "code" not in set(found["part"])
    found = api.diff(before, "steps:0:0").frame()
    code = found[found["part"] == "code"].to_numpy().tolist()
    line = "    def __init__(self, factor: int = {}):"
    assert code == [["code", "steps.py:2", line.format(1), line.format(2)]]
