"""Cells of a table, and the runs that answer them.

Settings appear as plain nested dictionaries in their canonical form, so that planning and storing
need no knowledge of components.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.keys import canonical_json
from runner.core.reader import Reader

Settings = Mapping[str, Any]


class ResolvedSettings:
    """Settings of a run or of its data: as JSON values, and as their own class.

    What is stored, sent to another process or compared is the JSON. Only the components know the
    class: they make the typed settings where these came from JSON alone, once for each object.

    Attributes:
        json: all settings by name, defaults included.
        typed: the same as their own class, None until somebody asked.
    """

    __slots__ = ("json", "typed")

    def __init__(self, json: Settings, typed: Any = None) -> None:
        self.json = json
        self.typed = typed

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ResolvedSettings):
            return NotImplemented
        return self.json == other.json

    def __hash__(self) -> int:
        return hash(canonical_json(self.json))

    def __repr__(self) -> str:
        return f"ResolvedSettings({self.json!r})"

    def __reduce__(self) -> tuple[type[ResolvedSettings], tuple[Settings]]:
        return ResolvedSettings, (self.json,)


@dataclass(frozen=True, slots=True)
class Published:
    """A value printed elsewhere.

    Attributes:
        value: as printed.
        within: the most by which a measured value may differ from it, or None when nothing is
            asked of the difference.
    """

    value: float
    within: float | None = None

    def as_json(self) -> float | dict[str, float]:
        """Return the value as records hold it: a number, or a mapping when it has a tolerance."""
        if self.within is None:
            return self.value
        return {"value": self.value, "within": self.within}

    @classmethod
    def from_json(cls, recorded: float | Mapping[str, float]) -> Published:
        """Return what :meth:`as_json` made; numbers are all that older records have."""
        if isinstance(recorded, Mapping):
            return cls(recorded["value"], recorded["within"])
        return cls(recorded)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of an experiment: a combination of its sweep, a seed and, with `folds`, a fold.

    Attributes:
        position: which combination of the sweep, from 0, in the order of the spec.
        labels: what the spec calls it, by label name.
        swept: the settings that the sweep gave it, by canonical path.
        published: values printed elsewhere, by table column.
        variant: "" or the profile and ``--set`` options that changed it.
        settings: everything resolved, seed included.
        settings_key: the key of ``settings``.
        name: of its combination, unique within the experiment.
        fold: which of the spec's `folds`, from 1; 0 where it has none.
    """

    experiment: str
    position: int
    seed: int
    labels: Mapping[str, str]
    swept: Mapping[str, Any]
    published: Mapping[str, Published]
    variant: str
    settings: Settings
    settings_key: str
    name: str = ""
    fold: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """One fully resolved training on known data; equal runs answer several cells.

    Attributes:
        fingerprint: of the data.
        weights: digest of the pretrained tensors that are loaded, "" without.
    """

    run_key: str
    settings_key: str
    settings: ResolvedSettings
    data_key: str
    fingerprint: str
    reader: Reader
    weights: str = ""
