"""EXPLAIN, switching sharing off, the cache and the proof, from the command line."""

import json
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from commands import Call
from test_cli_bind import is_golden

from runner.cli.planning import precision_lines
from runner.core.gains import PrecisionGain
from runner.planner.rules import SHARING

SPEC = """\
name: shared
data: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 6, batch_size: 16, optimizer: sgd, schedule: {name: step, step_size: 2}}
sweep:
  rows:
    - {label: short, epochs: 4}
    - {label: long}
    - {label: patient, early_stopping: {patience: 3}}
    - {label: later, step_size: 3}
    - {label: half a wave, schedule: {name: cosine}, epochs: 3}
    - {label: a wave, schedule: {name: cosine}}
"""
FROZEN = """\
name: frozen
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8}
model: {name: convnet, filters: [4], batch_norm: true, freeze: features}
train: {epochs: 2, batch_size: 16}
sweep: {grid: {lr: [0.01, 0.02]}}
"""
AUGMENTED = """\
name: augmented
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8}
model: {name: convnet, filters: [4], batch_norm: true, freeze: features}
train: {epochs: 2, batch_size: 16}
sweep:
  rows:
    - {label: plain}
    - {label: flipped, augment: RandomHorizontalFlip}
    - {label: half of them flipped, augment: {p: 0.5, steps: [RandomHorizontalFlip]}}
    - {label: cropped, augment: [{name: RandomCrop, size: 8, padding: 1}]}
    - {label: cropped for long, augment: [{name: RandomCrop, size: 8, padding: 1}], epochs: 3}
"""
RATES = """\
name: rates
data: {dataset: synthetic, classes: 3, images: 60, height: 8, width: 8}
model: {name: convnet, filters: [4], batch_norm: true, freeze: features}
train: {epochs: 2, batch_size: 16, augment: [{name: RandomCrop, size: 8, padding: 1}]}
sweep: {grid: {lr: [0.01, 0.03, 0.1], seed: [0, 1]}}
"""


@pytest.fixture(autouse=True)
def _specs() -> None:
    Path("shared.yaml").write_text(SPEC)
    Path("rates.yaml").write_text(RATES)
    Path("frozen.yaml").write_text(FROZEN)
    Path("augmented.yaml").write_text(AUGMENTED)


def ask(query: str, db: str = "results.db") -> list[Any]:
    with closing(sqlite3.connect(db)) as raw:
        return raw.execute(query).fetchall()


def num_epochs(db: str = "results.db") -> int:
    return int(ask("SELECT count(*) FROM steps", db)[0][0])


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plan_shared", ["shared.yaml"]),
        ("plan_no_share", ["shared.yaml", "--no-share"]),
        (
            "plan_disabled",
            ["frozen.yaml", "--disable", "use_frozen_features", "--disable", "train_together"],
        ),
        ("plan_frozen", ["frozen.yaml"]),
        ("plan_augmented", ["augmented.yaml"]),
        ("plan_together", ["rates.yaml"]),
        ("plan_two_specs", ["frozen.yaml", "shared.yaml", "--only", "seed=0"]),
    ],
)
def test_plan_looks_like_its_golden_file(
    tmp_path: Path, call: Call, name: str, words: list[str]
) -> None:
    planned = call("plan", *words, "--device", "cpu")
    assert (planned.code, planned.err) == (0, "")
    assert is_golden(name, planned.out, tmp_path)


def test_plan_as_json_is_the_same_tree(call: Call) -> None:
    planned = json.loads(call("plan", "shared.yaml", "--format", "json").out)
    stages = {stage["key"]: stage for stage in planned["stages"]}
    trained = [stage for stage in stages.values() if stage["kind"] == "train"]
    epochs = sorted((stage["first_epoch"], stage["last_epoch"]) for stage in trained)
    assert epochs == [(1, 2), (1, 3), (1, 6), (3, 6), (3, 6)]
    for stage in trained:
        assert stages[stage["parent"]]["kind"] in ("train", "prepare")
    ending = {each["name"]: each for stage in trained for each in stage["ending"]}
    assert (ending["short seed=0"]["last_epoch"], ending["short seed=0"]["may_stop"]) == (4, False)
    assert ending["patient seed=0"]["may_stop"] is True
    assert [each["rule"] for each in planned["savings"]] == [
        "merge_equal_stages",
        "share_trajectories",
    ]
    assert len(planned["not_shared"]) == 1


