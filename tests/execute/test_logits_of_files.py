"""Kept logits stand under the names of the images that they were computed from."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from grids import write_photos

from runner import api
from runner.api.running import run
from runner.execute import carry_out

SPEC = """\
name: photos
data:
  {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 8, crop: [8, 9],
   on_corrupt: skip}
model: {name: mlp, hidden: [5]}
train: {epochs: 2, batch_size: 8}
tables: {all: {A: test_accuracy, B: val_brier}}
"""
BROKEN = ("class_0/03.png", "class_1/00.png")


@pytest.fixture(scope="module")
def skipped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a finished run that left out two broken images."""
    folder = tmp_path_factory.mktemp("skipped")
    write_photos(folder / "photos")
    for name in BROKEN:
        (folder / "photos" / name).write_bytes(b"no image")
    (folder / "photos.yaml").write_text(SPEC)
    run(folder / "photos.yaml", threads=1, db=folder / "results.db")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("split", ["test", "val"])
def test_logits_have_the_names_of_their_images_where_others_were_left_out(
    skipped: Path, split: str
) -> None:
    db, photos = skipped / "results.db", skipped / "photos"
    frame = api.predictions("photos:0", split, db=db).frame()
    names = frame["image"].tolist()
    assert frame["label"].tolist() == [Path(name).parent.name for name in names]
    assert not set(names) & set(BROKEN)
    again = api.predict("photos:0", [photos / name for name in names], db=db)
    assert [each.class_name for each in again.rows] == frame["predicted"].tolist()
    probabilities = [each.probability for each in again.rows]
    assert probabilities == pytest.approx(frame["probability"].tolist(), abs=1e-5)


@pytest.mark.slow
def test_the_data_is_not_listed_again_for_names(
    skipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Unlisted(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise AssertionError("the data was asked for")

    real = carry_out.image_sources
    monkeypatch.setattr(carry_out, "image_sources", lambda cells: Unlisted(real(cells)))
    shutil.rmtree(skipped / ".runner" / "logits")
    (skipped / "photos.yaml").write_text(SPEC.replace("val_brier", "val_ece"))
    ran = run(skipped / "photos.yaml", threads=1, db=skipped / "results.db")
    assert (ran.before, ran.failed_measurements) == (1, 0)
    assert len(api.predictions("photos:0", "val", db=skipped / "results.db").frame()) == 9
