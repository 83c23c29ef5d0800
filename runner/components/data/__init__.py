"""Data sets. To add one: a file in this folder, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from runner.components.data.arrays import Arrays
from runner.components.data.caltech101 import Caltech101
from runner.components.data.cifar import Cifar10, Cifar100
from runner.components.data.digits import Digits
from runner.components.data.dtd import Dtd
from runner.components.data.eurosat import EuroSat
from runner.components.data.flowers102 import Flowers102
from runner.components.data.food101 import Food101
from runner.components.data.huggingface import HuggingFace
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.imagenette import Imagenette
from runner.components.data.mnist import FashionMnist, Kmnist, Mnist
from runner.components.data.own_data import OwnData
from runner.components.data.oxford_iiit_pet import OxfordIiitPet
from runner.components.data.stl10 import Stl10
from runner.components.data.svhn import Svhn
from runner.components.data.synthetic import Synthetic
from runner.components.data.table import Table
from runner.components.own.union import OwnCode

Data = Annotated[
    Digits
    | ImageFolder
    | Table
    | Arrays
    | HuggingFace
    | Synthetic
    | Caltech101
    | Cifar10
    | Cifar100
    | Mnist
    | FashionMnist
    | Kmnist
    | Svhn
    | Stl10
    | Flowers102
    | OxfordIiitPet
    | Food101
    | EuroSat
    | Dtd
    | Imagenette,
    Field(discriminator="dataset"),
    OwnCode(OwnData),
]
