"""Figures hold the numbers of the database, and nothing in them overlaps."""

import itertools
import math
import re
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import pytest
from made_up import HEAD, MadeUp, Recipe, record_made_up
from matplotlib.axes import Axes
from matplotlib.colors import same_color
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from runner.api.plotting import PlotOptions, RenderedFigure, draw, save_figure
from runner.core.errors import SpecError, UsageError
from runner.core.run import Cell
from runner.report.figures.drawing import MOST_LINES, cut_above, looks
from runner.report.figures.kinds import FIGURES
from runner.report.figures.page import SUFFIXES
from runner.spec.figures.declared import KINDS
from runner.store.database import Database, open_database

RATES = HEAD + "sweep: {grid: {lr: [0.1, 0.01]}}\n"
SEEDS = RATES + "seeds: [0, 1]\n"
Draw = Callable[..., RenderedFigure]


def curves_of(cell: Cell) -> MadeUp:
    """Return four epochs that differ in every cell and seed, with two steps each."""
    unit = 0.01 * cell.position + 0.001 * cell.seed
    return MadeUp(
        {
            "train_loss": [2.0 - unit, 1.5 - unit, 1.0 - unit, 0.5 - unit],
            "val_loss": [2.1 - unit, 1.7 - unit, 1.6 - unit, 1.9 - unit],
            "train_accuracy": [0.3 + unit, 0.5 + unit, 0.7 + unit, 0.9 + unit],
            "val_accuracy": [0.2 + unit, 0.6 + unit, 0.5 + unit, 0.4 + unit],
        },
        steps=[[3.0, 2.0], [1.9, 1.7], [1.5, 1.3], [1.2, 1.0]],
        best_epoch=2 + cell.seed,
        test_accuracy=0.5 + unit,
    )


@pytest.fixture(scope="module")
def recorded(
    empty_database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str, Recipe], Path]:
    """Return a folder with a spec and its made-up results, the same for the same ones."""

    @cache
    def record(text: str, recipe: Recipe) -> Path:
        folder = tmp_path_factory.mktemp("recorded")
        shutil.copy(empty_database, folder / "results.db")
        database = open_database(folder / "results.db")
        record_made_up(database, folder, text, recipe)
        database.close()
        return folder

    return record


@pytest.fixture
def drawn(recorded: Callable[[str, Recipe], Path]) -> Draw:
    """Draw a spec with made-up results."""

    def draw_recorded(
        text: str, recipe: Recipe = curves_of, kind: str = "curves", **options: Any
    ) -> RenderedFigure:
        folder = recorded(text, recipe)
        wanted = PlotOptions(kind=kind, db=folder / "results.db", **options)
        return draw(folder / "made_up.yaml", wanted)

    return draw_recorded


def line(axes: Axes, label: str) -> Line2D:
    (found,) = [each for each in axes.lines if each.get_label() == label]
    return found


def lines(axes: Axes, label: str) -> list[Line2D]:
    return [each for each in axes.lines if each.get_label() == label]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def caption(figure: Figure) -> str:
    return " ".join(figure.legends[-1].get_title().get_text().split())


def stroke(each: Line2D) -> str:
    """Return whether a line is dotted, dashed or solid."""
    _, pattern = each._unscaled_dash_pattern  # type: ignore[attr-defined]
    return "solid" if pattern is None else "dotted" if pattern[0] <= 1 else "dashed"


@pytest.mark.slow
def test_lines_are_the_recorded_numbers_training_dotted_validation_solid(drawn: Draw) -> None:
    loss, accuracy = drawn(RATES).figure.axes
    for axes, name in ((loss, "loss"), (accuracy, "accuracy")):
        for position, rate in enumerate(("lr=0.1", "lr=0.01")):
            made = curves_of(Cell("", position, 0, {}, {}, {}, "", {}, ""))
            for split in ("train", "val"):
                shown = line(axes, f"{rate}: {split}_{name}")
                assert list(shown.get_xdata()) == [1, 2, 3, 4]
                assert list(shown.get_ydata()) == made.metrics[f"{split}_{name}"]
            assert stroke(line(axes, f"{rate}: train_{name}")) == "dotted"
            assert stroke(line(axes, f"{rate}: val_{name}")) == "solid"
        assert axes.get_xlabel() == "epoch"
    assert loss.get_ylabel() == "cross-entropy loss (nats)"
    assert accuracy.get_ylabel() == "accuracy (fraction)"


