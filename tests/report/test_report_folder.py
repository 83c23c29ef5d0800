"""Figures of analyses that a spec declares, and the folder of all its tables and figures."""

import errno
import gc
import json
import re
import shutil
import sqlite3
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import analysed
import numpy as np
import pytest

from runner import api
from runner.artifacts.arrays import read_arrays
from runner.bind import kept_analyses
from runner.cli.app import main
from runner.components import scores
from runner.core.errors import DiskFull, Interrupted, SpecError, UsageError
from runner.report import folder as report_folder
from runner.report.figures import analysis_requests

FEW = analysed.SPEC.partition("figures:")[0] + "figures: {rates: {name: setting, x: dropout}}\n"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return analysed.make(tmp_path_factory.mktemp("seen"))


@pytest.fixture
def home(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(analysed.copy(made, tmp_path))
    return tmp_path


@pytest.fixture
def call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., tuple[int, str, str]]]:
    def called(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["runner", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return called


def recorded(home: Path, dims: str) -> list[float]:
    """Return the recorded accuracies at a place, of both seeds of the first cell."""
    query = """
        SELECT run_analyses.value FROM run_analyses JOIN cells USING (run_key)
        WHERE cells.position = 0 AND run_analyses.name = 'accuracy' AND dims LIKE ?
    """
    with sqlite3.connect(home / "results.db") as connection:
        return [value for (value,) in connection.execute(query, (dims,))]


@pytest.mark.slow
def test_robustness_has_the_mean_and_deviation_over_draws_and_seeds(home: Path) -> None:
    drawn = api.plot("seen.yaml", "shaken")
    values = recorded(home, '%"severity":2,"transform":"turned"}')
    assert len(values) == 4
    (row,) = (
        drawn.values()
        .query(
            "cell == 'dropout=0' and name == 'accuracy' and transform == 'turned' and severity == 2"
        )
        .to_dict("records")
    )
    assert row["mean"] == pytest.approx(fmean(values))
    assert row["std"] == pytest.approx(stdev(values))
    panels = drawn.figure.axes
    assert [axes.get_ylabel() for axes in panels] == [
        "accuracy (fraction)",
        "cross-entropy loss (nats)",
    ] * 2
    turned, flipped = (line for line in panels[0].lines if not line.get_label().startswith("_"))
    assert (turned.get_label(), list(turned.get_xdata())) == ("turned", [0, 1, 2])
    assert (flipped.get_label(), list(flipped.get_xdata())) == ("RandomHorizontalFlip", [0, 1])
    assert turned.get_ydata()[2] == pytest.approx(fmean(values))
    (caption,) = [legend.get_title().get_text() for legend in drawn.figure.legends][1:]
    assert "sample standard deviation over 2 draws and 2 seeds" in caption.replace("\n", " ")


@pytest.mark.slow
def test_robustness_of_a_thousand_places_is_asked_for_as_any_other(home: Path) -> None:
    steps = ", ".join(f"{{name: RandomRotation, degrees: {number}}}" for number in range(1, 21))
    many = "".join(f"      - {{label: t{each}, severities: [{steps}]}}\n" for each in range(50))
    text = analysed.SPEC.replace("    transforms:\n", f"    transforms:\n{many}")
    (home / "seen.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match="analysis shaken of no chosen cell is there"):
        api.plot("seen.yaml", "shaken")


@pytest.mark.slow
def test_transforms_of_one_severity_stand_side_by_side(home: Path) -> None:
    text = re.sub(r"      - label: turned\n.*\n", "", analysed.SPEC)
    (home / "seen.yaml").write_text(text, encoding="utf-8")
    api.run("seen.yaml", device="cpu")
    axes = api.plot("seen.yaml", "shaken", metrics="accuracy").figure.axes[0]
    names = [label.get_text() for label in axes.get_xticklabels()]
    assert names == ["unchanged", "RandomHorizontalFlip"]


@pytest.mark.slow
@pytest.mark.parametrize("figure", ["shaken", "map", "confused"])
def test_title_names_the_analysis_where_the_spec_has_several_of_its_kind(
    home: Path, figure: str
) -> None:
    spec = home / "seen.yaml"
    kind = {"shaken": "robustness", "map": "embedding", "confused": "predictions"}[figure]
    declared = f"figures:\n  seen: {{name: {kind}, analysis: {figure}}}\n"
    text = analysed.SPEC.split("figures:")[0] + declared

    def title() -> str:
        figures = api.plot("seen.yaml", "seen").figures
        return str(next(iter(figures.values())).get_suptitle())

    spec.write_text(text, encoding="utf-8")
    assert figure not in title()
    more = ", transforms: [RandomHorizontalFlip]" if kind == "robustness" else ""
    other = f"analyses:\n  other: {{name: {kind}, split: train{more}}}\n"
    spec.write_text(text.replace("analyses:\n", other), encoding="utf-8")
    assert f", {figure}" in title()


@pytest.mark.slow
def test_declared_figure_shows_the_cells_of_its_only(home: Path) -> None:
    drawn = api.plot("seen.yaml", "one")
    assert drawn.path == Path("figures/seen-one.png")
    assert "dropout=0, seed 1" in drawn.figure.get_suptitle()
    assert drawn.frame()["cell"].tolist() == ["dropout=0"]
    both = api.plot("seen.yaml", "map", out="m.svg")
    assert [path.name for path in both.paths] == [
        "m-dropout=0-seed-0.svg",
        "m-dropout=0.3-seed-0.svg",
    ]


@pytest.mark.slow
def test_options_stand_above_the_settings_of_a_declared_figure(home: Path) -> None:
    metrics = [axes.get_ylabel() for axes in api.plot("seen.yaml", "shaken").figure.axes]
    assert len(set(metrics)) == 2
    drawn = api.plot("seen.yaml", "shaken", metrics=["loss"], only="dropout=0.0")
    assert [axes.get_ylabel() for axes in drawn.figure.axes] == ["cross-entropy loss (nats)"]
    with pytest.raises(SpecError, match=r"--metric f1.*metrics.0"):
        api.plot("seen.yaml", "shaken", metrics=["f1"])
    with pytest.raises(UsageError, match="--x is not for the figure 'robustness'"):
        api.plot("seen.yaml", "shaken", x="lr")


@pytest.mark.slow
def test_kind_of_figure_needs_no_declaration(home: Path) -> None:
    assert api.plot("seen.yaml", "filters").paths == (
        Path("figures/seen-filters-dropout=0-seed-0.png"),
        Path("figures/seen-filters-dropout=0.3-seed-0.png"),
    )
    with pytest.raises(UsageError, match=r"analyses: \{saliency: saliency\}"):
        api.plot("seen.yaml", "saliency")


@pytest.mark.slow
def test_analysis_that_is_not_made_is_said_with_what_makes_it(home: Path) -> None:
    shutil.rmtree(home / ".runner" / "analyses")
    with pytest.raises(UsageError, match="its arrays are gone or damaged") as caught:
        api.plot("seen.yaml", "map")
    assert caught.value.hint == "runner run seen.yaml"
    assert api.plot("seen.yaml", "shaken").left_out == ()  # has numbers alone


@pytest.mark.slow
def test_no_command_is_named_where_weights_are_gone_too(home: Path) -> None:
    shutil.rmtree(home / ".runner" / "analyses")
    shutil.rmtree(home / ".runner" / "weights")
    shutil.rmtree(home / ".runner" / "logits")  # of which predictions are made without weights
    with pytest.raises(UsageError, match="its arrays are gone or damaged") as caught:
        api.plot("seen.yaml", "map")
    assert "only training again" in caught.value.hint
    report = api.write_report("seen.yaml", "report")
    assert any("map" in each and "gone" in each for each in report.left_out)
    assert report.command == ""


@pytest.mark.slow
def test_what_was_never_made_is_not_promised_where_weights_are_gone(home: Path) -> None:
    analyses = (
        "analyses:\n  late: {name: neurons}\n"
        "  lately: {name: robustness, draws: 7, transforms: [RandomVerticalFlip]}\n"
    )
    figures = "figures:\n  late: neurons\n  lately: {name: robustness, analysis: lately}\n"
    text = (home / "seen.yaml").read_text().replace("analyses:\n", analyses, 1)
    text = text.replace(
        "{name: robustness, metrics", "{name: robustness, analysis: shaken, metrics"
    )
    (home / "seen.yaml").write_text(text.replace("figures:\n", figures, 1))
    for name in ("late", "lately"):
        with pytest.raises(UsageError, match="not made yet") as caught:
            api.plot("seen.yaml", name)
        assert caught.value.hint == "runner run seen.yaml"
    shutil.rmtree(home / ".runner" / "weights")
    for name in ("late", "lately"):
        with pytest.raises(UsageError, match="not made yet") as caught:
            api.plot("seen.yaml", name)
        assert caught.value.hint == kept_analyses.ONLY_TRAINING
    report = api.write_report("seen.yaml", "report")
    assert any("late" in each and "not made yet" in each for each in report.left_out)
    assert report.command == ""  # of what is left out; all else is there


def damage(folder: Path, array: str) -> list[Path]:
    """Change a byte of an array wherever it lies; return the folders."""
    files = sorted(folder.rglob(f"{array}.npy"))
    for file in files:
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    return [file.parent for file in files]


@pytest.mark.slow
def test_damaged_arrays_of_the_right_size_are_removed_so_that_run_makes_them(home: Path) -> None:
    filters = sorted(home.rglob("analyses/*/*/before.npy"))
    maps = damage(home / ".runner" / "analyses", "points")
    assert len(maps) == 4
    with pytest.raises(UsageError, match="its arrays are gone or damaged"):
        api.plot("seen.yaml", "map")
    assert not any(folder.exists() for folder in maps)
    damaged = damage(home / ".runner" / "analyses", "before")
    with pytest.raises(UsageError, match="its arrays are gone or damaged") as caught:
        api.inspect_analysis("seen:0:0", "filters")
    assert caught.value.hint == "`runner run SPEC` makes them again"
    assert sum(folder.exists() for folder in damaged) == len(filters) - 1  # those of this run
    assert api.plan("seen.yaml").analyses == {"map": 4, "first": 1}


@pytest.mark.slow
def test_folder_has_every_table_and_figure_and_an_index_that_shows_them(
    home: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    code, out, err = call("report", "seen.yaml", "--figures", "made/report")
    assert (code, out) == (0, "made/report/README.md\n")
    assert "left out" not in err
    place = home / "made" / "report"
    files = {path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file()}
    pages = ("curves", "first", "map-dropout=0-seed-0", "map-dropout=0.3-seed-0", "one", "rates")
    pages += ("confused-confusion", "confused-wrong")
    assert files == {
        "README.md",
        "report.json",
        *(f"tables/seen.{suffix}" for suffix in ("md", "csv", "tex")),
        *(f"figures/{page}.{suffix}" for page in (*pages, "shaken") for suffix in ("png", "pdf")),
        *(f"figures/{name}.csv" for name in ("confused", "map", "one", "shaken")),
    }
    index = (place / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\((.*?)\)", index))
    assert linked == files - {"README.md", "report.json"}
    assert "How it learns." in index
    assert "| DROPOUT | VAL_ACC |" in index
    assert (place / "figures" / "shaken.csv").read_text().splitlines()[0] == (
        "cell,name,severity,transform,mean,std,seeds"
    )


@pytest.mark.slow
def test_folder_says_what_is_missing_and_makes_the_rest(
    home: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    shutil.rmtree(home / ".runner" / "analyses")
    text = analysed.SPEC.replace("[0.0, 0.3]", "[0.0, 0.3, 0.5]")
    (home / "seen.yaml").write_text(text, encoding="utf-8")
    code, out, err = call("report", "seen.yaml", "--figures", "report")
    assert (code, out) == (0, "report/README.md\n")
    assert "left out: figure map: analysis map of no chosen cell is there" in err
    assert "left out: figure curves: dropout=0.5: 2 of 2 seeds not run" in err
    assert "what is left out is made by: runner run seen.yaml\n" in err
    index = Path("report/README.md").read_text(encoding="utf-8")
    assert "    runner run seen.yaml\n" in index
    assert "figures/curves.png" in index
    assert "figures/map" not in index


TWO_PAGES = analysed.SPEC.partition("figures:")[0] + "figures: {map: embedding, first: filters}\n"


@pytest.mark.slow
def test_report_holds_the_arrays_and_pages_of_one_run_at_a_time(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[weakref.ref[Any]] = []
    pages: list[weakref.ref[Any]] = []
    most: list[int] = []

    def reading(*asked: Any) -> Any:
        found = read_arrays(*asked)
        read.extend(weakref.ref(array) for array in found.arrays.values())
        return found

    def saving(page: Any, path: Path) -> None:
        if path.suffix == ".png":
            pages.append(weakref.ref(page))
            gc.collect()
            most.append(sum(each() is not None and bool(each().axes) for each in pages))
            assert sum(each() is not None for each in read) <= len(found.arrays)

    (folder, *_) = sorted((home / ".runner" / "analyses").rglob("points.npy"))
    found = read_arrays(
        folder.parent, json.loads((folder.parent / "index.json").read_text())["digest"]
    )
    monkeypatch.setattr(kept_analyses, "read_arrays", reading)
    monkeypatch.setattr(report_folder, "save", saving)
    (home / "seen.yaml").write_text(TWO_PAGES, encoding="utf-8")
    made = api.write_report("seen.yaml", "report")
    assert [len(entry.files) for entry in made.entries if entry.kind == "figure"] == [5, 4]
    assert most == [1, 1, 1, 1]


@pytest.mark.slow
def test_report_says_what_run_does_not_make_without_naming_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, call: Callable[..., tuple[int, str, str]]
) -> None:
    text = analysed.SPEC.partition("  confused:")[0]
    (home / "seen.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(analysis_requests, "MOST_RUNS", 1)
    monkeypatch.setattr(report_folder, "save", lambda page, path: None)
    code, _, err = call("report", "seen.yaml", "--figures", "report")
    assert code == 0
    assert "figure map: dropout=0.3: the figure shows the first 1 cells" in err
    assert "is made by" not in err
    assert "which this makes" not in Path("report/README.md").read_text(encoding="utf-8")
    assert "figures/map.png" in Path("report/README.md").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="2 cells; a figure of embedding shows 1"):
        api.plot("seen.yaml", "embedding")  # asked for: nothing is left out of it silently


@pytest.mark.slow
@pytest.mark.parametrize("fault", [ValueError("logits that are not finite"), OSError("bad disk")])
def test_one_figure_that_cannot_be_drawn_does_not_end_the_report(
    home: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise fault

    text = f"{FEW[:-2]}, confused: {{name: predictions, show: [wrong]}}}}\n"
    (home / "seen.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(scores, "probabilities", fail)
    made = api.write_report("seen.yaml", "report")
    assert [bool(entry.files) for entry in made.entries] == [True, True, False]
    assert str(fault) in made.left_out[0]
    assert made.command == ""


@pytest.mark.slow
def test_spec_without_figures_shows_its_curves_and_analyses(home: Path) -> None:
    (home / "seen.yaml").write_text(analysed.SPEC.partition("figures:")[0], encoding="utf-8")
    found = api.write_report("seen.yaml", "report").frame()
    assert found["name"].tolist() == ["seen", "sheet", "first", "map", "confused", "shaken"]
    assert not any(found["missing"])


@pytest.mark.slow
def test_only_an_earlier_report_is_replaced(home: Path) -> None:
    (home / "mine").mkdir()
    (home / "mine" / "thesis.tex").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine holds what no report has written: thesis\.tex"):
        api.write_report("seen.yaml", "mine")
    with pytest.raises(UsageError, match="is the current folder"):
        api.write_report("seen.yaml", ".")
    with pytest.raises(UsageError, match=r"seen\.yaml is a file"):
        api.write_report("seen.yaml", "seen.yaml")
    (home / "seen.yaml").write_text(FEW, encoding="utf-8")
    api.write_report("seen.yaml", "report")
    (home / "seen.yaml").write_text(FEW.replace("rates:", "by_dropout:"), encoding="utf-8")
    api.write_report("seen.yaml", "report")
    assert [path.name for path in sorted((home / "report" / "figures").iterdir())] == [
        "by_dropout.pdf",
        "by_dropout.png",
    ]
    (home / "report" / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        api.write_report("seen.yaml", "report")
    assert (home / "report" / "notes.txt").read_text(encoding="utf-8") == "mine"


def stop(done: int, total: int) -> None:
    if done == 2:
        raise Interrupted(f"stopped after {done} of {total}")


def fill_the_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.slow
def test_predictions_show_the_matrix_and_the_images_that_are_most_surely_wrong(home: Path) -> None:
    said = api.predictions("seen:1:0", "val")
    drawn = api.plot("seen.yaml", "confused")
    assert [path.stem for path in drawn.paths] == ["seen-confused-confusion", "seen-confused-wrong"]
    matrix, sheet = drawn.figures.values()
    counts = said.confusion().to_numpy()
    written = {text.get_position(): text.get_text() for text in matrix.axes[0].texts}
    rows, columns = counts.nonzero()
    assert written == {
        (column, row): str(counts[row, column]) for row, column in zip(rows, columns, strict=True)
    }
    wrong = said.most_confident(is_right=False, count=5)
    assert len(wrong)
    pictures, bars = sheet.axes[::2], sheet.axes[1::2]
    assert [axes.get_xlabel() for axes in pictures] == wrong["image"].tolist()
    assert [axes.get_title(loc="left") for axes in bars] == [
        f"label: {label}" for label in wrong["label"]
    ]
    assert [axes.get_yticklabels()[0].get_text() for axes in bars] == wrong["predicted"].tolist()
    assert [axes.patches[0].get_width() for axes in bars] == wrong["probability"].tolist()
    (number,) = [int(each) for each in wrong["image"].head(1)]
    (pixels,) = made_of(home, [number])
    assert (sheet.axes[0].images[0].get_array() == pixels).all()


def made_of(home: Path, rows: list[int]) -> Any:
    (folder,) = (home / ".runner" / "pixels").iterdir()
    return np.load(folder / "pixels.npy")[rows]


@pytest.mark.slow
def test_predictions_without_images_show_the_matrix_and_say_why(home: Path) -> None:
    shutil.rmtree(home / ".runner" / "logits")
    drawn = api.plot("seen.yaml", "confused")
    assert [path.stem for path in drawn.paths] == ["seen-confused-confusion"]
    assert "no images: the val predictions of run" in drawn.left_out[0]


@pytest.mark.slow
def test_predictions_without_images_and_matrix_say_why_and_write_nothing(home: Path) -> None:
    text = analysed.SPEC.replace("show: [confusion, wrong]", "show: [right, wrong]")
    (home / "seen.yaml").write_text(text, encoding="utf-8")
    shutil.rmtree(home / ".runner" / "logits")
    with pytest.raises(UsageError, match="figure confused: no images: the val predictions of run"):
        api.plot("seen.yaml", "confused")


def test_network_without_errors_has_a_page_that_says_so(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = analysed.SPEC.replace("show: [confusion, wrong]", "show: [wrong]")
    (home / "seen.yaml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(scores, "most_confident", lambda *_: np.array([], dtype=np.int64))
    drawn = api.plot("seen.yaml", "confused")
    assert drawn.path.is_file()
    (legend,) = drawn.figure.legends
    assert "no image is predicted wrong" in legend.get_title().get_text().replace("\n", " ")


@pytest.mark.slow
def test_folder_appears_whole_or_stays_as_it_was(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "seen.yaml").write_text(FEW, encoding="utf-8")
    with pytest.raises(Interrupted):
        api.write_report("seen.yaml", "report", on_progress=stop)
    assert not list(home.glob("report*"))
    api.write_report("seen.yaml", "report")
    before = (home / "report" / "report.json").read_bytes()
    monkeypatch.setattr(report_folder, "save", fill_the_disk)
    with pytest.raises(DiskFull):
        api.write_report("seen.yaml", "report")
    assert [path.name for path in home.glob("report*")] == ["report"]
    assert (home / "report" / "report.json").read_bytes() == before
    for file in json.loads(before)["files"]:
        assert (home / "report" / file).is_file()


def test_spec_that_was_not_run_leaves_no_folder(
    home: Path, call: Callable[..., tuple[int, str, str]]
) -> None:
    (home / "new.yaml").write_text(analysed.SPEC.replace("seen", "new"), encoding="utf-8")
    code, _, err = call("report", "new.yaml", "--figures", "report")
    assert code == 2
    assert "new.yaml has not been run" in err
    assert "hint: runner run new.yaml\n" in err
    assert not (home / "report").exists()
    assert call("report", "--figures", "report")[0] == 2
    assert call("report", "seen.yaml", "--figures", "report", "--format", "csv")[0] == 2
