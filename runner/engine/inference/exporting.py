"""A trained network as a file that is kept only if it computes what the run's network computes.

Owns the metadata of exported files and the comparison. Knows no format from within.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.artifacts.atomic import whole_file
from runner.components.component import canonical_settings
from runner.core.errors import StageFailed
from runner.engine.inference.classifying import TrainedClassifier
from runner.engine.inference.formats import ExportFormat
from runner.engine.inference.model import TrainedModel

TOLERANCE = 1e-3
"""The most that logits may differ, as a share of how far they lie apart from image to image."""

ROUNDING = 1e-5
"""The same as a share of the largest logit, where all images get nearly the same."""


@dataclass(frozen=True, slots=True)
class Compared:
    """How a file's logits compare with those of the run's network.

    Attributes:
        images: how many images both saw.
        difference: the largest of any logit.
        allowed: the most that is.
        same_class: images to which both give the same class.
        other_class: images to which they give different ones, though the network is sure of its
            own: it is ahead of the next by more than is allowed.
    """

    images: int
    difference: float
    allowed: float
    same_class: int
    other_class: int = 0

    @property
    def is_same(self) -> bool:
        """Whether it is the same network, but for rounding."""
        return self.difference <= self.allowed and not self.other_class  # not where one is NaN

    def words(self) -> str:
        """Return the comparison for people."""
        return (
            f"On {self.images} images of the run's data, the file was compared with the run's"
            f" network: both give the same class to {self.same_class} of them, and logits differ by"
            f" at most {self.difference:.2g}."
        )


def metadata_of(model: TrainedModel) -> dict[str, str]:
    """Return what an exported file says of itself; values other than names are JSON."""
    return {
        "format": "runner 1",
        "run": model.run_key,
        "epoch": str(model.epoch),
        "classes": json.dumps(list(model.outputs), ensure_ascii=False),
        "preprocessing": json.dumps(model.preprocessing()),
        "settings": json.dumps(canonical_settings(model.settings), ensure_ascii=False),
        "measured": json.dumps(dict(model.about)),
        "torch": torch.__version__,
        "runner": version("runner"),
    }


def export_network(
    model: TrainedModel,
    form: ExportFormat,
    out: Path,
    pixels: NDArray[np.uint8],
    beside: Callable[[Compared], str],
) -> Compared:
    """Write a network to a file, and a text beside it; on an error, neither is left behind.

    Args:
        model: the network.
        form: of the file.
        out: the file; one that is there is replaced.
        pixels: (N, H, W, C), images on which the file is compared with the network.
        beside: makes the text, the model card.

    Raises:
        StageFailed: when the network cannot be exported so, or the file computes something else.
        UsageError: when the network is too large for the format.
        OSError: when the disk is full.
    """
    classifier = TrainedClassifier(model, torch.device("cpu"))
    module = classifier.network.module
    form.check(module)
    ours = torch.cat(
        [classifier.logits(part, in_full=True) for part in _parts(pixels, classifier.batch_size)]
    )
    images = [classifier.inputs(part) for part in _parts(pixels, classifier.batch_size)]
    module.requires_grad_(False)
    module.to(memory_format=torch.contiguous_format)
    # what is entered last takes its place first: no file without its card
    with whole_file(out) as partial, whole_file(card_path(out)) as card:
        form.write(partial, module, model, metadata_of(model))
        with torch.inference_mode():
            theirs = torch.cat([form.logits(partial, model, each.contiguous()) for each in images])
        compared = compare(ours, theirs)
        if not compared.is_same:
            raise StageFailed(
                f"the {form.name} file computes something else than the run's network: on"
                f" {compared.images} images of its data, logits differ by up to"
                f" {compared.difference:.3g} ({compared.allowed:.3g} is allowed), and both give the"
                f" same class to {compared.same_class}; nothing was kept"
            )
        card.write_text(beside(compared), encoding="utf-8")
    return compared


def card_path(out: Path) -> Path:
    """Return where the model card of an exported file lies."""
    return out.with_name(f"{out.name}.md")


def compare(ours: Tensor, theirs: Tensor) -> Compared:
    """Return how logits (N, outputs) of the network and of a file compare."""
    if ours.shape != theirs.shape:
        return Compared(len(ours), float("nan"), 0.0, 0)
    apart = float((ours - ours.mean(0)).abs().max())
    allowed = max(TOLERANCE * apart, ROUNDING * float(ours.abs().max()))
    same = ours.argmax(1) == theirs.argmax(1)
    best = ours.topk(min(2, ours.shape[1]), dim=1).values
    is_sure = best[:, 0] - best[:, -1] > allowed
    return Compared(
        images=len(ours),
        difference=float((ours - theirs).abs().max()),
        allowed=allowed,
        same_class=int(same.sum()),
        other_class=int((~same & is_sure).sum()),
    )


def _parts(pixels: NDArray[np.uint8], size: int) -> list[NDArray[np.uint8]]:
    """Return batches: the first image alone, so that both kinds of batch are compared."""
    rest = [pixels[start : start + size] for start in range(1, len(pixels), size)]
    return [pixels[:1], *rest]