@pytest.mark.slow
def test_seeds_are_a_mean_and_a_band_between_the_extremes(drawn: Draw) -> None:
    figure = drawn(SEEDS, kind="accuracy").figure
    (axes,) = figure.axes
    shown = line(axes, "lr=0.01: val_accuracy").get_ydata()
    assert list(shown) == pytest.approx([0.2105, 0.6105, 0.5105, 0.4105])
    heights = {
        round(float(y), 6) for band in axes.collections for y in band.get_paths()[0].vertices[:, 1]
    }
    assert {0.21, 0.211, 0.61, 0.611} <= heights
    assert "means over 2 seeds" in caption(figure)
    assert "least to greatest seed" in words(figure)


def test_curve_of_one_seed_has_no_band_and_no_word_of_seeds(drawn: Draw) -> None:
    figure = drawn(RATES, kind="accuracy").figure
    assert not figure.axes[0].collections
    assert "seed" not in caption(figure) + " ".join(words(figure))


@pytest.mark.slow
def test_best_epoch_is_a_dotted_line_and_a_ring_at_the_value_there(drawn: Draw) -> None:
    figure = drawn(SEEDS, kind="accuracy").figure
    best = [each for each in figure.axes[0].lines if each.get_label() == "best epoch"]
    vertical, ring = best[:2]
    assert set(vertical.get_xdata()) == set(ring.get_xdata()) == {2.5}
    assert ring.get_ydata()[0] == pytest.approx(fmean([0.6, 0.501]))
    assert "best epoch, mean over seeds" in words(figure)


def test_best_epoch_is_not_marked_where_the_last_is_kept(drawn: Draw) -> None:
    text = RATES.replace("{epochs: 4}", "{epochs: 4, best: {monitor: last}}")
    figure = drawn(text, kind="accuracy").figure
    assert not lines(figure.axes[0], "best epoch")
    assert "best epoch" not in words(figure)


def test_cells_are_told_apart_without_colours(drawn: Draw) -> None:
    assert len({look.marker for look in looks(MOST_LINES)}) == MOST_LINES
    (axes,) = drawn(RATES, kind="accuracy").figure.axes
    markers = [each.get_marker() for each in axes.lines if "val_" in str(each.get_label())]
    assert markers == [look.marker for look in looks(2)]


