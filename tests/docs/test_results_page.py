"""docs/results.md: published against measured, what was not run and why, and commands that work."""

import json
import re
import shlex
import shutil
from pathlib import Path

import documented_results as page
import pytest
import sqlalchemy as sa
from documented_experiments import EXPERIMENTS, Documented, Picture
from made_up import MadeUp, record_made_up
from recorded import seal_again
from typer.main import get_command
from typer.testing import CliRunner

from runner.cli.app import app
from runner.core.run import Cell
from runner.spec.experiment import load_experiment
from runner.store.catalogue import environment_id
from runner.store.database import open_database
from runner.store.schema import attempts, stages

ROOT = Path(__file__).resolve().parents[2]

SPEC = """\
name: {name}
about: >
  What suits a network of {name}? Report R9.9 asks it. Ours: nothing.
data: {{dataset: digits}}
model: {{name: mlp}}
train: {{epochs: 4, batch_size: {batch_size}}}
sweep:
  rows:
    - {{label: slow, lr: 0.01, published: {{ACC: 0.25}}}}
    - {{label: fast, lr: 0.1, published: {{ACC: 0.75}}}}
tables:
  {name}: {{WHICH: label, LR: lr, ACC: {{metric: test_accuracy, mark: max}}}}
"""
MACHINE = {
    "versions": {"runner": "0.9", "torch": "2.99"},
    "processor": "Some CPU",
    "code": "0123456789abcdef+",
}
LISTED = (
    Documented(
        "Whole",
        "whole",
        ("R9.1", "R9.2"),
        ("curves --only 'label=slow'",),
        (
            Picture("whole-filters.png", "filters", "What the filters became."),
            Picture("whole-loss.png", "loss", "How it learnt.", ships=True),
        ),
        note="The images are a stand-in.",
    ),
    Documented("Half", "half", ("R9.3",), why="one row needs a bigger machine"),
    Documented("Variant", "variant", ("R9.4",), sets=("epochs=2",), why="takes weeks"),
    Documented("Nothing", "nothing", (), ("loss",), commands=("runner list",), why="needs luck"),
    Documented("Absent", "absent", ("R9.5",)),
)


def spec_of(name: str) -> str:
    """Return a spec whose runs are its own."""
    return SPEC.format(name=name, batch_size=len(name))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of four specs and a reference in which one of them was not run."""
    folder = tmp_path_factory.mktemp("prepared")
    database = open_database(folder / "reference.db")

    def recipe(cell: Cell) -> MadeUp | None:
        if cell.experiment == "half" and cell.position == 1:
            return None
        return MadeUp({"train_loss": [1.0] * 4}, test_accuracy=0.5 + 0.125 * cell.position)

    for name, sets in (("whole", []), ("half", []), ("variant", ["epochs=2"])):
        record_made_up(database, folder, spec_of(name), recipe, sets)
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE environments SET content = ?", (json.dumps(MACHINE),))
        connection.exec_driver_sql(
            "UPDATE attempts SET started = 86400, numerics = json_object('threads', 2)"
        )
        seal_again(connection)
    database.close()
    for name in ("whole", "half", "variant", "nothing"):
        (folder / f"{name}.yaml").write_text(spec_of(name))
    return folder


@pytest.fixture
def made(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that folder, of which the page is made."""
    folder = Path(shutil.copytree(prepared, tmp_path / "made"))
    monkeypatch.setattr(page, "FOLDER", folder)
    monkeypatch.setattr(page, "EXPERIMENTS", LISTED)
    monkeypatch.setattr(page, "open_reference", lambda: open_database(folder / "reference.db"))
    return folder


def sections(text: str) -> dict[str, str]:
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in text.split("\n## ")[1:]}


@pytest.mark.slow
def test_what_was_run_stands_beside_what_was_published(made: Path) -> None:
    found = sections(page.results_document())["Reports R9.1, R9.2: Whole"]
    assert found.startswith("\nWhat suits a network of whole?\n")
    assert "| WHICH | LR | ACC | published | difference |\n" in found
    assert "| slow | 0.01 | 0.500 | 0.25 | +0.250 |\n" in found
    assert "| fast | 0.1 | **0.625** | 0.75 | -0.125 |\n" in found
    origin = "torch 2.99, runner 0.9, code `0123456789ab+`."
    # prepare 1 s, twice training 1 s and evaluating 2 s
    assert f"Measured on Some CPU, 2 threads; 1970-01-02; 7.0 s; {origin}\n" in found
    assert "Not run" not in found
    assert "changed" not in found


@pytest.mark.slow
def test_pictures_stand_below_the_table_and_their_commands_above_it(made: Path) -> None:
    found = sections(page.results_document())["Reports R9.1, R9.2: Whole"]
    above, _, below = found.partition("| WHICH |")
    assert "\nThe images are a stand-in.\n" in above
    assert "$ runner plot experiments/whole.yaml filters\n" in above  # arrays do not ship
    assert "$ runner plot experiments/whole.yaml loss --reference\n" in above
    assert "![What the filters became.](pictures/whole-filters.png)\n\nWhat the filters" in below
    assert below.index("whole-filters.png") < below.index("whole-loss.png")
    assert below.index("whole-loss.png") < below.index("Measured on")


