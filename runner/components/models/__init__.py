"""Models. To add one: a file in this folder, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from runner.components.models.convnet import ConvNet
from runner.components.models.mlp import MLP
from runner.components.models.torchvision_model import TorchvisionModel

Model = Annotated[MLP | ConvNet | TorchvisionModel, Field(discriminator="name")]
