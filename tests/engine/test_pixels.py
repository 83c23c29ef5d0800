"""Kept pixels prove themselves: what is damaged, foreign or earlier is prepared again."""

import json
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benches import Bench, plain_records
from PIL import Image
from planted import check_moment
from rewritten import rewrite
from test_prepare import bench_on, cached, write_images
from waiting import PATIENCE

from runner.artifacts import array_folder, atomic, hashes
from runner.artifacts.atomic import put_folder
from runner.artifacts.hashes import HashCache
from runner.artifacts.process import start_ticks, this_process
from runner.components.data.dataset import DataAccess
from runner.core import moments
from runner.core.errors import DataError
from runner.engine.data import pixels, pixels_index

WRITTEN = "pixels written, not renamed"
AGAIN = "decoded images are prepared again: "


@pytest.fixture(autouse=True)
def _images_forgotten() -> Iterator[None]:
    yield
    pixels.forget_images()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    write_images(tmp_path)
    bench = bench_on(tmp_path)
    bench.options["share_states"] = False
    return bench


def overwrite(folder: Path) -> None:
    content = bytearray((folder / "pixels.npy").read_bytes())
    content[-1] ^= 1
    rewrite(folder / "pixels.npy", bytes(content))


def cut_off(folder: Path) -> None:
    os.truncate(folder / "pixels.npy", 300)


def empty(folder: Path) -> None:
    os.truncate(folder / "pixels.npy", 0)


def lengthen(folder: Path) -> None:
    with (folder / "pixels.npy").open("ab") as file:
        file.write(b"\0")


def turn(folder: Path) -> None:
    content = (folder / "pixels.npy").read_bytes()
    (folder / "pixels.npy").write_bytes(
        content.replace(b"'fortran_order': False", b"'fortran_order': True ", 1)
    )


def reshape(folder: Path) -> None:
    content = (folder / "pixels.npy").read_bytes()
    (folder / "pixels.npy").write_bytes(content.replace(b"(16, 6, 7, 3)", b"(16, 7, 6, 3)", 1))


def no_header(folder: Path) -> None:
    content = (folder / "pixels.npy").read_bytes()
    (folder / "pixels.npy").write_bytes(content.replace(b"'shape': (", b"'shape': [", 1))


def unclosed_header(folder: Path) -> None:
    content = (folder / "pixels.npy").read_bytes()
    (folder / "pixels.npy").write_bytes(content.replace(b", 3)", b", 3 ", 1))


def lose_array(folder: Path) -> None:
    (folder / "pixels.npy").unlink()


def lose_index(folder: Path) -> None:
    (folder / "index.json").unlink()


def garble(folder: Path) -> None:
    (folder / "index.json").write_text("{")


def no_mapping(folder: Path) -> None:
    (folder / "index.json").write_text("[1]")


def change_index(folder: Path, **changes: object) -> None:
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps({**index, **changes}))


def relabel(folder: Path) -> None:
    change_index(folder, labels=[1] * 8 + [0] * 8)


def later(folder: Path) -> None:
    change_index(folder, format=99)


def earlier(folder: Path) -> None:
    """Leave what earlier versions wrote."""
    index = json.loads((folder / "index.json").read_text())
    for name in ("format", "pixels", "fingerprint", "checksum"):
        del index[name]
    (folder / "index.json").write_text(json.dumps(index))


def foreign(folder: Path) -> None:
    """Put whole pixels of other images in the place."""
    other = folder.parent / "other"
    write_images(other, each=8, size=(5, 5))
    bench = bench_on(other)
    bench.do("prepare")
    shutil.rmtree(folder)
    shutil.copytree(cached(bench), folder)
    shutil.rmtree(other)


def lose(folder: Path) -> None:
    shutil.rmtree(folder)


HARMS = {
    **dict.fromkeys(
        (overwrite, cut_off, empty, lengthen, turn, reshape, no_header, unclosed_header),
        "they are damaged",
    ),
    **dict.fromkeys((garble, no_mapping, relabel, later), "they are damaged"),
    **dict.fromkeys((lose_array, lose_index, lose), "they are not there"),
    foreign: "they were made from other images",
    earlier: pixels_index.EARLIER,
}


