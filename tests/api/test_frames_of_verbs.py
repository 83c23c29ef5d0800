"""Every verb returns an object whose ``frame()`` has the rows that the command line prints."""

import json
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from runner import api
from runner.api.frames import Framed
from runner.cli.app import main
from runner.report.tables.render import render

SPEC = """\
name: small
data: {dataset: synthetic, classes: 2, images: 40, height: 4, width: 4}
model: {name: mlp, hidden: [4]}
train: {epochs: 2, batch_size: 16}
seeds: [0, 1]
sweep:
  rows: [{lr: 0.01}, {lr: 0.1, published: {VAL: {value: 0.5, within: 1}}}]
tables:
  small: {LR: lr, VAL: {metric: val_accuracy, at: max}}
  sizes: {LR: lr, WEIGHTS: parameters}
"""
Printed = Callable[..., str]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small.yaml, of which one of four runs is not done."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("verbs")
    (folder / "small.yaml").write_text(SPEC, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.run("small.yaml", device="cpu", limit=3)
    return folder


@pytest.fixture
def printed(
    finished: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Printed:
    """Run a command in a copy of the folder; return what it prints on both streams."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> str:
        monkeypatch.setattr(sys, "argv", ["runner", *words])
        capsys.readouterr()
        with suppress(SystemExit):
            main()
        return "".join(capsys.readouterr())

    return call


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as the command line's JSON has them."""
    return list(json.loads(frame.to_json(orient="records", double_precision=15)))


def near(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows whose numbers are compared but for their last digits."""
    return [
        {
            name: pytest.approx(value, nan_ok=True) if isinstance(value, float) else value
            for name, value in row.items()
        }
        for row in rows
    ]


def present(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without what has no value."""
    return {name: value for name, value in row.items() if value is not None}


def test_every_public_verb_is_exported_and_those_with_rows_are_framed() -> None:
    functions = [name for name in api.__all__ if name.islower()]
    assert functions == sorted(functions)
    assert all(callable(getattr(api, name)) for name in functions)
    results = {each.__name__ for each in Framed.__subclasses__()}
    assert {"RunSummary", "Explained", "Verification", "Report", "CellList"} <= results
    assert {"RunRecord", "Comparison", "Validation", "RenderedFigure"} <= results


@pytest.mark.slow
def test_list_rows_are_those_printed(printed: Printed) -> None:
    rows = records(api.list_runs().frame())
    shown = json.loads(printed("list", "--format", "json"))
    assert [{name: row[name] for name in rows[0]} for row in shown] == near(rows)
    assert len(rows) == 4


def test_show_rows_are_the_epochs_printed(printed: Printed) -> None:
    record = api.show("small:0:1")
    shown = json.loads(printed("show", "small:0:1", "--format", "json"))
    assert shown == dict(record)
    rows = records(record.frame())
    assert [present(row) for row in rows] == near([present(row) for row in shown["epochs"]])
    assert len(shown["epochs"]) == 2


def test_diff_rows_are_those_printed(printed: Printed) -> None:
    frame = api.diff("small:0:0", "small:1:0").frame()
    shown = json.loads(printed("diff", "small:0:0", "small:1:0", "--format", "json"))
    assert frame.to_dict("records") == shown


def test_report_rows_are_those_printed(printed: Printed) -> None:
    report = api.report("small", check=False)
    shown = json.loads(printed("report", "--table", "small", "--format", "json"))
    rows = shown if isinstance(shown, list) else shown["rows"]
    assert near(records(report.frame())) == rows
    listed = api.list_tables().frame()
    lines = printed("report").splitlines()
    assert [line.split()[0] for line in lines] == listed["table"].tolist() == ["small", "sizes"]
    queries = [query.sql for query in api.report_sql()]
    assert printed("report", "--sql") == "".join(f"{sql};\n" for sql in queries)


@pytest.mark.slow
def test_plan_rows_are_the_stages_printed(printed: Printed) -> None:
    frame = api.plan("small.yaml", device="cpu").frame()
    shown = json.loads(printed("plan", "small.yaml", "--device", "cpu", "--format", "json"))
    tree = frame[frame["kind"] != "evaluate"]
    assert [(each["key"], each["kind"], each["runs"]) for each in shown["stages"]] == list(
        tree[["stage", "kind", "runs"]].itertuples(index=False, name=None)
    )
    assert [each["seconds"] for each in shown["stages"]] == tree["seconds"].tolist()
    assert len(frame) == 2


def test_validate_rows_are_the_settings_printed(printed: Printed) -> None:
    frame = api.validate("small.yaml").frame()
    lines = printed("validate", "small.yaml", "--resolved").splitlines()
    settings = [line.strip() for line in lines if line.startswith("  ")]
    assert settings == [
        f"{row.setting}: {json.dumps(row.value)}  ({row.origin})" for row in frame.itertuples()
    ]
    cells = [line for line in lines if not line.startswith("  ")]
    names = frame["experiment"] + ":" + frame["position"].astype(str)
    assert cells == list(dict.fromkeys(names + ":" + frame["seed"].astype(str)))


@pytest.mark.slow
def test_what_plot_leaves_out_is_in_its_rows(printed: Printed) -> None:
    figure = api.plot("small.yaml", "loss")
    lines = printed("plot", "small.yaml", "loss").splitlines()
    frame = figure.frame()
    assert f"{figure.path}" == lines[0]
    assert frame[["seeds", "drawn"]].values.tolist() == [[2, 2], [2, 1]]
    left_out = frame[frame["left_out"] != ""]
    assert [line for line in lines if line.startswith("left out: ")] == [
        f"left out: {row.cell} ({row.left_out})" for row in left_out.itertuples()
    ]


def test_db_check_and_db_info_rows_are_those_printed(printed: Printed) -> None:
    frame = api.check_database().frame()
    lines = printed("db", "check").splitlines()
    assert [line.split()[0] for line in lines] == frame["kind"].tolist()
    assert not frame["problems"].map(len).any()
    info = api.database_info().frame()
    lines = printed("db", "info").splitlines()
    assert [line.split(": ")[0] for line in lines] == info["path"].tolist()
    assert list(api.dump_database(canonical=True)) == (
        printed("db", "dump", "--canonical").splitlines()
    )


@pytest.mark.slow
def test_tables_and_rows_of_run_are_those_recorded(
    printed: Printed, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = api.run("small.yaml", device="cpu")
    with monkeypatch.context() as patch:
        patch.chdir("/")
        rows = summary.frame()
    assert rows.equals(api.list_runs("small").frame())
    tables = "".join(f"{render(table.data)}\n" for table in summary.tables if table.data)
    assert printed("run", "small.yaml", "--device", "cpu").startswith(tables)
    assert printed("report", "--table", "small") in tables


def test_cache_rows_are_those_printed(printed: Printed) -> None:
    frame = api.list_cache().frame()
    lines = printed("cache", "list").splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        [row.kind, str(row[2])] for row in frame.itertuples(index=False, name="Row")
    ]
    assert lines[-1].split()[1] == str(frame["count"].sum())
    removed = api.clear_cache(["pixels"]).frame()
    assert removed.equals(frame[frame["kind"] == "pixels"].reset_index(drop=True))
    assert removed["num_bytes"].item() > 0
    assert printed("cache", "clear", "pixels") == "nothing to remove\n"


@pytest.mark.slow
def test_verify_rows_are_those_printed(printed: Printed) -> None:
    frame = api.verify("small.yaml", sample=2, sets=["epochs=1"], device="cpu").frame()
    words = ["--sample", "2", "--set", "epochs=1", "--device", "cpu"]
    lines = [line for line in printed("verify", "small.yaml", *words).splitlines() if "): " in line]
    assert [line.split(" (")[0] for line in lines] == frame["name"].tolist()
    assert all(f"({run[:12]}, " in line for run, line in zip(frame["run"], lines, strict=True))
    assert all(line.endswith("equal, byte for byte") for line in lines)
    assert not frame["difference"].any()


def test_a_notebook_shows_rows(printed: Printed) -> None:
    listed, report = api.list_runs(), api.report()
    assert listed._repr_html_() == listed.frame().to_html()
    assert repr(listed) == str(listed) == listed.frame().to_string()
    assert set(report.frames()) == {"small", "sizes"}
    assert report._repr_html_().count("<table") == 2


def test_plan_actual_rows_are_those_printed(printed: Printed) -> None:
    actual = api.actual("small.yaml")
    shown = json.loads(printed("plan", "small.yaml", "--actual", "--format", "json"))
    stages = shown if isinstance(shown, list) else shown["stages"]
    assert stages == actual.rows()
    assert [row["stage"] for row in stages] == actual.frame()["stage"].tolist()
    assert len(stages) == 5
