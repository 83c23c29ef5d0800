"""docs/planner.md shows what the program prints: plans, and what the whole catalogue shares.

``UPDATE_GOLDEN=1 pytest tests/docs/test_planner_page.py`` writes the table of the catalogue anew.
"""

import os
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from runner.api.planning import make_plan
from runner.planner.cost import Cost

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "planner.md"
MARK = "<!-- everything -->\n"


def planned(specs: Iterable[Path], place: Path) -> tuple[int, Cost, Cost]:
    """Return runs, and what is wanted and planned of specs, with nothing done and no data there."""
    explained, _ = make_plan(
        list(specs), (), None, (), str(place / "results.db"), str(place), "cpu"
    )
    return explained.runs, explained.wanted, explained.planned


def catalogue(place: Path) -> str:
    specs = sorted((ROOT / "experiments").glob("*.yaml"))
    lines = [
        "| spec | runs | epochs wanted | planned | stages wanted | planned |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, paths in [*((f"`{path.stem}`", [path]) for path in specs), ("all together", specs)]:
        runs, wanted, plan = planned(paths, place)
        numbers = [runs, wanted.epochs, plan.epochs, wanted.stages, plan.stages]
        lines.append(f"| {name} | {' | '.join(str(number) for number in numbers)} |")
    return "\n".join(lines) + "\n"


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


def test_the_plan_on_the_page_is_what_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from runner.cli.app import main

    shown = re.search(r"<!-- plan -->\n```console\n(.*?)```", PAGE.read_text(), re.S)
    assert shown is not None
    command, _, output = shown[1].partition("\n")
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", [*command.removeprefix("$ ").split(), "--device", "cpu"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert capsys.readouterr().out == output
