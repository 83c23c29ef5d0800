"""Own data sets: what they give, what identifies it, and mistakes with their index and line."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_cells import CELLS, write_cells
from PIL import Image
from pydantic import TypeAdapter

from runner.components.component import canonical_settings, keyed_settings
from runner.components.data import Data
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.duplicates import duplicates, under_several_labels
from runner.components.data.finding import MissingData
from runner.components.data.invalid import InvalidData
from runner.components.own.permission import allow_code
from runner.components.own.problems import OwnCodeFailed
from runner.core.errors import DataError, RunnerError

pytestmark = pytest.mark.slow

GIVEN = "return self.images[index, self.stain], self.labels[index]"
LENGTH = "return len(self.images)"
HERE = r"\(\S*cells\.py:18\)"


def settings(folder: Path, text: str = CELLS, **others: Any) -> Any:
    write_cells(folder, text)
    with allow_code(folder):
        return TypeAdapter(Data).validate_python(
            {"dataset": "cells.py:Cells", "path": "cells.npz", **others}
        )


def source(folder: Path, text: str = CELLS, **others: Any) -> ImageSource:
    access = DataAccess((folder,), lambda root, names: [])
    found: ImageSource = settings(folder, text, **others).build(access)
    return found


def giving(image: str, label: str = "self.labels[index]") -> str:
    return CELLS.replace(GIVEN, f"return {image}, {label}")


def refused(folder: Path, text: str, **others: Any) -> OwnCodeFailed:
    with pytest.raises(OwnCodeFailed) as caught:
        source(folder, text, **others)
    return caught.value


def test_images_labels_and_classes_are_those_that_the_class_gives(tmp_path: Path) -> None:
    found = source(tmp_path)
    with np.load(tmp_path / "cells.npz") as file:
        images = file["images"]
    assert found.names[:2] == ("00000000", "00000001")
    assert (len(found.names), found.labels[:3], found.classes) == (40, (0, 1, 0), ("0", "1"))
    assert all((np.asarray(found.read(each)) == images[each, 0]).all() for each in range(40))
    assert source(tmp_path, stain=1).fingerprint != found.fingerprint
    (note,) = found.notes
    assert re.match(r"'cells.py:Cells': all 40 images were read in ", note)


def test_code_and_paths_and_defaults_are_in_no_key(tmp_path: Path) -> None:
    first = settings(tmp_path)
    assert canonical_settings(first)["stain"] == 0
    text = CELLS.replace("stain: int = 0", "stain: int = 0, more: list[int] = [1]")
    other = settings(tmp_path, text, path="elsewhere.npz")
    assert canonical_settings(first)["code"] != canonical_settings(other)["code"]
    assert keyed_settings(first) == keyed_settings(other)
    assert not {"code", "version", "path", "stain"} & keyed_settings(first).keys()
    assert keyed_settings(settings(tmp_path, stain=1))["stain"] == 1
    assert keyed_settings(settings(tmp_path, text, more=(1, 2)))["more"] == [1, 2]


def test_equal_images_have_equal_digests_by_which_duplicates_are_found(tmp_path: Path) -> None:
    found = source(tmp_path, giving("self.images[index // 2, 0]"))
    groups = duplicates(found.digests)
    assert groups[0] == [0, 1]
    (note,) = under_several_labels(groups, found.labels, found.names)
    assert note.startswith("20 ")


def test_settings_that_were_recorded_with_other_code_are_read(tmp_path: Path) -> None:
    recorded = settings(tmp_path).model_dump_json()
    now = settings(tmp_path, CELLS.replace("index]", "index ^ 0]"))
    with allow_code(tmp_path):
        found = TypeAdapter(Data).validate_json(recorded)
    assert canonical_settings(found) == canonical_settings(now)


def test_paths_are_found_as_those_of_other_data_sets(tmp_path: Path) -> None:
    assert source(tmp_path, path=str(tmp_path / "cells.npz")).names
    with pytest.raises(MissingData, match=r"no file or folder gone\.npz") as caught:
        source(tmp_path, path="gone.npz")
    assert (caught.value.setting, caught.value.looked) == ("path", (tmp_path / "gone.npz",))
    text = CELLS.replace("path: Path,", "path: Path, mask: Path | None = None,")
    assert source(tmp_path, text).names
    with pytest.raises(MissingData, match="no file or folder gone") as caught:
        source(tmp_path, text, mask="gone")
    assert caught.value.setting == "mask"


YIELDED = "self.images[index, 0]"


@pytest.mark.parametrize(
    "image",
    [
        f"{YIELDED}[:, :, None]",
        f"np.stack([{YIELDED}] * 3, 2)",
        f"__import__('torch').from_numpy({YIELDED}.copy())",
        f"Image.fromarray({YIELDED})",
        f"Image.fromarray({YIELDED}).convert('RGB')",
        f"Image.fromarray({YIELDED}).convert('RGBA')",
        f"Image.fromarray({YIELDED}).convert('P')",
    ],
)
def test_an_image_is_the_same_whatever_it_is_given_as(tmp_path: Path, image: str) -> None:
    text = giving(image).replace("import numpy", "from PIL import Image\nimport numpy")
    assert source(tmp_path, text).fingerprint == source(tmp_path).fingerprint


def test_transparent_images_and_deep_ones_are_read_as_of_files(tmp_path: Path) -> None:
    head = "from PIL import Image\nimport numpy"
    clear = "Image.fromarray(np.stack([self.images[index, 0]] * 4, 2))"
    found = source(tmp_path, giving(clear).replace("import numpy", head))
    assert found.read(0).mode == "RGBA"
    deep = "Image.fromarray(self.images[index, 0].astype(np.uint16) * 257)"
    found = source(tmp_path, giving(deep).replace("import numpy", head))
    assert found.fingerprint == source(tmp_path).fingerprint


@pytest.mark.parametrize(
    ("image", "told", "hint"),
    [
        (f"{YIELDED} / 255", r"float64 \(6, 5\)", "data.normalize scales them"),
        (f"np.stack([{YIELDED}] * 3)", r"uint8 \(3, 6, 5\)", "permute"),
        (f"np.stack([{YIELDED}] * 4, 2)", r"uint8 \(6, 5, 4\)", ""),
        (f"{YIELDED}[:0]", r"uint8 \(0, 5\)", ""),
        ("'a.png'", "a str", ""),
        ("index", "an? int", ""),
    ],
)
def test_what_is_no_image_is_told_with_index_and_line(
    tmp_path: Path, image: str, told: str, hint: str
) -> None:
    image = f"{YIELDED} if index < 17 else {image}"
    error = refused(tmp_path, giving(f"({image})"))
    assert re.fullmatch(rf"'cells\.py:Cells' gives {told} at index 17 {HERE}", error.found)
    assert hint in error.hint
    assert error.allowed.startswith("a Pillow image, or uint8 (height, width)")


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("1.0", r"gives 1\.0 at index 17"),
        ("True", "gives True at index 17"),
        ("-1", "gives -1 at index 17"),
        ("''", "gives a name of no letters at index 17"),
        ("np.eye(2)[0]", r"gives float64 \(2,\) at index 17"),
        ("'a'", "gives the label 'a' at index 17"),
    ],
)
def test_what_is_no_label_is_told_with_index_and_line(
    tmp_path: Path, label: str, told: str
) -> None:
    text = giving(YIELDED, f"self.labels[index] if index != 17 else {label}")
    assert re.match(rf"'cells\.py:Cells' {told} {HERE}", refused(tmp_path, text).found)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (GIVEN, "return self.images[index, 0]", rf"gives a ndarray at index 0 {HERE}"),
        (GIVEN, "return 1, 2, 3", rf"gives a tuple of 3 at index 0 {HERE}"),
        ("def __getitem__", "def item", "has no __getitem__"),
        ("def __len__", "def size", "has no __len__"),
        (LENGTH, "return 0", r"has 0 images \(\S*cells\.py:15\)"),
        (LENGTH, "1 / 0", r"does not say how many images it has: \S*cells\.py:16: ZeroDivision"),
        (LENGTH, "return 41", r"cannot be read: \S*cells\.py:19: IndexError"),
        ("self.stain = stain", "1 / 0", r"cannot be built: \S*cells\.py:13: ZeroDivision"),
        (GIVEN, f"assert index != 17\n        {GIVEN}", r"image 17 .* \S*:19: AssertionError"),
    ],
)
def test_other_mistakes_are_told_with_the_line(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    assert old in CELLS
    assert re.search(told, refused(tmp_path, CELLS.replace(old, new)).found)


def with_attribute(text: str) -> str:
    return CELLS.replace("self.stain = stain", f"self.stain = stain\n        {text}")


def test_classes_have_the_names_that_are_given(tmp_path: Path) -> None:
    found = source(tmp_path, with_attribute("self.classes = ['b', 'a', 'c']"))
    assert (found.classes, found.labels[:2]) == (("b", "a"), (0, 1))
    assert found.notes[1] == "'cells.py:Cells' has no training images of c"
    text = CELLS.replace("self.labels[index]", "'ba'[self.labels[index]]")
    named = source(tmp_path, text)
    assert (named.classes, named.labels[:2]) == (("a", "b"), (1, 0))
    arrays = CELLS.replace("self.labels[index]", "np.array(['b', 'a'])[self.labels[index]]")
    assert source(tmp_path, arrays).fingerprint == named.fingerprint
    listed = arrays.replace("stain = stain", "stain, self.classes = stain, np.array(['b', 'a'])")
    assert source(tmp_path, listed).labels[:2] == (0, 1)
    text = text.replace(
        "    def __len__", "    def classes(self):\n        return 'b', 'a'\n\n    def __len__"
    )
    both = source(tmp_path, text)
    assert (both.classes, both.labels[:2]) == (("b", "a"), (0, 1))


def test_splits_and_groups_are_those_that_are_given(tmp_path: Path) -> None:
    text = with_attribute("self.splits = ['train'] * 30 + ['test'] * 10")
    found = source(tmp_path, text)
    assert (found.official, found.groups) == ({"train": 30, "test": 10}, ())
    assert "train (30 training images), test (10 test images)" in found.notes[1]
    grouped = source(tmp_path, with_attribute("self.groups = np.arange(40) // 4"))
    assert grouped.groups[3:5] == ("0", "1")
    prints = {each.fingerprint for each in (source(tmp_path), found, grouped)}
    assert len(prints) == 3


@pytest.mark.parametrize(
    ("attribute", "told"),
    [
        ("self.splits = ['train'] * 39", r"has 40 images \(\S*:16\), but splits has 39 entries"),
        ("self.splits = ['train', 'tran'] * 20", "splits of .* has 'tran' at index 1"),
        ("self.splits = 3", "splits of 'cells.py:Cells' cannot be used: TypeError: it is a int"),
        ("self.classes = {'a', 'b'}", "classes of .* it is a set, whose order says nothing"),
        ("self.classes = {'a': 0}", "classes of .* it is a dict, whose order says nothing"),
        ("self.files = ['gone.png']", r"files of .* has 'gone.png' at index 0\n    allowed: paths"),
        ("self.groups = [1.5] * 40", "groups of .* has 1.5 at index 0"),
        ("self.classes = ['a', 'a']", "has the class a twice"),
        ("self.classes = ['a', 1]", "classes of .* has 1 at index 1"),
        ("self.classes = ['a']", r"gives the label 1 at index 1 \(.*\n    allowed: 0 to 0, or one"),
    ],
)
def test_wrong_attributes_are_told(tmp_path: Path, attribute: str, told: str) -> None:
    assert re.search(told, str(refused(tmp_path, with_attribute(attribute))))


def test_a_class_without_training_images_is_told(tmp_path: Path) -> None:
    text = with_attribute("self.splits = ['train', 'test'] * 20")
    with pytest.raises(
        InvalidData, match=r"labels of 'cells\.py:Cells' that no training image has"
    ):
        source(tmp_path, text)


def test_images_that_are_others_each_time_are_refused(tmp_path: Path) -> None:
    drawn = "self.images[index, 0] ^ np.uint8(self.stain)"
    text = giving(drawn).replace(
        "        return self.im", "        self.stain += 1\n        return self.im"
    )
    assert "gives another image each time at index" in refused(tmp_path, text).found


def test_images_that_cannot_be_decoded_stop_or_are_left_out(tmp_path: Path) -> None:
    text = CELLS.replace(
        GIVEN, f"if index in (3, 9):\n            raise OSError('damaged')\n        {GIVEN}"
    )
    error = refused(tmp_path, text)
    told = r"image 3 of 'cells\.py:Cells' cannot be read: \S*cells\.py:20: OSError: damaged"
    assert re.fullmatch(told, error.found)
    assert error.hint == "mend it, or set data.on_corrupt: skip"
    found = source(tmp_path, text, on_corrupt="skip")
    assert (len(found.names), found.names[3]) == (38, "00000004")
    assert [re.search(r"image \d+", note)[0] for note in found.notes[1:]] == ["image 3", "image 9"]  # type: ignore[index]
    lost = text.replace(
        "self.stain = stain", "self.splits = ['train'] * 40\n        self.splits[9] = 'val'"
    )
    lost = lost.replace("self.stain]", "0]")
    assert "none of the val images" in refused(tmp_path, lost, on_corrupt="skip").found


def test_images_that_change_meanwhile_are_not_taken(tmp_path: Path) -> None:
    text = CELLS.replace(
        "        return self.images[index",
        "        late = Path(__file__).with_name('late').exists()\n"
        "        return self.images[index] ^ late, 0\n"
        "        return self.images[index",
    ).replace("self.images[index] ^ late", "self.images[index, 0] ^ np.uint8(late)")
    found = source(tmp_path, text)
    assert found.read(1)
    (tmp_path / "late").touch()
    with pytest.raises(DataError, match="another image at index 1 than when this command began"):
        found.read(1)


def test_deep_images_of_no_known_range_are_no_images(tmp_path: Path) -> None:
    image = "__import__('PIL.Image').Image.fromarray(self.images[index, 0].astype('float32'))"
    assert "a Pillow image of mode F at index 0" in refused(tmp_path, giving(image)).found


def test_errors_are_all_errors_of_the_program(tmp_path: Path) -> None:
    assert isinstance(refused(tmp_path, giving("exit()")), RunnerError)


def test_images_of_files_are_decoded_as_files_are(tmp_path: Path) -> None:
    upright = Image.fromarray(np.arange(30, dtype=np.uint8).reshape(6, 5))
    exif = Image.Exif()
    exif[0x0112] = 6
    upright.save(tmp_path / "a.png", exif=exif)
    found = source(
        tmp_path, giving(f"__import__('PIL.Image').Image.open({str(tmp_path / 'a.png')!r})")
    )
    assert found.read(0).size == (6, 5)
