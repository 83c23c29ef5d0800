"""Pictures of a run on the page: what it has kept, by content hash alone."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("starlette")
pytest.importorskip("httpx")

from starlette.testclient import TestClient

from runner import api
from runner.api.picturing import Pictures
from runner.api.watching import Watch
from runner.page.app import PageApp
from runner.page.one_file import write_file

pytestmark = pytest.mark.slow

SPEC = """
name: seen
data: {dataset: digits, resize: 16}
model: {name: convnet, filters: [4]}
train: {epochs: 1, batch_size: 64, augment: [{name: RandomRotation, degrees: 30}]}
analyses:
  first: filters
  confused: {name: predictions, split: test}
"""
OF = "experiment=seen&cell=0:0"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("seen")
    (folder / "seen.yaml").write_text(SPEC, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        api.run("seen.yaml", device="cpu")
    return folder


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    watch, pictures = Watch(home / "results.db"), Pictures(home / "results.db")
    yield TestClient(PageApp(watch, pictures).application())
    watch.close()
    pictures.close()


def test_the_numbers_of_the_confusion_matrix_open_the_images_behind_them(
    client: TestClient, home: Path
) -> None:
    found = client.get(f"/pictures?{OF}").json()
    (confusion,) = [each for each in found["confusions"] if each["split"] == "test"]
    frame = api.predictions("seen:0:0", split="test", db=home / "results.db").confusion()
    assert confusion["matrix"] == frame.to_numpy().tolist()
    counts = [
        (row, column, count)
        for row, numbers in enumerate(confusion["matrix"])
        for column, count in enumerate(numbers)
        if count and row != column
    ]
    for row, column, count in counts[:3]:
        label, predicted = confusion["classes"][row], confusion["classes"][column]
        asked = f"/images?{OF}&split=test&label={label}&predicted={predicted}"
        images = client.get(asked).json()
        assert len(images) == count
        assert {(each["label"], each["predicted"]) for each in images} == {(label, predicted)}
        png = client.get(f"/picture/{images[0]['digest']}")
        assert hashlib.sha256(png.content).hexdigest() == images[0]["digest"]
        assert Image.open(io.BytesIO(png.content)).size == (16, 16)


def test_the_most_confident_are_in_order(client: TestClient) -> None:
    images = client.get(f"/images?{OF}&split=test&kind=wrong").json()
    shares = [each["probability"] for each in images]
    assert shares == sorted(shares, reverse=True)
    assert all(each["label"] != each["predicted"] for each in images)


def test_figures_of_analyses_are_drawn_when_asked_for(client: TestClient) -> None:
    figures = client.get(f"/pictures?{OF}").json()["figures"]
    assert {each["name"]: each["kind"] for each in figures} == {
        "first": "filters",
        "confused": "predictions",
        "augmentations": "augmentations",
    }
    for each in figures:
        pages = client.get(f"/figure?{OF}&analysis={each['key']}").json()
        assert pages
        for page in pages:
            assert client.get(f"/picture/{page['digest']}").headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "asked",
    [
        "picture/" + "0" * 64,
        "picture/seen",
        f"figure?{OF}&analysis=unknown",
        f"images?{OF}&split=val&label=0&predicted=nothing",
        f"images?{OF}&split=other",
        "pictures?experiment=seen&cell=9:9",
    ],
)
def test_an_unknown_picture_is_nothing(client: TestClient, asked: str) -> None:
    answer = client.get(f"/{asked}")
    assert answer.status_code == 404
    assert "problem" in answer.json()


def test_looking_writes_nothing(client: TestClient, home: Path) -> None:
    def state() -> dict[str, tuple[int, int]]:
        return {
            str(path): (path.stat().st_mtime_ns, path.stat().st_size)
            for path in home.rglob("*")
            if path.is_file() and not path.name.endswith(("-shm", "-wal"))
        }

    before = state()
    found = client.get(f"/pictures?{OF}").json()
    for each in found["figures"]:
        client.get(f"/figure?{OF}&analysis={each['key']}")
    client.get(f"/images?{OF}&split=test")
    client.get("/changes?experiment=seen")
    assert state() == before


def test_one_file_has_the_pictures_in_it(home: Path, tmp_path: Path) -> None:
    watch, pictures = Watch(home / "results.db"), Pictures(home / "results.db")
    write_file(watch, tmp_path / "page.html", pictures=pictures)
    watch.close()
    pictures.close()
    html = (tmp_path / "page.html").read_text("utf-8")
    assert html.count("data:image/png;base64,") > 20
    assert '[\\"figure\\"' in html or '"[\\"figure' in html