ALIKE = """\
name: alike
data: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 3, batch_size: 16, optimizer: sgd}
sweep:
  rows:
    - {label: plain}
    - {label: limited, train.diverged_if: 5}
    - {label: measured, train.diverged_if: 5, evaluate.test: each_epoch}
    - {label: one, schedule: {name: plateau, patience: 1}}
    - {label: two, schedule: {name: plateau, patience: 2}}
"""


@pytest.mark.slow
def test_why_runs_share_nothing_names_those_to_do_and_every_reason(call: Call) -> None:
    Path("alike.yaml").write_text(ALIKE)
    measured = (
        "plain seed=0, limited seed=0, measured seed=0:"
        " not every one of them measures the same after each epoch;"
        " another train.diverged_if may end a training earlier"
    )
    plateaus = (
        "one seed=0, two seed=0:"
        " a schedule by what is measured shares nothing with one of other settings"
    )

    def told() -> list[str]:
        planned = call("plan", "alike.yaml", "--format", "json").out
        return list(json.loads(planned)["not_shared"])

    assert told() == [measured, plateaus]
    assert call("run", "alike.yaml", "--only", "one").code == 0
    assert told() == [measured]
    assert call("run", "alike.yaml").code == 0
    assert call("run", "alike.yaml", "--rerun", "--only", "plain").code == 0
    assert told() == []


@pytest.mark.slow
def test_long_tree_is_shown_in_full_only_when_asked(call: Call) -> None:
    rates = ", ".join(str(number / 100) for number in range(1, 60))
    Path("many.yaml").write_text(FROZEN.replace("0.01, 0.02", rates).replace("frozen", "many", 1))
    short = call("plan", "many.yaml").out.splitlines()
    assert short[-1] == "… 60 lines more (--full)"
    full = call("plan", "many.yaml", "--full").out.splitlines()
    assert len(full) == len(short) + 59
    assert full[-1].endswith("lr=0.59 seed=0: reads epochs 1–2")


@pytest.mark.slow
def test_sharing_trains_fewer_epochs_and_gives_the_same_bytes(call: Call) -> None:
    assert call("run", "shared.yaml", "--db", "a/a.db").code == 0
    assert call("run", "shared.yaml", "--db", "b/b.db", "--no-share").code == 0
    dumps = [call("db", "dump", "--canonical", "--db", db).out for db in ("a/a.db", "b/b.db")]
    assert dumps[0] == dumps[1]
    assert num_epochs("a/a.db") < num_epochs("b/b.db") <= 31


@pytest.mark.parametrize("word", ["plan", "run"])
def test_disable_takes_rules_that_share_only(call: Call, word: str) -> None:
    called = call(word, "shared.yaml", "--disable", "share_trajectory")
    assert called.code == 2
    assert called.err == (
        "error: --disable share_trajectory is no rule that shares\n"
        "    did you mean: share_trajectories\n"
        f"    allowed: {', '.join(SHARING)}\n"
    )


ACTUAL = """\
name: actual
data: {dataset: synthetic, classes: 3, images: 60, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 6, batch_size: 16, optimizer: sgd}
sweep:
  rows:
    - {label: short, epochs: 4}
    - {label: patient, early_stopping: {patience: 2, tolerance: 1000.0}}
    - {label: a wave, schedule: {name: cosine}}
    - {label: diverging, lr: 1.0e+30}
"""


@pytest.mark.slow
def test_prediction_and_truth_of_a_stage_stand_on_its_line(tmp_path: Path, call: Call) -> None:
    """A training that ended before its budget, one that diverged, and one that was never done."""
    Path("actual.yaml").write_text(ACTUAL)
    call("run", "actual.yaml", "--only", "short", "--only", "patient", "--only", "diverging")
    text = call("plan", "actual.yaml", "--actual").out
    assert is_golden("plan_actual", re.sub(r"\d+\.\d s", "N s", text), tmp_path)
    found = json.loads(call("plan", "actual.yaml", "--actual", "--format", "json").out)
    assert {(each["kind"], each["status"], each["epochs"]) for each in found["stages"]} == {
        ("prepare", "done", 0),
        ("train", "done", 4),
        ("train", "diverged", 1),
        ("train", "never", 0),
    }


