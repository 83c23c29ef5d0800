"""`report`, `list`, `show` and `db`: reading what is recorded."""

import csv
import io
import json
import re
import shlex
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from commands import TINY, Call
from made_up import HEAD, MadeUp, record_made_up

from runner.report.tables.render import FORMATS
from runner.store.database import open_database

READING = [
    ["report"],
    ["report", "--table", "tiny"],
    ["list"],
    ["show", "tiny:0:0"],
    ["db", "info"],
    ["db", "dump"],
]


@pytest.mark.parametrize("words", READING)
def test_commands_that_read_say_how_to_make_a_database(call: Call, words: list[str]) -> None:
    refused = call(*words, "--db", "nowhere.db")
    assert (refused.code, refused.out) == (2, "")
    assert "no database at nowhere.db\n    hint: the first `runner run` makes it" in refused.err
    assert not Path("nowhere.db").exists()


@pytest.mark.slow
@pytest.mark.parametrize("words", READING)
def test_database_may_be_named_by_a_variable(
    finished: Path, call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("RUNNER_DB", str(finished / "results.db"))
    assert call(*words).code == 0


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("words", READING)
def test_output_has_no_escape_codes_and_stderr_is_empty(
    tiny: Path, call: Call, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    printed = call(*words)
    assert (printed.code, printed.err) == (0, "")
    assert "\x1b" not in printed.out
    assert printed.out.endswith("\n")
    ragged = [line for line in printed.out.splitlines() if line != line.rstrip()]
    assert words == ["db", "dump"] or not ragged


def test_report_lists_tables_with_their_experiment(tiny: Path, call: Call) -> None:
    assert call("report").out == "tiny  (tiny)  Two learning rates on patterns.\n"


def test_unknown_table_is_told_the_nearest(tiny: Path, call: Call) -> None:
    refused = call("report", "--table", "tinny")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == ("error: no table 'tinny'\n    did you mean: tiny\n    allowed: tiny\n")


def test_unknown_variant_is_told_those_there_are(tiny: Path, call: Call) -> None:
    refused = call("report", "--variant", "epochs=9")
    assert (refused.code, refused.err) == (
        2,
        "error: no variant 'epochs=9'\n    hint: there are no variants\n",
    )


def test_report_of_a_spec_shows_its_tables_as_the_file_is_now(tiny: Path, call: Call) -> None:
    (tiny / "tiny.yaml").write_text(TINY.replace("    EPOCHS: epochs\n", "    SIZE: batch_size\n"))
    assert "SIZE" in call("report", "tiny.yaml").out
    assert "EPOCHS" not in call("report", "tiny.yaml").out
    assert "SIZE" not in call("report", "--table", "tiny").out


def test_report_of_a_spec_that_was_not_run_says_so(tiny: Path, call: Call) -> None:
    (tiny / "other.yaml").write_text(TINY.replace("tiny", "other"))
    refused = call("report", "other.yaml")
    assert (refused.code, refused.err) == (
        2,
        "error: other.yaml has not been run: the database has no 'other'\n",
    )


def test_table_name_of_two_experiments_means_the_one_run_last(tiny: Path, call: Call) -> None:
    """As after renaming an experiment: its finished runs are found under the new name."""
    renamed = TINY.replace("name: tiny\n", "name: renamed\n").replace("LR: lr", "RATE: lr")
    (tiny / "tiny.yaml").write_text(renamed)
    assert "(4 of them before)" in call("run", "tiny.yaml").err
    assert "RATE" in call("report", "--table", "tiny").out
    listed = call("report").out.splitlines()
    assert [line.split("  ")[:2] for line in listed] == [["tiny", "(renamed)"], ["tiny", "(tiny)"]]


def test_sql_gives_the_numbers_of_the_table(tiny: Path, call: Call) -> None:
    query = call("report", "--table", "tiny", "--sql").out
    with closing(sqlite3.connect("results.db")) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(query)]
    table = json.loads(call("report", "--table", "tiny", "--format", "json").out)["rows"]
    for name in ("WHICH", "LR", "EPOCHS", "TEST_ACC", "TEST_ACC_std"):
        assert [row[name] for row in rows] == [row[name] for row in table]


def test_csv_has_the_published_values(tiny: Path, call: Call) -> None:
    text = call("report", "--table", "tiny", "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["TEST_ACC_published"] for row in rows] == ["", "0.5"]


def test_database_of_the_first_schema_has_plain_published_values(call: Call) -> None:
    fixtures = Path(__file__).parents[1] / "store" / "fixtures"
    shutil.copy(fixtures / "schema_0001.db", "old.db")
    shown = call("report", "--table", "old", "--format", "csv", "--db", "old.db")
    rows = list(csv.DictReader(io.StringIO(shown.out)))
    assert [row["TEST_ACC_published"] for row in rows] == ["", "0.5"]
    assert "TEST_ACC_holds" not in rows[0]


def tolerant(folder: Path, published: str) -> None:
    """Give the published value of tiny.yaml, whose grid is finished, a tolerance."""
    (folder / "tiny.yaml").write_text(TINY.replace("{TEST_ACC: 0.5}", f"{{TEST_ACC: {published}}}"))


def test_check_passes_when_every_value_is_within_its_tolerance(tiny: Path, call: Call) -> None:
    """With the spec it holds what the file says now; once that is run, the database says so too."""
    tolerant(tiny, "{value: 0.5, within: 1}")
    checked = call("report", "tiny.yaml", "--check")
    assert (checked.code, checked.err) == (0, "1 of 1 published value within tolerance\n")
    assert checked.out == call("report", "tiny.yaml").out
    assert re.search(r"published +within +difference +holds\n", checked.out)
    assert call("report", "--check").code == 2
    call("run", "tiny.yaml")
    assert call("report", "--check").code == 0


def test_check_names_each_value_that_does_not_hold(tiny: Path, call: Call) -> None:
    tolerant(tiny, "{value: 2, within: 0.25}")
    checked = call("report", "tiny.yaml", "--format", "csv", "--check")
    assert checked.code == 1
    (row, _) = (line for line in checked.err.splitlines())
    assert row.startswith("table tiny, tiny:1 (WHICH: fast one, LR: 0.1, EPOCHS: 2), TEST_ACC: m")
    assert row.endswith(" over 2 seeds, published 2 within 0.25: does not hold")
    assert checked.err.endswith("\n0 of 1 published value within tolerance\n")
    rows = list(csv.DictReader(io.StringIO(checked.out)))
    assert [each["TEST_ACC_holds"] for each in rows] == ["", "no"]


@pytest.mark.slow
def test_check_of_a_cell_that_is_not_finished_fails(fresh: Path, call: Call) -> None:
    tolerant(fresh, "{value: 0.5, within: 1}")
    call("run", "tiny.yaml", "--only", "slow", "--only", "seed=0")
    checked = call("report", "--check")
    assert checked.code == 1
    assert (
        "TEST_ACC: measured nothing (2 unfinished), published 0.5 within 1: not yet" in checked.err
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--check"], "nothing to check: no published value in tiny has a tolerance"),
        (["--check", "--sql"], "--check compares numbers, and --sql shows none"),
    ],
)
def test_check_that_cannot_fail_is_an_error(
    tiny: Path, call: Call, words: list[str], said: str
) -> None:
    refused = call("report", "tiny.yaml", *words)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.startswith(f"error: {said}")


def test_check_of_a_spec_that_has_changed_since_is_an_error(tiny: Path, call: Call) -> None:
    tolerant(tiny, "{value: 0.5, within: 1}")
    text = (tiny / "tiny.yaml").read_text()
    (tiny / "tiny.yaml").write_text(text.replace("lr: 0.1", "lr: 0.2"))
    refused = call("report", "tiny.yaml", "--check")
    assert (refused.code, refused.out) == (2, "")
    assert "tiny has other cells in its file than those that were run last" in refused.err
    shown = call("report", "tiny.yaml")
    assert (shown.code, shown.err.partition(";")[0]) == (
        0,
        "note: tiny has other cells in its file than those that were run last",
    )


@pytest.mark.parametrize("words", [["list"], ["report", "--table", "tiny"], ["show", "tiny:0:0"]])
def test_unknown_format_names_the_known(tiny: Path, call: Call, words: list[str]) -> None:
    refused = call(*words, "--format", "xml")
    assert (refused.code, refused.out) == (2, "")
    assert "unknown format 'xml'\n    allowed: text, " in refused.err


def test_list_has_a_line_per_cell(tiny: Path, call: Call) -> None:
    lines = call("list").out.splitlines()
    assert lines[0].split() == [
        "cell", "run", "status", "best_epoch", "val_accuracy", "test_accuracy", "seconds",
        "settings",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:]] == [
        "tiny:0:0",
        "tiny:0:1",
        "tiny:1:0",
        "tiny:1:1",
    ]
    assert lines[-1].endswith("fast one")


