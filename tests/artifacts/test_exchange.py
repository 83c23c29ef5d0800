"""Artifacts that go to a shared store and come from there: whole, or not at all."""

import json
import multiprocessing
import os
from pathlib import Path

import pytest
from shared_stores import (
    PIXELS,
    STATE,
    WEIGHTS,
    FailingPlace,
    blobs,
    files_in,
    machine,
    notes,
    put,
    store_at,
    write,
)

from runner.artifacts import putting
from runner.artifacts.exchange import (
    described_elsewhere,
    elsewhere,
    fetch,
    forget,
    names_elsewhere,
    read_whole,
    settle,
    share,
)
from runner.artifacts.folder import Artifacts
from runner.artifacts.places import FolderPlace
from runner.artifacts.state_folder import whole_state
from runner.core.errors import ClaimLost, StoreUnreachable


@pytest.mark.parametrize("name", [PIXELS, WEIGHTS, STATE])
def test_artifact_comes_back_on_another_machine_byte_for_byte(
    here: Artifacts, there: Artifacts, name: str
) -> None:
    made = write(here, name)
    put(here, name)
    assert elsewhere(there, [name, "weights/other-best"]) == {name}
    assert fetch(there, name)
    assert files_in(there.path(name)) == files_in(made)
    assert there.lies_there(name)
    assert notes(there) == []


def test_what_is_not_there_is_not_fetched(there: Artifacts) -> None:
    assert not fetch(there, WEIGHTS)
    assert elsewhere(there, [WEIGHTS]) == set()
    assert notes(there) == []


def test_without_a_shared_store_nothing_happens(tmp_path: Path) -> None:
    alone = Artifacts(tmp_path, "db")
    write(alone, WEIGHTS)
    put(alone, WEIGHTS)
    forget(alone, WEIGHTS)
    assert not fetch(alone, WEIGHTS)
    assert elsewhere(alone, [WEIGHTS]) == set()


def test_changed_images_are_not_shared(here: Artifacts, root: Path) -> None:
    write(here, "changed/abc")
    put(here, "changed/abc")
    assert list(root.iterdir()) == []


def test_what_belongs_to_a_database_is_found_by_that_one_alone(
    here: Artifacts, there: Artifacts
) -> None:
    put_all = (PIXELS, WEIGHTS)
    for name in put_all:
        write(here, name)
        put(here, name)
    other = Artifacts(there.folder, "another", there.shared)
    assert elsewhere(other, put_all) == {PIXELS}
    nobody = Artifacts(there.folder, "", there.shared)
    assert elsewhere(nobody, put_all) == {PIXELS}


def test_a_flipped_byte_is_named_and_the_artifact_is_not_used(
    here: Artifacts, there: Artifacts, root: Path
) -> None:
    write(here, WEIGHTS)
    put(here, WEIGHTS)
    (blob,) = blobs(root)
    blob.write_bytes(b"contenT")
    assert not fetch(there, WEIGHTS)
    assert not there.path(WEIGHTS).exists()
    (note,) = notes(there)
    assert "weights/db/solo-best at the-store is damaged" in note
    assert "solo-best.safetensors is not what was put there" in note
    assert elsewhere(there, [WEIGHTS]) == set()  # so it is made again
    write(there, WEIGHTS)
    put(there, WEIGHTS)
    assert blob.read_bytes() == b"content"
    assert elsewhere(there, [WEIGHTS], fresh=True) == {WEIGHTS}


@pytest.mark.parametrize("cut", [0, 30])
def test_a_damaged_manifest_counts_as_nothing(
    here: Artifacts, there: Artifacts, root: Path, cut: int
) -> None:
    write(here, WEIGHTS)
    put(here, WEIGHTS)
    manifest = root / "weights/db/solo-best.json"
    manifest.write_bytes(manifest.read_bytes()[:cut])
    assert not fetch(there, WEIGHTS)
    (note,) = notes(there)
    assert "weights/db/solo-best at the-store is damaged (its manifest" in note


@pytest.mark.parametrize("file", ["../../evil", "/etc/evil", ".hidden", "a/b", ""])
def test_a_manifest_leads_nowhere_but_into_the_artifact(
    here: Artifacts, there: Artifacts, root: Path, file: str
) -> None:
    from runner.core.keys import content_key

    write(here, PIXELS)
    put(here, PIXELS)
    path = root / "pixels/abc.json"
    told = json.loads(path.read_text())
    del told["checksum"]
    told["files"][file] = told["files"].pop("pixels.npy")
    told["checksum"] = content_key("manifest", told)
    path.write_text(json.dumps(told))
    assert not fetch(there, PIXELS)
    assert "names a file that no artifact has" in notes(there)[0]


