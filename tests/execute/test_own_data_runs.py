"""Runs on own data sets: keyed by what these give, and only where their code is allowed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from forks import OUTPUT, Forks, KillAt
from grids import ask, left_in
from own_cells import CELLS, SPEC, write_cells, write_images
from PIL import Image
from planted import at_moment

from runner import api
from runner.core.errors import RunnerError

MARK = "from pathlib import Path\nPath('was_run').touch()\n"
NOT_ALLOWED = "'cells.py:Cells' is Python code; allow it with --code cells.py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder, with own code that says when it is run, and a spec."""
    monkeypatch.chdir(tmp_path)
    write_cells(tmp_path, MARK + CELLS)
    return tmp_path


@pytest.fixture
def done(home: Path) -> Path:
    """Return the folder of a run that is done; whether code is run is seen anew."""
    with api.allow_code("cells.py"):
        assert set(api.run("cells.yaml").statuses.values()) == {"done"}
    (home / "was_run").unlink()
    return home


def planned_epochs() -> int:
    with api.allow_code("cells.py"):
        return api.plan("cells.yaml").planned.epochs


def test_code_of_data_is_not_run_without_permission_nor_where_a_spec_is_validated(
    home: Path,
) -> None:
    for do in (api.run, api.plan, api.validate):
        with pytest.raises(RunnerError) as caught:
            do("cells.yaml")  # type: ignore[operator]
        assert str(caught.value) == f"cells.yaml:2:17: {NOT_ALLOWED}"
    with api.allow_code("cells.py"):
        api.validate("cells.yaml")
    assert not (home / "was_run").exists()


def test_mistakes_have_a_position_in_the_spec_before_any_work(home: Path) -> None:
    wrong = CELLS.replace("self.stain], ", "self.stain] / 255, ")
    write_cells(home, wrong)
    with api.allow_code("cells.py"), pytest.raises(RunnerError) as caught:
        api.run("cells.yaml")
    told = str(caught.value).splitlines()[0]
    assert told.startswith("cells.yaml:2:17: 'cells.py:Cells' gives float64 (6, 5) at index 0 (")
    write_cells(home, spec=SPEC.replace("path: cells.npz", "path: gone.npz"))
    with api.allow_code("cells.py"), pytest.raises(RunnerError, match=r"^cells\.yaml:2:41: miss"):
        api.run("cells.yaml")
    grouped = CELLS.replace("self.stain = stain", "self.stain, self.groups = stain, [1] * 40")
    write_cells(home, grouped)
    told = "images of a group (`groups`) are not to be taken apart"
    with api.allow_code("cells.py"), pytest.raises(RunnerError) as caught:
        api.run("cells.yaml")
    assert told in str(caught.value)
    assert not (home / "results.db").exists()


@pytest.mark.slow
def test_other_code_for_the_same_images_trains_nothing_and_other_images_are_new_runs(
    done: Path,
) -> None:
    assert planned_epochs() == 0
    same = CELLS.replace("self.stain], ", "self.stain][:, :, None].repeat(3, 2), ")
    same = same.replace("stain: int = 0", "stain: int = 0, zoom: float = 1.0")
    write_cells(done, same)
    assert planned_epochs() == 0
    write_images(done, seed=1)
    assert planned_epochs() == 1
    write_cells(done, CELLS.replace("self.stain], ", "self.stain] // 2, "))
    assert planned_epochs() == 1


@pytest.mark.slow
def test_a_run_on_own_data_is_shown_without_code_and_used_with_it(done: Path) -> None:
    record = api.show("cells:0:0").record
    assert record["settings"]["data"]["dataset"] == "cells.py:Cells"
    assert record["own_code"] == {"data": {"cells.py": MARK + CELLS}}
    assert len(api.list_runs().frame()) == 1
    assert len(api.report().frame()) == 1
    with pytest.raises(RunnerError, match="allow it with --code"):
        api.export("cells:0:0", "safetensors")
    assert not (done / "was_run").exists()
    with api.allow_code("cells.py"):
        assert api.export("cells:0:0", out="net.pt2").path.exists()


