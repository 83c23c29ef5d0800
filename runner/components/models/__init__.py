"""Models. To add one: a file in this folder, and its name in the union below."""

from typing import Annotated

from runner.components.models.convnet import ConvNet
from runner.components.models.mlp import MLP
from runner.components.models.own_model import OwnModel
from runner.components.models.timm_model import TimmModel
from runner.components.models.timm_names import PREFIX
from runner.components.models.torchvision_model import TorchvisionModel
from runner.components.models.union import ByName
from runner.components.own.union import OwnCode

Model = Annotated[
    MLP | ConvNet | TorchvisionModel | TimmModel, ByName(TimmModel, PREFIX), OwnCode(OwnModel)
]
