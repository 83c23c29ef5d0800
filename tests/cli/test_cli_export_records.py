"""`export --to`: what is recorded, for another tool, apart from networks as files."""

from pathlib import Path

import pytest
from commands import Call

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--to", "cvs"), "nothing is exported to 'cvs'\n    did you mean: csv"),
        (("--to", "csv", "--out", "net.pt2"), "--out is of a network, and --to writes records"),
        (("--to", "csv", "--format", "pt2"), "--format is of a network"),
        (("--to", "csv", "--weights", "last"), "--weights is of a network"),
        (("--to", "csv", "--data", "photos"), "--data is of a network"),
        (("--to", "csv", "--url", "x"), "--url is not for csv, which takes --folder"),
        (("tiny:0:0", "--url", "x"), "--url is of records, which --to writes"),
        (("tiny:0:0", "--figures", "x"), "--figures is of records"),
        (("--to", "csv", "--figures", "x"), "x is no folder of a report"),
        (("tiny:0:0", "--folder", "out"), "--folder is of records, which --to writes"),
        (("tiny:0:0", "--follow"), "--follow is of records"),
        (("tiny:0:0", "--variant", "profile quick"), "--variant is of records"),
        (("tiny:0:0", "--reference"), "--reference has no networks"),
        ((), "no name is given\n    hint: name one run for its network"),
        (("tiny:0:0", "tiny:0:1"), "2 names, and one network"),
        (
            ("tinyy", "--to", "csv"),
            "'tinyy' means nothing that is recorded\n    did you mean: tiny",
        ),
        (("tiny:7", "--to", "csv"), "no run 'tiny:7'"),
        (("--to", "csv", "--variant", "profile slow"), "no variant 'profile slow'"),
        (("other.yaml", "--to", "csv"), "other.yaml has not been run"),
        (("--to", "csv", "--folder", "."), ". is the current folder"),
    ],
)
def test_the_two_uses_of_export_are_not_mixed(
    tiny: Path, call: Call, words: tuple[str, ...], said: str
) -> None:
    (tiny / "other.yaml").write_text((tiny / "tiny.yaml").read_text().replace("tiny", "other", 1))
    before = sorted(path.name for path in tiny.iterdir())
    called = call("export", *words)
    assert (called.code, called.out) == (2, "")
    assert said in called.err
    assert sorted(path.name for path in tiny.iterdir()) == before


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ((), "exports/csv: 4 runs (4 done), 1 table\n"),
        (("tiny",), "exports/csv: 4 runs (4 done), 1 table\n"),
        (("tiny.yaml",), "exports/csv: 4 runs (4 done), 1 table\n"),
        (("tiny:1:0", "tiny:0:1"), "exports/csv: 2 runs (2 done), 0 tables\n"),
    ],
)
def test_experiments_specs_and_cells_are_exported(
    tiny: Path, call: Call, names: tuple[str, ...], said: str
) -> None:
    called = call("export", *names, "--to", "csv")
    assert (called.code, called.out) == (0, said)
    assert len((tiny / "exports/csv/runs.csv").read_text().splitlines()) == int(said[13]) + 1


def test_reference_is_exported_without_a_database(tmp_path: Path, call: Call) -> None:
    called = call("export", "quickstart:2:0", "--reference", "--to", "csv", "--folder", "out")
    assert (called.code, called.out) == (0, "out: 1 run (1 done), 0 tables\n")
    assert not (tmp_path / "results.db").exists()


def test_missing_packages_of_a_tool_are_named_with_the_command(
    tiny: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.report.trackers.kinds.find_spec", lambda name: None)
    for kind in ("tensorboard", "mlflow", "wandb", "trackio"):
        called = call("export", "--to", kind)
        assert (called.code, called.out) == (2, "")
        assert called.err == (
            f"error: an export to {kind} needs {kind}, which is not installed\n"
            f"    hint: pip install 'runner[{kind}]'\n"
        )
