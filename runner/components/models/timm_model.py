"""Networks of the package timm, by their names there."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from pydantic import ConfigDict, Field, model_validator

from runner.components.component import Component
from runner.components.models.classifier import Shape
from runner.components.models.hub_weights import NEWEST, HubFile
from runner.components.models.pretrained import Pretrainable, WeightsFile
from runner.components.models.timm_names import PREFIX, UnknownNetwork, require_timm

if TYPE_CHECKING:
    import torch

FILE = "model.safetensors"
"""How timm calls the file of weights in a repository, where it says no other name."""


class Revision(Component):
    """Which of the weights that were published under a name, for good."""

    revision: str = Field(
        pattern="^[0-9a-f]{40}$",
        description="commit of the weights' repository, 40 hexadecimal digits",
    )
    sha256: str = Field(
        pattern="^[0-9a-f]{64}$", description="of the file of weights, 64 hexadecimal digits"
    )


class TimmModel(Pretrainable):
    """A network of timm by its name there, with as many outputs as the data has classes.

    `pip install "runner[timm]"`. The name is that of an architecture, as `timm/resnet18`, or has
    the tag of one of its pretrained weights, as `timm/resnet18.a1_in1k`. It takes images of the
    size and channels that the data has; networks that are made for one size are built for that.
    Another version of timm may build another network under the same name: the version is
    recorded with each run, and weights of another layout are refused.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "timm/resnet18"}]})

    name: str = Field(
        pattern=r"^timm/[a-z0-9_]+(\.[a-z0-9_]+)?$",
        max_length=200,
        examples=["timm/resnet18"],
        description="`timm/` and a name of `timm.list_models()`, with or without a tag",
    )
    pretrained: bool | Revision = Field(
        False,
        description="the weights of the name's tag, from the Hugging Face Hub: true, or {revision:"
        " …, sha256: …}",
        json_schema_extra={"neutral": False},
    )
    weights: WeightsFile | None = Field(
        None,
        description="{file: …, sha256: …}, tensors as those of `timm.create_model().state_dict()`",
        json_schema_extra={"neutral": None},
    )

    WEIGHTS: ClassVar[tuple[str, ...]] = ("weights", "pretrained")

    @model_validator(mode="after")
    def _one_source_of_weights(self) -> Self:
        if self.pretrained and self.weights:
            raise ValueError("give pretrained or weights, not both")
        if self.pretrained and "." not in self.name:
            raise ValueError(
                f"pretrained needs to know which weights: name: {self.name}.TAG (the tags are"
                f" those of timm.list_pretrained('{self.name.removeprefix(PREFIX)}.*'))"
            )
        return self

    def build(self, image_shape: Shape, num_classes: int) -> torch.nn.Module:
        """Return a module from (B, C, H, W) float to logits (B, ``num_classes``), without weights.

        Raises:
            UnknownNetwork: when timm has no such network, or is not installed.
            ValueError: when it takes no images of this shape.
            RuntimeError: when the images are too small for it.
        """
        require_timm()
        from runner.components.models.timm_net import build_timm

        return build_timm(self.name, image_shape, num_classes)

    def normalization(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return mean and standard deviation, by channel, of the pixels its weights were made for.

        Raises:
            UnknownNetwork: when timm has no such network, or is not installed.
        """
        require_timm()
        from runner.components.models.timm_net import network_config

        config = network_config(self.name)
        return tuple(config.mean), tuple(config.std)

    def published(self) -> HubFile:
        """Return the file of the weights that the name's tag stands for.

        Raises:
            UnknownNetwork: when timm has no such network or no such weights, or is not installed.
        """
        require_timm()
        from runner.components.models.timm_net import network_config

        config = network_config(self.name)
        if not config.hf_hub_id:
            found = f"the weights of {self.name} are not on the Hugging Face Hub"
            raise UnknownNetwork(found, hint="give a file, weights: {file: …, sha256: …}")
        repository, _, revision = config.hf_hub_id.partition("@")
        name = config.hf_hub_filename or FILE
        if isinstance(self.pretrained, Revision):
            pinned = self.pretrained
            return HubFile(repository, name, pinned.revision, pinned.sha256)
        return HubFile(repository, name, revision or NEWEST)

    def size(self) -> tuple[int, int, int]:
        """Return height and width of the images its weights were made for, and how to get them.

        The third number is the shorter side to which timm resizes images before it crops them.

        Raises:
            UnknownNetwork: when timm has no such network, or is not installed.
        """
        require_timm()
        from runner.components.models.timm_net import network_config

        config = network_config(self.name)
        _, height, width = config.input_size
        return height, width, int(min(height, width) / config.crop_pct)

    def last_layer(self) -> frozenset[str]:
        """Return the names of the tensors whose shapes depend on the number of classes."""
        from runner.components.models.timm_net import last_layer

        return last_layer(self.name)

    def where_unlike(self) -> str:
        """Return for which images timm's own weights are."""
        from runner.components.models.timm_net import network_config

        channels, height, width = network_config(self.name).input_size
        return f"timm's own weights are for {channels} channels of {height}×{width} pixels"