def test_a_file_that_has_not_arrived_is_named(
    here: Artifacts, there: Artifacts, root: Path
) -> None:
    write(here, STATE)
    put(here, STATE)
    blobs(root)[0].unlink()
    assert not fetch(there, STATE)
    assert "is not there): it is not used" in notes(there)[0]
    assert not there.path(STATE).exists()


def test_what_was_killed_before_its_manifest_is_not_there(
    here: Artifacts, there: Artifacts, root: Path, tmp_path: Path
) -> None:
    def fails(method: str, name: str) -> Exception | None:
        return SystemError() if method == "write" else None

    dying = machine(tmp_path / "dying", root, FailingPlace(FolderPlace(root), fails))
    write(dying, WEIGHTS)
    put(dying, WEIGHTS)
    assert blobs(root)
    assert elsewhere(there, [WEIGHTS]) == set()
    assert not fetch(there, WEIGHTS)
    write(here, WEIGHTS)
    put(here, WEIGHTS)
    assert fetch(there, WEIGHTS)


def test_a_replaced_state_leaves_nothing_of_the_one_before(
    here: Artifacts, there: Artifacts, root: Path
) -> None:
    for content in (b"one", b"two"):
        write(here, STATE, content)
        put(here, STATE)
    assert [each.read_bytes() for each in blobs(root)] == [b"two"]
    assert fetch(there, STATE)
    found = whole_state(there.path(STATE))
    assert found is not None
    assert found[1].read_bytes() == b"two"


def test_the_first_pixels_stay_where_others_are_made_elsewhere(
    here: Artifacts, there: Artifacts
) -> None:
    write(here, PIXELS, b"one")
    put(here, PIXELS)
    write(there, PIXELS, b"two")
    put(there, PIXELS)
    fetch(there, PIXELS)
    assert files_in(there.path(PIXELS))["pixels.npy"] == b"one"


def test_whoever_lost_a_claim_puts_nothing(here: Artifacts, there: Artifacts) -> None:
    def lost() -> None:
        raise ClaimLost("gone")

    write(here, WEIGHTS)
    share(here, WEIGHTS, lost)
    settle(here, [WEIGHTS])
    assert elsewhere(there, [WEIGHTS]) == set()
    assert notes(here) == []


def test_a_database_that_is_away_is_not_the_store_that_is_away(
    here: Artifacts, there: Artifacts
) -> None:
    away = StoreUnreachable("a server", "it is gone")

    def cannot_be_asked() -> None:
        raise away

    write(here, WEIGHTS)
    share(here, WEIGHTS, cannot_be_asked)
    with pytest.raises(StoreUnreachable) as raised:
        settle(here, [WEIGHTS])
    assert raised.value is away
    assert not any("cannot be reached" in note for note in notes(here))
    put(here, WEIGHTS)
    assert fetch(there, WEIGHTS)


def test_forgotten_is_gone_there_and_stays_here(
    here: Artifacts, there: Artifacts, root: Path
) -> None:
    write(here, STATE)
    share(here, STATE)
    forget(here, STATE)
    settle(here, [STATE])
    assert elsewhere(there, [STATE]) == set()
    assert blobs(root) == []
    assert here.lies_there(STATE)


def test_states_say_what_they_are_before_they_are_fetched(
    here: Artifacts, there: Artifacts
) -> None:
    write(here, STATE)
    put(here, STATE)
    assert names_elsewhere(there, "states") == {STATE}
    (text,) = described_elsewhere(there, [STATE]).values()
    assert json.loads(text)["epoch"] == 3
    assert not there.path(STATE).exists()
    assert not fetch(there, STATE, accept=lambda text: json.loads(text)["epoch"] > 3)


def test_what_is_damaged_here_is_read_from_there(here: Artifacts, there: Artifacts) -> None:
    def read(path: Path) -> bytes:
        content = path.read_bytes() if path.exists() else b""
        return content if content == b"content" else b""

    write(here, WEIGHTS)
    put(here, WEIGHTS)
    write(there, WEIGHTS, b"damaged")
    assert read_whole(there, WEIGHTS, read) == b"content"
    assert read_whole(there, "weights/other-best", read) == b""


