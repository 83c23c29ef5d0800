"""`run` and `plan`: what they do, print, and exit with."""

import json
from pathlib import Path

import pytest
from commands import TINY, Call
from pictures import draw_classes

IMAGES = """\
name: photos
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25}
model: {name: mlp, hidden: [4]}
train: {epochs: 1}
"""


def lines_with(text: str, part: str) -> list[str]:
    return [line for line in text.splitlines() if part in line]


@pytest.mark.slow
def test_run_prints_tables_on_stdout_and_all_else_on_stderr(fresh: Path, call: Call) -> None:
    ran = call("run", "tiny.yaml", "--device", "cpu")
    assert ran.code == 0
    assert ran.out.startswith("tiny\nWHICH")
    assert "mean ± sample standard deviation over 2 seeds" in ran.out
    assert len(lines_with(ran.err, "done in")) == 4
    assert ran.err.splitlines()[-1].startswith("4 runs: 4 done; ")
    assert "\x1b" not in ran.out + ran.err


def test_running_again_does_nothing_and_prints_the_same_table(tiny: Path, call: Call) -> None:
    first = call("report", "--table", "tiny")
    again = call("run", "tiny.yaml")
    assert again.out.strip() == first.out.strip()
    assert again.err.startswith("4 runs: 4 done (4 of them before); ")


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("only", "done"),
    [
        (["slow"], {"0:0", "0:1"}),
        (["lr=0.1"], {"1:0", "1:1"}),
        (["fast one", "seed=1"], {"1:1"}),
        (["slow", "fast one", "seed=0"], {"0:0", "1:0"}),
        (["optimizer=sgd", "lr=0.01", "seed=1"], {"0:1"}),
        (["optimizer={name: sgd, lr: 0.1}", "seed=1"], {"1:1"}),
    ],
)
def test_only_admits_labels_and_settings(
    fresh: Path, call: Call, only: list[str], done: set[str]
) -> None:
    words = [word for each in only for word in ("--only", each)]
    assert call("run", "tiny.yaml", "--set", "epochs=1", *words).code == 0
    listed = json.loads(call("list", "--format", "json").out)
    ended = {f"{row['position']}:{row['seed']}" for row in listed if row["status"] == "done"}
    assert ended == done


LABELS = "label: 'slow', 'fast one'"
ALL = f"    allowed:\n        {LABELS}\n        lr: 0.01, 0.1\n        seed: 0, 1"


@pytest.mark.parametrize(
    ("only", "told"),
    [
        ("medium", ALL),
        ("fastone", f"    did you mean: fast one\n{ALL}"),
        ("label=fastone", f"    did you mean: label=fast one\n    allowed: {LABELS}"),
        ("lable=slow", f"    did you mean: label=slow\n{ALL}"),
        ("WHICH=slow", f"    did you mean: label=slow\n{ALL}"),
        ("epoch=2", f"    did you mean: epochs=2\n{ALL}"),
        ("nesterov=true", f"    did you mean: train.optimizer.nesterov=true\n{ALL}"),
        ("train.nesterov=true", f"    did you mean: train.optimizer.nesterov=true\n{ALL}"),
        ("lr=7", "    allowed: lr: 0.01, 0.1"),
        ("epochs=3", "    allowed: epochs: 2"),
        ("qqq=3", ALL),
    ],
)
def test_only_that_matches_nothing_starts_nothing(
    fresh: Path, call: Call, only: str, told: str
) -> None:
    refused = call("run", "tiny.yaml", "--only", only)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == f"error: --only '{only}' matches no cell\n{told}\n"
    assert not (fresh / "results.db").exists()


POINTS = (
    TINY.partition("seeds:")[0].replace("tiny", "points")
    + """\
sweep:
  rows:
    - {labels: {POINT: "1", lr: usual}, lr: 0.1}
    - {labels: {POINT: 2a, lr: "0.1"}, lr: 0.2}
    - {labels: {POINT: 1e-4, lr: "4a, wide: more"}, lr: 0.3}
    - {label: "1", lr: 0.1, epochs: 1}
"""
)


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        (["POINT=1"], [0]),
        (["POINT = 1"], [0]),
        (["1"], [0, 3]),
        (["label=1"], [3]),
        (["POINT=1", "POINT=2a"], [0, 1]),
        (["POINT=1", "2a"], [0, 1]),
        (["POINT=1", "train.optimizer.lr=0.2"], []),
        (["POINT=0.0001"], [2]),
        (["lr=4a, wide: more"], [2]),
        (["lr=0.1"], [1, 3]),  # a label where the cell has one of this name
        (["train.optimizer.lr=0.1"], [0, 3]),
    ],
)
def test_only_takes_labels_by_name(
    fresh: Path, call: Call, only: list[str], chosen: list[int]
) -> None:
    Path("points.yaml").write_text(POINTS)
    words = [word for each in only for word in ("--only", each)]
    planned = call("plan", "points.yaml", "--no-share", "--format", "json", *words)
    if not chosen:
        assert (planned.code, planned.err[:29]) == (2, "error: no cell matches all of")
        return
    stages = json.loads(planned.out)["stages"]
    names = ["1, usual", "2a, 0.1", "0.0001, 4a, wide: more", "1"]
    ending = [each["name"] for stage in stages for each in stage["ending"]]
    assert ending == [f"{names[position]} seed=0" for position in chosen]


