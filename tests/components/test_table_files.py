"""Files of tables: whatever bytes they hold, they are read or refused by name."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from examples import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.components.data.invalid import InvalidData
from runner.components.data.table_files import read_table

ROWS = [("cat/a.png", "cat"), ('dog/b,\n".png', "dög"), ("c\tat.png", "NA")]
NAMES = ("path", "label")
DAMAGES = st.lists(
    st.tuples(st.integers(0, 9999), st.integers(0, 3), st.binary(max_size=3)),
    min_size=1,
    max_size=4,
)
"""Where, how many bytes go, and what stands there instead."""


def delimited(delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([NAMES, *ROWS])
    return text.getvalue().encode()


def parquet_bytes() -> bytes:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    rows = [dict(zip(NAMES, row, strict=True)) for row in ROWS]
    content = io.BytesIO()
    parquet.write_table(arrow.Table.from_pylist(rows), content)
    return content.getvalue()


def whole(suffix: str) -> bytes:
    if suffix == ".parquet":
        return parquet_bytes()
    if suffix == ".jsonl":
        rows = [json.dumps(dict(zip(NAMES, row, strict=True))) for row in ROWS]
        return "\n".join(rows).encode()
    return delimited("," if suffix == ".csv" else "\t")


def read(path: Path) -> list[tuple[str, str]]:
    def choose(names: Sequence[str]) -> Sequence[str]:
        if not set(NAMES) <= set(names):
            raise InvalidData("a column is lacking")
        return NAMES

    table = read_table(path, choose)
    return list(zip(table.texts("path"), table.texts("label"), strict=True))


SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_values_come_back_as_they_were_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(whole(suffix))
    assert read(path) == ROWS


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("suffix", SUFFIXES)
@settings(max_examples=examples(500), deadline=None)
@given(damages=DAMAGES)
def test_damaged_table_is_read_or_refused_as_one(
    suffix: str, damages: list[tuple[int, int, bytes]]
) -> None:
    content = bytearray(whole(suffix))
    for where, gone, instead in damages:
        start = where % len(content) if content else 0
        content[start : start + gone] = instead
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        path.write_bytes(content)
        try:
            rows = read(path)
        except InvalidData:
            return
        assert all(isinstance(value, str) for row in rows for value in row)


def test_parquet_of_text_that_is_not_utf8_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(parquet_bytes().replace("dög".encode(), b"d\xff\xffg"))
    with pytest.raises(InvalidData, match=r"a.parquet is no Parquet file that can be read: 'utf-8"):
        read(path)


def test_table_that_cannot_be_opened_is_an_oserror(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    for suffix in SUFFIXES:
        with pytest.raises(FileNotFoundError):
            read(tmp_path / f"gone{suffix}")
