"""The frozen prefix of a network: what plans and stages know of it, without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.artifacts import ArtifactName, features_name


@dataclass(frozen=True, slots=True)
class FrozenPrefix:
    """The part of a network that computes the same for an image in every epoch.

    Attributes:
        key: hash of the images, of the part's operations and of its weights; "" where a database
            does not tell.
        cut: name of its last operation.
        shape: of one image's output.
        views: how many different images training makes of one; None where that is not fixed, so
            that only images as they are, which are evaluated, can be computed once for all.
        num_bytes: that its outputs for all images take, or None when not known.
    """

    key: str
    cut: str
    shape: tuple[int, ...]
    views: int | None = 1
    num_bytes: int | None = None

    @property
    def stored_views(self) -> int:
        """Of how many views of each image its outputs are kept: the first is the image as it is."""
        return self.views or 1

    @property
    def name(self) -> str:
        """The artifact name of its outputs for all images.

        Raises:
            ValueError: when the key is not known.
        """
        if not self.key:
            raise ValueError(f"no name of an artifact is known for the features up to {self.cut}")
        return features_name(self.key)

    def to_json(self) -> dict[str, Any]:
        """Return what stages hold of it."""
        values: dict[str, Any] = {"cut": self.cut, "shape": list(self.shape)}
        return values if self.views == 1 else {**values, "views": self.views}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], name: str = "") -> FrozenPrefix:
        """Return what :meth:`to_json` made, of features with this artifact name."""
        key = ArtifactName.parse(name).key if name else ""
        return cls(key, values["cut"], tuple(values["shape"]), values.get("views", 1))