NESTED = TINY.partition("seeds:")[0].replace("tiny", "nested") + (
    "sweep: {rows: [{label: plain}, {label: wide, hidden: [5]}], grid: {train_images: [9, 18]}}\n"
)
NESTED_NAMES = [
    f"{label} (train_images={count})" for label in ("plain", "wide") for count in (9, 18)
]


@pytest.mark.slow
def test_cells_that_share_a_label_are_told_apart_wherever_they_are_named(
    fresh: Path, call: Call
) -> None:
    """As a grid over `train_images` around rows that have labels."""
    Path("nested.yaml").write_text(NESTED)
    planned = json.loads(call("plan", "nested.yaml", "--format", "json").out)
    ending = [each["name"] for stage in planned["stages"] for each in stage["ending"]]
    assert ending == [f"{name} seed=0" for name in NESTED_NAMES]
    ran = call("run", "nested.yaml", "--set", "epochs=1", "--no-share", "--device", "cpu")
    assert all(f"{name} seed=0: " in ran.err for name in NESTED_NAMES)
    listed = json.loads(call("list", "--format", "json").out)
    assert [row["name"] for row in listed] == NESTED_NAMES
    assert f"  {NESTED_NAMES[3]}\n" in call("show", listed[3]["run"]).out


def test_list_formats_hold_the_same_cells(tiny: Path, call: Call) -> None:
    rows = list(csv.DictReader(io.StringIO(call("list", "--format", "csv").out)))
    records = json.loads(call("list", "--format", "json").out)
    assert [row["run"] for row in rows] == [record["run"][:12] for record in records]
    assert [float(row["val_accuracy"]) for row in rows] == [
        record["val_accuracy"] for record in records
    ]
    assert records[0]["swept"] == {"train.optimizer.lr": 0.01}


