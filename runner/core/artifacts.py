"""Names of artifacts: what stages leave for one another in `.runner/`, as it stands in plans.

Owns the text of such a name, such as ``pixels/<key>`` or ``states/<segment>-<epoch>``, which keys
and databases hold. Knows no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

ArtifactKind = Literal[
    "pixels", "features", "changed", "states", "checkpoints", "weights", "logits", "analyses"
]
KINDS: tuple[ArtifactKind, ...] = get_args(ArtifactKind)

WITH_PART = {"states": 1, "weights": 1, "logits": 2}
"""Words behind the key in names of a kind: the epoch of a state; which weights they are; of which
weights and of which images logits are."""
WITHIN = "within"
"""Word behind the key in the name of the state in which a training was stopped within an epoch."""


@dataclass(frozen=True, slots=True)
class ArtifactName:
    """The name of an artifact.

    Attributes:
        kind: what it is.
        key: of the pixels, of the features, of the changed images, of the segment on which a state
            lies, of the training that a checkpoint is of, of the run alone whose weights or logits
            they are, of an analysis.
        part: the epoch of a state; ``within`` of a checkpoint that lies within an epoch; ``best``
            or ``last`` of weights, of logits with the split, as in ``best-val``; "" of the others.
    """

    kind: ArtifactKind
    key: str
    part: str = ""

    @classmethod
    def parse(cls, text: str) -> ArtifactName:
        """Return the name that a text is.

        Raises:
            ValueError: when it is none.
        """
        kind, _, rest = text.partition("/")
        key, part = rest, ""
        if words := WITH_PART.get(kind):
            key, *parts = rest.rsplit("-", words)
            key, part = (key, "-".join(parts)) if len(parts) == words else ("", "")
        elif kind == "checkpoints" and rest.endswith(f"-{WITHIN}"):
            key, part = rest.removesuffix(f"-{WITHIN}"), WITHIN
        is_state = kind == "states"
        is_elsewhere = "/" in rest or rest in (".", "..")
        if kind not in KINDS or not key or is_elsewhere or (is_state and not part.isdecimal()):
            raise ValueError(f"{text!r} is no name of an artifact")
        return cls(kind, key, part)

    @property
    def epoch(self) -> int:
        """The epoch of a state."""
        return int(self.part)

    @property
    def file(self) -> str:
        """What the artifact's file or folder is called among those of its kind."""
        return f"{self.key}-{self.part}" if self.part else self.key

    def __str__(self) -> str:
        return f"{self.kind}/{self.file}"


# Plans hold tens of thousands of names: these give what str(ArtifactName(…)) gives, but faster.


def pixels_name(key: str) -> str:
    """Return the artifact name of decoded images."""
    return f"pixels/{key}"


def features_name(key: str) -> str:
    """Return the artifact name of a frozen prefix's output for all images."""
    return f"features/{key}"


def changed_name(key: str) -> str:
    """Return the artifact name of images that an analysis changed."""
    return f"changed/{key}"


def state_name(segment: str, epoch: int) -> str:
    """Return the artifact name of the state after an epoch of a segment."""
    return f"states/{segment}-{epoch}"


def weights_name(solo_key: str, which: str) -> str:
    """Return the artifact name of the ``best`` or ``last`` weights that a run keeps."""
    return f"weights/{solo_key}-{which}"


def logits_name(solo_key: str, which: str, split: str) -> str:
    """Return the artifact name of what the weights that a run keeps give for a split."""
    return f"logits/{solo_key}-{which}-{split}"


def checkpoint_name(stage_key: str, within: bool = False) -> str:
    """Return the artifact name of the checkpoint of a training.

    Args:
        stage_key: of the training.
        within: whether of the one in which it was stopped within an epoch.
    """
    return f"checkpoints/{stage_key}-{WITHIN}" if within else f"checkpoints/{stage_key}"


def checkpoint_names(stage_key: str) -> tuple[str, str]:
    """Return the artifact names of both checkpoints that a training may have."""
    return checkpoint_name(stage_key), checkpoint_name(stage_key, within=True)


def analysis_name(stage_key: str) -> str:
    """Return the artifact name of the arrays that an analysis leaves."""
    return f"analyses/{stage_key}"


def kind_of(text: str) -> ArtifactKind:
    """Return the kind of an artifact by its name.

    Raises:
        ValueError: when it is the name of none.
    """
    kind = text.partition("/")[0]
    if kind not in KINDS:
        raise ValueError(f"{text!r} is no name of an artifact")
    return kind
