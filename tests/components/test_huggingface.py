"""Data sets of the Hugging Face Hub: a hub on this machine, and folders of Parquet files."""

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import write_huggingface, write_parquet
from pydantic import TypeAdapter, ValidationError

datasets = pytest.importorskip("datasets")
hub_package = pytest.importorskip("huggingface_hub")

from runner.artifacts.hashes import HashCache  # noqa: E402
from runner.components.data import Data  # noqa: E402
from runner.components.data import hub as hub_module  # noqa: E402
from runner.components.data.archives import Fetchable  # noqa: E402
from runner.components.data.dataset import DataAccess, ImageSource  # noqa: E402
from runner.components.data.files import ChangedFile  # noqa: E402
from runner.components.data.finding import MissingData  # noqa: E402
from runner.components.data.invalid import InvalidData  # noqa: E402
from runner.components.download import DownloadFailed, Downloading  # noqa: E402

pytestmark = pytest.mark.slow

NAMED: dict[str, Any] = {"name": "owner/set@main"}
LOCAL: dict[str, Any] = {"path": "folder"}
TEST = "test-00000-of-00001.parquet"


def settings(**given: Any) -> Any:
    return TypeAdapter(Data).validate_python({"dataset": "huggingface", **given})


def access_to(root: Path, told: list[Downloading] | None = None) -> DataAccess:
    def fetch(public: Fetchable, to: Path) -> None:
        assert told is not None
        public.fetch(to, told.append)

    hash_files = HashCache(root / "hashes").hash_files
    return DataAccess((root / "data",), hash_files, None if told is None else fetch)


def built(root: Path, **given: Any) -> ImageSource:
    source: ImageSource = settings(**given).build(access_to(root))
    return source


def write_local(root: Path) -> Path:
    return write_huggingface(root / "data", "folder")


def refused(root: Path, **given: Any) -> InvalidData:
    with pytest.raises(InvalidData) as error:
        built(root, **LOCAL, **given)
    return error.value


# a folder of Parquet files


def test_images_labels_and_splits_are_those_of_the_package(tmp_path: Path) -> None:
    home = write_local(tmp_path)
    source = built(tmp_path, **LOCAL)
    theirs = datasets.load_dataset(str(home), cache_dir=str(tmp_path / "cache"))
    index = 0
    for split, called in (("train", "train"), ("val", "validation"), ("test", "test")):
        for row in theirs[called]:
            assert source.splits[index] == split
            assert source.classes[source.labels[index]] == ("cat", "dog")[row["label"]]
            assert np.array_equal(np.asarray(source.read(index)), np.asarray(row["image"]))
            index += 1
    assert index == len(source.names) == 27
    assert source.names[0] == "train/00000000"
    assert source.notes[0].startswith(f"splits of {home}: train (17 training images), val (4 ")


def test_images_are_read_in_any_order(tmp_path: Path) -> None:
    write_local(tmp_path)
    source = built(tmp_path, **LOCAL)
    forward = [np.asarray(source.read(index)).sum() for index in range(27)]
    draw = np.random.default_rng(0).permutation(27).tolist()
    assert [np.asarray(source.read(index)).sum() for index in draw] == [forward[at] for at in draw]
    assert len(set(forward)) > 20


def test_a_set_of_the_hub_is_the_same_as_its_folder(tmp_path: Path) -> None:
    write_local(tmp_path)
    write_huggingface(tmp_path / "data")
    assert built(tmp_path, **NAMED).fingerprint == built(tmp_path, **LOCAL).fingerprint


def test_a_split_that_is_not_there_is_drawn_and_others_are_left_out(tmp_path: Path) -> None:
    home = tmp_path / "data" / "folder"
    write_parquet(home / "train.parquet", [0, 1] * 5)
    source = built(tmp_path, **LOCAL)
    assert set(source.splits) == {"train"}
    assert settings(**LOCAL).test_share() == 0.2
    (home / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
        "    path: train.parquet\n  - split: extra\n    path: more.parquet\n---\n"
    )
    write_parquet(home / "more.parquet", [0, 1])
    source = built(tmp_path, **LOCAL)
    assert len(source.names) == 10
    assert source.notes[0] == f"left out of {home}, since no training uses them: extra"


