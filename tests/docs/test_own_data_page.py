"""docs/own.md on images: what it shows is executed, and prints what it says."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from layouts import write_cifar
from pydantic import TypeAdapter

from runner.bind.workspace import workspace
from runner.cli.app import main
from runner.components.data import Data
from runner.components.own.permission import allow_code
from runner.spec.experiment import load_experiment

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "own.md").read_text(encoding="utf-8")

Run = Callable[[str], tuple[int, str]]


def block(mark: str, language: str) -> str:
    shown = re.search(rf"<!-- {mark} -->\n```{language}\n(.*?)```", PAGE, re.S)
    assert shown is not None
    return shown[1]


def commands(mark: str) -> list[tuple[str, str]]:
    """Return the commands of a block, each with what it prints."""
    parts = re.split(r"^\$ (.*)\n", block(mark, "console"), flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(command: str) -> tuple[int, str]:
        words = command.split()
        if words[0] == "cat":
            return 0, Path(words[1]).read_text()
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        code = int(ended.value.code or 0)
        return code, (found.err if code else found.out).replace(f"{tmp_path}/", "")

    return run


def without_numbers(text: str) -> list[list[str]]:
    """Return the words of each line, measured numbers as N; columns and marks as they fit."""
    lines = [re.sub(r"0\.\d{3}\b|\*", "", line) for line in text.splitlines()]
    return [[word for word in line.split() if not word.startswith("---")] for line in lines]


def check_begin(mark: str, run: Run) -> None:
    """Do the commands of a block from `runner new` to `runner run`, and compare."""
    for command, shown in commands(mark):
        code, printed = run(command)
        assert code == 0
        if command.startswith("runner plan"):
            (line,) = [line for line in shown.splitlines() if line != "…"]
            assert line in printed.splitlines()
        elif command.startswith("runner run"):
            assert without_numbers(printed.strip()) == without_numbers(shown.strip())
            assert min(map(float, re.findall(r"(0\.\d{3}) ±", printed))) > 0.8
        else:
            assert printed == shown


@pytest.mark.slow
def test_the_split_folder_on_the_page_is_found_and_trained(run: Run) -> None:
    exec(block("split-folder", "python"), {})
    check_begin("split-begin", run)


@pytest.mark.slow
def test_the_table_on_the_page_is_read_and_its_mistakes_are_named(run: Run) -> None:
    exec(block("csv-scans", "python"), {})
    check_begin("csv-begin", run)
    table = Path("scans/scans.csv")
    lines = table.read_text().splitlines()
    lines[6] = lines[6].replace(",5,", ",,")
    lines[8] = f"0{lines[8]}"
    lines[10] = lines[10].replace("train", "tran")
    table.write_text("\n".join(lines))
    ((command, shown),) = commands("csv-mistakes")
    assert run(command) == (2, shown)


def test_the_spec_with_other_columns_is_valid_and_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(block("csv-scans", "python"), {})
    rows = Path("scans/scans.csv").read_text().splitlines()
    Path("labels").mkdir()
    Path("labels/labels.csv").write_text("\n".join(["file,digit,part", *rows[1:]]))
    spec = f"name: other\n{block('csv-columns', 'yaml')}model: mlp\n"
    Path("other.yaml").write_text(spec)
    (cell,) = load_experiment(Path("other.yaml")).cells
    assert cell.settings.data.dataset == "table"
    sweep = re.search(r"`(grid: \{data.columns.*?\})`", PAGE)
    assert sweep is not None
    Path("other.yaml").write_text(f"{spec}sweep: {{{sweep[1]}}}\n")
    labels = [
        each.settings.data.columns.label for each in load_experiment(Path("other.yaml")).cells
    ]
    assert labels == ["species", "genus"]


@pytest.mark.slow
def test_the_class_on_the_page_is_read_and_trained(run: Run) -> None:
    exec(block("own-plates", "python"), {})
    Path("cells.py").write_text(block(r"cells\.py", "python"))
    Path("cells.yaml").write_text(block(r"cells\.yaml", "yaml"))
    for command, shown in commands("own-cells"):
        code, printed = run(command)
        assert code == 0
        lines = [line for line in shown.splitlines() if line != "…"]
        if command.startswith("runner plan"):
            assert set(lines) <= set(printed.splitlines())
        else:
            assert without_numbers(printed.strip()) == without_numbers(shown.strip())
            assert min(map(float, re.findall(r"(0\.\d{3})", printed))) > 0.8


@pytest.mark.slow
def test_the_subclass_of_a_library_on_the_page_reads_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    write_cifar(tmp_path, "cifar10")
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})
    Path("library.py").write_text(block(r"library\.py", "python"))
    with allow_code("library.py"):
        data = TypeAdapter(Data).validate_python({"dataset": "library.py:Cifar", "root": "."})
        found = data.build(workspace().data_access(Path("a.yaml")))
    assert (len(found.names), found.notes) == (100, ())
    assert found.classes[3] == "class 3"
