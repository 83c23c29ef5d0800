"""The verb `show`: all that is recorded of a run, and where its numbers come from."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.api.frames import Framed
from runner.api.listing import recorded_reference
from runner.bind.analysis_names import with_names
from runner.bind.changed_code import changed_modules
from runner.bind.code_digests import Sources
from runner.bind.commands import make_again
from runner.bind.metric_names import name_metrics
from runner.bind.named_runs import find_record
from runner.bind.own_sources import recorded_files, recorded_packages, recorded_sources
from runner.bind.workspace import REFERENCE, Workspace, workspace
from runner.spec.cell_names import Given, cell_names
from runner.store.database import Database
from runner.store.stored_cells import stored_cells

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class RunRecord(Framed, Mapping[str, Any]):
    """All that is recorded of a run, by name: ``settings``, ``result``, ``epochs`` and others.

    Attributes:
        record: as JSON values.
    """

    record: Mapping[str, Any]

    def __getitem__(self, name: str) -> Any:
        return self.record[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.record)

    def __len__(self) -> int:
        return len(self.record)

    def frame(self) -> pd.DataFrame:
        """Return one row per epoch, with its metrics."""
        import pandas as pd

        epochs = self.record["epochs"]
        columns = dict.fromkeys(name for epoch in epochs for name in epoch)
        return pd.DataFrame(epochs, columns=list(columns or {"epoch": None}))


def show(name: str, db: str | Path | None = None) -> RunRecord:
    """Return everything recorded of a run.

    Args:
        name: the beginning of a run key, or a cell as ``experiment:position`` or
            ``experiment:position:seed``, of a variant with ``@variant`` behind it.
        db: the database; results.db when not given.

    Raises:
        UsageError: when nothing or several runs are meant.
    """
    home = workspace(db)
    with home.open(create=False) as database:
        return record_in(database, home, name, db)


def record_in(
    database: Database, home: Workspace, name: str, db: str | Path | None = None
) -> RunRecord:
    """Return everything recorded of a run in an open database; as :func:`show`."""
    record = find_record(database, name)
    _name_cells(database, record["cells"])
    record["analyses"] = with_names(database, record)
    name_metrics(database, record)
    record["own_code"] = recorded_sources(record)
    record["own_files"] = recorded_files(record)
    record["own_packages"] = recorded_packages(record)
    record["changed_code"] = list(_changed(database, home, record))
    record["command"] = make_again(record["cells"], db)
    return RunRecord(record)


def _name_cells(database: Database, cells: Sequence[dict[str, Any]]) -> None:
    """Give cells of a record their names, as `list` names them."""
    names: dict[tuple[str, str], dict[int, str]] = {}
    for experiment in dict.fromkeys(cell["experiment"] for cell in cells):
        given: dict[str, dict[int, Given]] = {}
        for cell_there in stored_cells(database, experiment):
            of_variant = given.setdefault(cell_there.variant, {})
            of_variant[cell_there.position] = (cell_there.labels, cell_there.swept)
        names |= {(experiment, variant): cell_names(cells) for variant, cells in given.items()}
    for cell in cells:
        cell["cell"] = recorded_reference(cell)
        cell["name"] = names[cell["experiment"], cell["variant"]][cell["position"]]


def _changed(database: Database, home: Workspace, record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modules that a run used and that now have other code; none of the reference's."""
    from pydantic import ValidationError

    from runner.components.settings import Settings

    if home.database_path == REFERENCE or record["result"] is None:
        return ()
    try:
        settings = Settings.model_validate_json(json.dumps(record["settings"]))
    except ValidationError:  # of a component that is not there any more
        return ()
    return changed_modules(database, Sources(home.folder), record["run_key"], settings)
