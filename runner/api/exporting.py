"""The verb `export`: the network of a recorded run as a file for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.api.frames import Framed
from runner.artifacts.atomic import refuse_place
from runner.bind.trained_models import trained_model
from runner.bind.workspace import workspace
from runner.core.errors import UsageError, nearest
from runner.core.text import storable
from runner.engine.inference.model_card import model_card, refuse_other_text

if TYPE_CHECKING:
    import pandas as pd

    from runner.engine.inference.exporting import Compared

IMAGES = 64
"""Of the run's data, on which a file is compared with the run's network."""


@dataclass(frozen=True, repr=False)
class Exported(Framed):
    """A file with a trained network.

    Attributes:
        path: the file.
        card: the model card beside it.
        form: of the file.
        run_key: of the run that trained it.
        images: on which file and network were compared.
        difference: the largest of any logit there.
        same_class: images to which both give the same class.
    """

    path: Path
    card: Path
    form: str
    run_key: str
    images: int
    difference: float
    same_class: int

    def frame(self) -> pd.DataFrame:
        """Return one row, with these columns."""
        import pandas as pd

        return pd.DataFrame([{**asdict(self), "path": str(self.path), "card": str(self.card)}])


def export(
    name: str,
    form: str | None = None,
    out: str | Path | None = None,
    *,
    weights: str = "best",
    db: str | Path | None = None,
    data: str | Path | None = None,
) -> Exported:
    """Write the trained network of a run to a file, with a model card beside it.

    The file takes normalised images; preprocessing and class names are in its metadata. It is kept
    only if its logits are those of the run's network on images of the run's data.

    Args:
        name: the run, as in :func:`runner.api.show`.
        form: ``safetensors``, ``onnx`` or ``pt2``; by the suffix of ``out`` when not given.
        out: the file, which is replaced; the run's key with the suffix when not given.
        weights: ``best`` or ``last``.
        db: the database; results.db when not given.
        data: where the run's data and pretrained weights are looked for first, if they are needed;
            RUNNER_DATA when not given.

    Raises:
        UsageError: when nothing or several runs are meant, the weights are gone, packages are
            missing that the format needs, or a file cannot be put where it is wanted; nothing was
            written.
        StageFailed: when the file computes something else; nothing is left of it.
    """
    from runner.engine.inference.exporting import card_path, export_network
    from runner.engine.inference.formats import FORMATS

    suffix = Path(out).suffix.removeprefix(".") if out is not None else ""
    chosen = form or suffix
    if chosen in FORMATS and suffix in FORMATS and suffix != chosen:
        found = f"format {chosen}, and a file that ends in .{suffix}"
        raise UsageError(found, hint=f"leave --format out, or let the file end in .{chosen}")
    if chosen not in FORMATS:
        raise UsageError(
            f"unknown format '{chosen}'" if chosen else "no format is given",
            allowed=", ".join(FORMATS),
            suggestion=nearest(chosen, list(FORMATS)),
        )
    exporter = FORMATS[chosen]
    exporter.check()
    home = workspace(db, data)
    model, images = trained_model(home, name, weights, db)
    path = Path(out) if out is not None else Path(f"{model.run_key[:12]}.{chosen}")
    if storable(str(path)) != str(path):  # the libraries that write these formats take no other
        raise UsageError(f"{storable(str(path))} is no name in UTF-8", hint="give another --out")
    refuse_place(path)
    refuse_place(card_path(path))
    refuse_other_text(card_path(path))

    def card(compared: Compared) -> str:
        example = exporter.example.format(path=json.dumps(path.name))
        return model_card(model, path.name, exporter.about, example, compared.words())

    compared = export_network(model, exporter, path, images.sample(IMAGES), card)
    return Exported(
        path=path,
        card=card_path(path),
        form=chosen,
        run_key=model.run_key,
        images=compared.images,
        difference=compared.difference,
        same_class=compared.same_class,
    )