@pytest.mark.slow
def test_prediction_is_held_against_truth(call: Call) -> None:
    assert call("plan", "shared.yaml", "--actual").code == 2
    assert call("run", "shared.yaml", "--only", "long").code == 0
    assert call("run", "shared.yaml").code == 0
    text = call("plan", "shared.yaml", "--actual").out
    assert text.startswith("prepare   1 stage; 1 never measured before took ")
    found = {
        each["kind"]: each
        for each in json.loads(call("plan", "shared.yaml", "--actual", "--format", "json").out)[
            "kinds"
        ]
    }
    assert found["train"]["epochs"] == num_epochs()
    assert found["train"]["foreseen"] >= 1
    assert found["train"]["predicted_epochs"] >= found["train"]["epochs"]
    assert found["train"]["seconds"] > 0


@pytest.mark.parametrize("words", [["--only", "long"], ["--probe"], ["--use-reference"]])
def test_options_of_a_plan_are_refused_beside_actual(call: Call, words: list[str]) -> None:
    refused = call("plan", "shared.yaml", "--actual", *words)
    assert refused.code == 2
    assert refused.err.startswith("error: --actual is about what has been done")
    assert f"it takes no {words[0]}\n" in refused.err


def test_branch_on_features_stands_under_its_beginning(call: Call) -> None:
    model = FROZEN[: FROZEN.index("sweep")]
    rows = "".join(
        f"    - {{schedule: {{name: step, step_size: {size}}}, epochs: 4}}\n" for size in (2, 3)
    )
    Path("branches.yaml").write_text(f"{model}sweep:\n  rows:\n{rows}")
    planned = json.loads(call("plan", "branches.yaml", "--format", "json").out)
    stages = {stage["key"]: stage for stage in planned["stages"]}
    trained = [stage for stage in stages.values() if stage["kind"] == "train"]
    found = {
        (each["first_epoch"], each["last_epoch"], stages[each["parent"]]["kind"])
        for each in trained
    }
    assert found == {(1, 2, "features"), (3, 4, "train")}
    assert [each["kind"] for each in stages.values() if each["parent"] is None] == ["prepare"]


@pytest.mark.slow
def test_plan_says_what_every_run_by_itself_would_take(call: Call) -> None:
    assert call("run", "shared.yaml", "--only", "long").code == 0
    with closing(sqlite3.connect("results.db")) as raw:
        raw.execute("UPDATE steps SET seconds = 2.0")
        raw.commit()
    planned = call("plan", "shared.yaml", "--only", "long", "--only", "later").out
    # decoding was measured too, and takes moments on a busy machine
    assert re.search(r"time +about 1[23] s of 2[45] s on cpu", planned), planned


@pytest.mark.slow
def test_disk_is_foretold_with_states(call: Call) -> None:
    text = SPEC.replace("hidden: [4]", "hidden: [300]").replace("optimizer: sgd", "optimizer: adam")
    Path("large.yaml").write_text(text)
    cost = json.loads(call("plan", "large.yaml", "--format", "json").out)["planned"]
    assert call("run", "large.yaml").code == 0
    kept = [path.stat().st_size for path in Path(".runner").rglob("*") if path.is_file()]
    foretold = cost["num_bytes"] + cost["state_bytes"]
    assert foretold == pytest.approx(sum(kept), rel=0.35)
    alone = json.loads(call("plan", "large.yaml", "--no-share", "--format", "json").out)
    assert alone["planned"]["state_bytes"] == 0


LOOKED_AT = """\
name: looked_at
data: {dataset: synthetic, classes: 30, images: 2000, height: 8, width: 8}
model: {name: mlp, hidden: [4]}
train: {epochs: 2, batch_size: 64}
evaluate: {test: last}
sweep: {grid: {lr: [0.01, 0.02]}}
analyses:
  confused: {name: predictions, split: train}
  shaken:
    name: robustness
    split: test
    draws: 2
    transforms:
      - {label: flipped, severities: [RandomHorizontalFlip, RandomVerticalFlip]}
      - {name: RandomRotation, degrees: 30}
tables: {looked_at: {F1: {metric: val_macro_f1}}}
"""


@pytest.mark.slow
def test_disk_is_foretold_with_logits_and_changed_images(call: Call) -> None:
    Path("looked_at.yaml").write_text(LOOKED_AT)
    planned = call("plan", "looked_at.yaml").out
    assert " for pixels, features, weights and logits" in planned
    assert ", at most 460.8 kB for changed images\n" in planned
    cost = json.loads(call("plan", "looked_at.yaml", "--format", "json").out)["planned"]
    assert call("run", "looked_at.yaml").code == 0
    taken: dict[str, int] = {}
    for path in Path(".runner").rglob("*"):
        kind = path.relative_to(".runner").parts[0]
        taken[kind] = taken.get(kind, 0) + (path.stat().st_size if path.is_file() else 0)
    assert cost["changed_bytes"] == pytest.approx(taken["changed"], rel=0.02)
    kept = sum(taken[kind] for kind in ("pixels", "weights", "logits"))
    assert taken["logits"] > kept / 2
    assert cost["num_bytes"] == pytest.approx(kept, rel=0.05)  # names of images come on top
    done = json.loads(call("plan", "looked_at.yaml", "--format", "json").out)["planned"]
    assert done["num_bytes"] == done["changed_bytes"] == 0


