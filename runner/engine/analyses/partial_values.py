"""What a long analysis has measured before its end: a later attempt goes on behind it.

Owns what is in the file, where it fits, and how often it is written. Values are recorded when the
analysis has ended, not before; then the file goes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from runner.artifacts.atomic import whole_file
from runner.artifacts.partial_values import FILE
from runner.core.errors import is_full_disk
from runner.core.keys import content_key
from runner.core.moments import reached
from runner.core.records import AnalysisValue
from runner.core.stages import Analyse
from runner.engine.context import Context
from runner.engine.job import StageJob


class PartialValues:
    """The values of an analysis so far.

    Attributes:
        values: those that an earlier attempt left, in their order.
    """

    def __init__(self, context: Context, job: StageJob[Analyse]) -> None:
        """Read what an attempt of the same weights, under the same numerics, has left."""
        self._path = context.artifacts.checkpoint(job.stage.key) / FILE
        self._about: Mapping[str, Any] = {
            "stage": job.stage.key,
            "weights": job.digest_of(job.stage.weights),
            "numerics": dict(context.numerics),
        }
        self._compared = ["stage", "weights"] if context.accept_mixed else list(self._about)
        self._seconds, self._check = context.checkpoint_seconds, job.check_claim
        self._written = time.monotonic()
        self.values = self._read()

    def keep(self, values: Sequence[AnalysisValue]) -> None:
        """Keep the values so far, where it is long ago that they were kept; as far as they fit.

        Raises:
            ClaimLost: when another process took the stage over.
        """
        if time.monotonic() - self._written < self._seconds:
            return
        rows = [[each.name, each.value, dict(each.dims)] for each in values]
        content = {"about": dict(self._about), "values": rows}
        text = json.dumps({**content, "checksum": content_key("partial values", content)})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(self._path) as partial:
                partial.write_text(text, encoding="utf-8")
                self._check()
            reached("values of an analysis kept before its end")
        except OSError as error:
            if not is_full_disk(error):
                raise
        self._written = time.monotonic()

    def _read(self) -> tuple[AnalysisValue, ...]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
            checksum, about = content.pop("checksum"), content["about"]
            is_whole = checksum == content_key("partial values", content)
            fits = all(about[name] == self._about[name] for name in self._compared)
            rows = content["values"] if is_whole and fits else []
            return tuple(AnalysisValue(name, value, dims) for name, value, dims in rows)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return ()
