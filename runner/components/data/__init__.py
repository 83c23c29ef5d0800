"""Data sets. To add one: a file in this folder, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from runner.components.data.arrays import Arrays
from runner.components.data.caltech101 import Caltech101
from runner.components.data.cifar import Cifar10, Cifar100
from runner.components.data.digits import Digits
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.mnist import FashionMnist, Kmnist, Mnist
from runner.components.data.synthetic import Synthetic
from runner.components.data.table import Table

Data = Annotated[
    Digits
    | ImageFolder
    | Table
    | Arrays
    | Synthetic
    | Caltech101
    | Cifar10
    | Cifar100
    | Mnist
    | FashionMnist
    | Kmnist,
    Field(discriminator="dataset"),
]
