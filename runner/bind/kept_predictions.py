"""Finds the logits that a recorded run has kept.

Owns what is said where there are none. Reads `.runner/` and the database, and imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

from runner.artifacts.exchange import read_whole
from runner.bind.workspace import Workspace
from runner.components.settings import METRIC_SPLITS
from runner.core.artifacts import logits_name, weights_name
from runner.core.errors import UsageError, nearest
from runner.core.reader import KEPT_WEIGHTS, KeptWeights
from runner.engine.kept_logits import KeptLogits, whole_logits
from runner.store.database import Database
from runner.store.progress import artifact_digests, called_in_trainings

AGAIN = (
    "`runner run` computes them from the weights where the spec has the analysis {{name:"
    " predictions, split: {images}}}, or a table shows {split}_auroc"
)


def find_logits(
    database: Database,
    home: Workspace,
    record: Mapping[str, Any],
    split: str,
    weights: str | None = None,
) -> KeptLogits:
    """Return what a run's kept weights say of the images of a split.

    Args:
        database: where the run is recorded.
        home: of the database.
        record: of the run, as `find_record` returns it.
        split: ``val``, ``test`` or ``train_eval``.
        weights: ``best`` or ``last``; by default the first of them of which there is something.
            Where both are of one epoch, each stands for the other.

    Raises:
        UsageError: for an unknown split, a run that is not done, or where nothing was kept or what
            was is gone or damaged.
    """
    _check_name(split, tuple(METRIC_SPLITS), "split")
    wanted: tuple[str, ...] = KEPT_WEIGHTS
    if weights is not None:
        _check_name(weights, get_args(KeptWeights), "weights")
        wanted = (weights,)
    short = str(record["run_key"] or record["settings_key"])[:12]
    if record["result"] is None or record["result"]["status"] != "done":
        raise UsageError(f"run {short} is {record['status']}: no weights were evaluated")
    if record["result"]["best_epoch"] == record["result"]["last_epoch"]:
        wanted = tuple(dict.fromkeys((*wanted, *KEPT_WEIGHTS)))
    solo = called_in_trainings(database, record["run_key"], record["result"]["rerun"])
    logits = {logits_name(solo, each, split): weights_name(solo, each) for each in wanted}
    digests = artifact_digests(database, [*logits, *logits.values()])
    kept = [name for name in logits if name in digests]
    if not kept:
        raise UsageError(f"of run {short} no {split} predictions were kept", hint=_again(split))
    stored = home.artifacts(database)
    for name in kept:
        read = partial(whole_logits, digest=digests[name], weights=digests.get(logits[name]))
        if found := read_whole(stored, name, read):
            return found
    raise UsageError(
        f"the {split} predictions of run {short} are gone or damaged, or not those of its weights",
        hint=_again(split),
    )


def _again(split: str) -> str:
    return AGAIN.format(split=split, images=METRIC_SPLITS[split])


def _check_name(name: str, allowed: tuple[str, ...], what: str) -> None:
    if name not in allowed:
        near = nearest(name, allowed)
        raise UsageError(f"unknown {what} '{name}'", allowed=", ".join(allowed), suggestion=near)
