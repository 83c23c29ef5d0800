"""What is known of a cell's images before its data is looked at: their shape, and their classes.

Owns the problems of a spec of which that does not follow.
"""

from __future__ import annotations

from runner.bind.positions import problem_at
from runner.components.data.preparing import Shape, prepared_shape
from runner.core.errors import SpecError
from runner.spec.cells import ResolvedCell


def unseen_shape(resolved: ResolvedCell, given: Shape | None = None) -> Shape:
    """Return channels, height and width of the images of a cell.

    Args:
        resolved: the cell.
        given: the shape to take, whatever its data; None takes what follows from the spec.

    Raises:
        SpecError: when the size of the images follows from the data alone.
    """
    shape = given or prepared_shape(resolved.settings.data)
    if shape is not None:
        return shape
    found = "how large the images are is not known before the data is looked at"
    hint = "give --image, as 3x224x224"
    raise problem_at(
        resolved, "data", found, "data.crop, or data.resize: [height, width]", hint=hint
    )


def unseen_classes(resolved: ResolvedCell, given: int | None = None) -> int:
    """Return how many classes the data of a cell has.

    Args:
        resolved: the cell.
        given: the number to take, whatever its data; None takes what follows from the spec.

    Raises:
        SpecError: when the number follows from the data alone, or is more than the network's.
    """
    wanted = resolved.settings.model.classes
    found = given or resolved.settings.data.num_classes() or wanted
    if found is None:
        said = "how many classes there are is not known before the data is looked at"
        hint = "give --classes, as 10"
        raise problem_at(resolved, "data", said, "model.classes, or data.include", hint=hint)
    if wanted is not None and wanted < found:
        raise _too_few(resolved, wanted, found)
    return found


def _too_few(resolved: ResolvedCell, wanted: int, found: int) -> SpecError:
    said = f"model.classes is {wanted}, but the data has {found} labels"
    hint = "leave it out to have one for each label"
    return problem_at(resolved, "model.classes", said, f"at least {found}", hint=hint)
