"""Networks whose weights may come from elsewhere: from a file, or from those who publish them."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from pydantic import BaseModel, Field, field_validator

from runner.components.component import PATH_FIELD, Component, canonical_settings
from runner.components.models.classifier import MAX_LAYERS, Classifier, LayerPattern
from runner.core.keys import canonical_json


class WeightsFile(Component):
    """Weights in a local file, whose content is checked."""

    file: str = Field(
        min_length=1,
        description="a .pth or .safetensors file of named tensors; looked for as data sets are",
        json_schema_extra=PATH_FIELD,
    )
    sha256: str = Field(
        pattern="^[0-9a-fA-F]{64}$",
        description="64 hexadecimal digits, as `sha256sum FILE` prints them",
    )
    missing: tuple[LayerPattern, ...] = Field(
        (),
        max_length=MAX_LAYERS,
        description="layers that the file may lack, as `classifier` or `layer4.*`; freshly drawn",
    )

    @field_validator("sha256", mode="after")
    @classmethod
    def _in_small_letters(cls, digits: str) -> str:
        return digits.lower()


class Pretrainable(Classifier):
    """A network whose weights may come from elsewhere than the seed."""

    WEIGHTS: ClassVar[tuple[str, ...]] = ("weights",)
    """Settings that say which weights are loaded; one of them is given at most."""

    def given_weights(self) -> WeightsFile | BaseModel | str | bool | None:
        """Return what says which weights are loaded; None or False where none are."""
        return next((given for name in self.WEIGHTS if (given := getattr(self, name))), None)

    def may_be_missing(self) -> tuple[str, ...]:
        """Return patterns of layers that the weights may lack."""
        given = self.given_weights()
        return given.missing if isinstance(given, WeightsFile) else ()

    def has_new_head(self) -> bool:
        """Return whether the network ends otherwise than that of which weights are published."""
        return False

    @abstractmethod
    def last_layer(self) -> frozenset[str]:
        """Return the names of the tensors whose shapes depend on the number of classes."""

    def left_out(self) -> frozenset[str]:
        """Return tensors of published weights for which this network has no place."""
        return frozenset()

    def where_unlike(self) -> str:
        """Return what to do where tensors of weights have other shapes, or ""."""
        return ""


def weights_name(model: Classifier) -> str:
    """Return the name of a model's pretrained weights within an invocation, "" without."""
    if not isinstance(model, Pretrainable) or not model.given_weights():
        return ""
    settings = canonical_settings(model)
    return canonical_json([settings["name"], *(settings[each] for each in model.WEIGHTS)])
