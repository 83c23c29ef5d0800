import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from runner.artifacts import hashes
from runner.artifacts.hashes import HashCache
from runner.components.data import digits
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.digits import Digits
from runner.components.data.finding import MissingData
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.invalid import UnknownClasses
from runner.components.data.listing import list_images
from runner.components.data.normalizing import Normalization
from runner.components.data.synthetic import Synthetic


def save_image(path: Path, gray: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (gray, gray, 255 - gray)).save(path)


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    root = tmp_path / "pets"
    for number, name in enumerate(["dog/b.png", "dog/a.JPG", "cat/deep/z.png", "cat/c.png"]):
        save_image(root / name, 40 * number)
    return root


@pytest.fixture
def access(tmp_path: Path) -> DataAccess:
    return DataAccess((tmp_path / "elsewhere", tmp_path), HashCache(tmp_path / "cache").hash_files)


def build(access: DataAccess, path: str | Path = "pets") -> ImageSource:
    return ImageFolder(dataset="imagefolder", path=str(path)).build(access)


def test_imagefolder_lists_classes_and_images_sorted(pets: Path, access: DataAccess) -> None:
    source = build(access)
    assert source.classes == ("cat", "dog")
    assert source.names == ("cat/c.png", "cat/deep/z.png", "dog/a.JPG", "dog/b.png")
    assert source.labels == (0, 0, 1, 1)
    assert source.splits == ()
    assert source.root == pets


def test_imagefolder_reads_the_image_of_an_index(pets: Path, access: DataAccess) -> None:
    assert build(access).read(3).getpixel((0, 0)) == (0, 0, 255)


def test_imagefolder_turns_images_as_exif_says(pets: Path, access: DataAccess) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 3)).save(pets / "dog" / "a.JPG", exif=exif)
    assert build(access).read(2).size == (3, 4)


def test_corrupt_image_is_an_oserror_when_read(pets: Path, access: DataAccess) -> None:
    (pets / "cat" / "c.png").write_bytes(b"no image")
    with pytest.raises(OSError, match="cannot identify"):
        build(access).read(0)


@pytest.mark.parametrize(
    "name", [".hidden/a.png", "cat/.a.png", "cat/.thumbs/a.png", "cat/notes.txt", "loose.png"]
)
def test_hidden_files_and_other_files_are_no_images(pets: Path, name: str) -> None:
    before = list_images(pets)
    save_image(pets / "cat" / "tmp.png")
    (pets / name).parent.mkdir(parents=True, exist_ok=True)
    (pets / "cat" / "tmp.png").rename(pets / name)
    assert list_images(pets) == before


def test_folder_without_images_is_no_class(pets: Path) -> None:
    (pets / "aardvark").mkdir()
    assert list_images(pets).classes == ("cat", "dog")


def test_missing_folder_names_the_paths(tmp_path: Path, access: DataAccess) -> None:
    with pytest.raises(MissingData, match="no folder pets") as caught:
        build(access)
    assert caught.value.looked == (tmp_path / "elsewhere" / "pets", tmp_path / "pets")
    assert "one folder of images per class" in caught.value.how_to_get


def test_absolute_path_is_looked_for_there_only(tmp_path: Path, access: DataAccess) -> None:
    with pytest.raises(MissingData) as caught:
        build(access, tmp_path / "nowhere")
    assert caught.value.looked == (tmp_path / "nowhere",)


def test_folder_without_class_folders_is_missing_data(tmp_path: Path, access: DataAccess) -> None:
    save_image(tmp_path / "pets" / "loose.png")
    with pytest.raises(MissingData, match="no images in class folders"):
        build(access)


def test_fingerprint_changes_with_one_byte(pets: Path, access: DataAccess) -> None:
    before = build(access).fingerprint
    path = pets / "dog" / "b.png"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))
    assert build(access).fingerprint != before


def test_renamed_image_changes_the_fingerprint(pets: Path, access: DataAccess) -> None:
    before = build(access).fingerprint
    (pets / "dog" / "b.png").rename(pets / "dog" / "c.png")
    assert build(access).fingerprint != before


def test_moving_the_folder_keeps_the_fingerprint(
    pets: Path, access: DataAccess, tmp_path: Path
) -> None:
    before = build(access).fingerprint
    shutil.move(pets, tmp_path / "moved")
    assert build(access, "moved").fingerprint == before


def chosen(access: DataAccess, **settings: object) -> ImageSource:
    return ImageFolder(dataset="imagefolder", path="pets", **settings).build(access)


def test_included_classes_are_the_only_ones_and_sorted(pets: Path, access: DataAccess) -> None:
    save_image(pets / "ant" / "a.png")
    source = chosen(access, include=("dog", "ant"))
    assert source.classes == ("ant", "dog")
    assert source.names == ("ant/a.png", "dog/a.JPG", "dog/b.png")
    assert source.labels == (0, 1, 1)
    one, other = (
        ImageFolder(dataset="imagefolder", path="pets", include=order)
        for order in (("dog", "ant"), ("ant", "dog"))
    )
    assert one == other


def test_per_class_keeps_the_first_images_by_name(pets: Path, access: DataAccess) -> None:
    assert chosen(access, per_class=1).names == ("cat/c.png", "dog/a.JPG")
    assert chosen(access, per_class=9).names == build(access).names
    assert chosen(access, per_class=1, include=("dog",)).read(0).size == (4, 3)