def test_files_of_no_split_are_named(tmp_path: Path) -> None:
    home = write_local(tmp_path)
    write_parquet(home / "data" / "test-1.parquet", [0, 1])
    source = built(tmp_path, **LOCAL)
    assert len(source.names) == 27
    assert source.notes[0] == f"left out of {home}, since of no split: data/test-1.parquet"


def test_configurations_are_chosen_by_name_or_folder(tmp_path: Path) -> None:
    home = tmp_path / "data" / "folder"
    for config, count in (("small", 4), ("large", 8)):
        for split in ("train", "test"):
            write_parquet(home / config / split / "0000.parquet", [0, 1] * (count // 2))
    assert len(built(tmp_path, **LOCAL, config="large").names) == 16
    assert len(built(tmp_path, **LOCAL, config="small").names) == 8
    (home / "README.md").write_text(
        "---\nconfigs:\n- config_name: mine\n  data_files:\n  - split: train\n"
        "    path: small/train/*\n  - split: test\n    path: large/test/*\n---\n"
    )
    assert len(built(tmp_path, **LOCAL, config="mine").names) == 12
    error = refused(tmp_path, config="his")
    assert "cannot be read as a data set" in str(error)
    assert "mine" in f"{error} {error.hint}"


@pytest.mark.parametrize(
    ("labels", "names", "classes"),
    [
        ([1, 0, 1, 0], ("zebra", "ant"), ("zebra", "ant")),
        ([0, 2, 2, 0], ("zebra", "bee", "ant"), ("zebra", "ant")),
        (["b", "a", "b", "a"], None, ("a", "b")),
        ([10, 9, 10, 9], None, ("9", "10")),
    ],
    ids=["order of the names", "a class without images", "texts", "numbers"],
)
def test_classes_have_their_names_and_order(
    tmp_path: Path, labels: list[Any], names: tuple[str, ...] | None, classes: tuple[str, ...]
) -> None:
    write_parquet(tmp_path / "data" / "folder" / "train.parquet", labels, names)
    source = built(tmp_path, **LOCAL)
    assert source.classes == classes
    named = labels if names is None else [names[label] for label in labels]
    assert [source.classes[label] for label in source.labels] == [str(each) for each in named]
    assert any("bee" in note for note in source.notes) == (len(names or ()) == 3)


def test_columns_are_found_by_their_kind_or_named(tmp_path: Path) -> None:
    file = tmp_path / "data" / "folder" / "train.parquet"
    write_parquet(file, [0, 1, 0, 1], columns=("img", "fine_label"))
    found = built(tmp_path, **LOCAL)
    named = built(tmp_path, **LOCAL, image="img", label="fine_label")
    assert found.fingerprint == named.fingerprint
    assert refused(tmp_path, label="coarse").setting == "label"
    error = refused(tmp_path, image="fine_label")
    assert str(error) == f"{file}: the column fine_label holds no encoded images"
    write_parquet(file, ["a", "b"] * 2, None, columns=("img", "kind"))
    error = refused(tmp_path)
    assert (error.setting, error.hint) == ("image", "name the column: image: …")
    assert str(error) == f"{file} has no column image, but img, kind"
    assert built(tmp_path, **LOCAL, image="img", label="kind").classes == ("a", "b")


@pytest.mark.parametrize(
    ("labels", "what"),
    [
        ([0, 1, -1], "row 3: label has no label"),
        ([0, 1, None], "row 3: label has no label"),
        ([0, 1, 2], "row 3: label has the label 2, but the classes are 0 to 1"),
        ([0, 1, -2], "row 3: label has the label -2"),
    ],
)
def test_images_without_a_label_are_refused(
    tmp_path: Path, labels: list[int | None], what: str
) -> None:
    write_local(tmp_path)
    write_parquet(tmp_path / "data" / "folder" / "data" / TEST, labels)
    error = refused(tmp_path)
    assert str(error).endswith(what)
    assert error.setting == "label"


def test_files_that_differ_are_refused(tmp_path: Path) -> None:
    home = write_local(tmp_path)
    write_parquet(home / "data" / TEST, [0, 1], ("dog", "cat"))
    assert "differ in their columns or classes" in str(refused(tmp_path))


def test_a_folder_that_holds_no_data_set_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "data" / "folder"
    home.mkdir(parents=True)
    assert "cannot be read as a data set" in str(refused(tmp_path))
    (home / "train.csv").write_text("image,label\n1.png,0\n")
    assert "files that are not Parquet: train.csv" in str(refused(tmp_path))
    (home / "train.csv").unlink()
    (home / "train.parquet").write_bytes(b"PAR1 no more")
    assert "is no Parquet file that can be read" in str(refused(tmp_path))
    (home / "train.parquet").unlink()
    write_parquet(home / "test.parquet", [0, 1])
    assert str(refused(tmp_path)) == f"{home} has no split train, but test"


def test_code_in_a_folder_is_not_run(tmp_path: Path) -> None:
    home = write_local(tmp_path)
    harm = f"open({str(tmp_path / 'harmed')!r}, 'w')\n"
    for name in ("folder.py", "data.py", "__init__.py"):
        (home / name).write_text(harm)
    with pytest.raises(InvalidData, match="cannot be read as a data set"):
        built(tmp_path, **LOCAL)
    assert not (tmp_path / "harmed").exists()


def test_a_file_outside_of_the_folder_is_refused(tmp_path: Path) -> None:
    home = write_local(tmp_path)
    write_parquet(tmp_path / "data" / "secret.parquet", [0, 1])
    (home / "README.md").write_text(
        "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
        "    path: ../secret.parquet\n---\n"
    )
    assert "names a file outside of it" in str(refused(tmp_path))


def test_a_file_that_changes_after_it_was_hashed_is_not_read(tmp_path: Path) -> None:
    home = write_local(tmp_path)
    source = built(tmp_path, **LOCAL)
    file = home / "data" / "train-00001-of-00002.parquet"
    write_parquet(file, [0] * 7)
    source.read(0)
    with pytest.raises(ChangedFile, match="has other content"):
        source.read(10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_damaged_file_is_refused_or_its_images_are(tmp_path: Path, seed: int) -> None:
    draw = np.random.default_rng(seed)
    file = tmp_path / "data" / "folder" / "train.parquet"
    write_parquet(file, [0, 1] * 3)
    whole = file.read_bytes()
    wrong = 0
    for _ in range(12):
        content = bytearray(whole)
        for at in draw.integers(0, len(content), 3).tolist():
            content[at] ^= int(draw.integers(1, 256))
        file.write_bytes(content[: int(draw.integers(1, len(content)))] if seed % 2 else content)
        try:
            source = built(tmp_path, **LOCAL)
            for index in range(len(source.names)):
                source.read(index)
        except (InvalidData, OSError, SyntaxError):
            wrong += 1
    assert wrong >= 4


def test_a_row_without_an_image_is_found_when_it_is_read(tmp_path: Path) -> None:
    import pyarrow as arrow
    from pyarrow import parquet

    home = tmp_path / "data" / "folder"
    home.mkdir(parents=True)
    table = arrow.table({"image": [b"no image", None], "label": ["a", "b"]})
    parquet.write_table(table, home / "train.parquet")
    source = built(tmp_path, **LOCAL)
    with pytest.raises(OSError, match="cannot identify image file"):
        source.read(0)
    with pytest.raises(OSError, match="the row holds no image"):
        source.read(1)


@pytest.mark.parametrize(
    "given",
    [
        {},
        {**NAMED, **LOCAL},
        {"name": "owner/set"},
        {"name": "set@main"},
        {"name": "owner/set@../../x"},
        {"name": "../set@main"},
        {"name": "owner/set@"},
        {"name": "https://example.org/set@main"},
    ],
)
def test_a_name_is_owner_set_and_revision(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**given)


def test_without_the_package_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "find_spec", lambda name: None)
    error = refused(tmp_path)
    assert (error.setting, error.hint) == ("dataset", 'pip install "runner[hf]"')


# the hub

SHA = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """A hub with one set, at the revisions main and SHA.

    Attributes:
        files: contents by name.
        lied: checksums that it gives in the place of the right ones.
        asked: names of the files that were asked for.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    lied: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def page(self) -> Mapping[str, Any]:
        listed = []
        for name, content in self.files.items():
            sha = self.lied.get(name, hashlib.sha256(content).hexdigest())
            lfs = {"sha256": sha, "size": len(content), "pointerSize": 130}
            listed.append({"rfilename": name, "size": len(content), "blobId": "b", "lfs": lfs})
        return {"id": "owner/set", "sha": SHA, "siblings": listed}


@contextmanager
def serving_hub(hub: Hub) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, whole: bool) -> None:
            path = self.path.partition("?")[0]
            content, code = b"Not found", 404
            head = f"/datasets/owner/set/resolve/{SHA}/"
            if path == "/api/datasets/owner/set/revision/main":
                content, code = json.dumps(hub.page()).encode(), 200
            elif path.startswith(head) and path.removeprefix(head) in hub.files:
                content, code = hub.files[path.removeprefix(head)], 200
                if whole:
                    hub.asked.append(path.removeprefix(head))
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", SHA)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.end_headers()
            if whole:
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_address[1]}"
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    home = write_huggingface(tmp_path / "published", "set")
    files = {
        path.relative_to(home).as_posix(): path.read_bytes() for path in home.rglob("*.parquet")
    }
    hub = Hub({**files, "README.md": b"# A set\n", "set.py": b"raise SystemExit\n"})
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with serving_hub(hub) as url:
        # some versions of the package hold on to what they have imported
        for module in (hub_package.constants, hub_package.file_download):
            for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
                if known := getattr(module, name, None):
                    changed = known.replace("https://huggingface.co", url)
                    monkeypatch.setattr(module, name, changed)
        yield hub


def test_a_set_is_fetched_once_and_its_code_is_not(tmp_path: Path, hub: Hub) -> None:
    told: list[Downloading] = []
    source = settings(**NAMED).build(access_to(tmp_path, told))
    final = tmp_path / "data" / "huggingface" / "owner" / "set@main"
    assert source.root == final
    assert len(source.names) == 27
    found = {path.relative_to(final).as_posix() for path in final.rglob("*") if path.is_file()}
    assert found == hub.files.keys() - {"set.py"}
    assert sorted(hub.asked) == sorted(found)
    total = sum(len(hub.files[name]) for name in found)
    assert told[0] == Downloading("owner/set@main", 0, total, final)
    assert told[-1] == Downloading("owner/set@main", total, total, final)
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["huggingface"]
    again = settings(**NAMED).build(access_to(tmp_path, []))
    assert again.fingerprint == source.fingerprint
    assert len(hub.asked) == len(found)


def failure(tmp_path: Path, **given: Any) -> str:
    with pytest.raises(DownloadFailed) as failed:
        settings(**given).build(access_to(tmp_path, []))
    assert not list((tmp_path / "data").iterdir())
    assert str(failed.value.hint).startswith("run the same command again, or fetch the Parquet")
    return failed.value.what


def test_what_cannot_be_fetched_is_told_and_leaves_nothing(tmp_path: Path, hub: Hub) -> None:
    assert failure(tmp_path, name="owner/set@other").startswith("the Hub does not give it: ")
    name = "data/test-00000-of-00001.parquet"
    hub.lied[name] = "0" * 64
    assert failure(tmp_path, **NAMED) == f"{name} came with another checksum than the Hub says"
    hub.files = {"README.md": b"", "images.zip": b""}
    assert failure(tmp_path, **NAMED) == (
        "it has no Parquet files at this revision; try owner/set@refs/convert/parquet"
    )


def test_only_run_fetches(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(MissingData) as missing:
        built(tmp_path, **NAMED)
    assert missing.value.looked == (tmp_path / "data" / "huggingface" / "owner" / "set@main",)
    assert "https://huggingface.co/datasets/owner/set/tree/main" in missing.value.how_to_get
    assert missing.value.archive is not None
    assert (missing.value.archive.name, missing.value.archive.num_bytes) == ("owner/set@main", 0)
    assert hub.asked == []
