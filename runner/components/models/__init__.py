"""Models. To add one: a file in this folder, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from runner.components.models.convnet import ConvNet
from runner.components.models.mlp import MLP

Model = Annotated[MLP | ConvNet, Field(discriminator="name")]
