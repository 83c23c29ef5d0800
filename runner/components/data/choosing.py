"""The choice of some classes, and of some images of each, out of a data set's.

Owns the settings; which images there are is for the data set to know.
"""

from collections import Counter
from typing import Annotated

from pydantic import Field, field_validator

from runner.components.data.dataset import MAX_IMAGES, DatasetSettings


class Choosing(DatasetSettings):
    """A data set of which some classes and images may be chosen.

    What is not chosen is neither read nor part of the fingerprint.
    """

    include: tuple[Annotated[str, Field(min_length=1)], ...] | None = Field(
        None,
        min_length=1,
        max_length=100_000,
        description="names of the classes that are used; all of them when not given",
        json_schema_extra={"neutral": None},
    )
    per_class: int | None = Field(
        None,
        ge=1,
        le=MAX_IMAGES,
        description="at most so many images of each class are used: the first by name",
        json_schema_extra={"neutral": None},
    )

    @field_validator("include", mode="after")
    @classmethod
    def _each_once_in_order(cls, names: tuple[str, ...] | None) -> tuple[str, ...] | None:
        # one choice has one key, whatever the order in which it is written
        if names is None:
            return None
        name, count = Counter(names).most_common(1)[0]
        if count > 1:
            raise ValueError(f"{name} stands twice")
        return tuple(sorted(names))

    def num_classes(self) -> int | None:
        """Return how many classes there are where the spec names them."""
        return None if self.include is None else len(self.include)
