"""docs/planner.md shows what the program prints: plans, and what the whole catalogue shares.

``UPDATE_GOLDEN=1 pytest tests/docs/test_planner_page.py`` writes the table of the catalogue anew.
"""

import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from runner.api.planning import make_plan
from runner.bind.request import Request
from runner.planner.cost import Cost

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "planner.md"
MARK = "<!-- everything -->\n"


def planned(specs: Iterable[Path], folder: Path) -> tuple[int, Cost, Cost]:
    """Return runs, and what is wanted and planned of specs, with nothing done and no data there."""
    request = Request(specs, db=folder / "results.db", data=folder, device="cpu")
    explained, _ = make_plan(request)
    return explained.runs, explained.wanted, explained.planned


def catalogue(folder: Path) -> str:
    specs = sorted((ROOT / "experiments").glob("*.yaml"))
    lines = [
        "| spec | runs | epochs wanted | planned | stages wanted | planned |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, paths in [*((f"`{path.stem}`", [path]) for path in specs), ("all together", specs)]:
        runs, wanted, plan = planned(paths, folder)
        numbers = [runs, wanted.epochs, plan.epochs, wanted.stages, plan.stages]
        lines.append(f"| {name} | {' | '.join(str(number) for number in numbers)} |")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_the_table_of_the_catalogue_is_what_is_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before, _, after = PAGE.read_text().partition(MARK)
    table = catalogue(tmp_path)
    if os.environ.get("UPDATE_GOLDEN"):
        PAGE.write_text(before + MARK + table)
    else:
        assert after == table


Print = Callable[[str], str]


@pytest.fixture
def printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Print:
    """Return what gives the standard output of a command line."""
    from runner.cli.app import main

    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> str:
        monkeypatch.setattr("sys.argv", [*command.removeprefix("$ ").split(), "--device", "cpu"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert not ended.value.code
        return capsys.readouterr().out

    return run


def on_the_page(mark: str) -> tuple[str, str]:
    """Return a command on the page and what it prints there."""
    shown = re.search(rf"<!-- {mark} -->\n```console\n(.*?)```", PAGE.read_text(), re.S)
    assert shown is not None
    command, _, output = shown[1].partition("\n")
    return command, output


def test_the_plan_on_the_page_is_what_is_printed(printed: Print) -> None:
    command, output = on_the_page("plan")
    assert printed(command) == output


def without_seconds(text: str) -> str:
    return re.sub(r"(, )?(?<![\w.])[\d.]+ m?s( less)?(, )?", "", text)


@pytest.mark.slow
def test_what_is_recorded_is_read_as_on_the_page(printed: Print) -> None:
    command, output = on_the_page("recorded")
    printed("runner run experiments/quickstart.yaml --only lr=0.1 --only seed=0")
    assert without_seconds(printed(command)) == without_seconds(output)
    lowered = printed(command.replace("--set evaluate.test=last", "--set epochs=10"))
    assert lowered.count("read mlp") + lowered.count("train mlp, epochs 1–10") == 2
    for best in re.findall(r"note +epochs 1–10 are recorded, but the weights of (.*)", lowered):
        assert re.fullmatch(r"epoch \d+, the best of them, are gone", best)
