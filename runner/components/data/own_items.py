"""What an own data set gives: its images and labels one by one, its classes, splits and groups.

Owns how own code is asked. What it gives is checked here, and a mistake is told with its index and
the line of the code. Own code is asked by one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple

from runner.components.data.dataset import MAX_IMAGES
from runner.components.data.own_images import NoItem, as_image, as_label, image_digest
from runner.components.data.splitting import SPLITS, Split
from runner.components.own.loading import failed
from runner.components.own.opened_files import opened_files
from runner.components.own.problems import OwnCodeFailed
from runner.core.errors import nearest
from runner.core.text import printable

if TYPE_CHECKING:
    from PIL.Image import Image

METHODS = ("__len__", "__getitem__")


class Item(NamedTuple):
    """An image with its label, as own code gives them.

    Attributes:
        image: gray, RGB or RGBA.
        label: a whole number of at least 0, or a name.
        digest: of the image.
    """

    image: Image
    label: int | str
    digest: str


class Undecodable(OSError):
    """An image that own code, or Pillow on its behalf, could not read."""


class OwnItems:
    """The items of an instance of own code.

    Attributes:
        name: of the class, in messages.
        count: of its images.
        opened: the files that own code was seen to open for reading.
    """

    def __init__(self, name: str, make: Callable[[], Any]) -> None:
        """Make the instance, and ask it how many there are.

        Args:
            name: of the class.
            make: returns an instance.

        Raises:
            OwnCodeFailed: when it is no map-style data set, or is empty.
        """
        self.name, self._lock = name, Lock()
        self.opened: set[str] = set()
        with opened_files(self.opened):
            made = self._made = make()
        for method in METHODS:
            if not callable(getattr(type(made), method, None)):
                found = f"'{name}' has no {method}"
                hint = "a data set has __len__ and __getitem__, which gives (image, label)"
                raise OwnCodeFailed(found, hint=hint)
        try:
            with opened_files(self.opened):
                self.count = len(made)
        except (Exception, SystemExit) as error:
            raise failed(f"'{name}' does not say how many images it has", error) from error
        if not 0 < self.count <= MAX_IMAGES:
            found = f"'{name}' has {self.count} images{self.line_of('__len__')}"
            raise OwnCodeFailed(found, allowed=f"1 to {MAX_IMAGES}")

    def line_of(self, method: str) -> str:
        """Return where a method stands, as " (file:line)", or "" where that is not known."""
        code = getattr(getattr(type(self._made), method, None), "__code__", None)
        return f" ({code.co_filename}:{code.co_firstlineno})" if code is not None else ""

    def __getitem__(self, index: int) -> Item:
        """Return an item.

        Raises:
            Undecodable: when its image cannot be read or decoded.
            OwnCodeFailed: when own code raises another error, or gives no image and label.
        """
        from PIL import Image as PillowImage

        what = f"image {index} of '{self.name}' cannot be read"
        try:
            with self._lock, opened_files(self.opened):
                given = self._made[index]
                image, label = self._parts(index, given)
                decoded = as_image(image)
            return Item(decoded, as_label(label), image_digest(decoded))
        except OwnCodeFailed:
            raise
        except NoItem as wrong:
            raise self._wrong(index, wrong) from None
        except (OSError, SyntaxError, PillowImage.DecompressionBombError) as error:
            raise Undecodable(failed(what, error).found) from error
        except (Exception, SystemExit) as error:
            raise failed(what, error) from error

    def _parts(self, index: int, given: Any) -> tuple[Any, Any]:
        if isinstance(given, tuple | list) and len(given) == 2:
            return given[0], given[1]
        shown = f"a {type(given).__name__}"
        if isinstance(given, tuple | list):
            shown += f" of {len(given)}"
        raise NoItem(shown, "(image, label)")

    def _wrong(self, index: int, wrong: NoItem) -> OwnCodeFailed:
        where = self.line_of("__getitem__")
        found = f"'{self.name}' gives {wrong.found} at index {index}{where}"
        return OwnCodeFailed(found, allowed=wrong.allowed, hint=wrong.hint)

    def classes(self) -> tuple[str, ...]:
        """Return the names of the classes, () where it has none.

        Raises:
            OwnCodeFailed: when they are not different names.
        """
        found = self._listed("classes")
        for place, name in enumerate(found):
            if not isinstance(name, str) or not name:
                self._refuse("classes", place, name, "a name")
        names = tuple(printable(name) for name in found)
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise OwnCodeFailed(f"'{self.name}' has the class {twice} twice")
        return names

    def splits(self) -> tuple[Split, ...]:
        """Return the split of each image, () where it has none.

        Raises:
            OwnCodeFailed: when one is none, or they are not one for each image.
        """
        found = self._of_each_image("splits")
        for place, split in enumerate(found):
            if split not in SPLITS:
                self._refuse("splits", place, split, ", ".join(SPLITS), SPLITS)
        return tuple(found)

    def groups(self) -> tuple[str, ...]:
        """Return the group of each image, () where it has none.

        Raises:
            OwnCodeFailed: when one is no name or number, or they are not one for each image.
        """
        groups = []
        for place, group in enumerate(self._of_each_image("groups")):
            try:
                groups.append(str(as_label(group)))
            except NoItem:
                self._refuse("groups", place, group, "a name, or a whole number of at least 0")
        return tuple(groups)

    def files(self) -> tuple[Path, ...]:
        """Return the files that it says it reads, absolute, () where it says nothing.

        Raises:
            OwnCodeFailed: when one is no file.
        """
        found = self._listed("files")
        for place, path in enumerate(found):
            if not isinstance(path, str | Path) or not Path(path).is_file():
                hint = (
                    "`files` are the files that the class reads; what else is called so, is renamed"
                )
                self._refuse("files", place, str(path), "paths of files", hint=hint)
        return tuple(dict.fromkeys(Path(path).absolute() for path in found))

    def _of_each_image(self, name: str) -> list[Any]:
        found = self._listed(name)
        if found and len(found) != self.count:
            raise OwnCodeFailed(
                f"'{self.name}' has {self.count} images{self.line_of('__len__')}, but {name} has"
                f" {len(found)} entries"
            )
        return found

    def _listed(self, name: str) -> list[Any]:
        """Return what an optional attribute, or a method of that name, lists."""
        try:
            with opened_files(self.opened):
                value = getattr(self._made, name, None)
                value = value() if callable(value) else value
                if value is None:
                    return []
                is_unordered = isinstance(value, Set | Mapping)
                if isinstance(value, str | bytes) or not isinstance(value, Iterable):
                    raise TypeError(f"it is a {type(value).__name__}, not a list")
                if is_unordered and name != "files":
                    raise TypeError(f"it is a {type(value).__name__}, whose order says nothing")
                return [each.item() if hasattr(each, "item") else each for each in value]
        except (Exception, SystemExit) as error:
            raise failed(f"{name} of '{self.name}' cannot be used", error) from error

    def _refuse(
        self,
        name: str,
        place: int,
        value: Any,
        allowed: str,
        known: tuple[str, ...] = (),
        hint: str = "",
    ) -> None:
        raise OwnCodeFailed(
            f"{name} of '{self.name}' has {value!r:.60} at index {place}",
            allowed=allowed,
            hint=hint,
            suggestion=nearest(str(value), known) if known else "",
        )
