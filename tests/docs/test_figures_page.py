"""docs/figures.md names the figures there are, with options and cells that exist."""

import re
import shlex
from pathlib import Path

import pytest
import typer

from runner.bind.cell_filter import select_cells
from runner.cli.app import app
from runner.report.figures.kinds import FIGURES
from runner.spec.experiment import load_experiment

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^(?:\$ )?(runner plot .*)$", PAGE, re.M)


def test_every_figure_is_in_the_table() -> None:
    rows = re.findall(r"^\| (`.*?) \|", PAGE, re.M)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(FIGURES)


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_are_understood(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    plot = typer.main.get_command(app).commands["plot"]  # type: ignore[attr-defined]
    given = plot.make_context("plot", shlex.split(command)[2:]).params
    assert given["kind"] in FIGURES
    spec = Path(given["spec"])  # typer before 0.29 makes it a path only when the command runs
    if spec != Path("spec.yaml"):
        assert select_cells(load_experiment(spec).cells, given["only"] or ())


def test_the_figure_of_two_learning_rates_has_the_two_runs_of_the_report(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    (command,) = [each for each in COMMANDS if "alexnet_lr_grid" in each]
    words = shlex.split(command)
    only = [words[index + 1] for index, word in enumerate(words) if word == "--only"]
    chosen = select_cells(load_experiment(Path("experiments/alexnet_lr_grid.yaml")).cells, only)
    shown = [(each.cell.swept["train.optimizer.lr"], each.settings.train.epochs) for each in chosen]
    assert shown == [(0.005, 20), (0.05, 30)]
