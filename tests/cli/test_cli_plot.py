"""`plot`: which file, which cells, and what is said when there is nothing to draw."""

import errno
import shutil
from pathlib import Path

import matplotlib.figure
import pytest
from commands import Call
from made_up import HEAD, MadeUp, record_made_up

from runner.cli.plotting import KINDS
from runner.core.run import Cell
from runner.store.database import open_database

SPEC = HEAD + (
    "seeds: [0, 1]\n"
    "sweep:\n"
    "  rows: [{label: slow, lr: 0.01}, {label: fast one, lr: 0.1}, {label: never, lr: 0.2}]\n"
)


def results_of(cell: Cell) -> MadeUp | None:
    if cell.labels["label"] == "never" or (cell.labels["label"] == "slow" and cell.seed):
        return None
    curves = {name: [0.5, 0.7] for name in ("train_loss", "val_loss", "val_accuracy")}
    return MadeUp({**curves, "train_accuracy": [0.6, 0.8]}, best_epoch=2)


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with made_up.yaml and its database; do not write to it."""
    folder = tmp_path_factory.mktemp("recorded")
    database = open_database(folder / "results.db")
    record_made_up(database, folder, SPEC, results_of)
    record_made_up(database, folder, SPEC, results_of, ["epochs=2"])
    database.close()
    return folder


@pytest.fixture
def folder(recorded: Path, tmp_path: Path) -> Path:
    """The current folder, with a copy of it."""
    shutil.copytree(recorded, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.mark.slow
def test_default_is_a_sheet_in_the_folder_figures(folder: Path, call: Call) -> None:
    drawn = call("plot", "made_up.yaml", "--only", "fast one")
    assert (drawn.code, drawn.out, drawn.err) == (0, "figures/made_up-sheet.png\n", "")
    assert Path("figures/made_up-sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_variant_has_a_file_of_its_own(folder: Path, call: Call) -> None:
    words = ["accuracy", "--only", "fast one", "--set", "epochs=2"]
    drawn = call("plot", "made_up.yaml", *words)
    assert drawn.out == "figures/made_up-epochs=2-accuracy.png\n"


@pytest.mark.slow
def test_cells_without_results_are_named_and_left_out(folder: Path, call: Call) -> None:
    drawn = call("plot", "made_up.yaml", "accuracy", "--out", "new/folder/a.svg")
    assert (drawn.code, drawn.out) == (0, "new/folder/a.svg\n")
    assert drawn.err == (
        "left out: slow (1 of 2 seeds unfinished)\n"
        "left out: never (2 of 2 seeds unfinished)\n"
        "what is left out is made by: runner run made_up.yaml\n"
    )
    assert "never" not in Path("new/folder/a.svg").read_text()


def test_plot_without_results_names_the_command_that_makes_them(folder: Path, call: Call) -> None:
    refused = call("plot", "made_up.yaml", "--only", "never")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: made_up.yaml: no chosen cell has a result\n    hint: runner run made_up.yaml\n"
    )
    assert not Path("figures").exists()


def test_spec_that_was_not_run_says_how_to(folder: Path, call: Call) -> None:
    refused = call("plot", "made_up.yaml", "--set", "batch_size=7", "--db", "results.db")
    assert (refused.code, refused.err) == (
        2,
        "error: made_up.yaml: it has not been run\n"
        "    hint: runner run made_up.yaml --set batch_size=7\n",
    )


def test_command_that_makes_results_is_not_told_to_add_to_the_reference(
    folder: Path, call: Call
) -> None:
    refused = call("plot", "made_up.yaml", "--reference")
    assert (refused.code, refused.err) == (
        2,
        "error: made_up.yaml: it has not been run\n    hint: runner run made_up.yaml\n",
    )
    other = call("plot", "made_up.yaml", "--only", "never", "--db", str(folder / "results.db"))
    assert other.err.endswith(f"    hint: runner run made_up.yaml --db {folder / 'results.db'}\n")


def test_plot_without_a_database_says_how_to_make_one(folder: Path, call: Call) -> None:
    refused = call("plot", "made_up.yaml", "--db", "nowhere.db")
    assert (refused.code, refused.out) == (2, "")
    assert "no database at nowhere.db\n    hint: the first `runner run` makes it" in refused.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["los"], "unknown figure 'los'\n    did you mean: loss\n    allowed: sheet, loss, "),
        (["--out", "a.gif"], "a.gif has the suffix '.gif'\n    allowed: .png, .svg, .pdf\n"),
        (["--out", "a"], "a has no suffix\n    allowed: .png, .svg, .pdf\n"),
        (
            ["accuracy", "--per", "step"],
            "--per is not for the figure 'accuracy'\n    allowed: sheet, ",
        ),
        (
            ["loss", "--images", "2"],
            "--images is not for the figure 'loss'\n    allowed: augmentations",
        ),
        (["augmentations"], "no chosen cell of made_up.yaml augments its images (train.augment)"),
        (["loss", "--x", "lr"], "--x is not for the figure 'loss'\n    allowed: setting\n"),
        (["loss", "--per", "stp"], "unknown --per 'stp'\n    did you mean: step\n"),
        (
            ["loss", "--smooth", "3"],
            "--smooth averages the losses of steps\n    hint: give --per step",
        ),
        (["setting", "--at", "0"], "--at is '0'\n    allowed: best, last, min, max or an epoch"),
        (
            ["setting", "--x", "laabel"],
            "--x laabel is no setting and no label\n    did you mean: l",
        ),
        (["setting", "--metric", "val_acc"], "shows the unknown metric 'val_acc'\n    did you m"),
        (["setting", "--x", "momentum"], "--x momentum: column x shows train.optimizer.momentum,"),
        (
            ["setting", "--x", "seed"],
            "--x seed: seeds are averaged\n    allowed: lr\n    hint: give another setting",
        ),
        (
            ["setting", "--at", "7"],
            "no run has accuracies at epoch 7\n    allowed: an epoch up to 4 (train.epochs)\n",
        ),
        (
            ["--only", "medium"],
            "--only 'medium' matches no cell\n    allowed:\n        label: 'slow",
        ),
    ],
)
def test_wrong_words_are_told_what_is_allowed(
    folder: Path, call: Call, words: list[str], message: str
) -> None:
    refused = call("plot", "made_up.yaml", *words)
    assert (refused.code, refused.out) == (2, "")
    assert message in refused.err
    assert not Path("figures").exists()


def test_x_axis_must_be_chosen_of_several_varying_settings(folder: Path, call: Call) -> None:
    text = HEAD + "sweep: {grid: {lr: [0.01, 0.1], epochs: [4, 5]}}\n"
    database = open_database("two.db")
    record_made_up(database, folder, text, lambda cell: MadeUp({"val_accuracy": [0.5]}))
    database.close()
    refused = call("plot", "made_up.yaml", "setting", "--db", "two.db")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "error: which setting is on the x axis?\n    allowed: lr, epochs\n    hint: give --x\n"
    )


def test_path_that_cannot_be_written_is_an_error(folder: Path, call: Call) -> None:
    Path("figures").write_text("a file")
    refused = call("plot", "made_up.yaml", "accuracy", "--only", "fast one")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == ("error: figures/made_up-accuracy.png cannot be written: File exists\n")


def test_on_a_full_disk_the_figure_before_is_kept(
    folder: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object, path: Path, **options: object) -> None:
        Path(path).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    Path("a.png").write_bytes(b"before")
    monkeypatch.setattr(matplotlib.figure.Figure, "savefig", fail)
    refused = call("plot", "made_up.yaml", "accuracy", "--only", "fast one", "--out", "a.png")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("error: the disk is full")
    assert Path("a.png").read_bytes() == b"before"
    assert [path.name for path in folder.glob("a.png*")] == ["a.png"]


@pytest.mark.slow
def test_characters_that_the_font_lacks_are_told(folder: Path, call: Call) -> None:
    Path("made_up.yaml").write_text(SPEC.replace("fast one", "学習"), encoding="utf-8")
    drawn = call("plot", "made_up.yaml", "accuracy", "--only", "学習", "--out", "a.png")
    assert (drawn.code, drawn.out) == (0, "a.png\n")
    assert (
        drawn.err == "note: some characters of the names are not in the font and appear as boxes\n"
    )


def test_help_lists_every_figure(call: Call) -> None:
    printed = call("plot", "--help")
    assert (printed.code, printed.err) == (0, "")
    for words in (KINDS, "--per", "--metric", "runner plot experiments/quickstart.yaml"):
        assert words in " ".join(printed.out.split())
