"""The pixel cache: whole or not at all, and honest about what cannot be decoded."""

import errno
import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benches import Bench, settings_of
from PIL import Image

from runner.artifacts.hashes import HashCache
from runner.artifacts.process import start_ticks, this_process
from runner.components.data.dataset import DataAccess
from runner.core.errors import DataError, Interrupted
from runner.engine.stages.prepare import transform

FOLDER = {"dataset": "imagefolder", "path": "photos", "validation": 0.25, "test": 0.25}


def write_images(folder: Path, each: int = 8, size: tuple[int, int] = (6, 7)) -> None:
    draw = np.random.default_rng(1)
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(each):
            pixels = draw.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number}.png")


def bench_on(folder: Path, **data) -> Bench:
    settings = settings_of(data={**FOLDER, **data})
    access = DataAccess((folder,), HashCache(folder / "hashes").hash_files)
    return Bench(folder / "runner", settings, settings.data.build(access))


def cached(bench: Bench) -> Path:
    (name,) = bench.stage("prepare").produces
    return bench.context().artifact_path(name)


def test_pixels_are_the_decoded_images_in_the_order_of_their_names(tmp_path: Path) -> None:
    write_images(tmp_path)
    bench = bench_on(tmp_path)
    outcome = bench.do("prepare")
    pixels = np.load(cached(bench) / "pixels.npy")
    index = json.loads((cached(bench) / "index.json").read_text())
    assert outcome.values == {"images": 16, "skipped": []}
    assert index["names"] == sorted(index["names"])
    assert index["labels"] == [0] * 8 + [1] * 8
    for row, name in enumerate(index["names"]):
        with Image.open(tmp_path / "photos" / name) as image:
            np.testing.assert_array_equal(pixels[row], np.asarray(image))


def test_the_digest_is_that_of_the_pixels(tmp_path: Path) -> None:
    import hashlib

    write_images(tmp_path)
    bench = bench_on(tmp_path)
    (produced,) = bench.do("prepare").produced
    pixels = np.load(cached(bench) / "pixels.npy")
    assert produced.digest == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert produced.num_bytes == (cached(bench) / "pixels.npy").stat().st_size


