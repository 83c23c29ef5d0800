"""Data sets. To add one: a file in this folder, and its name in the union below."""

from typing import Annotated

from pydantic import Field

from runner.components.data.digits import Digits
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.synthetic import Synthetic

Data = Annotated[Digits | ImageFolder | Synthetic, Field(discriminator="dataset")]
