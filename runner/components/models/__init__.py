"""Models. To add one: a file in this folder, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from runner.components.models.convnet import ConvNet
from runner.components.models.mlp import MLP
from runner.components.models.own_model import OwnModel
from runner.components.models.torchvision_model import TorchvisionModel
from runner.components.own.union import OwnCode

Model = Annotated[MLP | ConvNet | TorchvisionModel, Field(discriminator="name"), OwnCode(OwnModel)]
