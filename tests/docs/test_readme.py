"""The README and docs/spec.md say what is so: commands run, specs validate, outputs agree."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from runner.core.run import Published
from runner.spec.compose import load_document
from runner.spec.experiment import load_experiment
from runner.spec.nodes import plain

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"\d+\.\d+")
SECONDS = re.compile(r"\d+ h \d+ min|\d+ min \d+ s|\d+(\.\d+)? s\b")


def block(after: str, language: str, text: str = README) -> str:
    start = text.index(after)
    return re.search(rf"```{language}\n(.*?)```", text[start:], re.S).group(1)


def run_shell(command: str, cwd: Path) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path}
    done = subprocess.run(
        command, shell=True, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def without_numbers(text: str) -> list[str]:
    """Return the lines with measured numbers, marks and padding taken out."""
    lines = [NUMBER.sub("#", line).replace("*", "") for line in text.strip().splitlines()]
    return [" ".join(re.sub(r"-{3,}", "---", line).split()) for line in lines]


@pytest.mark.slow
def test_quickstart_command_prints_the_table_that_the_readme_shows(tmp_path):
    command = block("<!-- quickstart -->", "bash").split("&&")[1].strip()
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    printed = run_shell(command, tmp_path)
    shown = block("ends with its table", "text")
    assert without_numbers(printed) == without_numbers(shown)
    for ours, theirs in zip(NUMBER.findall(printed), NUMBER.findall(shown), strict=True):
        assert float(ours) == pytest.approx(float(theirs), abs=0.05)


@pytest.mark.slow
def test_the_commands_on_the_reference_work(tmp_path):
    shutil.copytree(ROOT / "experiments", tmp_path / "experiments")
    *reading, running = block("<!-- reference -->", "bash").splitlines()
    printed = [run_shell(command, tmp_path) for command in reading]
    assert all(printed)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["experiments"]
    table = run_shell("runner report --reference --table quickstart", tmp_path)
    assert run_shell(running, tmp_path).strip() == table.strip()
    assert (tmp_path / "results.db").is_file()


def test_the_spec_in_the_readme_is_the_quickstart():
    shown = yaml.safe_load(block("The table above is this file", "yaml"))
    real = plain(load_document(ROOT / "experiments" / "quickstart.yaml"))
    del real["about"], real["profiles"]
    assert json.loads(json.dumps(real)) == shown


@pytest.mark.slow
def test_the_error_in_the_readme_is_what_is_printed(tmp_path):
    shown = block("A wrong spec never starts", "text")
    spec = block("The table above is this file", "yaml")
    spec = re.sub(r"train:\n(  .*\n)+", "train: {epochs: 20, bach_size: 64}\n", spec)
    (tmp_path / "spec.yaml").write_text(spec)
    command = [str(Path(sys.executable).parent / "runner"), "validate", "spec.yaml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == shown


def test_the_spec_in_the_language_page_is_valid(tmp_path):
    text = (ROOT / "docs" / "spec.md").read_text()
    (tmp_path / "spec.yaml").write_text(block("# The spec language", "yaml", text))
    experiment = load_experiment(tmp_path / "spec.yaml")
    assert len(experiment.cells) == 6
    assert experiment.cells[0].cell.published == {"TEST_ACC": Published(0.09)}


def test_the_published_values_in_the_language_page_fit_the_quickstart(tmp_path):
    fragment = block(
        "Published values stand in rows", "yaml", (ROOT / "docs" / "spec.md").read_text()
    )
    spec = block("The table above is this file", "yaml")
    (tmp_path / "spec.yaml").write_text(spec + fragment)
    cells = load_experiment(tmp_path / "spec.yaml").cells
    found = [each for cell in cells for each in cell.cell.published.values()]
    assert found == [Published(0.96, 0.01)] * 2 + [Published(0.97)] * 2


@pytest.mark.slow
def test_every_shipped_spec_is_valid():
    specs = sorted((ROOT / "experiments").glob("*.yaml"))
    assert specs
    for spec in specs:
        assert load_experiment(spec).cells


def planned(text):
    """Return the lines of a plan without its seconds, and without what a precision would gain here:
    not every processor gains."""
    lines = SECONDS.sub("TIME", text).splitlines()
    return [line for line in lines if not line.startswith("precision ")]


@pytest.mark.data
@pytest.mark.slow(60)
def test_the_story_of_the_eleven_classes(tmp_path):
    console = block("<!-- story -->", "console")
    source = Path(os.environ["RUNNER_DATA"]) / "caltech101" / "101_ObjectCategories"
    outputs = re.split(r"^\$ (.*)\n", console, flags=re.M)[1:]
    for name in outputs[1].split():
        shutil.copytree(source / name, tmp_path / "eleven" / name)
    spec = tmp_path / "eleven.yaml"
    for command, shown in zip(outputs[::2], outputs[1::2], strict=True):
        if command.startswith("runner run"):  # fewer epochs than the reader's, which take minutes
            spec.write_text(spec.read_text().replace("epochs: 20", "epochs: 8"))
        printed = run_shell(command, tmp_path)
        if command.startswith(("ls", "cat", "runner new")):
            assert printed == shown
        elif command.startswith("runner run"):
            assert without_numbers(printed) == without_numbers(shown)
            assert max(float(each) for each in NUMBER.findall(printed)) > 0.6
        elif command.startswith("runner plan"):
            fixed, there = (planned(text) for text in (shown, printed))
            assert fixed.pop() == "…"
            assert there[: len(fixed)] == fixed
        else:
            assert without_numbers(printed)[0].split()[0] == without_numbers(shown)[0].split()[0]
    code = block("<!-- pandas -->", "python")
    printed = run_shell(f"{sys.executable} - <<'CODE'\n{code}\nCODE", tmp_path)
    assert "val_accuracy" in printed
    assert len(printed.splitlines()) == 5


def test_the_fragments_in_the_language_page_are_valid(tmp_path):
    text = (ROOT / "docs" / "spec.md").read_text()
    section = text[text.index("## Where data comes from") : text.index("## Tables")]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.S)
    assert len(blocks) == 23
    for number, fragment in enumerate(blocks):
        lines = [f"name: fragment_{number}", fragment]
        others = {"data": "data: caltech101", "model": "model: resnet18"}
        lines += [line for key, line in others.items() if f"\n{key}:" not in f"\n{fragment}"]
        spec = tmp_path / f"{number}.yaml"
        spec.write_text("\n".join(lines))
        assert load_experiment(spec).cells


def test_the_pipelines_in_the_language_page_fit_images_of_cifar(tmp_path):
    text = (ROOT / "docs" / "spec.md").read_text()
    section = text[text.index("## Augmentation") : text.index("## Classes that are not")]
    blocks = re.findall(r"```yaml\n(.*?)```", section, re.S)
    assert len(blocks) == 2
    for fragment in blocks:
        spec = tmp_path / "spec.yaml"
        spec.write_text(f"name: augmented\ndata: cifar10\nmodel: convnet\n{fragment}")
        (cell,) = load_experiment(spec).cells
        cell.settings.train.augment.check((32, 32))


def test_the_profile_in_the_language_page_makes_two_small_cells(tmp_path):
    (fragment,) = re.findall(
        r"```yaml\n(profiles:.*?)```", (ROOT / "docs" / "spec.md").read_text(), re.S
    )
    rows = "sweep: {rows: [{weights: IMAGENET1K_V1}, {freeze: features}, {model: convnet}]}"
    spec = tmp_path / "spec.yaml"
    spec.write_text(f"name: tried\ndata: caltech101\nmodel: alexnet\n{rows}\n{fragment}")
    cells = load_experiment(spec, "smoke").cells
    assert [each.settings.model.name for each in cells] == ["alexnet", "convnet"]
    assert {each.settings.data.dataset for each in cells} == {"synthetic"}