def test_cells_too_many_for_one_panel_have_panels_of_their_own(
    drawn: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.report.figures.figure.MOST_LINES", 1)
    figure = drawn(RATES, kind="loss").figure
    assert [axes.get_title() for axes in figure.axes] == ["lr=0.1", "lr=0.01"]
    assert len({axes.get_ylim() for axes in figure.axes}) == 1


def test_sheet_has_loss_and_accuracy_of_every_cell(drawn: Draw) -> None:
    figure = drawn(RATES, kind="sheet").figure
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["lr=0.1", "lr=0.01", "", ""]
    labels = [axes.lines[0].get_label() for axes in figure.axes]
    assert labels == [
        f"lr={rate}: train_{name}" for name in ("loss", "accuracy") for rate in (0.1, 0.01)
    ]


def test_sheet_takes_only_so_many_cells(drawn: Draw, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("runner.report.figures.figure.MOST_CELLS", 1)
    with pytest.raises(UsageError, match=r"2 cells; one sheet takes 1\n    hint: choose .* --only"):
        drawn(RATES, kind="sheet")


def test_per_step_the_training_loss_is_every_step_and_validation_ends_epochs(drawn: Draw) -> None:
    figure = drawn(SEEDS, kind="loss", per="step", smooth=1).figure
    (axes,) = figure.axes
    train = line(axes, "lr=0.1: train_loss")
    assert list(train.get_xdata()) == list(range(1, 9))
    assert list(train.get_ydata()) == [3.0, 2.0, 1.9, 1.7, 1.5, 1.3, 1.2, 1.0]
    assert list(line(axes, "lr=0.1: val_loss").get_xdata()) == [2, 4, 6, 8]
    assert lines(axes, "best epoch")[0].get_xdata()[0] == 5
    assert axes.get_xlabel() == "step"
    assert "train loss: every step" in caption(figure)


def test_smoothing_averages_windows_of_steps_and_says_so(drawn: Draw) -> None:
    figure = drawn(RATES, kind="loss", per="step", smooth=3).figure
    train = line(figure.axes[0], "lr=0.1: train_loss")
    assert list(train.get_xdata()) == [3, 6, 8]
    assert list(train.get_ydata()) == pytest.approx([6.9 / 3, 4.5 / 3, 1.1])
    assert "train loss: mean of each 3 steps" in caption(figure)


def test_steps_too_many_to_draw_are_averaged_unasked(drawn: Draw) -> None:
    many = MadeUp({"train_loss": [1.0], "val_loss": [1.0]}, steps=[[float(n) for n in range(1000)]])
    figure = drawn(HEAD, lambda cell: many, kind="loss", per="step").figure
    assert "mean of each 7 steps" in caption(figure)
    assert line(figure.axes[0], "made_up: train_loss").get_ydata()[0] == 3.0


def test_diverged_run_ends_with_a_cross_and_an_explosion_is_cut_off(drawn: Draw) -> None:
    def explode(cell: Cell) -> MadeUp:
        if cell.position == 0:
            return curves_of(cell)
        made = {"train_loss": [2.0], "val_loss": [2.0], "val_accuracy": [0.1]}
        steps = [[2.0, 2.0], [5.0, 1e30, float("inf")]]
        return MadeUp(made, steps=steps, status="diverged")

    figure = drawn(RATES, explode, kind="loss", per="step", smooth=1).figure
    (axes,) = figure.axes
    assert axes.get_yscale() == "log"
    assert axes.get_ylim()[1] == 1e4
    crosses = {(each.get_xdata()[0], each.get_ydata()[0]) for each in lines(axes, "diverged")}
    assert (4.0, 1e4) in crosses
    assert "lr=0.01 (diverged)" in words(figure)
    assert "losses above 10,000 are cut off (the greatest is 1.0e+30)" in caption(figure)


@pytest.mark.parametrize(
    ("losses", "top"),
    [
        ([], math.inf),
        ([[0.0, 0.0, 5.0]], math.inf),
        ([[2.0, 0.0, 0.0, 0.0, 1e9]], 1e4),
        ([[50.0, 1.0, 1e-3, 1e-3, 1e-3]], math.inf),
        ([[1.0, 1.0, 1e30]], 1e3),
        ([[2.0, 2.0, 5000.0]], math.inf),
        ([[], [1e-9, 1e-9, 1.0]], 1e-6),
        ([[1e308, 1e308]], math.inf),
    ],
)
def test_axis_ends_below_explosions_alone(losses: list[list[float]], top: float) -> None:
    assert cut_above(losses) == top


def test_training_that_falls_a_thousandfold_is_drawn_whole(drawn: Draw) -> None:
    falling = MadeUp({"train_loss": [40.0, 0.02, 0.01, 0.01], "val_loss": [3.0, 0.03, 0.02, 0.02]})
    figure = drawn(HEAD, lambda cell: falling, kind="loss").figure
    assert "cut off" not in caption(figure)
    assert figure.axes[0].get_ylim()[1] > 40


def test_diverged_seed_is_not_in_the_mean_and_is_told(drawn: Draw) -> None:
    diverged = MadeUp({"val_accuracy": [0.9]}, status="diverged")

    def second(cell: Cell) -> MadeUp | None:
        if cell.position == 1:
            return None if cell.seed else curves_of(cell)
        return diverged if cell.seed else curves_of(cell)

    found = drawn(SEEDS, second, kind="accuracy")
    shown = line(found.figure.axes[0], "lr=0.1: val_accuracy").get_ydata()
    assert list(shown) == [0.2, 0.6, 0.5, 0.4]
    assert words(found.figure)[:2] == ["lr=0.1 (1 diverged)", "lr=0.01 (1 without a result)"]
    assert found.left_out == ("lr=0.01 (1 of 2 seeds unfinished)",)


@pytest.mark.slow
def test_mean_over_seeds_that_stop_at_different_epochs_is_of_those_that_go_on(drawn: Draw) -> None:
    def stopping(cell: Cell) -> MadeUp:
        return MadeUp({"val_accuracy": [0.2, 0.4, 0.6][: 2 + cell.seed]})

    figure = drawn(HEAD + "seeds: [0, 1]\n", stopping, kind="accuracy").figure
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.2, 0.4, 0.6]
    assert "where seeds stop at different epochs, over those that go on" in caption(figure)


def test_evaluated_training_images_stand_for_training(drawn: Draw) -> None:
    text = RATES + "evaluate: {train_eval: full, test: each_epoch}\n"

    def tested(cell: Cell) -> MadeUp:
        made = dict(curves_of(cell).metrics)
        return MadeUp({**made, "train_eval_accuracy": [0.4] * 4, "test_accuracy": [0.3] * 4})

    figure = drawn(text, tested, kind="accuracy").figure
    (axes,) = figure.axes
    assert not lines(axes, "lr=0.1: train_accuracy")
    assert stroke(line(axes, "lr=0.1: train_eval_accuracy")) == "dotted"
    assert stroke(line(axes, "lr=0.1: test_accuracy")) == "dashed"
    assert "all images evaluated after the epoch" in caption(figure)
    assert {"train", "validation", "test"} <= set(words(figure))


DROPOUT = HEAD + "seeds: [0, 1]\nsweep: {grid: {dropout: [0.3, 0.1, 0.5]}}\n"


def bars(axes: Axes) -> list[float]:
    """Return half the length of each error bar."""
    segments = [each.get_segments() for each in axes.collections]
    return [abs(segment[1][1] - segment[0][1]) / 2 for each in segments for segment in each]


@pytest.mark.slow
def test_metrics_and_their_gap_against_a_setting_are_those_of_tables(drawn: Draw) -> None:
    figure = drawn(DROPOUT, kind="setting").figure
    accuracy, gap = figure.axes
    made = {
        position: [
            (each.metrics["train_accuracy"][epoch - 1], each.metrics["val_accuracy"][epoch - 1])
            for seed in (0, 1)
            for each in [curves_of(Cell("", position, seed, {}, {}, {}, "", {}, ""))]
            for epoch in [each.best_epoch]
        ]
        for position in (1, 0, 2)
    }
    for index, name in enumerate(("train_accuracy", "val_accuracy")):
        shown = line(accuracy, f"dropout=0.1: {name}")
        assert list(shown.get_xdata()) == [0.1, 0.3, 0.5]
        expected = [fmean(pair[index] for pair in pairs) for pairs in made.values()]
        assert list(shown.get_ydata()) == pytest.approx(expected)
    assert stroke(line(accuracy, "dropout=0.1: train_accuracy")) == "dotted"
    differences = [[train - val for train, val in pairs] for pairs in made.values()]
    shown = line(gap, "dropout=0.1: train_accuracy - val_accuracy").get_ydata()
    assert list(shown) == pytest.approx([fmean(each) for each in differences])
    assert bars(gap) == pytest.approx([stdev(each) for each in differences])
    assert gap.get_ylabel() == "train_accuracy - val_accuracy\n(fraction)"
    assert gap.get_xlabel() == "dropout probability"
    assert "at the best epoch; mean ± sample standard deviation over 2 seeds" in caption(figure)


@pytest.mark.slow
def test_figures_over_different_settings_have_files_of_their_own(drawn: Draw) -> None:
    text = HEAD + "sweep: {grid: {lr: [0.1, 0.01], dropout: [0, 0.5]}}\n"
    names = [drawn(text, kind="setting", x=x).path.name for x in ("lr", "model.dropout")]
    assert names == ["made_up-setting-lr.png", "made_up-setting-dropout.png"]


@pytest.mark.slow
def test_figure_over_a_setting_counts_chosen_seeds_only(drawn: Draw) -> None:
    figure = drawn(DROPOUT, kind="setting", only=["seed=1"], metrics=["val_accuracy"]).figure
    shown = line(figure.axes[0], "dropout=0.1: val_accuracy").get_ydata()
    assert list(shown) == pytest.approx([0.511, 0.501, 0.521])
    assert not bars(figure.axes[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "scale"),
    [
        ("lr: [0.001, 0.01, 0.1]", "log"),
        ("lr: [0.1, 0.2]", "linear"),
        ("weight_decay: [0, 0.0001, 0.01]", "symlog"),
    ],
)
def test_setting_over_decades_has_a_logarithmic_axis(drawn: Draw, values: str, scale: str) -> None:
    text = (
        HEAD.replace("{epochs: 4}", "{epochs: 4, optimizer: sgd}")
        + f"sweep: {{grid: {{{values}}}}}"
    )
    figure = drawn(text, kind="setting", metrics=["val_loss", "best_epoch"], at="last").figure
    assert [axes.get_xscale() for axes in figure.axes] == [scale] * 2
    assert [axes.get_ylabel() for axes in figure.axes] == [
        "cross-entropy loss (nats)",
        "best epoch",
    ]
    assert "at the last epoch" in caption(figure)


@pytest.mark.slow
def test_categories_stand_side_by_side_and_other_settings_make_lines(drawn: Draw) -> None:
    text = HEAD + "sweep: {grid: {optimizer: [sgd, adam], dropout: [0, 0.5]}}\n"
    figure = drawn(text, kind="setting", x="optimizer", metrics=["val_accuracy"]).figure
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.get_xticklabels()] == ["sgd", "adam"]
    assert not any(text.get_rotation() for text in axes.get_xticklabels())
    assert words(figure) == ["dropout=0", "dropout=0.5"]
    handles = figure.legends[0].legend_handles
    assert [(each.get_linestyle(), each.get_marker()) for each in handles] == [  # type: ignore[union-attr]
        ("None", look.marker) for look in looks(2)
    ]
    ydata = [list(each.get_ydata()) for each in axes.lines if "val_" in str(each.get_label())]
    assert ydata == [pytest.approx([0.6, 0.62]), pytest.approx([0.61, 0.63])]