@pytest.mark.slow
def test_command_that_makes_a_run_again_means_it_alone(fresh: Path, call: Call) -> None:
    """Also where another label has its text, and a label is called as a setting is."""
    Path("points.yaml").write_text(POINTS)
    call("run", "points.yaml", "--only", "POINT=1")
    command = json.loads(call("show", "points:0:0", "--format", "json").out)["command"]
    options = "--only POINT=1 --only lr=usual --only train.optimizer.lr=0.1 --only seed=0"
    assert command == f"runner run points.yaml --rerun {options}"
    assert call(*command.split()[1:]).err.splitlines()[-1].startswith("1 run: 1 done")


def test_only_with_two_labels_of_different_names_needs_both(fresh: Path, call: Call) -> None:
    rows = [
        f"{{labels: {{net: {net}, rate: {rate}}}, lr: {lr}, hidden: {hidden}}}"
        for net, hidden in (("small", [4]), ("large", [8]))
        for rate, lr in (("low", 0.01), ("high", 0.1))
    ]
    text = TINY.replace("WHICH: label", "NET: net").partition("sweep:")[0]
    (fresh / "nets.yaml").write_text(f"{text}sweep: {{rows: [{', '.join(rows)}]}}\n")
    planned = call("plan", "nets.yaml", "--only", "small", "--only", "high", "--format", "json")
    assert json.loads(planned.out)["runs"] == 2


@pytest.mark.slow
def test_limit_does_so_many_and_a_further_run_the_rest(fresh: Path, call: Call) -> None:
    first = call("run", "tiny.yaml", "--limit", "3")
    assert "3 runs: 3 done; " in first.err
    assert "1 unfinished" in first.out
    assert "(3 of them before)" in call("run", "tiny.yaml").err


@pytest.mark.slow
def test_set_makes_a_variant_that_shows_only_when_asked_for(tiny: Path, call: Call) -> None:
    before = call("report", "--table", "tiny").out
    ran = call("run", "tiny.yaml", "--set", "epochs=1", "--set", "hidden=[3, 2]")
    variant = "hidden=[3, 2], epochs=1"
    assert ran.out.startswith(f"tiny (variant: {variant})\n")
    assert "published" in before
    assert "published" not in ran.out
    assert call("report", "--table", "tiny").out == before
    assert call("report", "--table", "tiny", "--variant", variant).out.strip() == ran.out.strip()
    assert f"variant of tiny: {variant}" in call("report").out


LARGE = """\
name: large
data: {dataset: imagefolder, path: nowhere, resize: 256, crop: 224}
model: {name: squeezenet1_1, weights: IMAGENET1K_V1}
train: {epochs: 50, batch_size: 256}
sweep:
  rows:
    - {label: whole}
    - {label: frozen, freeze: features, data.include: [cat, dog]}
    - {label: own, model: {name: convnet, filters: [4], init: orthogonal}, resize: 64}
tables:
  large: {NET: label, SIZE: resize, TEST_ACC: test_accuracy}
profiles:
  smoke:
    cells: 2
    data: {dataset: synthetic, classes: 2, images: 10, height: 24, width: 24}
    weights: null
    epochs: 1
    batch_size: 8
"""


@pytest.mark.slow
def test_smoke_profile_runs_two_cells_without_data_and_weights(call: Call) -> None:
    Path("large.yaml").write_text(LARGE)
    ran = call("run", "large.yaml", "--profile", "smoke")
    assert ran.code == 0
    assert ran.out.startswith("large (variant: profile smoke)\n")
    assert "2 runs: 2 done" in ran.err
    shown = call("report", "--table", "large", "--variant", "profile smoke", "--format", "csv")
    assert [line.split(",")[:2] for line in shown.out.splitlines()] == [
        ["NET", "SIZE"],
        ["whole", ""],
        ["own", ""],
    ]


@pytest.mark.slow
def test_profile_is_a_variant_with_its_own_seeds(fresh: Path, call: Call) -> None:
    ran = call("run", "tiny.yaml", "--profile", "quick")
    assert ran.out.startswith("tiny (variant: profile quick)\n")
    assert "2 runs: 2 done" in ran.err
    refused = call("run", "tiny.yaml", "--profile", "quik")
    assert refused.code == 2
    assert "did you mean: quick" in refused.err


