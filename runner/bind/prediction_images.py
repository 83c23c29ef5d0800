"""Images that a run predicts most confidently, right or wrong, with their pixels.

Reads kept logits, prepared images or the data itself. Imports no torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.bind.kept_predictions import find_logits
from runner.bind.named_runs import find_record
from runner.bind.run_images import run_images
from runner.bind.trained_models import recorded_settings
from runner.bind.workspace import Workspace
from runner.components import scores
from runner.components.settings import METRIC_SPLITS
from runner.store.database import Database

Arrays = dict[str, NDArray[Any]]


def confident_images(
    database: Database, home: Workspace, run_key: str, split: str, weights: str, count: int
) -> dict[str, Arrays]:
    """Return the images that are predicted right and wrong with the largest probabilities.

    Args:
        database: where the run is recorded.
        home: of the database.
        run_key: of the run.
        split: whose images: train, val or test.
        weights: best or last.
        count: at most so many of each.

    Returns:
        By ``right`` and ``wrong``: ``images`` (N, H, W, C) uint8 as they were prepared, ``labels``,
        ``predicted``, ``probabilities`` and ``names``.

    Raises:
        UsageError: when no predictions were kept, or the images are gone, or others now.
        DataError: when they cannot be decoded.
    """
    record = find_record(database, run_key)
    name = next(metric for metric, images in METRIC_SPLITS.items() if images == split)
    kept = find_logits(database, home, record, name, weights)
    spec = Path(str(record["cells"][0]["path"])) if record["cells"] else Path("spec.yaml")
    data, access = recorded_settings(record).data, home.data_access(spec)
    known = run_images(home, data, str(record["fingerprint"]), access)
    guesses, shares = scores.predicted(kept.logits), scores.probabilities(kept.logits)
    found: dict[str, Arrays] = {}
    for kind in ("right", "wrong"):
        chosen = scores.most_confident(kept.logits, kept.labels, kind == "right", count)
        names = [kept.names[index] for index in chosen]
        found[kind] = {
            "images": known.named(names),
            "labels": kept.labels[chosen],
            "predicted": guesses[chosen],
            "probabilities": shares[chosen, guesses[chosen]],
            "names": np.array(names, dtype=str),
        }
    return found
