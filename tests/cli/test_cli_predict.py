"""`predict`: the run's own preprocessing for all kinds of files, and what is unreadable."""

import csv
import io
import json
import os
import shutil
import signal
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import Call
from PIL import Image
from safetensors.numpy import load_file
from trained import CLASSES, draw_kinds, draw_unreadable, noise

from runner import api
from runner.cli.app import main
from runner.engine.inference import image_files
from runner.engine.inference.classifying import TrainedClassifier


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def by_hand(path: Path, which: str = "best") -> np.ndarray[Any, Any]:
    """Return the probabilities of the classes of a photograph, by NumPy alone."""
    (file,) = Path(".runner/weights").glob(f"*/*-{which}.safetensors")
    tensors = load_file(file)
    w1, w2 = (tensors[name] for name in sorted(tensors) if name.endswith("weight"))
    b1, b2 = (tensors[name] for name in sorted(tensors) if name.endswith("bias"))
    image = Image.open(path).convert("RGB")
    width, height = image.size
    image = image.resize((9, int(9 * height / width)), Image.Resampling.BILINEAR)
    top, left = round((image.height - 8) / 2), round((image.width - 7) / 2)
    pixels = np.asarray(image.crop((left, top, left + 7, top + 8)), np.float64) / 255
    values = ((pixels - [0.4, 0.5, 0.6]) / [0.2, 0.3, 0.4]).transpose(2, 0, 1).reshape(-1)
    logits = w2 @ np.maximum(w1 @ values + b1, 0) + b2
    shares = np.exp(logits - logits.max())
    return shares / shares.sum()


@pytest.mark.slow
def test_probabilities_are_those_that_numpy_computes_from_the_kept_weights(
    photos_run: Path, call: Call
) -> None:
    called = call("predict", "photos:0", "photos", "--top", 3, "--device", "cpu")
    assert (called.code, called.err) == (0, "")
    found = rows(called.out)
    assert [row["file"] for row in found] == [
        f"photos/{name}/{number}.png" for name in CLASSES for number in sorted(map(str, range(12)))
    ]
    for row in found:
        expected = by_hand(Path(row["file"]))
        order = np.argsort(-expected)
        assert [row["class"], row["class_2"], row["class_3"]] == [CLASSES[i] for i in order]
        shares = [float(row[f"probability{end}"]) for end in ("", "_2", "_3")]
        assert shares == pytest.approx(expected[order], abs=1e-5)


@pytest.mark.slow
def test_every_kind_of_image_counts_as_the_plain_picture_that_it_shows(
    photos_run: Path, call: Call
) -> None:
    plain = draw_kinds(Path("kinds"))
    Path("plain").mkdir()
    for name, image in plain.items():
        image.save(Path("plain") / f"{name}.png")
    called = call("predict", "photos:0", "kinds", "--top", 3)
    assert called.code == 0
    assert called.err == "only the first frame was looked at: kinds/moving.png\n"
    expected = rows(call("predict", "photos:0", "plain", "--top", 3).out)
    found = rows(called.out)
    assert len(found) == len(plain) == 6
    for row, like in zip(found, expected, strict=True):
        assert like["file"] == f"plain/{Path(row['file']).name}.png"
        assert [each for key, each in row.items() if "class" in key] == [
            each for key, each in like.items() if "class" in key
        ]
        assert float(row["probability"]) == pytest.approx(float(like["probability"]), abs=1e-6)


@pytest.mark.slow
def test_what_cannot_be_read_is_named_and_the_rest_is_done(photos_run: Path, call: Call) -> None:
    draw_kinds(Path("kinds"))
    alone = call("predict", "photos:0", "kinds").out
    wrong = draw_unreadable(Path("kinds"))
    if hasattr(os, "mkfifo"):
        os.mkfifo("kinds/queue.png")
        wrong["queue.png"] = "it is a pipe"
    called = call("predict", "photos:0", "kinds")
    assert called.code == 1
    assert [row["file"] for row in rows(called.out)] == [row["file"] for row in rows(alone)]
    for name, why in wrong.items():
        assert f"kinds/{name}: {why}" in called.err
    assert called.err.endswith(f"{len(wrong)} of {len(wrong) + 6} files could not be read\n")
    assert ".hidden" not in called.err


def test_nothing_readable_is_an_empty_table(photos_run: Path, call: Call) -> None:
    Path("notes.jpg").write_text("no image")
    called = call("predict", "photos:0", "notes.jpg")
    assert (called.code, called.out) == (1, "file,class,probability\n")