FAST = (overwrite, cut_off, garble, relabel, lose_array, foreign, earlier)


@pytest.mark.parametrize(
    "harm", [each if each in FAST else pytest.param(each, marks=pytest.mark.slow) for each in HARMS]
)
def test_pixels_that_cannot_be_used_are_prepared_again_by_whoever_needs_them(
    bench: Bench, harm
) -> None:
    undisturbed = plain_records(bench.read(bench.train()))
    (right,) = bench.do("prepare").produced
    harm(cached(bench))
    bench.notes.clear()
    again = bench.do("train", 2)
    assert bench.notes == [AGAIN + HARMS[harm]]
    assert plain_records(bench.read(again)) == undisturbed
    assert bench.do("prepare").produced == (right,)
    assert [each.name for each in cached(bench).parent.iterdir()] == [cached(bench).name]


@pytest.mark.parametrize("harm", [overwrite, garble, earlier])
def test_preparing_again_says_why(bench: Bench, harm) -> None:
    right = bench.do("prepare")
    harm(cached(bench))
    assert bench.do("prepare") == right
    assert bench.notes == [AGAIN + HARMS[harm]]


def test_preparing_what_was_removed_says_nothing(bench: Bench) -> None:
    right = bench.do("prepare")
    lose(cached(bench))
    assert bench.do("prepare") == right
    assert bench.notes == []


@pytest.mark.parametrize(
    ("harm", "seen"),
    [(overwrite, True), *((each, False) for each in (cut_off, unclosed_header, garble, earlier))],
)
def test_a_quick_look_sees_all_but_changed_values(bench: Bench, harm, seen: bool) -> None:
    bench.do("prepare")
    key = bench.stage("prepare").pixels_key
    assert pixels_index.look_whole(cached(bench), key)
    harm(cached(bench))
    assert pixels_index.look_whole(cached(bench), key) == seen


def test_pixels_are_read_once_in_each_process_and_state(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Path] = []
    digest = pixels_index._digest

    def counting(path: Path) -> str:
        looked.append(path)
        return digest(path)

    monkeypatch.setattr(pixels_index, "_digest", counting)
    bench.train()
    assert looked == []  # this process has just written them
    array_folder._checked.clear()  # as in another process
    bench.do("train", 2)
    bench.do("train", 3)
    assert len(looked) == 1
    os.utime(cached(bench) / "pixels.npy")
    bench.do("train", 4)
    assert len(looked) == 2


def test_a_process_that_has_mapped_the_old_pixels_goes_on_reading_them(bench: Bench) -> None:
    before = bench.images()
    whole = before._pixels.clone()
    cut_off_elsewhere = cached(bench).with_name("damaged")
    shutil.copytree(cached(bench), cut_off_elsewhere)
    put_folder(cut_off_elsewhere, cached(bench))
    assert (before._pixels == whole).all()