def test_plan_without_data_has_unknown_disk_and_one_line_of_what_is_missing(call: Call) -> None:
    Path("gone.yaml").write_text(
        "name: gone\ndata: {dataset: imagefolder, path: gone}\nmodel: mlp\n"
        "sweep: {grid: {data.resize: [8, 9]}}\n"
    )
    planned = call("plan", "gone.yaml").out
    assert "disk      unknown until the data is there\n" in planned
    assert planned.count("missing data set imagefolder") == 1


@pytest.mark.slow
def test_cache_is_listed_and_cleared(call: Call) -> None:
    assert call("run", "frozen.yaml").code == 0
    listed = call("cache", "list").out
    assert [line.split()[0] for line in listed.splitlines()] == [
        *(
            "pixels",
            "features",
            "changed",
            "states",
            "checkpoints",
            "weights",
            "logits",
            "analyses",
            "hashes",
            "layouts.json",
            "code.json",
            "all",
        )
    ]
    assert "features           2 files" in listed
    cleared = call("cache", "clear", "features", "states")
    assert (cleared.code, cleared.err) == (0, "removed\n")
    assert not Path(".runner/features").exists()
    assert Path(".runner/weights").exists()
    assert call("cache", "clear", "features").err == "nothing to remove\n"
    before = call("db", "dump", "--canonical").out
    assert call("cache", "clear").code == 0
    assert list(Path(".runner").iterdir()) == []
    assert call("db", "dump", "--canonical").out == before
    assert call("run", "frozen.yaml", "--set", "seed=1").code == 0
    wrong = call("cache", "clear", "pixel")
    assert wrong.code == 2
    assert "did you mean: pixels" in wrong.err


@pytest.mark.slow
def test_cache_of_a_run_at_work_is_not_cleared(call: Call) -> None:
    assert call("run", "frozen.yaml").code == 0
    with closing(sqlite3.connect("results.db")) as raw:
        raw.execute(
            "INSERT INTO claims SELECT stage_key, id, 'host', 'boot', 1, 0.0, 9e12, NULL, NULL"
            " FROM attempts LIMIT 1"
        )
        raw.commit()
    refused = call("cache", "clear")
    assert refused.code == 2
    assert "a run is at work on results.db" in refused.err
    assert Path(".runner/features").exists()


@pytest.mark.slow
def test_branches_keep_to_the_limit_of_the_cache(call: Call) -> None:
    assert call("run", "shared.yaml", "--db", "a/a.db", "--cache-limit", "0").code == 0
    assert list(Path("a/.runner/states").rglob("*.json")) == []
    assert num_epochs("a/a.db") == 19  # the branches went on from a state all the same
    assert call("run", "shared.yaml", "--db", "b/b.db").code == 0
    dumps = [call("db", "dump", "--canonical", "--db", db).out for db in ("a/a.db", "b/b.db")]
    assert dumps[0] == dumps[1]


@pytest.mark.slow
def test_claim_of_a_dead_process_keeps_nothing_from_being_cleared(call: Call) -> None:
    from runner.artifacts.process import boot_id, host

    assert call("run", "frozen.yaml").code == 0
    with closing(sqlite3.connect("results.db")) as raw:
        raw.execute(
            "INSERT INTO claims SELECT stage_key, id, ?, ?, 999999999, 0.0, 9e12, NULL, NULL"
            " FROM attempts LIMIT 1",
            (host(), boot_id()),
        )
        raw.commit()
    assert call("cache", "clear").code == 0
    assert list(Path(".runner").iterdir()) == []