def test_swept_seed_is_a_setting_like_others(drawn: Draw) -> None:
    text = HEAD + "sweep: {grid: {seed: [3, 1]}}\n"
    (axes,) = drawn(text, kind="setting", x="seed", metrics=["val_accuracy"], at="last").figure.axes
    shown = line(axes, "seed=1: val_accuracy")
    assert list(shown.get_xdata()) == [1, 3]
    assert list(shown.get_ydata()) == pytest.approx([0.411, 0.403])


@pytest.mark.slow
def test_epoch_that_only_some_runs_reach_shows_those(drawn: Draw) -> None:
    text = HEAD + "sweep: {grid: {epochs: [2, 4]}}\n"

    def trained(cell: Cell) -> MadeUp:
        curves = curves_of(cell).metrics
        epochs = cell.settings["train"]["epochs"]
        return MadeUp({name: values[:epochs] for name, values in curves.items()})

    accuracy, _ = drawn(text, trained, kind="setting", at="4").figure.axes
    found = list(line(accuracy, "epochs=2: val_accuracy").get_ydata())
    assert found == pytest.approx([math.nan, 0.41], nan_ok=True)


@pytest.mark.slow
def test_diverged_cell_is_a_cross_at_its_x(drawn: Draw) -> None:
    def second(cell: Cell) -> MadeUp:
        return (
            MadeUp({"val_accuracy": [0.1]}, status="diverged") if cell.position else curves_of(cell)
        )

    (axes, *_) = drawn(RATES, second, kind="setting").figure.axes
    assert [each.get_xdata()[0] for each in lines(axes, "diverged")] == [0.01, 0.01]


