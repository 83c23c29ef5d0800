"""A database whose runs have a setting that there is no more: they are shown as they were."""

import json
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from commands import TINY, Call

from runner.store.checksums import seal_all
from runner.store.database import open_database

PIPELINE = {"p": 1.0, "steps": [{"p": 0.5, "name": "RandomHorizontalFlip"}], "reference": True}
AUGMENTED = "train: {augment: {reference: true, steps: [RandomHorizontalFlip]}, "


def with_pipeline(value: Any) -> Any:
    """Return JSON in which every training is augmented, by torchvision itself."""
    if isinstance(value, list):
        return [with_pipeline(each) for each in value]
    if not isinstance(value, dict):
        return value
    added = {"augment": PIPELINE} if "optimizer" in value else {}
    return {**{name: with_pipeline(each) for name, each in value.items()}, **added}


@pytest.fixture
def earlier(tiny: Path) -> Path:
    """A finished grid of an earlier release, where an augmentation could say `reference: true`."""
    database = open_database(tiny / "results.db")
    columns = {"runs": ("settings",), "stages": ("spec",), "experiments": ("document",)}
    with database.write() as connection:
        for table, names in columns.items():
            for name in names:
                rows = connection.execute(sa.text(f"SELECT rowid, {name} FROM {table}")).all()
                assert rows
                for row, text in rows:
                    query = sa.text(f"UPDATE {table} SET {name} = :text WHERE rowid = :row")
                    new = json.dumps(with_pipeline(json.loads(text)))
                    connection.execute(query, {"text": new, "row": row})
        source = TINY.replace("train: {", AUGMENTED)
        connection.execute(sa.text("UPDATE experiments SET source = :text"), {"text": source})
        seal_all(connection)
    database.close()
    return tiny


@pytest.mark.slow
def test_runs_with_a_removed_setting_are_listed_shown_and_reported(
    earlier: Path, call: Call
) -> None:
    listed = call("list")
    assert (listed.code, listed.out.count("done")) == (0, 4)
    shown = call("show", "tiny:0:0")
    assert shown.code == 0, shown.err
    assert "train.augment.reference: true" in shown.out
    for words in (
        ("report",),
        ("report", "tiny.yaml"),
        ("diff", "tiny:0:0", "tiny:1:0"),
        ("db", "check"),
        ("db", "dump", "--canonical"),
        ("cache", "list"),
    ):
        ended = call(*words)
        assert ended.code == 0, (words, ended.out, ended.err)


@pytest.mark.slow
def test_plans_and_runs_go_on_beside_runs_with_a_removed_setting(earlier: Path, call: Call) -> None:
    planned = call("plan", "tiny.yaml", "--device", "cpu")
    assert planned.code == 0, planned.err
    more = call("run", "tiny.yaml", "--device", "cpu", "--set", "epochs=3", "--only", "seed=0")
    assert more.code == 0, more.err


def test_spec_of_such_runs_says_what_is_unknown(earlier: Path, call: Call) -> None:
    (earlier / "tiny.yaml").write_text(TINY.replace("train: {", AUGMENTED))
    refused = call("plan", "tiny.yaml")
    assert refused.code == 2
    assert "unknown setting 'reference' in train.augment" in refused.err