def test_two_that_find_damage_at_once_leave_whole_pixels(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = bench.do("prepare")
    overwrite(cached(bench))
    meeting = threading.Barrier(2)
    check_moment(WRITTEN)
    monkeypatch.setattr(moments, "hook", lambda name: name == WRITTEN and meeting.wait(PATIENCE))
    # a second process has a name of its own for what is unfinished
    me, parent = this_process(), os.getppid()
    other = replace(me, pid=parent, ticks=start_ticks(parent))
    processes = {threading.get_ident(): me}
    monkeypatch.setattr(
        atomic, "this_process", lambda: processes.setdefault(threading.get_ident(), other)
    )
    thread = threading.Thread(target=bench.do, args=("prepare",))
    thread.start()
    bench.do("prepare")
    thread.join()
    assert bench.notes == [AGAIN + "they are damaged"] * 2
    assert bench.do("prepare") == right
    assert [each.name for each in cached(bench).parent.iterdir()] == [cached(bench).name]


def test_what_another_process_is_just_replacing_is_not_made_once_more(bench: Bench) -> None:
    made: list[str] = []
    looks = iter([array_folder.DAMAGED, array_folder.NOT_THERE, ""])
    found = array_folder.open_or_make(
        bench.context().on_note,
        "they are made again",
        lambda: next(looks),
        lambda: made.append("made"),
        lambda: "opened",
    )
    assert (found, made) == ("opened", ["made"])
    assert bench.notes == ["they are made again: they are damaged"]


def test_what_a_killed_process_left_of_the_old_pixels_is_removed(bench: Bench) -> None:
    bench.do("prepare")
    folder = cached(bench)
    dead = replace(this_process(), pid=2**22 + 1)
    left = folder.with_name(f"{folder.name}-old.{dead.tag()}.partial")
    shutil.copytree(folder, left)
    overwrite(folder)
    bench.do("prepare")
    assert [each.name for each in folder.parent.iterdir()] == [folder.name]


def change_photos(folder: Path, names: list[str]) -> None:
    """Write other images of the same size, and leave the times of modification as they were."""
    draw = np.random.default_rng(2)
    for name in names:
        path = folder / "photos" / name
        stat = path.stat()
        Image.fromarray(draw.integers(0, 256, (6, 7, 3), dtype=np.uint8)).save(path)
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_images_that_change_before_they_are_decoded_are_told_and_nothing_is_kept(
    bench: Bench, tmp_path: Path
) -> None:
    changed = [f"{kind}/{number}.png" for kind in ("cat", "dog") for number in range(1, 7)]
    change_photos(tmp_path, changed)
    with pytest.raises(DataError) as caught:
        bench.do("prepare")
    lines = str(caught.value).splitlines()
    assert lines[0] == ("12 of 16 images are no longer what they were when this command began:")
    assert lines[1] == f"    {tmp_path / 'photos' / 'cat' / '1.png'}: has other content"
    assert len(lines) == 1 + 10 + 1 + 1
    assert lines[11] == "    … and 2 more"
    assert list(cached(bench).parent.iterdir()) == []


def test_images_that_vanish_before_they_are_decoded_are_not_taken_for_corrupt(
    tmp_path: Path,
) -> None:
    write_images(tmp_path)
    bench = bench_on(tmp_path, on_corrupt="skip")
    (tmp_path / "photos" / "cat" / "3.png").unlink()
    with pytest.raises(
        DataError, match=r"1 of 16 images are no longer(.|\n)*3.png: cannot be read"
    ):
        bench.do("prepare")
    assert list(cached(bench).parent.iterdir()) == []


def test_what_is_remembered_of_changed_images_is_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a file system that says nothing of the change, and a sample that misses it
    monkeypatch.setattr(hashes, "stamp_of", lambda stat: "the same")
    monkeypatch.setattr(hashes, "SAMPLE_FILES", 0)
    monkeypatch.setattr(hashes, "RACY_NS", -(10**12))
    write_images(tmp_path)
    memory = HashCache(tmp_path / "hashes")
    access = DataAccess((tmp_path,), memory.hash_files, forget=memory.forget)
    settings = bench_on(tmp_path).settings
    bench = Bench(tmp_path / "runner", settings, settings.data.build(access))
    change_photos(tmp_path, ["dog/5.png"])
    with pytest.raises(DataError, match="1 of 16 images"):
        bench.do("prepare")
    again = Bench(tmp_path / "runner", settings, settings.data.build(access))
    assert again.source.fingerprint != bench.source.fingerprint
    again.do("prepare")
    found = np.load(cached(again) / "pixels.npy")
    with Image.open(tmp_path / "photos" / "dog" / "5.png") as image:
        assert (found[13] == np.asarray(image)).all()


def test_damaged_pixels_whose_images_are_gone_say_so(bench: Bench, tmp_path: Path) -> None:
    bench.train()
    overwrite(cached(bench))
    shutil.rmtree(tmp_path / "photos")
    bench.notes.clear()
    with pytest.raises(DataError, match="16 of 16 images are no longer"):
        bench.do("train", 2)
    assert bench.notes == [AGAIN + "they are damaged"]


def test_damaged_pixels_whose_images_are_not_at_hand_say_so(bench: Bench) -> None:
    bench.do("prepare")
    overwrite(cached(bench))
    context = bench.context()
    context.sources.clear()
    key = bench.stage("prepare").pixels_key
    with pytest.raises(DataError, match=f"{key} was made from are not at hand"):
        pixels.open_images(context, key, bench.settings.data)