def test_names_come_from_standard_input_and_results_go_to_a_file(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = b"photos/dog/1.png\n\nphotos/cat/2.png\r\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    called = call("predict", "photos:0", "-", "--format", "json", "--out", "said.json")
    assert (called.code, called.out) == (0, "")
    said = json.loads(Path("said.json").read_text())
    assert [each["file"] for each in said] == ["photos/dog/1.png", "photos/cat/2.png"]
    assert said[0]["top"] == [{"class": said[0]["class"], "probability": said[0]["probability"]}]


@pytest.mark.slow
@pytest.mark.parametrize("given", [".", "photos"])
def test_file_that_is_written_to_is_not_looked_at(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.chdir("photos")
    words = ("predict", "photos:0", "--db", "../results.db", given if given == "." else "../photos")
    for _ in range(2):
        called = call(*words, "--out", "said.csv")
        assert (called.code, called.err) == (0, "")
    assert len(rows(Path("said.csv").read_text())) == 36
    Path("said.csv").unlink()
    with Path("shell.csv").open("w") as file:
        monkeypatch.setattr("sys.stdout", file)
        monkeypatch.setattr("sys.argv", ["runner", *words])
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    assert len(rows(Path("shell.csv").read_text())) == 36


def test_image_is_not_written_over(photos_run: Path, call: Call) -> None:
    before = Path("photos/cat/1.png").read_bytes()
    called = call("predict", "photos:0", "photos/cat/1.png", "--out", "photos/cat/1.png")
    assert (called.code, called.out) == (2, "")
    assert "photos/cat/1.png would be read, and written to\n    hint: give another" in called.err
    assert Path("photos/cat/1.png").read_bytes() == before


def test_large_images_are_decoded_one_after_the_other(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = call("predict", "photos:0", "photos").out
    real, lock = image_files.transform, threading.Lock()

    def counted(*given: Any) -> Any:
        with lock:
            busy.append(1)
            most.append(len(busy))
        found = real(*given)
        with lock:
            busy.pop()
        return found

    busy: list[int] = []
    most: list[int] = []
    monkeypatch.setattr(image_files, "transform", counted)
    monkeypatch.setattr(image_files, "DECODED_BYTES", 1000)  # less than one image
    monkeypatch.setattr(image_files, "CHUNK_BYTES", 1000)
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    assert call("predict", "photos:0", "photos").out == expected
    assert (len(most), max(most)) == (36, 1)


@pytest.mark.slow
def test_photograph_of_many_pixels_is_read_without_a_warning(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with warnings.catch_warnings(record=True) as warned:
        assert call("predict", "photos:0", "photos/cat/1.png").code == 0
    assert not warned
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 60)
    called = call("predict", "photos:0", "photos/cat/1.png")
    assert called.code == 1
    assert (
        "photos/cat/1.png: it is 12×11 (height × width), more than the 120 pixels that are"
        " decoded\n"
    ) in called.err


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("predict", "photos:0", "photos"),
        ("evaluate", "photos:0", "--data", "photos"),
        ("export", "photos:0", "--format", "safetensors"),
        ("inspect", "sizes", "photos.yaml", "--classes", "3"),
    ],
    ids=" ".join,
)
def test_reader_of_a_pipe_that_has_gone_ends_the_command_without_a_trace(
    photos_run: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    for_reading, for_writing = os.pipe()
    os.close(for_reading)
    file = os.fdopen(for_writing, "w", encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["runner", *words])
        patch.setattr("sys.stdout", file)
        with pytest.raises(SystemExit) as ended:
            main()
    os.dup2(os.open(os.devnull, os.O_WRONLY), file.fileno())
    file.close()
    assert ended.value.code == 1
    assert "Error" not in capsys.readouterr().err


@pytest.mark.slow
def test_batches_change_nothing(photos_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = api.predict("photos:0", "photos", device="cpu").frame()
    monkeypatch.setattr("runner.engine.inference.classifying.evaluation_batch_size", lambda *_: 5)
    heard: list[tuple[int, int]] = []
    parts = api.predict(
        "photos:0",
        "photos",
        device="cpu",
        on_predicted=lambda said, done, total: heard.append((done, total)),
    ).frame()
    assert heard[0] == (5, 36)
    assert heard[-1] == (36, 36)
    assert len(heard) == 8
    assert list(parts["class"]) == list(whole["class"])
    assert list(parts["probability"]) == pytest.approx(list(whole["probability"]), abs=1e-6)


@pytest.mark.slow
def test_image_of_another_size_is_named_where_the_data_has_no_resize(
    tiny: Path, call: Call
) -> None:
    Image.fromarray(noise(1, 4, 4, 3)).save("right.png")
    Image.fromarray(noise(1, 5, 4, 3)).save("wrong.png")
    called = call("predict", "tiny:0:0", "right.png", "wrong.png")
    assert called.code == 1
    assert [row["file"] for row in rows(called.out)] == ["right.png"]
    assert "wrong.png: it is 5×4 pixels, and the run's images are 4×4" in called.err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("photo:0", "photos"), "no experiment 'photo'\n    did you mean: photos"),
        (("photos:0", "photo"), "no file or folder photo"),
        (("photos:0", "x" * 300), "no file or folder xxx"),
        (("photos:0", "photos", "--out", "x" * 300), "cannot be written: File name too long"),
        (("photos:0", "photos", "--top", "4"), "top is 4\n    allowed: 1 to 3, the run's classes"),
        (("photos:0", "photos", "--format", "text"), "unknown format 'text'"),
        (("photos:0", "photos", "--weights", "lst"), "no weights 'lst'\n    did you mean: last"),
        (("photos:0", "photos", "--out", "no/such"), "no folder no for such"),
        (("photos:0", "photos", "--device", "tpu"), "no device 'tpu'"),
    ],
)
def test_wrong_words_are_refused_before_any_work(
    photos_run: Path, call: Call, words: tuple[str, ...], said: str
) -> None:
    called = call("predict", *words)
    assert (called.code, called.out) == (2, "")
    assert said in called.err


