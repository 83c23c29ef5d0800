"""Which files of class folders are images: links and special files."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner.components.data import listing as listing_module
from runner.components.data.dataset import DataAccess, ImageSource
from runner.components.data.imagefolder import ImageFolder
from runner.components.data.invalid import UnknownClasses
from runner.components.data.listing import BrokenLinks, SharedFolder, list_images

NAMES = ("cat/a.png", "cat/deep/b.png", "dog/a.png", "dog/c.png")


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    touch(tmp_path / "pets", *NAMES)
    return tmp_path / "pets"


def build(root: Path, **settings: Any) -> ImageSource:
    """Return the source of class folders, with the length of a file as its hash."""

    def hash_files(root: Path, names: Any) -> list[str]:
        return [str(len((root / name).read_bytes())) for name in names]

    data = ImageFolder(dataset="imagefolder", path=str(root), **settings)
    return data.build(DataAccess((), hash_files))


def test_link_to_its_own_folder_adds_nothing_and_is_named(pets: Path) -> None:
    before = list_images(pets)
    (pets / "cat" / "again").symlink_to(".")
    (pets / "cat" / "deep" / "up").symlink_to("..")
    after = list_images(pets)
    assert (after.names, before.notes) == (before.names, ())
    assert after.notes == (
        f"left out of {pets}: cat/again (a link to cat, whose images are there already),"
        " cat/deep/up (a link to cat, whose images are there already)",
    )


def test_links_that_lead_up_end_at_once(pets: Path) -> None:
    before = list_images(pets)
    for number in range(8):
        (pets / "dog" / f"root{number}").symlink_to(pets)
        (pets / "dog" / f"above{number}").symlink_to(pets.parent)
    after = list_images(pets)
    assert after.names == before.names
    assert "dog/root0 (a link to a folder that holds it)" in after.notes[0]
    assert after.notes[0].endswith("… and 6 more")


def test_linked_folder_is_listed_once_at_its_own_place_if_it_has_one(
    pets: Path, tmp_path: Path
) -> None:
    (pets / "cat" / "a first link").symlink_to("deep")
    touch(tmp_path / "more", "x.png", "in/y.png")
    (pets / "dog" / "more").symlink_to(tmp_path / "more")
    (pets / "dog" / "once more").symlink_to(tmp_path / "more" / "in")
    found = list_images(pets)
    assert found.names == (*NAMES, "dog/more/in/y.png", "dog/more/x.png")
    assert "cat/a first link (a link to cat/deep, whose" in found.notes[0]
    assert "dog/once more (a link to dog/more/in, whose" in found.notes[0]


def test_class_may_be_a_link(pets: Path, tmp_path: Path) -> None:
    touch(tmp_path / "birds", "z.png")
    (pets / "bird").symlink_to(tmp_path / "birds")
    found = list_images(pets)
    assert (found.classes, found.labels, found.notes) == (
        ("bird", "cat", "dog"),
        (0, 1, 1, 2, 2),
        (),
    )


@pytest.mark.parametrize(
    ("link", "target", "named"),
    [("hund", "dog", "dog and hund"), ("dog/kitten", "../cat/deep", "cat/deep and dog/kitten")],
)
def test_folder_of_two_classes_is_refused(pets: Path, link: str, target: str, named: str) -> None:
    (pets / link).symlink_to(target)
    with pytest.raises(SharedFolder, match=f"two classes under .*pets: {named}"):
        list_images(pets)


def test_folder_of_two_classes_is_none_where_one_is_chosen(pets: Path) -> None:
    (pets / "hund").symlink_to("dog")
    assert list_images(pets, include=["cat", "hund"]).names[2:] == ("hund/a.png", "hund/c.png")
    with pytest.raises(UnknownClasses) as caught:
        build(pets, include=("cat", "huhn"))
    assert caught.value.classes == ("cat", "dog", "hund")


def test_folder_without_images_may_be_of_two_classes(pets: Path, tmp_path: Path) -> None:
    touch(tmp_path / "notes", "a.txt")
    for name in ("cat", "dog"):
        (pets / name / "notes").symlink_to(tmp_path / "notes")
    assert list_images(pets).notes == ()


@pytest.fixture
def special(pets: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    os.mkfifo(pets / "cat" / "pipe.png")
    (pets / "cat" / "zero.jpg").symlink_to("/dev/zero")
    monkeypatch.chdir(pets / "dog")  # the name of a socket is short
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("socket.gif")
        yield


@pytest.mark.usefixtures("special")
def test_regular_files_alone_are_images_and_the_others_are_named(pets: Path) -> None:
    source = build(pets)
    assert source.names == NAMES
    assert source.notes == (
        f"left out of {pets}: cat/pipe.png (a pipe), cat/zero.jpg (a device),"
        " dog/socket.gif (a socket)",
    )


def test_image_that_is_a_link_to_nothing_stops_or_is_left_out(pets: Path) -> None:
    before = build(pets)
    (pets / "cat" / "b.png").symlink_to("gone.png")
    (pets / "dog" / "loop.png").symlink_to("loop.png")
    (pets / "dog" / "notes.txt").symlink_to("gone.txt")
    with pytest.raises(BrokenLinks, match=r"nothing under .*pets: cat/b.png, dog/loop.png; remove"):
        build(pets)
    after = build(pets, on_corrupt="skip")
    assert after.names == before.names
    assert after.notes == (f"left out of {pets}, links to nothing: cat/b.png, dog/loop.png",)
    assert build(pets, per_class=1).names == ("cat/a.png", "dog/a.png")


def test_folder_that_is_a_link_to_nothing_is_named(pets: Path) -> None:
    (pets / "bird").symlink_to("gone")
    (pets / "fish").symlink_to("fish")
    (pets / "cat" / "more").symlink_to("gone")
    (named,) = list_images(pets).notes
    assert named == (
        f"left out of {pets}: bird (a link to nothing), cat/more (a link to nothing),"
        " fish (a link to nothing)"
    )


def test_file_of_several_names_is_named(pets: Path) -> None:
    (pets / "dog" / "b.png").symlink_to("../cat/a.png")
    os.link(pets / "dog" / "c.png", pets / "cat" / "c.png")
    found = list_images(pets)
    assert len(found.names) == len(NAMES) + 2
    assert found.notes == (
        f"the same file under several names in {pets}: cat/a.png and dog/b.png,"
        " cat/c.png and dog/c.png",
    )


@pytest.mark.parametrize("where", ["dog", "cat/deep"])
def test_folder_that_cannot_be_read_is_an_error(
    pets: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path) == pets / where:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(listing_module.os, "scandir", scandir)
    with pytest.raises(PermissionError, match=where):
        list_images(pets)


def test_links_and_notes_leave_the_fingerprint_alone(pets: Path) -> None:
    before = build(pets).fingerprint
    assert before == "04dc3f8f03f1e21f87889acff3d24419"
    (pets / "cat" / "again").symlink_to(".")
    assert build(pets).fingerprint == before
