"""Splits of a table without a column for them: what the folders of its files are called like."""

from __future__ import annotations

from collections.abc import Sequence

from runner.components.data.invalid import InvalidData
from runner.components.data.listing import enumerated
from runner.components.data.split_folders import SPLIT_OF
from runner.components.data.splitting import Split
from runner.components.data.table_rows import Row


def splits_by_folder(rows: Sequence[Row], where: str) -> list[Row]:
    """Return rows with the splits that their folders are called like, where all of them are.

    Rows of a table without splits are images of train/…, test/… in the layout of Hugging Face.
    Where all lie in folders of one split, these say nothing.

    Raises:
        InvalidData: when some rows lie in such folders and others do not, but for folders that are
            called like a class.
    """
    called = [_splits_of(row.name) for row in rows]
    splits = set().union(*called)
    if not splits:
        return list(rows)
    if all(len(own) == 1 for own in called):
        several = len(splits) > 1
        return [
            row._replace(split=own.pop()) if several else row
            for row, own in zip(rows, called, strict=True)
        ]
    folders = {part for row in rows for part in _folders_of_splits(row.name)}
    if folders.issubset(row.label for row in rows):
        return list(rows)
    others = [
        f"{row.place} ({row.name})" for row, own in zip(rows, called, strict=True) if len(own) != 1
    ]
    raise InvalidData(
        f"files of {where} lie in {enumerated(sorted(folders))}, which are called like splits, but"
        f" these do not: {enumerated(others)}",
        "say in a column `split` of which split each row is: train, val or test",
    )


def _folders_of_splits(name: str) -> list[str]:
    return [part for part in name.split("/")[:-1] if part.lower() in SPLIT_OF]


def _splits_of(name: str) -> set[Split]:
    return {SPLIT_OF[part.lower()] for part in _folders_of_splits(name)}
