"""Images with what a run predicts of them: the most confident right and wrong, and chosen ones.

Reads kept logits, prepared images or the data itself. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from runner.bind.kept_predictions import find_logits
from runner.bind.named_runs import find_record
from runner.bind.run_images import run_images
from runner.bind.trained_models import recorded_settings
from runner.bind.workspace import Workspace
from runner.components import scores
from runner.components.settings import metric_split
from runner.core.errors import DataError
from runner.store.database import Database

if TYPE_CHECKING:
    from runner.engine.kept_logits import KeptLogits

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
        By ``right`` and ``wrong``, as :func:`predicted_images`.

    Raises:
        UsageError: when no predictions were kept, or the images are gone, or others now.
        DataError: when they cannot be decoded, or a logit is not finite.
    """
    record = find_record(database, run_key)
    name = metric_split(split)
    kept = find_logits(database, home, record, name, weights)
    return predicted_images(home, record, kept, confident_rows(kept, count))


def confident_rows(kept: KeptLogits, count: int) -> dict[str, list[int]]:
    """Return the rows of logits that are most confidently ``right`` and ``wrong``.

    Raises:
        DataError: when a logit is not finite.
    """
    with _finite():
        return {
            kind: scores.most_confident(kept.logits, kept.labels, kind == "right", count).tolist()
            for kind in ("right", "wrong")
        }


@contextmanager
def _finite() -> Iterator[None]:
    """Turn what is said of logits that are not finite into an error in words."""
    try:
        yield
    except ValueError as error:
        raise DataError(f"nothing is predicted confidently: {error}") from None


def predicted_images(
    home: Workspace,
    record: Mapping[str, Any],
    kept: KeptLogits,
    rows: Mapping[str, Sequence[int]],
) -> dict[str, Arrays]:
    """Return images with what is said of them.

    Args:
        home: of the database.
        record: of the run.
        kept: its logits.
        rows: of the logits, by any name.

    Returns:
        By name: ``images`` (N, H, W, C) uint8 as they were prepared, ``labels``, ``predicted``,
        ``probabilities`` (N, classes) and ``names``.

    Raises:
        UsageError: when the images are gone, or others now.
        DataError: when they cannot be decoded, or a logit is not finite.
    """
    spec = Path(str(record["cells"][0]["path"])) if record["cells"] else Path("spec.yaml")
    data, access = recorded_settings(record).data, home.data_access(spec)
    known = run_images(home, data, str(record["fingerprint"]), access)
    with _finite():
        guesses, shares = scores.predicted(kept.logits), scores.probabilities(kept.logits)
    found: dict[str, Arrays] = {}
    for kind, chosen in rows.items():
        names = [kept.names[row] for row in chosen]
        found[kind] = {
            "images": known.named(names),
            "labels": kept.labels[chosen],
            "predicted": guesses[chosen],
            "probabilities": shares[chosen],
            "names": np.array(names, dtype=str),
        }
    return found
