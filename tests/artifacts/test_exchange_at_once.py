"""Artifacts that several put to a shared store at once, or that are named after a claim is lost."""

from collections.abc import Callable
from pathlib import Path

import pytest
from planted import at_moment
from shared_stores import (
    PIXELS,
    STATE,
    WEIGHTS,
    BusyPlace,
    blobs,
    files_in,
    machine,
    notes,
    put,
    write,
)

from runner.artifacts.exchange import fetch, forget, settle, share
from runner.artifacts.folder import Artifacts
from runner.core.errors import ClaimLost

NOT_NAMED = "artifact put there, not named"


@pytest.fixture
def busy(tmp_path: Path, root: Path, there: Artifacts) -> Artifacts:
    """A machine that takes long to put something, while another puts it, too."""

    def others() -> None:
        for name in (PIXELS, STATE):
            write(there, name, b"of there")
            put(there, name)

    return machine(tmp_path / "busy" / ".runner", root, BusyPlace(root, others))


def content(artifacts: Artifacts, name: str) -> set[bytes]:
    """Return what is fetched of an artifact: the content of its largest file, or nothing."""
    files = files_in(artifacts.path(name)) if fetch(artifacts, name) else {}
    return {each for each in files.values() if not each.startswith(b"{")}


def test_the_first_pixels_stay_that_are_named_while_others_are_put(
    busy: Artifacts, new_machine: Callable[[str], Artifacts], root: Path
) -> None:
    write(busy, PIXELS, b"of busy")
    put(busy, PIXELS)
    assert content(new_machine("third"), PIXELS) == {b"of there"}
    assert b"of busy" not in {each.read_bytes() for each in blobs(root)}


def test_what_others_have_put_meanwhile_is_replaced_with_all_its_files(
    busy: Artifacts, new_machine: Callable[[str], Artifacts], root: Path
) -> None:
    write(busy, STATE, b"of busy")
    put(busy, STATE)
    assert content(new_machine("third"), STATE) == {b"of busy"}
    files = {each.read_bytes() for each in blobs(root) if "states" in each.parts}
    assert files == {b"of busy"}


def test_a_claim_that_is_lost_while_files_are_put_leaves_what_others_have_put(
    busy: Artifacts, new_machine: Callable[[str], Artifacts]
) -> None:
    def lost() -> None:
        raise ClaimLost("gone")

    write(busy, STATE, b"of busy")
    share(busy, STATE, lost)
    settle(busy, [STATE])
    assert content(new_machine("third"), STATE) == {b"of there"}


@pytest.mark.parametrize("name", [WEIGHTS, STATE])
def test_what_is_named_after_its_claim_was_lost_is_whole_and_can_be_replaced_and_removed(
    name: str, there: Artifacts, new_machine: Callable[[str], Artifacts], root: Path
) -> None:
    def others() -> None:
        write(there, name, b"of there")
        put(there, name)

    here = new_machine("here")
    write(here, name, b"of here")
    with at_moment(NOT_NAMED, others):
        put(here, name)
    assert content(new_machine("third"), name) == {b"of here"}
    again = new_machine("again")
    write(again, name, b"again")
    put(again, name)
    assert content(new_machine("fourth"), name) == {b"again"}
    forget(again, name)
    settle(again, [name])
    assert [each for each in root.rglob("*") if each.is_file()] == []


def test_what_is_named_when_others_have_removed_its_files_is_not_used_and_put_anew(
    there: Artifacts, new_machine: Callable[[str], Artifacts]
) -> None:
    def remove() -> None:
        forget(there, STATE)
        settle(there, [STATE])

    here = new_machine("here")
    write(here, STATE, b"of here")
    with at_moment(NOT_NAMED, remove):
        put(here, STATE)
    assert not fetch(there, STATE)
    assert "is not there): it is not used" in notes(there)[0]
    write(there, STATE, b"of there")
    put(there, STATE)
    assert content(new_machine("third"), STATE) == {b"of there"}