@pytest.mark.slow
def test_run_on_another_database_keeps_its_folder(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import runner.execute.carry_out as carrying_out
    from runner.api.caching import clear_cache
    from runner.core.errors import UsageError

    refused = []
    original = carrying_out.record_wanted

    def clear_meanwhile(*taken: Any) -> None:
        original(*taken)
        with pytest.raises(UsageError, match=r"a run is at work in .*\.runner\n    hint: stop it"):
            clear_cache((), "other.db")
        refused.append(True)

    monkeypatch.setattr(carrying_out, "record_wanted", clear_meanwhile)
    assert call("run", "frozen.yaml").code == 0
    assert refused
    assert call("cache", "clear", "--db", "other.db").code == 0


@pytest.mark.slow
def test_cache_clear_removes_only_what_belongs_to_the_database(call: Call) -> None:
    for db in ("a.db", "b.db"):
        assert call("run", "frozen.yaml", "--db", db).code == 0
    Path("notes.txt").write_text("no database")
    (kept,) = ask("SELECT identity FROM database", "b.db")[0]
    assert call("cache", "clear", "--db", "a.db").code == 0
    assert sorted(str(each) for each in Path(".runner").glob("*/*")) == [
        f".runner/logits/{kept}",
        f".runner/states/{kept}",
        f".runner/weights/{kept}",
    ]
    Path("b.db").rename("moved.db")
    assert call("cache", "clear", "states", "--db", "a.db").err == "nothing to remove\n"
    Path("moved.db").unlink()
    assert call("cache", "clear", "--db", "a.db").code == 0
    assert list(Path(".runner").iterdir()) == []


@pytest.mark.slow
def test_cache_list_leaves_out_what_vanishes_meanwhile(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("run", "frozen.yaml").code == 0
    seen, size_of = Path.is_file, Path.stat

    def vanished(path: Path, **options: Any) -> Any:
        if path.suffix == ".safetensors":
            raise FileNotFoundError(path)
        return size_of(path, **options)

    monkeypatch.setattr(Path, "is_file", lambda path: ".safetensors" in path.name or seen(path))
    monkeypatch.setattr(Path, "stat", vanished)
    listed = call("cache", "list")
    assert (listed.code, listed.err) == (0, "")
    assert "weights            0 files" in listed.out


@pytest.mark.slow
def test_verify_proves_that_sharing_changes_nothing(call: Call) -> None:
    verified = call("verify", "shared.yaml", "--sample", "3")
    assert verified.code == 0, verified.err
    lines = verified.out.splitlines()
    assert len(lines) == 3
    assert all(line.endswith("): equal, byte for byte") for line in lines)
    assert all("shared stage" in line and "0 shared" not in line for line in lines)
    ((is_same, runs, spec),) = ask("SELECT is_same, runs, spec FROM verifications")
    assert (is_same, spec) == (1, "shared.yaml")
    assert [each["difference"] for each in json.loads(runs)] == ["", "", ""]
    assert ask("SELECT count(*) FROM runs") == [(0,)]


@pytest.mark.slow
def test_verify_holds_features_to_tolerances(call: Call) -> None:
    verified = call("verify", "frozen.yaml")
    assert verified.code == 0, verified.err
    assert verified.out.count("alike; largest difference ") == 2


FULL = ["augmented.yaml", "--only", "label=cropped", "--set", "evaluate.train_eval=full"]


@pytest.mark.slow
def test_verify_holds_what_is_evaluated_on_features_to_tolerances(call: Call) -> None:
    verified = call("verify", *FULL)
    assert verified.code == 0, verified.err
    assert verified.out.count("1 shared stage): alike; largest difference ") == 1


def test_disabled_features_are_not_used_for_what_is_evaluated_either(call: Call) -> None:
    assert "train convnet, evaluated on features" in call("plan", *FULL).out
    without = call("plan", *FULL, "--disable", "use_frozen_features").out
    assert "evaluated on features" not in without
    assert "frozen features of 1 training: the images are augmented\n" in without


def test_plan_says_where_features_of_what_is_evaluated_save_nothing(call: Call) -> None:
    planned = call("plan", *FULL[:3]).out
    assert "evaluated on features" not in planned
    assert (
        "note      frozen features of images that a training changes are not computed once"
        in planned
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", [["frozen.yaml"], FULL], ids=["frozen", "augmented"])
def test_verify_finds_features_that_are_not_those_of_training(
    call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    from runner.engine.stages import features

    original = features._fill

    def careless(*taken: Any) -> None:
        original(*taken)
        taken[-1][:] *= 1.001

    monkeypatch.setattr(features, "_fill", careless)
    verified = call("verify", *words)
    assert verified.code == 1
    assert "DIFFERENT: features differ by 0.001 of their norm" in verified.out


@pytest.mark.slow
def test_verify_finds_what_sharing_would_change(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.training import resume as resuming

    original = resuming._unpack

    def forgetful(state: Any, *others: Any) -> None:
        original(state, *others)
        for parameter in state.network.module.parameters():
            parameter.data.mul_(1.01)

    monkeypatch.setattr(resuming, "_unpack", forgetful)
    verified = call("verify", "shared.yaml", "--sample", "4")
    assert verified.code == 1
    assert "DIFFERENT: " in verified.out
    assert ask("SELECT is_same FROM verifications") == [(0,)]


def test_verify_of_missing_data_is_an_error(call: Call) -> None:
    Path("gone.yaml").write_text(
        "name: gone\ndata: {dataset: imagefolder, path: gone}\nmodel: mlp\n"
    )
    refused = call("verify", "gone.yaml")
    assert refused.code == 2
    assert "missing data set imagefolder" in refused.err


@pytest.mark.parametrize("target", ["notes.txt", "reference://"])
def test_verify_refuses_at_once_what_it_could_not_write_to(
    call: Call, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("notes.txt").write_text("no database")
    monkeypatch.setattr("runner.api.verifying.make_plan", None)
    refused = call("verify", "shared.yaml", "--db", target)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: ")


@pytest.mark.slow
def test_verify_takes_runs_that_share_with_one_another(call: Call) -> None:
    seeds = "seeds: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]\n"
    rows = SPEC.index("    - {label: short")
    patiences = "    - {early_stopping: {patience: 1}}\n    - {early_stopping: {patience: 2}}\n"
    Path("seeds.yaml").write_text(SPEC[:rows] + patiences + seeds)
    verified = call("verify", "seeds.yaml", "--set", "epochs=2")
    assert verified.code == 0, verified.err
    lines = verified.out.splitlines()
    assert len(lines) == 4
    assert all(", 1 shared stage): equal" in line for line in lines)
    seeds_taken = [line.partition("seed=")[2].partition(" ")[0] for line in lines]
    assert seeds_taken[0] == seeds_taken[1] != seeds_taken[2] == seeds_taken[3]


@pytest.mark.slow
def test_verify_says_when_nothing_was_shared(call: Call) -> None:
    verified = call("verify", "shared.yaml", "--sample", "1", "--set", "epochs=1")
    assert verified.code == 0, verified.err
    assert ", nothing shared): equal, byte for byte" in verified.out
    assert verified.err.endswith("nothing was shared in this sample: it says nothing of sharing\n")


@pytest.mark.slow
def test_verify_of_runs_that_fail_proves_nothing(call: Call, tmp_path: Path) -> None:
    from PIL import Image

    for label in ("a", "b"):
        for number in range(6):
            path = tmp_path / "photos" / label / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 4), (40 * number, 0, 0)).save(path)
    path.write_bytes(path.read_bytes()[:40])
    data = "{dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 4}"
    _, _, rest = FROZEN.split("\n", 2)
    Path("torn.yaml").write_text(f"name: torn\ndata: {data}\n{rest}")
    verified = call("verify", "torn.yaml", "--sample", "1")
    assert verified.code == 1
    assert "DIFFERENT: failed, together: " in verified.out
    assert "5.png" in verified.out
    assert ask("SELECT is_same FROM verifications") == [(0,)]


@pytest.mark.slow
def test_verify_that_is_stopped_says_so_and_leaves_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import os
    import signal
    import tempfile

    from runner.engine.training.loop import Training

    original = Training.begin

    def asked(*taken: Any, **named: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return original(*taken, **named)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(Training, "begin", asked)
    stopped = call("verify", "shared.yaml")
    assert (stopped.code, stopped.out) == (130, "")
    assert stopped.err.endswith("stopped; nothing of a verification is kept\n")
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not Path("results.db").exists()


def test_plan_says_what_other_precisions_would_gain_network_by_network() -> None:
    gains = (
        PrecisionGain("mlp", "fp32", "bf16", 1.0, 0.9, 1.1),
        PrecisionGain("convnet", "fp32", "bf16", 2.13, 2.0, 2.2),
        PrecisionGain("convnet", "fp32", "bf16", 1.5, 1.4, 1.6),
        PrecisionGain("alexnet", "bf16", "fp32", 1.62, 1.2, 1.7),
        PrecisionGain("alexnet", "bf16", "fp32", 1.9, 1.1, 2.0),
    )
    assert list(precision_lines(gains)) == [
        "bf16 would train convnet about 1.5 to 2.1 × faster here than fp32",
        "fp32 would train alexnet, in 1 of 2 kinds of training, about 1.6 × faster here than bf16",
    ]
