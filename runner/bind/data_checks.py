"""Problems of data sets, with their position in the spec."""

from __future__ import annotations

from collections.abc import Sequence

from runner.bind.positions import problem_at, written_node
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.finding import MissingData
from runner.components.data.invalid import InvalidData, UnknownClasses
from runner.components.data.listing import SharedFolder
from runner.components.own.problems import OwnCodeFailed
from runner.core.errors import Problem, SpecError, nearest
from runner.spec.cells import ResolvedCell
from runner.spec.nodes import find

SHOWN_CLASSES = 24
NOT_WHOLE = (
    "the data set is there, but not whole: put the file back, or remove its folder, and"
    " `runner run` downloads it again"
)


def build_source(resolved: ResolvedCell, access: DataAccess) -> ImageSource:
    """Return a cell's images.

    Args:
        resolved: the cell.
        access: finds and hashes their files.

    Raises:
        SpecError: when they cannot be read, or are not as the spec says.
        MissingData: when they are not there.
        DownloadFailed: when they cannot be fetched.
    """
    try:
        source = resolved.settings.data.build(access)
    except UnknownClasses as error:
        raise _unknown_classes(error, resolved) from None
    except InvalidData as error:
        raise SpecError([_invalid(error, resolved)]) from None
    except SharedFolder as error:
        hint = "give each class a folder of its own"
        raise problem_at(resolved, "data.path", str(error), hint=hint) from None
    except OwnCodeFailed as error:
        allowed, hint = error.allowed, error.hint
        raise problem_at(resolved, "data.dataset", error.found, allowed, hint=hint) from None
    except OSError as error:
        found = f"the data cannot be read: {error}"
        hint = ""
        if isinstance(error, PermissionError):
            hint = "give the right to read its folders and files"
        elif isinstance(error, FileNotFoundError) and not hasattr(resolved.settings.data, "path"):
            hint = NOT_WHOLE  # of a published set
        raise problem_at(resolved, "data.path", found, hint=hint) from None
    _refuse_unused_fractions(resolved, source)
    return source


FRACTIONS = (("val", "validation"), ("test", "test"))
OFFICIAL = {setting: split for split, setting in FRACTIONS}


def _refuse_unused_fractions(resolved: ResolvedCell, source: ImageSource) -> None:
    """Refuse a fraction of images that the data set has itself: it would change nothing.

    Raises:
        SpecError: with each that is written.
    """
    data = resolved.settings.data
    if data.fold is not None and (official := OFFICIAL[data.fold.held_out]) in source.splits:
        found = f"data.fold holds out {data.fold.held_out} images, but the data set has"
        found += f" {source.splits.count(official)} of its own"
        raise problem_at(resolved, "data.fold", found)
    if source.groups:
        _refuse_parted_groups(resolved, source)
    problems = [
        Problem(
            written_node(resolved.tree, f"data.{setting}").position,
            f"data.{setting} is {getattr(resolved.settings.data, setting)}, but the data set has"
            f" {source.splits.count(split)} {setting} images of its own",
            hint="leave it out",
        )
        for split, setting in FRACTIONS
        if split in source.splits and find(resolved.tree, ["data", setting]) is not None
    ]
    if problems:
        raise SpecError(problems)


def _refuse_parted_groups(resolved: ResolvedCell, source: ImageSource) -> None:
    """Refuse a fraction beside folds of groups: it would take images of a group apart.

    Raises:
        SpecError: with the first there is.
    """
    data = resolved.settings.data
    fractions = {"validation": data.validation, "test": data.test_share() or 0.0}
    for split, setting in FRACTIONS:
        is_fold = data.fold is not None and data.fold.held_out == setting
        if fractions[setting] and not is_fold and split not in source.splits:
            column = data.group_column()
            shown = "`groups`" if column is None else f"data.columns.group: {column}"
            where = "`splits`" if column is None else "a column `split`"
            hint = f"say in {where} which images are test" if setting == "test" else ""
            raise problem_at(
                resolved,
                f"data.{setting}",
                f"data.{setting} is {fractions[setting]}, but images of a group"
                f" ({shown}) are not to be taken apart",
                f"data.{setting}: 0",
                hint=hint,
            )


def check_class_weights(resolved: ResolvedCell, source: ImageSource) -> None:
    """Check that given weights of classes are one for each class that the network tells apart.

    Raises:
        SpecError: when they are not.
    """
    settings = resolved.settings
    weights = settings.train.loss.class_weights
    outputs = settings.model.classes or len(source.classes)
    if weights is None or weights == "balanced" or len(weights) == outputs:
        return
    raise problem_at(
        resolved,
        "train.loss.class_weights",
        f"train.loss.class_weights has {len(weights)} numbers, but there are {outputs} classes",
        f"a number for each of {_shown(source.classes)}, in this order",
    )


def _invalid(error: InvalidData, resolved: ResolvedCell) -> Problem:
    return Problem(
        written_node(resolved.tree, f"data.{error.setting}").position,
        str(error),
        error.allowed,
        hint=error.hint,
        suggestion=error.suggestion,
    )


def missing_data(error: MissingData, resolved: ResolvedCell) -> Problem:
    """Return the problem of a missing data set, with its position in the spec."""
    given = find(resolved.tree, ["data", error.setting.partition(".")[0]])
    path = f"data.{error.setting}" if given else "data.dataset"
    looked = ", ".join(str(path) for path in error.looked)
    found = f"missing data set {resolved.settings.data.dataset}: {error.what}"
    found += f"\n    looked for: {looked}" if looked else ""
    return Problem(written_node(resolved.tree, path).position, found, hint=error.how_to_get)


def _unknown_classes(error: UnknownClasses, resolved: ResolvedCell) -> SpecError:
    node = written_node(resolved.tree, "data.include")
    items = {item.value: item for item in node.value} if node.is_sequence else {}
    shown = _shown(error.classes)
    return SpecError(
        Problem(
            items.get(name, node).position,
            f"data.include: no class is called {name!r}",
            shown,
            suggestion=nearest(name, error.classes),
        )
        for name in error.names
    )


def _shown(classes: Sequence[str]) -> str:
    """Return the first names of classes."""
    more = ", …" if len(classes) > SHOWN_CLASSES else ""
    return ", ".join(classes[:SHOWN_CLASSES]) + more
