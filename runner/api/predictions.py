"""The verb `predictions`: what a run's kept weights say of the images of a split.

Owns how that is shown as tables. Nothing is computed by a network: logits were kept by the run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from runner.api.frames import Framed
from runner.bind.kept_predictions import find_logits
from runner.bind.metric_names import name_metrics, own_values
from runner.bind.named_runs import find_record
from runner.bind.workspace import workspace
from runner.components import scores
from runner.components.measures import MEASURES

if TYPE_CHECKING:
    import pandas as pd

    from runner.engine.kept_logits import KeptLogits


@dataclass(frozen=True, repr=False, eq=False)
class SplitPredictions(Framed):
    """SplitPredictions of one run on one split.

    Attributes:
        run: key of the run.
        kept: logits (N, classes), labels (N,), names of images and classes, epoch.
        own: recorded values of own metrics on them, by name.
    """

    run: str
    kept: KeptLogits
    own: Mapping[str, float] = field(default_factory=dict)

    @cached_property
    def probabilities(self) -> scores.Floats:
        """The softmax of the logits, (N, classes)."""
        return scores.probabilities(self.kept.logits)

    def frame(self) -> pd.DataFrame:
        """Return one row per image: name, label, predicted class, its probability, all logits."""
        import pandas as pd

        kept, classes = self.kept, np.asarray(self.kept.classes, dtype=object)
        guesses = scores.predicted(kept.logits)
        columns = {
            "image": list(kept.names),
            "label": classes[kept.labels],
            "predicted": classes[guesses],
            "probability": self.probabilities[np.arange(len(guesses)), guesses],
        }
        logits = pd.DataFrame(kept.logits, columns=[f"logit {name}" for name in kept.classes])
        return pd.concat([pd.DataFrame(columns), logits], axis=1)

    def confusion(self) -> pd.DataFrame:
        """Return how many images of each class (rows) are predicted as each class (columns)."""
        import pandas as pd

        matrix = scores.confusion_matrix(self.kept.logits, self.kept.labels)
        rows = pd.Index(self.kept.classes, name="label")
        return pd.DataFrame(matrix, rows, pd.Index(self.kept.classes, name="predicted"))

    def classes(self) -> pd.DataFrame:
        """Return one row per class: precision, recall, F1, AUROC, images; NaN where undefined."""
        import pandas as pd

        logits, labels = self.kept.logits, self.kept.labels
        columns = scores.columns_of_classes(logits, labels)
        return pd.DataFrame(columns, pd.Index(self.kept.classes, name="class"))

    def measures(self) -> Mapping[str, float]:
        """Return the measures of the whole split by name, those of which a table has columns.

        Those that say nothing of these images are left out, as AUROC of images of one class. Own
        metrics are there as they were recorded.
        """
        from runner.engine.tally import values_of_logits

        classes = len(self.kept.classes)
        measures = [each for each in MEASURES if classes >= each.least_classes]
        found = values_of_logits(self.kept.logits, self.kept.labels, measures)
        known = {name: value for name, value in found.items() if math.isfinite(value)}
        return {**known, **self.own}

    def calibration(self, bins: int = scores.BINS) -> pd.DataFrame:
        """Return one row per bin of confidence: above, up_to, images, confidence, accuracy."""
        import pandas as pd

        found = scores.calibration(self.kept.logits, self.kept.labels, bins)
        columns = {
            "above": found.edges[:-1],
            "up_to": found.edges[1:],
            "images": found.images,
            "confidence": found.confidence,
            "accuracy": found.accuracy,
        }
        return pd.DataFrame(columns)

    def most_confident(self, is_right: bool, count: int = 10) -> pd.DataFrame:
        """Return the rows of :meth:`frame` that are right, or wrong, most confident first."""
        chosen = scores.most_confident(self.kept.logits, self.kept.labels, is_right, count)
        return self.frame().iloc[chosen]


def predictions(
    run: str,
    split: str = "test",
    weights: str | None = None,
    db: str | Path | None = None,
) -> SplitPredictions:
    """Return what a run's kept weights say of the images of a split.

    Args:
        run: the beginning of a run key, or a cell as ``experiment:position[:seed][@variant]``.
        split: ``test``, ``val`` or ``train_eval``.
        weights: ``best`` or ``last``; by default the first of them of which logits were kept.
        db: the database; results.db when not given.

    Raises:
        UsageError: when no or several runs are meant, the run is not done, or no logits of this
            split were kept.
    """
    home = workspace(db)
    with home.open(create=False) as database:
        record = find_record(database, run)
        kept = find_logits(database, home, record, split, weights)
        name_metrics(database, record)
        own = own_values(record, kept.split, kept.epoch)
        return SplitPredictions(record["run_key"], kept, own)