@pytest.mark.slow
def test_metric_that_no_run_has_is_refused(drawn: Draw) -> None:
    with pytest.raises(SpecError, match="shows train_eval_loss at best, which no run has"):
        drawn(DROPOUT, kind="setting", metrics=["train_eval_loss"])


@pytest.mark.slow
def test_labels_changed_since_the_run_are_shown_as_they_are_now(
    database: Database, tmp_path: Path
) -> None:
    text = HEAD + "sweep: {rows: [{label: old, lr: 0.1}, {label: other, lr: 0.01}]}\n"
    record_made_up(database, tmp_path, text, curves_of)
    path = tmp_path / "made_up.yaml"
    path.write_text(HEAD + "sweep: {rows: [{label: other, lr: 0.01}, {label: new_$1$, lr: 0.1}]}\n")
    options = PlotOptions(kind="accuracy", db=tmp_path / "results.db")
    figure = draw(path, options).figure
    assert words(figure)[:2] == ["other", r"new_\$1\$"]
    shown = line(figure.axes[0], "new_$1$: val_accuracy").get_ydata()
    assert list(shown) == [0.2, 0.6, 0.5, 0.4]


def test_label_on_the_x_axis_is_no_formula(drawn: Draw) -> None:
    rows = [{"labels": {"cost_$x$ in $": name}, "lr": lr} for name, lr in (("a", 0.1), ("b", 0.01))]
    found = drawn(HEAD + f"sweep: {{rows: {rows}}}\n", kind="setting", x="cost_$x$ in $")
    assert found.figure.axes[0].get_xlabel() == r"cost_\$x\$ in \$"
    assert found.path == Path("figures/made_up-setting-cost_-x-in.png")


