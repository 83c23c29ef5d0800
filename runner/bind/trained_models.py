"""Recorded runs as trained networks: their weights, their classes, the size of their images.

Everything that can be wrong is told before any work: no such run, none that is done, weights that
are gone, with what getting them back costs. Writes nothing to the database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runner.artifacts.exchange import read_whole
from runner.bind.commands import make_again
from runner.bind.named_runs import find_record
from runner.bind.pretrained import find_recorded
from runner.bind.run_images import RunImages, run_images
from runner.bind.workspace import REFERENCE, Workspace
from runner.components.data.dataset import DataAccess
from runner.components.measures import METRIC_NAMES, metric_parts
from runner.components.models.pretrained import Pretrainable
from runner.components.resolved import refuse_code
from runner.components.settings import Settings
from runner.core.artifacts import weights_name
from runner.core.errors import UsageError, nearest
from runner.core.reader import KEPT_WEIGHTS, KeptWeights
from runner.core.text import show_seconds
from runner.engine.inference.model import KeptFile, TrainedModel
from runner.spec.analyses import kept_as
from runner.store.database import Database
from runner.store.progress import artifact_digests

Record = Mapping[str, Any]


def trained_model(
    home: Workspace,
    name: str,
    weights: str = "best",
    db: str | Path | None = None,
    record: Record | None = None,
) -> tuple[TrainedModel, RunImages]:
    """Return the trained network of a recorded run, and the images it was trained on.

    Args:
        home: where database and weights lie.
        name: of the run, as :func:`find_record` takes it.
        weights: ``best`` or ``last``.
        db: how the database was named, for commands in messages.
        record: what :func:`find_record` returns of it, where that is known.

    Raises:
        UsageError: when no run is meant, it is not done, its weights are gone or damaged, or its
            classes are not known here any more.
    """
    which = _which(weights)
    with home.open(create=False) as database:
        record = find_record(database, name) if record is None else record
        _refuse_unfinished(record, name, db)
        settings = recorded_settings(record)
        tensors, file = _tensors(database, home, record, _kept_as(which, record, settings), db)
    spec = Path(str(record["cells"][0]["path"])) if record["cells"] else Path("spec.yaml")
    access = home.data_access(spec)
    images = run_images(home, settings.data, str(record["fingerprint"]), access)
    result = record["result"]
    epoch = int(result[f"{weights}_epoch"])
    measured = {each["epoch"]: each for each in record["epochs"]}.get(epoch, {})
    model = TrainedModel(
        run_key=record["run_key"],
        settings=settings,
        classes=images.classes,
        shape=images.shape,
        epoch=epoch,
        tensors=tensors,
        pretrained=_pretrained(settings, access),
        about={name: value for name, value in measured.items() if _is_of_weights(name)},
        command=make_again(record["cells"], db),
        kept=file,
    )
    return model, images


def _which(weights: str) -> KeptWeights:
    for each in KEPT_WEIGHTS:
        if each == weights:
            return each
    raise UsageError(
        f"there are no weights '{weights}'",
        allowed=", ".join(KEPT_WEIGHTS),
        suggestion=nearest(weights, KEPT_WEIGHTS),
    )


def _is_of_weights(name: str) -> bool:
    """Return whether a recorded number is of an epoch's weights, not of the epoch's course."""
    return name in METRIC_NAMES and metric_parts(name)[0] != "train"


def _refuse_unfinished(record: Record, name: str, db: str | Path | None) -> None:
    status = record["status"]
    if status == "done":
        return
    words = {"diverged": "has diverged", "failed": "has failed"}
    again = make_again(record["cells"], db)
    if status in ("unfinished", "running"):
        again = again.replace(" --rerun", "", 1)
    raise UsageError(
        f"run {name} {words.get(status, f'is {status}')}: it has no weights",
        hint=f"`{again}` trains it" if again and status != "running" else "",
    )


def recorded_settings(record: Record) -> Settings:
    """Return the settings of a recorded run.

    Raises:
        UsageError: when this version does not know them all, or own code is not allowed.
    """
    try:
        return Settings.model_validate_json(json.dumps(record["settings"]))
    except ValidationError as error:
        refuse_code(error)
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise UsageError(
            f"this version has not all that run {record['run_key'][:12]} was made of:"
            f" {where}: {first['msg']}"
        ) from None


def _kept_as(weights: KeptWeights, record: Record, settings: Settings) -> KeptWeights:
    """Return as which weights a run keeps those that are asked for.

    Raises:
        UsageError: when it does not keep them.
    """
    kept = kept_as(weights, settings)
    if kept is None and record["result"]["best_epoch"] == record["result"]["last_epoch"]:
        return "best"
    if kept is None:
        raise UsageError(
            f"run {record['run_key'][:12]} has not kept the weights of its last epoch",
            allowed="best",
            hint="runs with `evaluate: {test: last}` keep both",
        )
    return kept


def _tensors(
    database: Database, home: Workspace, record: Record, weights: KeptWeights, db: str | Path | None
) -> tuple[Mapping[str, Any], KeptFile]:
    """Return the weights that a run keeps, compared with what was recorded of them."""
    rerun = record["result"]["rerun"]
    readings = [
        each["reading"]
        for each in record["attempts"]
        if each["kind"] == "train" and each["rerun"] == rerun and each["reading"]
    ]
    run = f"run {record['run_key'][:12]}"
    if not readings or home.database_path == REFERENCE:
        raise UsageError(f"weights of reference results do not ship: {_cost(record, db)}")
    name = weights_name(readings[-1], weights)
    stored = home.artifacts(database)
    path = stored.path(name)
    what = "damaged" if path.exists() else "gone"
    if path.exists() or stored.shared is not None:
        from runner.engine.network.whole_weights import whole_weights

        digest = artifact_digests(database, [name]).get(name)
        if found := read_whole(stored, name, lambda file: whole_weights(file, digest)):
            return found, KeptFile(readings[-1], weights, digest)
    told = "".join(f"; {note}" for note in home.notes())
    raise UsageError(f"the weights of {run} are {what} ({path}){told}", hint=_cost(record, db))


def _cost(record: Record, db: str | Path | None) -> str:
    """Return what it takes to get weights back, and the command."""
    result = record["result"]
    epochs = "1 epoch" if result["last_epoch"] == 1 else f"{result['last_epoch']} epochs"
    took = f"{epochs} took {show_seconds(result['seconds'])} on {result['device']}"
    return f"only training again brings them back ({took}): {make_again(record['cells'], db)}"


def _pretrained(settings: Settings, access: DataAccess) -> Path | None:
    """Return the file that gives the weights of frozen layers, None where it is not needed."""
    model = settings.model
    if not isinstance(model, Pretrainable) or not model.given_weights() or model.freeze == "none":
        return None
    return find_recorded(model, access)