@pytest.mark.slow
def test_a_run_on_own_data_predicts_and_evaluates_other_images_where_its_code_is_allowed(
    done: Path,
) -> None:
    for split in ("0", "1"):
        (done / "photos" / split).mkdir(parents=True)
        Image.fromarray(np.zeros((6, 5), np.uint8)).save(done / "photos" / split / "a.png")
    with pytest.raises(RunnerError, match="allow it with --code"):
        api.predict("cells:0:0", [done / "photos"])
    with pytest.raises(RunnerError, match="allow it with --code"):
        api.evaluate("cells:0:0", done / "photos")
    assert not (done / "was_run").exists()
    with api.allow_code("cells.py"):
        assert len(api.predict("cells:0:0", [done / "photos"]).frame()) == 2
        assert "accuracy" in str(api.evaluate("cells:0:0", done / "photos").frame())


def test_a_class_without_settings_is_named_alone(home: Path) -> None:
    text = CELLS.replace("path: Path, stain", "path: Path = 'cells.npz', stain")
    spec = SPEC.replace('{dataset: "cells.py:Cells", path: cells.npz}', '"cells.py:Cells"')
    write_cells(home, text, spec)
    with api.allow_code("cells.py"):
        assert api.plan("cells.yaml").planned.epochs == 1


@pytest.mark.slow
@pytest.mark.parametrize("folds", ["", "folds: 3\n"])
def test_other_processes_and_all_settings_of_data_do_as_with_other_data_sets(
    home: Path, folds: str
) -> None:
    others = "train_images: 8, resize: 4, color: gray, normalize: imagenet"
    others = others.replace("imagenet", "{mean: [0.5], std: [0.25]}")
    spec = SPEC.replace("path: cells.npz", f"path: cells.npz, {others}")
    write_cells(
        home, spec=spec.replace("{epochs", "{augment: RandomHorizontalFlip, epochs") + folds
    )
    with api.allow_code("cells.py"):
        found = api.run("cells.yaml", executor="process")
        assert set(found.statuses.values()) == {"done"}
        assert len(found.statuses) == (3 if folds else 1)
        assert all(np.isfinite(api.report().frame()["VAL_ACC"]))


KILLS = {
    "runs planned": KillAt("runs planned, not recorded"),
    "about to be decoded": KillAt("images about to be decoded"),
    "written": KillAt("pixels written, not renamed"),
    "renamed": KillAt("pixels in place, not recorded"),
}
DECLARED = CELLS.replace("self.stain = stain", "self.stain, self.files = stain, [path]")


def begin(folder: Path, cells: str) -> list[str]:
    folder.mkdir()
    write_cells(folder, cells)
    return ["run", "cells.yaml", "--code", "cells.py"]


@pytest.mark.slow
@pytest.mark.parametrize("cells", [CELLS, DECLARED], ids=["read again", "remembered"])
def test_killed_runs_on_own_data_and_two_at_once_leave_what_an_undisturbed_one_leaves(
    forks: Forks, tmp_path: Path, cells: str
) -> None:
    words = begin(tmp_path / "undisturbed", cells)
    assert forks.run(tmp_path / "undisturbed", words) == 0
    undisturbed = left_in(tmp_path / "undisturbed")
    for name, kill in KILLS.items():
        folder = tmp_path / name
        assert forks.run(folder, begin(folder, cells), kill) != 0
        assert forks.run(folder, words) == 0, (folder / OUTPUT).read_text()
        left = left_in(folder)
        assert (left.tensors, left.pixels) == (undisturbed.tensors, undisturbed.pixels)
        assert not left.litter
    begin(tmp_path / "both", cells)
    pids = [forks.start(tmp_path / "both", words) for _ in range(2)]
    assert [forks.wait(pid) for pid in pids] == [0, 0], (tmp_path / "both" / OUTPUT).read_text()
    done = "SELECT kind, number, status FROM attempts JOIN stages USING (stage_key)"
    assert {each[1:] for each in ask(tmp_path / "both", done)} == {(1, "done")}
    assert left_in(tmp_path / "both").tensors == undisturbed.tensors


@pytest.mark.slow
def test_images_that_change_while_they_are_decoded_end_in_no_result(home: Path) -> None:
    late = "self.stain] ^ np.uint8(Path('late').exists())"
    write_cells(home, CELLS.replace("self.stain]", late))
    with api.allow_code("cells.py"):
        with at_moment("images about to be decoded", (home / "late").touch):
            assert set(api.run("cells.yaml").statuses.values()) == {"failed"}
        (message,) = ask(home, "SELECT message FROM results WHERE status = 'failed'")[0]
        told = "'cells.py:Cells' gives another image at index 0 than when this command began"
        assert message.startswith(told)
        assert not list((home / ".runner").glob("pixels/*"))
        assert set(api.run("cells.yaml").statuses.values()) == {"done"}