def test_list_of_an_unknown_experiment_is_told_the_nearest(tiny: Path, call: Call) -> None:
    assert len(call("list", "--experiment", "tiny").out.splitlines()) == 5
    refused = call("list", "--experiment", "tyny")
    assert (refused.code, refused.out) == (2, "")
    assert "did you mean: tiny" in refused.err


def test_show_finds_a_run_by_cell_and_by_the_beginning_of_its_key(tiny: Path, call: Call) -> None:
    by_cell = call("show", "tiny:1:0").out
    key = by_cell.split()[1]
    assert call("show", key[:8]).out == by_cell
    for part in ("cell      tiny:1:0  fast one", "status    done", "  train.optimizer.lr: 0.1"):
        assert f"\n{part}\n" in by_cell
    assert re.search(r"\n  train [0-9a-f]{12}: attempt 1 done, 20\d\d-", by_cell)
    assert by_cell.splitlines()[-1].split()[0] == "2"


@pytest.fixture
def variants(tmp_path: Path) -> Path:
    """The current folder, with the database of a spec that was run as two variants only."""
    (tmp_path / "made_up.yaml").write_text(f"{HEAD}seeds: [0, 1]\n")
    database = open_database(tmp_path / "results.db")
    for sets in (["lr=0.2"], ["hidden=[3, 2]", "epochs=2"]):
        text = HEAD + "seeds: [0, 1]\nsweep: {grid: {dropout: [0, 0.5]}}\n"
        record_made_up(database, tmp_path, text, lambda cell: MadeUp({"val_accuracy": [0.5]}), sets)
    database.close()
    return tmp_path


@pytest.mark.slow
def test_list_prints_names_for_show_and_diff(variants: Path, call: Call) -> None:
    lines = call("list").out.splitlines()[1:]
    assert len(lines) == 8
    for line in lines:
        cell, run = shlex.split(line)[:2]
        shown = call("show", cell)
        assert (shown.code, shown.err) == (0, "")
        assert shown.out.startswith(f"run       {run}")
        assert f"\ncell      {shlex.quote(cell)}  dropout=" in shown.out
    pair = [shlex.split(lines[number])[0] for number in (0, -1)]
    assert pair == ["made_up:0:0@hidden=[3, 2], epochs=2", "made_up:1:1@lr=0.2"]
    assert "model.hidden" in call("diff", *pair).out


