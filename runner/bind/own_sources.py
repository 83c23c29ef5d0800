"""The text of own code, as a run's record keeps it: to be read and compared, never to be run.

Of the files that it reads, names and digests are kept; the text too where it is a short one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any

from pydantic import BaseModel

from runner.bind.code_digests import components_of
from runner.components.own.component import OwnComponent
from runner.components.own.declared_files import DeclaredFile
from runner.components.own.local_files import LocalFiles
from runner.components.own.names import is_code_name
from runner.spec.metrics import ROOT as METRICS

KEY = "own_code"
"""In an environment: the files' texts by their names, by the digest of the code."""
FILES = "own_files"
"""In an environment: SHA-256 and bytes of the files that code reads, by name, by its digest."""
PACKAGES = "own_packages"
"""In an environment: name and version of the package that offers code, by its digest."""
MOST_TEXT = 1 << 16
"""Bytes of a file that is read whose text is kept at most."""

Sources = Mapping[str, str]
"""Texts by the names of their files."""
Declared = Mapping[str, Mapping[str, Any]]
"""``sha256`` and ``bytes`` by the names of files that are read."""


def sources_to_record(settings: Iterable[BaseModel]) -> dict[str, dict[str, Any]]:
    """Return what is recorded of the own code of runs with their environment; nothing without."""
    codes = {
        component.code: component.own.files
        for one in settings
        for component in components_of(one)
        if isinstance(component, OwnComponent)
    }
    texts = {code: _texts(files) for code, files in codes.items()}
    declared = {
        code: {each.shown: {"sha256": each.digest, "bytes": each.size} for each in files.declared}
        for code, files in codes.items()
        if files.declared
    }
    packages = {code: " ".join(files.release) for code, files in codes.items() if files.release}
    parts = ((KEY, texts), (FILES, declared), (PACKAGES, packages))
    return {name: kept for name, kept in parts if kept}


def _texts(files: LocalFiles) -> dict[str, str]:
    short = {each.shown: _short_text(each) for each in files.declared}
    return {
        **{
            each.shown: each.text.decode("utf-8", "backslashreplace")
            for each in files.modules.values()
        },
        **{name: text for name, text in short.items() if text},
    }


def _short_text(file: DeclaredFile) -> str:
    """Return what a file says, "" where it is long, no text, or another one by now."""
    if file.size > MOST_TEXT:
        return ""
    try:
        content = file.path.read_bytes()
        text = content.decode()
    except (OSError, UnicodeDecodeError):
        return ""
    is_the_same = hashlib.sha256(content).hexdigest() == file.digest
    return text if is_the_same and "\0" not in text else ""


def recorded_sources(record: Mapping[str, Any]) -> dict[str, Sources]:
    """Return the own code of a recorded run, by the setting that names it.

    It is taken out of the environments of the record's attempts, where it stands for all runs of an
    invocation.
    """
    return _taken(record, KEY)


def recorded_files(record: Mapping[str, Any]) -> dict[str, Declared]:
    """Return what the own code of a recorded run reads, as :func:`recorded_sources` does."""
    return _taken(record, FILES)


def recorded_packages(record: Mapping[str, Any]) -> dict[str, str]:
    """Return name and version of the packages that offer the code of a recorded run, likewise."""
    return _taken(record, PACKAGES)


def _taken(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for attempt in record["attempts"]:
        kept |= attempt["environment"].pop(name, {})
    digests = recorded_digests(record)
    return {path: kept[digest] for path, digest in digests.items() if digest in kept}


def recorded_digests(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the digests of the own code of a recorded run, by the setting that names it."""
    return dict(_digests({**record["settings"], METRICS: record.get("metrics", {})}, ""))


def _digests(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield (dotted path, digest) of the own components in recorded settings."""
    if isinstance(value, list):
        value = {str(number): item for number, item in enumerate(value)}
    if not isinstance(value, Mapping):
        return
    if is_code_name(value.get("dataset", value.get("name"))) and "code" in value:
        yield path, str(value["code"])
    for name, inner in value.items():
        yield from _digests(inner, f"{path}.{name}" if path else name)


def changed_lines(one: Sources, other: Sources) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield (file:line, line, line) of what differs between texts, None where there is no line.

    Lines are counted in the first text, or in the second where the first has none.
    """
    for name in dict.fromkeys([*one, *other]):
        first, second = (texts.get(name, "").splitlines() for texts in (one, other))
        matcher = SequenceMatcher(None, first, second, autojunk=False)
        for kind, start, end, begin, stop in matcher.get_opcodes():
            if kind == "equal":
                continue
            for number in range(max(end - start, stop - begin)):
                left = first[start + number] if start + number < end else None
                right = second[begin + number] if begin + number < stop else None
                line = start + number if left is not None else begin + number
                yield f"{name}:{line + 1}", left, right
