"""A folder of split folders: trained on, validated and tested on its own splits."""

import shutil
from pathlib import Path

import pytest
from grids import write_photos

from runner import api
from runner.api.running import run

SPEC = """\
name: parts
data: {dataset: imagefolder, path: parts, resize: 8, crop: [8, 9], validation: 0.25, test: 0.25}
model: {name: mlp, hidden: [5]}
train: {epochs: 2, batch_size: 8}
"""


@pytest.mark.slow
@pytest.mark.parametrize("parts", [("train", "val", "test"), ("train", "val"), ("train", "test")])
def test_run_is_measured_on_the_splits_of_its_folder(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    write_photos(tmp_path / "photos")
    spec = SPEC
    for part, setting in (("train", ""), ("val", ", validation: 0.25"), ("test", ", test: 0.25")):
        if part in parts:
            shutil.copytree(tmp_path / "photos", tmp_path / "parts" / part)
            spec = spec.replace(setting, "")
    (tmp_path / "parts.yaml").write_text(spec)
    database = tmp_path / "results.db"
    run(tmp_path / "parts.yaml", threads=1, db=database)
    total = len(list((tmp_path / "photos").rglob("*.png")))
    for split in ("val", "test"):
        names = api.predictions("parts:0", split, db=database).frame()["image"]
        own = split in parts
        assert {name.split("/")[0] for name in names} == {split if own else "train"}
        assert len(names) == (total if own else total // 4)