@pytest.mark.slow
def test_unfinished_cells_of_variants_are_shown_only_when_asked_for(tiny: Path, call: Call) -> None:
    """As after trying a spec with a smoke profile: what it did not do is no news."""
    before = call("list").out
    ran = call("run", "tiny.yaml", "--profile", "quick", "--limit", "1")
    assert "unfinished" in ran.out  # the variant was asked for
    listed = call("list")
    assert (listed.code, "unfinished" in listed.out) == (0, False)
    assert len(listed.out.splitlines()) == len(before.splitlines()) + 1
    said, command = listed.err.strip().split(": runner ")
    assert said == "not shown: 1 unfinished cell of a variant"
    assert command == "list --experiment tiny --variant 'profile quick'"
    of_variant = call(*shlex.split(command))
    assert [line.split()[3] for line in of_variant.out.splitlines()[1:]] == ["done", "unfinished"]
    assert of_variant.err == ""
    assert call("list", "--variant", "").out == before
    assert len(json.loads(call("list", "--format", "json").out)) == 5
    assert "variant of tiny: profile quick  (1 of 2 cells finished)\n" in call("report").out
    assert "unfinished" in call("report", "--table", "tiny", "--variant", "profile quick").out
    call("run", "tiny.yaml", "--profile", "quick")
    assert call("list").err == ""
    assert "variant of tiny: profile quick\n" in call("report").out


@pytest.mark.slow
def test_unfinished_cells_of_the_spec_as_written_are_shown(fresh: Path, call: Call) -> None:
    call("run", "tiny.yaml", "--limit", "1")
    listed = call("list")
    assert (listed.out.count("unfinished"), listed.err) == (3, "")


@pytest.mark.slow
def test_list_of_an_unknown_variant_is_told_those_there_are(variants: Path, call: Call) -> None:
    refused = call("list", "--variant", "lr=0.3")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: no variant 'lr=0.3'\n    did you mean: lr=0.2\n"
        "    allowed: hidden=[3, 2], epochs=2; lr=0.2\n"
    )
    assert len(call("list", "--variant", "lr=0.2").out.splitlines()) == 5


@pytest.mark.slow
def test_cell_of_several_variants_asks_which(variants: Path, call: Call) -> None:
    refused = call("show", "made_up:1:0")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: 'made_up:1:0' is in 2 variants; which one?\n"
        "    allowed: 'made_up:1:0@hidden=[3, 2], epochs=2', made_up:1:0@lr=0.2\n"
    )
    refused = call("show", "made_up:1@lr=0.2")
    assert "allowed: made_up:1:0@lr=0.2, made_up:1:1@lr=0.2" in refused.err


@pytest.mark.slow
def test_cell_of_the_only_variant_needs_no_more_than_its_position(fresh: Path, call: Call) -> None:
    call("run", "tiny.yaml", "--profile", "quick")
    assert "cell      'tiny:0:0@profile quick'  slow\n" in call("show", "tiny:0:0").out
    refused = call("report", "tiny.yaml")
    assert (refused.code, refused.out, refused.err) == (
        2,
        "",
        "error: 'tiny' was run as variants only\n    allowed: profile quick\n",
    )
    call("run", "tiny.yaml", "--limit", "1")
    assert "cell      tiny:0:0  slow\n" in call("show", "tiny:0:0").out


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny:0:0@epochs=9", "no variant 'epochs=9' of 'tiny'\n    hint: there are no variants\n"),
        ("made_up:0:0@lr=0.3", "did you mean: lr=0.2\n    allowed: hidden=[3, 2], epochs=2; lr"),
        ("made_up:0:0@", "'made_up' was run as variants only\n    allowed: hidden"),
        (
            "made_up:0:0:1:1@lr=0.2",
            "is no name of a run or cell\n    allowed: experiment:position",
        ),
        ("made_up:²", "is no name of a run or cell"),
    ],
)
def test_wrong_variant_is_told_those_there_are(
    variants: Path, finished: Path, call: Call, name: str, message: str
) -> None:
    db = finished / "results.db" if name.startswith("tiny") else variants / "results.db"
    refused = call("show", name, "--db", db)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("zzz", "no run 'zzz'\n    hint: `runner list` shows all"),
        ("tiny:7", "no run 'tiny:7'"),
        ("tiny:0", "'tiny:0' has 2 seeds; which one?\n    allowed: tiny:0:0, tiny:0:1"),
        ("tyny:0:0", "no experiment 'tyny'\n    did you mean: tiny"),
        (
            "tiny:x",
            "'tiny:x' is no name of a run or cell\n    allowed: experiment:position",
        ),
        ("", "'' means 4 runs\n    allowed: "),
    ],
)
def test_show_says_what_it_did_not_find(tiny: Path, call: Call, name: str, message: str) -> None:
    refused = call("show", name)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err