def test_images_not_chosen_are_neither_read_nor_in_the_fingerprint(
    pets: Path, access: DataAccess, digested: list[str]
) -> None:
    before = chosen(access, include=("dog",), per_class=1)
    assert digested == ["a.JPG"]
    (pets / "dog" / "b.png").write_bytes(b"no image")
    (pets / "cat" / "c.png").unlink()
    save_image(pets / "ant" / "a.png")
    after = chosen(access, include=("dog",), per_class=1)
    assert after.fingerprint == before.fingerprint
    save_image(pets / "dog" / "a.JPG", 99)
    assert chosen(access, include=("dog",), per_class=1).fingerprint != before.fingerprint


def test_classes_that_are_not_there_are_named(pets: Path, access: DataAccess) -> None:
    with pytest.raises(UnknownClasses, match="no class is called cow, doog") as caught:
        chosen(access, include=("doog", "cat", "cow"))
    assert caught.value.classes == ("cat", "dog")


@pytest.mark.parametrize(
    "settings", [{"include": ()}, {"include": ("a", "a")}, {"include": ("",)}, {"per_class": 0}]
)
def test_choice_of_nothing_is_refused(settings: dict) -> None:
    with pytest.raises(ValidationError):
        ImageFolder(dataset="imagefolder", path="pets", **settings)


def test_digits_are_1797_gray_images_of_ten_classes(access: DataAccess) -> None:
    source = Digits(dataset="digits").build(access)
    assert len(source.names) == len(source.labels) == 1797
    assert source.classes == tuple("0123456789")
    assert source.names == tuple(sorted(set(source.names)))
    image = source.read(0)
    assert (image.mode, image.size, image.getextrema()) == ("L", (8, 8), (0, 239))
    assert source.labels[0] == 0


def test_digits_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    table = digits._table()
    monkeypatch.setattr(digits, "find_spec", lambda name: None)
    np.testing.assert_array_equal(table, digits._table())


def test_digits_have_a_pinned_fingerprint(access: DataAccess) -> None:
    expected = "3fbec4f09e6d944528051503bb4cdf76"
    assert Digits(dataset="digits").build(access).fingerprint == expected


def synthetic(access: DataAccess, **settings: object) -> ImageSource:
    return Synthetic(dataset="synthetic", images=12, classes=3, **settings).build(access)


def test_synthetic_images_are_the_same_each_time(access: DataAccess) -> None:
    one, two = synthetic(access), synthetic(access)
    assert one.fingerprint == two.fingerprint
    for index in (11, 0, 5):
        assert np.array_equal(np.asarray(one.read(index)), np.asarray(two.read(index)))


def test_synthetic_images_do_not_depend_on_what_was_read_before(access: DataAccess) -> None:
    source = synthetic(access)
    first = np.asarray(source.read(7))
    source.read(3)
    assert np.array_equal(np.asarray(source.read(7)), first)


def test_synthetic_labels_go_round_the_classes(access: DataAccess) -> None:
    source = synthetic(access)
    assert source.labels == (0, 1, 2) * 4
    assert source.classes == ("class_0", "class_1", "class_2")
    assert len(set(source.names)) == 12


def test_synthetic_images_have_the_asked_size(access: DataAccess) -> None:
    image = synthetic(access, height=5, width=9).read(0)
    assert (image.size, image.mode) == ((9, 5), "RGB")


def test_synthetic_images_without_noise_are_equal_within_a_class(access: DataAccess) -> None:
    source = synthetic(access, noise=0.0)
    pixels = [np.asarray(source.read(index)) for index in range(4)]
    assert np.array_equal(pixels[0], pixels[3])
    assert not np.array_equal(pixels[0], pixels[1])


@pytest.mark.parametrize("changed", [{"noise": 0.25}, {"content_seed": 1}, {"height": 31}])
def test_content_settings_change_the_synthetic_fingerprint(access: DataAccess, changed) -> None:
    assert synthetic(access, **changed).fingerprint != synthetic(access).fingerprint


@pytest.mark.parametrize("changed", [{"validation": 0.5}, {"split_seed": 3}, {"resize": 16}])
def test_preprocessing_keeps_the_synthetic_fingerprint(access: DataAccess, changed) -> None:
    assert synthetic(access, **changed).fingerprint == synthetic(access).fingerprint


def test_pixel_settings_leave_out_splits_and_scaling() -> None:
    plain = Digits(dataset="digits").pixel_settings()
    same = Digits(dataset="digits", validation=0.5, test=0.0, split_seed=3, train_images=99)
    assert same.pixel_settings() == plain
    assert Digits(dataset="digits", normalize="none").pixel_settings() == plain
    assert Digits(dataset="digits", resize=16).pixel_settings() != plain
    assert Digits(dataset="digits", color="rgb").pixel_settings() != plain


def test_normalization_is_by_name_or_by_values() -> None:
    assert Digits(dataset="digits").normalization() == ((0.5,), (0.5,))
    values = Normalization(mean=(0.1,), std=(0.2,))
    assert Digits(dataset="digits", normalize=values).normalization() == ((0.1,), (0.2,))


@pytest.mark.parametrize(
    ("mean", "std"), [((0.5,), (0.0,)), ((0.5,), (-1.0,)), ((), ()), ((0.5,), (1.0, 1.0))]
)
def test_normalization_refuses_what_cannot_scale(mean, std) -> None:
    with pytest.raises(ValidationError):
        Normalization(mean=mean, std=std)


@pytest.mark.parametrize("size", [0, -1, (8, 0)])
def test_sizes_are_at_least_one_pixel(size) -> None:
    with pytest.raises(ValidationError):
        Digits(dataset="digits", resize=size)


@pytest.fixture
def digested(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []
    digest = hashes.file_digest

    def counting(path: Path) -> str:
        names.append(path.name)
        return digest(path)

    monkeypatch.setattr(hashes, "file_digest", counting)
    return names