def test_a_full_disk_here_is_said_and_leaves_nothing(
    here: Artifacts, there: Artifacts, tmp_path: Path, root: Path
) -> None:
    write(here, PIXELS)
    put(here, PIXELS)

    class Full(FolderPlace):
        def fetch(self, name: str, path: Path) -> None:
            super().fetch(name, path)
            raise OSError(28, "No space left on device")

    full = machine(tmp_path / "full", root, Full(root))
    with pytest.raises(OSError, match="No space"):
        fetch(full, PIXELS)
    assert [each for each in full.folder.rglob("*") if each.is_file()] == []


def test_a_full_store_is_said_once_and_still_read(
    here: Artifacts, root: Path, tmp_path: Path
) -> None:
    def fails(method: str, name: str) -> Exception | None:
        return OSError(28, "No space left on device") if method == "put" else None

    write(here, PIXELS)
    put(here, PIXELS)
    full = machine(tmp_path / "full", root, FailingPlace(FolderPlace(root), fails))
    for name in (WEIGHTS, STATE):
        write(full, name)
        put(full, name)
    (note,) = notes(full)
    assert note.startswith("nothing can be put to the-store (OSError: [Errno 28] No space")
    assert fetch(full, PIXELS)


def test_a_folder_that_is_not_mounted_any_more_is_not_made(here: Artifacts, root: Path) -> None:
    write(here, WEIGHTS)
    root.rmdir()
    put(here, WEIGHTS)
    assert not fetch(here, WEIGHTS)
    assert not root.exists()
    (note,) = notes(here)
    assert note.startswith("the-store cannot be reached (NotADirectoryError: ")


def test_what_could_not_be_put_is_tried_again_at_the_end(
    here: Artifacts, there: Artifacts, root: Path
) -> None:
    write(here, WEIGHTS)
    root.rename(root.with_name("away"))
    put(here, WEIGHTS)
    root.with_name("away").rename(root)
    assert elsewhere(there, [WEIGHTS]) == set()
    assert here.shared is not None
    here.shared.uploads.finish()
    assert fetch(there, WEIGHTS)
    assert "the-store can be reached again" in notes(here)


def test_what_cannot_be_put_at_all_is_counted_at_the_end(here: Artifacts, root: Path) -> None:
    write(here, WEIGHTS)
    root.rmdir()
    put(here, WEIGHTS)
    assert here.shared is not None
    here.shared.uploads.finish()
    assert notes(here)[-1] == "1 artifact lies in .runner/ and could not be put to the-store"


@pytest.mark.parametrize("system", ["Linux", "another"])
def test_a_state_that_is_replaced_while_it_is_put_there_is_whole_there(
    system: str, there: Artifacts, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if system == "another":
        monkeypatch.setattr(putting, "OPEN_FILES", tmp_path / "nowhere")
    contents = iter([b"two", b"three"])

    class Slow(FolderPlace):
        def put(self, path: Path, name: str) -> None:
            if content := next(contents, b""):
                write(here, STATE, content)
            super().put(path, name)

    here = machine(tmp_path / "slow", root, Slow(root))
    write(here, STATE, b"one")
    put(here, STATE)
    assert fetch(there, STATE)
    found = whole_state(there.path(STATE))
    assert found is not None
    assert found[1].read_bytes() == (b"one" if system == "Linux" else b"three")
    assert len(blobs(root)) == 1


def _put_often(folder: Path, root: Path, number: int, times: int) -> None:
    artifacts = machine(folder, root)
    for _ in range(times):
        write(artifacts, WEIGHTS, b"content" * 1000 + bytes([number]))
        store = store_at(root)
        artifacts = Artifacts(artifacts.folder, "db", type(artifacts.shared)(store))
        put(artifacts, WEIGHTS)
    os._exit(0)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("alike", [True, False])
def test_two_processes_that_put_one_artifact_at_once_leave_one_of_them_whole(
    root: Path, there: Artifacts, tmp_path: Path, alike: bool
) -> None:
    fork = multiprocessing.get_context("fork")
    both = [
        fork.Process(
            target=_put_often,
            args=(tmp_path / f"{number}", root, 7 if alike else number, 20 if alike else 1),
        )
        for number in range(2)
    ]
    for each in both:
        each.start()
    for each in both:
        each.join()
    assert [each.exitcode for each in both] == [0, 0]
    assert fetch(there, WEIGHTS)
    content = there.path(WEIGHTS).read_bytes()
    assert content[:-1] == b"content" * 1000
    assert content[-1] in ({7} if alike else {0, 1})
    assert list(root.rglob("*partial*")) == []