@pytest.mark.slow
def test_show_says_which_epochs_come_from_which_attempt(tiny: Path, call: Call) -> None:
    """Also from those of another training, whose state the run went on from."""
    trained = r"\n  train ([0-9a-f]{12}): attempt 1 done, [^\n;]*; epochs 1–2\n    [^\n]*torch"
    (first,) = re.findall(trained, call("show", "tiny:0:0").out)
    call("run", "tiny.yaml", "--set", "epochs=3", "--only", "slow", "--only", "seed=0")
    shown = call("show", "tiny:0:0@epochs=3").out
    elsewhere = (
        rf"\n  train {first} of another training: attempt 1 done, .*; epochs 1–2\n    [^\n]*torch"
    )
    assert re.search(elsewhere, shown)
    assert re.search(r"\n  train [0-9a-f]{12}: attempt 1 done, .*; epoch 3\n    [^\n]*torch", shown)
    assert re.search(r"\n  evaluate [0-9a-f]{12}: attempt 1 done, .*; epoch [123]\n", shown)
    assert not re.search(r"\n  prepare .*; epoch", shown)


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [[], ["--profile", "quick"], ["--set", "epochs=1", "--set", "optimizer={name: adam, lr: 0.3}"]],
)
def test_command_that_show_gives_makes_the_run_again(
    tiny: Path, call: Call, words: list[str]
) -> None:
    call("run", "tiny.yaml", *words, "--only", "fast one")
    rows = json.loads(call("list", "--format", "json").out)
    row = [each for each in rows if each["labels"]["label"] == "fast one"][-1]
    assert bool(row["variant"]) == bool(words)
    before = json.loads(call("show", row["run"], "--format", "json").out)
    program, *again = shlex.split(before["command"])
    assert program == "runner"
    ran = call(*again)
    assert (ran.code, ran.err.splitlines()[-1].split(";")[0]) == (0, "1 run: 1 done")
    after = json.loads(call("show", row["run"], "--format", "json").out)
    assert (before["result"]["rerun"], after["result"]["rerun"]) == (0, 1)
    assert after["epochs"] == before["epochs"]


def test_command_names_the_database_it_was_found_in(tiny: Path, call: Call) -> None:
    Path("results.db").rename("other.db")
    assert "--only seed=0 --db other.db\n" in call("show", "tiny:0:0", "--db", "other.db").out


@pytest.mark.slow
def test_canonical_dump_is_the_same_for_the_same_results(fresh: Path, call: Call) -> None:
    dumps = []
    for number in (1, 2):
        assert call("run", "tiny.yaml", "--db", f"{number}/results.db").code == 0
        dumps.append(call("db", "dump", "--canonical", "--db", f"{number}/results.db").out)
    assert dumps[0] == dumps[1]
    assert [line for line in dumps[0].splitlines() if not json.loads(line)] == []


def test_sql_dump_can_be_read_back(tiny: Path, call: Call) -> None:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(call("db", "dump").out)
        assert connection.execute("SELECT count(*) FROM run_summary").fetchone() == (4,)


def test_info_names_the_places_and_sizes(tiny: Path, call: Call) -> None:
    first, second = call("db", "info").out.splitlines()
    assert re.fullmatch(r"results\.db: \d+\.\d MB", first)
    assert re.fullmatch(rf"{re.escape(str(tiny))}/\.runner: \d+\.\d MB \(.*\)", second)


def test_the_help_of_report_lists_every_format(call: Call) -> None:
    assert f"--format {'|'.join(FORMATS)}" in call("report", "--help").out