@pytest.mark.slow
def test_rerun_counts_as_a_further_repetition(tiny: Path, call: Call) -> None:
    assert call("run", "tiny.yaml", "--rerun", "--only", "slow", "--only", "seed=0").code == 0
    assert "rerun     1\n" in call("show", "tiny:0:0").out
    assert "rerun" not in call("show", "tiny:0:1").out.partition("settings")[0].replace(
        "--rerun", ""
    )


@pytest.mark.slow
def test_failed_run_exits_with_1_and_stays_failed(tmp_path: Path, call: Call) -> None:
    draw_classes(tmp_path / "photos", {"a": 6, "b": 6})
    (tmp_path / "photos" / "b" / "image 5.png").write_bytes(b"no image")
    Path("photos.yaml").write_text(IMAGES)
    ran = call("run", "photos.yaml")
    assert ran.code == 1
    assert "image 5.png" in ran.err
    hint, again = ran.err.splitlines()[-1].split("; ")
    assert again == "do them again with --retry-failed"
    shown = call(*hint.removeprefix("see why with: runner ").split()).out
    assert "status    failed\nmessage   " in shown
    assert "image 5.png" in shown
    assert "failed" in ran.out
    assert "(1 of them before)" in call("run", "photos.yaml").err
    assert "1 failed before (--retry-failed)" in call("plan", "photos.yaml").out


def test_diverged_run_is_a_result(fresh: Path, call: Call) -> None:
    ran = call("run", "tiny.yaml", "--set", "lr=1e30", "--only", "seed=0")
    assert ran.code == 0
    assert "diverged" in ran.out


def test_wrong_spec_exits_with_2_and_says_where(fresh: Path, call: Call) -> None:
    (fresh / "wrong.yaml").write_text(TINY.replace("batch_size: 16", "batch_sise: 16"))
    refused = call("run", "wrong.yaml")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith("error: wrong.yaml:5:20: unknown setting 'batch_sise' in train\n")
    assert "did you mean: batch_size" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["run"], "Missing argument 'SPEC'"),
        (["rum"], "No such command 'rum'"),
        (["run", "nowhere.yaml"], "error: no such file: nowhere.yaml"),
        (["validate", "loop.yaml"], "error: cannot read loop.yaml: "),
        (["run", "tiny.yaml", "--set", "epochs"], "'epochs' is not setting=value"),
        (["run", "tiny.yaml", "--set", "epoch=3"], "did you mean: epochs"),
        (["run", "tiny.yaml", "--limit", "0"], "Invalid value for '--limit'"),
        (["plan", "tiny.yaml", "--format", "xml"], "allowed: text, json"),
    ],
)
def test_wrong_usage_exits_with_2(fresh: Path, call: Call, words: list[str], message: str) -> None:
    (fresh / "loop.yaml").symlink_to("loop.yaml")
    refused = call(*words)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err


def test_specs_cannot_share_a_table_name(fresh: Path, call: Call) -> None:
    (fresh / "other.yaml").write_text(TINY.replace("name: tiny\n", "name: other\n"))
    refused = call("run", "tiny.yaml", "other.yaml")
    assert refused.code == 2
    assert "other.yaml:14:3: the table 'tiny' is also declared in tiny.yaml" in refused.err


def test_plan_starts_nothing_and_knows_what_is_done(tiny: Path, call: Call) -> None:
    planned = call("plan", "tiny.yaml", "--set", "epochs=3")
    assert planned.code == 0
    assert planned.out.splitlines()[:3] == [
        "cells     4",
        "runs      4: 0 done, 4 to do",
        "epochs    4 to do of 12, at most",  # two of each training's three are on the disk
    ]
    alone = call("plan", "tiny.yaml", "--set", "epochs=3", "--no-share")
    assert "\nepochs    12 to do of 12, at most\n" in alone.out
    assert "runs      4: 4 done, 0 to do" in call("plan", "tiny.yaml").out


@pytest.mark.slow
def test_plan_makes_no_database_and_probes_when_asked(fresh: Path, call: Call) -> None:
    assert "never measured" in call("plan", "tiny.yaml").out
    probed = json.loads(call("plan", "tiny.yaml", "--probe", "--format", "json").out)
    assert probed["planned"]["seconds"] > 0
    assert (probed["to_do"], probed["download_bytes"]) == (4, 0)
    trained = [each["key"] for each in probed["stages"] if each["kind"] == "train"]
    measured = probed["precisions"]
    assert {key for gain in measured for key in gain["stages"]} == set(trained)
    assert {(gain["precision"], gain["other"]) for gain in measured} == {("fp32", "bf16")}
    assert not (fresh / "results.db").exists()