def break_two(folder: Path) -> list[Path]:
    paths = [folder / "photos" / "cat" / "3.png", folder / "photos" / "dog" / "5.png"]
    paths[0].write_bytes(b"this is no image")
    content = paths[1].read_bytes()
    paths[1].write_bytes(content[: len(content) // 2])
    return paths


def test_corrupt_images_stop_with_all_their_paths(tmp_path: Path) -> None:
    write_images(tmp_path)
    broken = break_two(tmp_path)
    bench = bench_on(tmp_path)
    with pytest.raises(DataError) as caught:
        bench.do("prepare")
    message = str(caught.value)
    assert message.startswith("2 of 16 images cannot be decoded:")
    assert all(str(path) in message for path in broken)
    assert "data.on_corrupt: skip" in message
    assert list(cached(bench).parent.iterdir()) == []


def test_corrupt_images_are_left_out_when_asked_and_listed(tmp_path: Path) -> None:
    write_images(tmp_path)
    break_two(tmp_path)
    bench = bench_on(tmp_path, on_corrupt="skip")
    outcome = bench.do("prepare")
    assert outcome.values["images"] == 14
    assert [item["name"] for item in outcome.values["skipped"]] == ["cat/3.png", "dog/5.png"]
    assert bench.notes == ["2 corrupt images left out: cat/3.png, dog/5.png"]
    index = json.loads((cached(bench) / "index.json").read_text())
    pixels = np.load(cached(bench) / "pixels.npy")
    assert pixels.shape == (14, 6, 7, 3)
    assert index["labels"] == [0] * 7 + [1] * 7
    for row, name in enumerate(index["names"]):
        with Image.open(tmp_path / "photos" / name) as image:
            np.testing.assert_array_equal(pixels[row], np.asarray(image))
    assert sorted(path.name for path in cached(bench).iterdir()) == ["index.json", "pixels.npy"]


def test_when_nothing_can_be_decoded_skipping_is_an_error_too(tmp_path: Path) -> None:
    write_images(tmp_path, each=2)
    for path in (tmp_path / "photos").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="4 of 4 images cannot be decoded"):
        bench_on(tmp_path, on_corrupt="skip").do("prepare")


def test_split_of_which_no_image_can_be_decoded_is_not_drawn_anew(tmp_path: Path) -> None:
    write_images(tmp_path, each=2)
    (tmp_path / "photos").rename(tmp_path / "parts")
    for split in ("train", "val"):
        shutil.copytree(tmp_path / "parts", tmp_path / "photos" / split)
    for path in (tmp_path / "photos" / "val").rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of the val images .*:\n    val/cat/0.png: cannot"):
        bench_on(tmp_path, on_corrupt="skip").do("prepare")


def test_images_of_different_sizes_say_which_and_what_to_set(tmp_path: Path) -> None:
    write_images(tmp_path)
    Image.new("RGB", (9, 5)).save(tmp_path / "photos" / "dog" / "2.png")
    with pytest.raises(DataError) as caught:
        bench_on(tmp_path).do("prepare")
    message = str(caught.value)
    assert "cat/0.png is 6×7 pixels, dog/2.png is 5×9" in message
    assert "set data.resize" in message


def test_a_crop_larger_than_one_image_names_it(tmp_path: Path) -> None:
    write_images(tmp_path)
    Image.new("RGB", (3, 3)).save(tmp_path / "photos" / "dog" / "2.png")
    with pytest.raises(DataError, match=r"dog/2.png: data.crop is 4×4, larger .* 3×3"):
        bench_on(tmp_path, crop=4).do("prepare")


def test_a_cache_that_is_there_is_not_made_again(tmp_path: Path) -> None:
    write_images(tmp_path)
    bench = bench_on(tmp_path)
    first = bench.do("prepare")
    stamp = (cached(bench) / "pixels.npy").stat().st_mtime_ns
    for path in (tmp_path / "photos").rglob("*.png"):
        path.unlink()
    assert bench.do("prepare") == first
    assert (cached(bench) / "pixels.npy").stat().st_mtime_ns == stamp


def test_a_stop_while_preparing_leaves_nothing_behind(tmp_path: Path) -> None:
    write_images(tmp_path)
    bench = bench_on(tmp_path)
    bench.options["should_stop"] = lambda: True
    with pytest.raises(Interrupted):
        bench.do("prepare")
    assert list(cached(bench).parent.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_a_living_ones_kept(tmp_path: Path) -> None:
    write_images(tmp_path)
    bench = bench_on(tmp_path)
    final, me, parent = cached(bench), this_process(), os.getppid()
    dead, living, elsewhere = (
        final.with_name(f"{final.name}.{process.tag()}.partial")
        for process in (
            replace(me, pid=2**22 + 1),
            replace(me, pid=parent, ticks=start_ticks(parent)),
            replace(me, host="elsewhere", pid=2**22 + 1),
        )
    )
    for folder in (dead, living, elsewhere):
        folder.mkdir(parents=True)
        (folder / "pixels.npy").write_bytes(b"half")
    bench.do("prepare")
    assert {path.name for path in final.parent.iterdir()} == {
        final.name,
        living.name,
        elsewhere.name,
    }


def test_a_full_disk_while_preparing_is_an_os_error_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path)
    bench = bench_on(tmp_path)

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        bench.do("prepare")
    assert list(cached(bench).parent.iterdir()) == []


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pixels_are_never_clipped(dtype: type) -> None:
    settings = settings_of(data={"dataset": "digits"}).data
    with pytest.raises(ValueError, match="were not scaled to 8 bits"):
        transform(Image.fromarray(np.ones((2, 2), dtype=dtype)), settings)


@pytest.mark.parametrize(
    ("width", "image", "why"),
    [
        (20_000, b"P5\n20000 20000\n255\n", "it is 20000×20000 (height × width), more than"),
        (2, None, "pixels of mode F have no known range"),
    ],
    ids=["vast", "float"],
)
def test_images_that_are_not_decoded_are_named_and_can_be_left_out(
    tmp_path: Path, width: int, image: bytes | None, why: str
) -> None:
    write_images(tmp_path)
    path = tmp_path / "photos" / "dog" / "2.png"
    if image is None:
        Image.new("F", (width, 1)).save(path, "tiff")
    else:
        path.write_bytes(image)
    with pytest.raises(DataError) as caught:
        bench_on(tmp_path).do("prepare")
    first, named, _ = str(caught.value).splitlines()
    assert first == "1 of 16 images cannot be decoded:"
    assert named.startswith(f"    {path}: {why}")
    skipped = bench_on(tmp_path, on_corrupt="skip").do("prepare").values["skipped"]
    assert [each["name"] for each in skipped] == ["dog/2.png"]