@pytest.mark.slow
def test_weights_that_are_gone_say_what_getting_them_back_costs(
    photos_run: Path, call: Call
) -> None:
    for file in Path(".runner/weights").glob("*/*-best.safetensors"):
        file.write_bytes(file.read_bytes()[:-1] + b"?")
    for command in (
        ["predict", "photos:0", "photos"],
        ["evaluate", "photos:0", "--data", "photos"],
        ["export", "photos:0", "--format", "safetensors"],
    ):
        called = call(*command)
        assert (called.code, called.out) == (2, "")
        assert "are damaged (" in called.err
    shutil.rmtree(".runner/weights")
    called = call("predict", "photos:0", "photos", "--out", "said.csv")
    assert called.code == 2
    assert "are gone (" in called.err
    assert "hint: only training again brings them back (3 epochs took " in called.err
    assert " on cpu): runner run photos.yaml --rerun --only seed=0\n" in called.err
    assert not Path("said.csv").exists()
    assert call("run", "photos.yaml", "--rerun", "--only", "seed=0").code == 0
    assert call("predict", "photos:0", "photos").code == 0


@pytest.mark.slow
def test_run_without_weights_says_how_to_train_it(tiny: Path, call: Call) -> None:
    text = Path("tiny.yaml").read_text().replace("epochs: 2,", "epochs: 3,")
    Path("tiny.yaml").write_text(text)
    assert call("run", "tiny.yaml", "--limit", 1).code == 0
    called = call("predict", "tiny:1:0", "tiny.yaml")
    assert called.code == 2
    assert "run tiny:1:0 is unfinished: it has no weights\n    hint: `runner run" in called.err


def test_weights_of_the_last_epoch_where_they_are_kept(photos_run: Path) -> None:
    (said,) = api.predict("photos:0", "photos/emu/7.png", weights="last", top=3).rows
    expected = by_hand(said.file, "last")
    assert dict(said.top) == pytest.approx(dict(zip(CLASSES, expected, strict=True)), abs=1e-5)


@pytest.mark.slow
def test_classes_are_found_without_prepared_images_and_never_guessed(
    photos_run: Path, call: Call
) -> None:
    before = call("predict", "photos:0", "photos/cat").out
    shutil.rmtree(".runner/pixels")
    assert call("predict", "photos:0", "photos/cat").out == before
    shutil.move("photos/cat/3.png", "3.png")
    called = call("predict", "photos:0", "3.png")
    assert called.code == 2
    assert "is not what the run was trained on any more" in called.err
    shutil.move("photos", "elsewhere")
    called = call("predict", "photos:0", "3.png")
    assert called.code == 2
    assert "the data set imagefolder of the run is not here: no folder photos" in called.err


def test_stopped_after_a_batch_leaves_no_half_of_a_file(
    photos_run: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.engine.inference.classifying.evaluation_batch_size", lambda *_: 5)
    real = TrainedClassifier.most_probable

    def with_ctrl_c(self: TrainedClassifier, *given: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return real(self, *given)

    monkeypatch.setattr(TrainedClassifier, "most_probable", with_ctrl_c)
    called = call("predict", "photos:0", "photos", "--out", "said.csv")
    assert (called.code, called.out) == (130, "")
    assert "stopped after 5 of 36 files" in called.err
    assert not list(Path().glob("said*"))


def test_frame_has_the_rows_that_are_printed(photos_run: Path, call: Call) -> None:
    Path("photos/dog/notes.txt").write_text("no image")
    found = api.predict("photos:0", ["photos/dog", Path("photos/emu/1.png")], top=2, device="cpu")
    printed = call("predict", "photos:0", "photos/dog", "photos/emu/1.png", "--top", 2).out
    assert found.frame().to_csv(index=False) == printed
    assert [(str(each.file), each.error) for each in found.unread] == [
        ("photos/dog/notes.txt", "cannot identify image file")
    ]