NAMES = [
    "plain stochastic gradient descent without any momentum, which is what the report began with",
    "_underscore",
    "50 % of $x_1$ and $y$",
    "ordinary",
    "early stopping with a patience of ten epochs and a tolerance of one part in a thousand",
]


QUICK = ("sheet", "curves", "setting")
OF_RUNS = [kind for kind in FIGURES if not getattr(KINDS[kind], "ANALYSIS", "")]


def test_every_kind_of_figure_that_a_spec_may_name_is_drawn() -> None:
    assert list(FIGURES) == list(KINDS)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [kind if kind in QUICK else pytest.param(kind, marks=pytest.mark.slow) for kind in OF_RUNS],
)
def test_long_names_overlap_nothing_and_are_not_cut(drawn: Draw, kind: str) -> None:
    rows = [
        {"label": name, "lr": 0.1 / (1 + number), "augment": ["RandomHorizontalFlip"] * number}
        for number, name in enumerate(NAMES, start=1)
    ]
    x = {"x": "label"} if kind == "setting" else {}
    figure = drawn(HEAD + f"seeds: [0, 1]\nsweep: {{rows: {rows}}}\n", kind=kind, **x).figure
    figure.draw_without_rendering()
    page = figure.bbox
    legends = [legend.get_window_extent() for legend in figure.legends]
    panels = [axes.get_tightbbox() for axes in figure.axes]
    title = figure._suptitle.get_window_extent()  # type: ignore[attr-defined]
    for box in [*legends, *panels, title]:
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1
    for one, other in itertools.combinations([*legends, *panels, title], 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(across, along) < 1, (one, other)


MAGIC = {".png": b"\x89PNG\r\n\x1a\n", ".svg": b"<?xml", ".pdf": b"%PDF-"}


def saved(drawn: Draw, kind: str, path: Path) -> bytes:
    text = SEEDS.replace("lr: [0.1, 0.01]", "lr: [0.1, 0.01], augment: [RandomHorizontalFlip]")
    assert save_figure(drawn(text, kind=kind, out=path)) == []
    content = path.read_bytes()
    assert content.startswith(MAGIC[path.suffix])
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    return content


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_file_is_of_its_suffix_and_has_no_date(drawn: Draw, tmp_path: Path, suffix: str) -> None:
    content = saved(drawn, "accuracy", tmp_path / "new" / f"figure{suffix}")
    assert not re.search(rb"CreationDate|dc:date|tIME", content)


@pytest.mark.slow
def test_drawings_of_one_figure_are_the_same_bytes(drawn: Draw, tmp_path: Path) -> None:
    path = tmp_path / "new" / "figure.svg"
    assert saved(drawn, "accuracy", path) == saved(drawn, "accuracy", path)


@pytest.mark.slow
@pytest.mark.parametrize("kind", OF_RUNS)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_figure_has_every_format_and_is_the_same_each_time(
    drawn: Draw, tmp_path: Path, kind: str, suffix: str
) -> None:
    path = tmp_path / "new" / f"figure{suffix}"
    assert saved(drawn, kind, path) == saved(drawn, kind, path)


def test_lines_of_one_cell_have_one_colour(drawn: Draw) -> None:
    (axes,) = drawn(RATES, kind="loss").figure.axes
    pairs = [
        (line(axes, f"{rate}: train_loss"), line(axes, f"{rate}: val_loss"))
        for rate in ("lr=0.1", "lr=0.01")
    ]
    assert all(same_color(one.get_color(), other.get_color()) for one, other in pairs)
    assert not same_color(pairs[0][0].get_color(), pairs[1][0].get_color())