@pytest.mark.slow
def test_a_machine_that_only_prepared_pixels_again_is_not_named(made: Path) -> None:
    before = page.results_document()
    database = open_database(made / "reference.db")
    with database.write() as connection:
        machine = environment_id(connection, {**MACHINE, "processor": "Another CPU"})
        prepared = (
            sa.select(attempts)
            .join(stages, stages.c.stage_key == attempts.c.stage_key)
            .where(stages.c.kind == "prepare")
        )
        for row in connection.execute(prepared).all():
            again = {**row._mapping, "number": row.number + 1, "environment_id": machine}
            del again["id"]
            again["started"] += 60
            connection.execute(sa.insert(attempts).values(**again))
        seal_again(connection)
    database.close()
    assert page.results_document() == before


def test_what_was_left_out_is_said_with_its_reason(made: Path) -> None:
    found = sections(page.results_document())["Report R9.3: Half"]
    assert "| fast | 0.1 | unfinished | 0.75 |  |\n" in found
    assert "Not run are 1 of 2 cells: one row needs a bigger machine.\n" in found


def test_a_variant_has_the_published_values_of_the_whole_without_differences(made: Path) -> None:
    found = sections(page.results_document())["Report R9.4: Variant"]
    reason = "Measured is the variant `epochs=2`, for the whole was not run: takes weeks."
    assert reason in found
    assert "| WHICH | LR | ACC | published |\n" in found
    assert "| slow | 0.01 | 0.500 | 0.25 |\n" in found
    assert "difference" not in found
    assert "$ runner run experiments/variant.yaml --set epochs=2\n" in found
    command = "$ runner report --table variant --variant epochs=2 --reference\n"
    assert command in found


@pytest.mark.slow
def test_what_was_not_run_has_its_published_values_and_the_reason(made: Path) -> None:
    found = sections(page.results_document())["Nothing"]
    assert "Not run: needs luck. Its rows, with what was published:\n" in found
    assert "| fast | 0.1 | – | 0.75 |\n" in found
    shown = re.search(r"```console\n(.*?)```", found, re.S)
    assert shown is not None
    assert shown[1].splitlines() == [
        "$ runner run experiments/nothing.yaml",
        "$ runner report --table nothing",
        "$ runner plot experiments/nothing.yaml loss",
        "$ runner list",
    ]


def test_the_overview_has_a_line_for_each(made: Path) -> None:
    lines = page.results_document().partition("\n## ")[0].splitlines()
    assert [line for line in lines if line.startswith("|")][2:] == [
        "| R9.1, R9.2 | [Whole](#reports-r91-r92-whole) | 2 of 2 cells | Some CPU, 2 threads |",
        "| R9.3 | [Half](#report-r93-half) | 1 of 2 cells | Some CPU, 2 threads |",
        "| R9.4 | [Variant](#report-r94-variant) | 2 of 2 cells (epochs=2) | Some CPU, 2 threads |",
        "|  | [Nothing](#nothing) | not run |  |",
    ]


def test_a_spec_that_has_changed_since_is_told(made: Path) -> None:
    spec = made / "whole.yaml"
    spec.write_text(spec.read_text().replace("lr: 0.1", "lr: 0.2"))
    found = sections(page.results_document())["Reports R9.1, R9.2: Whole"]
    assert "Since then, the spec has changed in 1 of 2 cells.\n" in found


def test_nothing_is_left_out_without_a_reason(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "EXPERIMENTS", (Documented("Half", "half"),))
    with pytest.raises(AssertionError, match="half is not run as a whole, and nobody says why"):
        page.results_document()


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("The first of them. The second.", "The first of them. The second."),
        ("The first of them is longer. The second.", "The first of them is longer."),
        ("Which one of 0.5 and 0.7? Report", "Which one of 0.5 and 0.7?"),
        ("No stop", "No stop"),
        ("At a rate of 0.1. ours", "At a rate of 0.1. ours"),
    ],
)
def test_the_first_sentence_ends_before_a_capital_letter(text: str, first: str) -> None:
    assert page.first_sentence(text) == first


RESULTS = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (runner .*)$", RESULTS, re.M)


def test_every_spec_is_documented_once() -> None:
    names = [each.spec for each in EXPERIMENTS]
    assert len(set(names)) == len(names)
    assert {path.stem for path in (ROOT / "experiments").glob("*.yaml")} <= set(names)


@pytest.mark.slow
def test_every_report_is_named_where_its_spec_names_it() -> None:
    for each in page.documented():
        about = load_experiment(ROOT / "experiments" / f"{each.spec}.yaml").about
        assert [name for name in each.reports if name not in about] == []


PICTURES = ROOT / "docs" / "pictures"
MOST_BYTES = 400_000


@pytest.mark.parametrize("picture", [each for one in EXPERIMENTS for each in one.pictures], ids=str)
def test_every_picture_is_there_and_small(picture: Picture) -> None:
    content = (PICTURES / picture.file).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) <= MOST_BYTES


def test_every_command_on_the_page_is_one() -> None:
    known = get_command(app).commands
    assert COMMANDS
    for command in COMMANDS:
        _, name, *words = shlex.split(command)
        known[name].make_context(f"runner {name}", list(words)).close()


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("command", [each for each in COMMANDS if "--reference" in each])
def test_the_tables_on_the_page_are_what_their_commands_print(
    command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    _, name, *words = shlex.split(command)
    if name != "report":
        return
    printed = CliRunner().invoke(app, [name, *words, "--format", "markdown"])
    assert printed.exit_code == 0, printed.output
    first = printed.stdout.splitlines()[0]
    shown = [line for line in printed.stdout.splitlines() if line.startswith("|")]
    assert first.startswith("| ")
    if "--variant" not in words:  # beside which the page shows the published values of the whole
        assert "\n".join(shown) in RESULTS
