"""Pretrained weights and freeze policies: errors before any work, and whole runs."""

import hashlib
import json
import sqlite3
from contextlib import closing
from dataclasses import replace as replace_fields
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from commands import Call
from pictures import draw_classes
from safetensors import safe_open
from test_cli_bind import is_golden

from runner.components.settings import Settings
from runner.engine.network.weights import public_weights

SPEC = """\
name: frozen
data: {{dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 32}}
model:
  name: squeezenet1_1
  weights:
    file: weights/squeezenet.pth
    sha256: {sha256}
  freeze: features
train: {{epochs: 2, batch_size: 8}}
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a file of the weights of a SqueezeNet of 1,000 classes."""
    path = tmp_path_factory.mktemp("weights") / "squeezenet.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), path)
    return path


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def _put(tmp_path: Path, file: Path) -> None:
    draw_classes(tmp_path / "photos", {"a": 9, "b": 9})
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "squeezenet.pth").symlink_to(file)
    (tmp_path / "frozen.yaml").write_text(SPEC.format(sha256=digest_of(file)))


def replace(old: str, new: str) -> None:
    path = Path("frozen.yaml")
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refused(call: Call, word: str = "run") -> str:
    called = call(word, *(["--deep"] if word == "validate" else []), "frozen.yaml")
    assert (called.code, called.out) == (2, "")
    assert not Path("results.db").exists()
    return called.err


def new_file(tensors: dict[str, Any]) -> None:
    """Put a file of other weights into the place of the spec's, with its checksum."""
    path = Path("weights/squeezenet.pth")
    before = digest_of(path)
    path.unlink()
    torch.save(tensors, path)
    replace(before, digest_of(path))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("weights_file_missing", "squeezenet.pth", "squeeznet.pth"),
        ("weights_not_of_this_network", "name: squeezenet1_1", "name: squeezenet1_0"),
        ("freeze_matches_nothing", "freeze: features", 'freeze: [features.0, "feature.*"]'),
        ("freeze_everything", "freeze: features", 'freeze: ["*"]'),
        ("missing_matches_nothing", "  freeze:", "    missing: [features, clasifier]\n  freeze:"),
        ("cut_at_no_layer", "freeze: features", "cut: layer4"),
        ("head_of_too_few_classes", "freeze: features", "classes: 2\n  freeze: features"),
        ("network_for_larger_images", "resize: 32", "resize: 4"),
        ("weights_file_of_nobody", "weights/squeezenet.pth", "~nobody-at-all/x.pth"),
        ("weights_file_of_long_name", "weights/squeezenet.pth", "w" * 300),
        ("cut_and_freeze_alike", "freeze: features", "cut: features\n  freeze: [cutt]"),
        ("network_for_color", "resize: 32", "resize: 32, color: gray"),
    ],
)
def test_weights_that_do_not_match_are_an_error_at_their_position(
    tmp_path: Path, call: Call, name: str, old: str, new: str
) -> None:
    draw_classes(tmp_path / "photos", {"c": 9})
    replace(old, new)
    said = refused(call, "validate")
    assert is_golden(name, said, tmp_path)
    assert refused(call) == said


def test_wrong_checksum_says_what_the_file_has(tmp_path: Path, call: Call, file: Path) -> None:
    replace(digest_of(file), "f" * 64)
    said = refused(call).replace(digest_of(file), "FOUND")
    assert is_golden("weights_of_another_checksum", said, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("run",), ("plan",), ("validate",), ("validate", "--deep")])
@pytest.mark.parametrize("new", ["", "    sha256: later\n"], ids=["missing", "of another form"])
def test_checksum_that_is_not_given_is_told(
    call: Call, file: Path, words: tuple[str, ...], new: str
) -> None:
    replace(f"    sha256: {digest_of(file)}\n", new)
    called = call(*words, "frozen.yaml")
    assert called.code == 2
    assert called.err.startswith("error: frozen.yaml:")
    assert f"squeezenet.pth is there\n    did you mean: sha256: {digest_of(file)}\n" in called.err
    assert not Path(".runner").exists()


def test_checksum_is_told_of_a_file_under_data(call: Call, tmp_path: Path, file: Path) -> None:
    Path("weights").rename(tmp_path / "elsewhere")
    (tmp_path / "below").mkdir()
    Path("elsewhere").rename(tmp_path / "below" / "weights")
    replace(f"    sha256: {digest_of(file)}\n", "")
    assert "did you mean" not in call("validate", "frozen.yaml").err
    assert digest_of(file) in call("validate", "frozen.yaml", "--data", "below").err


@pytest.mark.parametrize("name", ["none.pth", "~nobody-at-all/x.pth", "w" * 300, "weights"])
def test_checksum_is_not_suggested_for_what_is_no_file(call: Call, file: Path, name: str) -> None:
    replace(f"    sha256: {digest_of(file)}\n", "")
    replace("weights/squeezenet.pth", json.dumps(name))
    said = call("validate", "frozen.yaml")
    assert said.code == 2
    assert "model.weights lacks 'sha256'\n    allowed: text (64 hex" in said.err


def test_weights_are_looked_at_before_data_is_fetched(tmp_path: Path, call: Call) -> None:
    Path("frozen.yaml").write_text(
        "name: both\ndata: cifar10\nmodel: {name: resnet18, weights: IMAGENET1K_SWAG_E2E_V1}\n"
    )
    said = refused(call)
    assert said.startswith("error: frozen.yaml:3:34: resnet18 has no weights")
    assert "downloading" not in said


@pytest.mark.slow
def test_layouts_remembered_by_an_earlier_version_are_not_read(tmp_path: Path, call: Call) -> None:
    assert call("run", "frozen.yaml").code == 0
    layouts = Path(".runner/layouts.json")
    known = json.loads(layouts.read_text())["known"]
    for content in ({key: [[3, 32, 32], 5] for key in known}, [], {"format": 1, "known": known}):
        layouts.write_text(json.dumps(content))
        assert call("plan", "frozen.yaml").code == 0


@pytest.mark.slow
def test_partial_file_says_what_it_lacks(tmp_path: Path, call: Call) -> None:
    state = torchvision.models.squeezenet1_1().state_dict()
    new_file({name: value for name, value in state.items() if name.startswith("features")})
    assert is_golden("weights_lack_tensors", refused(call), tmp_path)
    replace("  freeze:", "    missing: [classifier]\n  freeze:")
    assert call("run", "frozen.yaml").code == 0


def test_file_that_is_no_weights_is_an_error(tmp_path: Path, call: Call) -> None:
    new_file({"a": "text"})
    assert is_golden("weights_of_other_things", refused(call), tmp_path)


def test_weights_that_torchvision_does_not_have_are_an_error(tmp_path: Path, call: Call) -> None:
    Path("frozen.yaml").write_text(
        "name: named\ndata: {dataset: imagefolder, path: photos, resize: 32}\n"
        "model: {name: squeezenet1_1, weights: IMAGENET1K_V2}\n"
    )
    assert is_golden("weights_without_that_name", refused(call), tmp_path)


def ask(query: str) -> list[Any]:
    with closing(sqlite3.connect("results.db")) as raw:
        return raw.execute(query).fetchall()


def kinds_done() -> dict[str, int]:
    query = "SELECT kind, count(*) FROM attempts JOIN stages USING (stage_key) GROUP BY kind"
    return dict(ask(query))


@pytest.mark.slow
def test_show_says_what_is_trained_and_what_was_loaded(tmp_path: Path, call: Call) -> None:
    assert call("run", "frozen.yaml").code == 0
    shown = call("show", "frozen:0").out
    assert "layers    1,026 parameters trained, 722,496 frozen\n" in shown
    assert "  features.0                1,792  frozen\n" in shown
    assert "  classifier.1              1,026  trained\n" in shown
    assert (
        "loaded    50 pretrained tensors; freshly drawn: classifier.1.weight, classifier.1.bias"
        in shown
    )
    record = json.loads(call("show", "frozen:0", "--format", "json").out)
    train = next(each for each in record["attempts"] if each["kind"] == "train")
    (reading,) = train["outcome"]["readers"].values()
    assert reading["layers"][0] == ["features.0", 1792, 0]
    assert len(reading["loaded"]) == 50


@pytest.mark.slow
def test_features_are_computed_once_and_shared_by_later_runs(call: Call) -> None:
    assert call("run", "frozen.yaml").code == 0
    assert kinds_done() == {"prepare": 1, "features": 1, "train": 1, "evaluate": 1}
    for changed in (["lr=0.01"], ["seed=3"], ["batch_size=5", "epochs=1"]):
        sets = [word for each in changed for word in ("--set", each)]
        assert call("run", "frozen.yaml", *sets).code == 0
    assert kinds_done() == {"prepare": 1, "features": 1, "train": 4, "evaluate": 4}
    assert len(list(Path(".runner/features").iterdir())) == 1
    assert call("run", "frozen.yaml", "--db", "other.db").code == 0
    assert len(list(Path(".runner/features").iterdir())) == 1


@pytest.mark.slow
def test_features_that_were_removed_are_computed_again(call: Call) -> None:
    assert call("run", "frozen.yaml").code == 0
    (folder,) = Path(".runner/features").iterdir()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert call("run", "frozen.yaml", "--set", "lr=0.01").code == 0
    assert kinds_done()["features"] == 2


@pytest.mark.slow
def test_plan_says_what_features_take(call: Call) -> None:
    planned = call("plan", "frozen.yaml", "--cache-limit", "20kB")
    assert "features of 36,864 bytes are over the limit of the cache" in planned.out
    assert "features" not in call("plan", "frozen.yaml").out.partition("disk")[0]
    frame = json.loads(call("plan", "frozen.yaml", "--format", "json").out)
    assert frame["planned"]["stages"] == 4


def test_limit_that_is_no_size_is_a_usage_error(call: Call) -> None:
    called = call("plan", "frozen.yaml", "--cache-limit", "much")
    assert called.code == 2
    assert "--cache-limit" in called.err


@pytest.mark.slow
def test_over_the_limit_training_goes_without_features(call: Call) -> None:
    assert call("run", "frozen.yaml", "--cache-limit", "20kB").code == 0
    assert kinds_done() == {"prepare": 1, "train": 1, "evaluate": 1}
    limited = ask("SELECT value FROM run_metrics WHERE split = 'val' ORDER BY epoch, name")
    assert call("run", "frozen.yaml", "--db", "shared.db").code == 0
    with closing(sqlite3.connect("shared.db")) as raw:
        query = "SELECT value FROM run_metrics WHERE split = 'val' ORDER BY epoch, name"
        shared = raw.execute(query).fetchall()
    assert [value for (value,) in shared] == pytest.approx([v for (v,) in limited], rel=1e-4)


NAMED = """\
name: named
data: {dataset: imagefolder, path: photos, validation: 0.25, test: 0.25, resize: 32}
model: {name: squeezenet1_1, weights: IMAGENET1K_V1, freeze: features}
train: {epochs: 1, batch_size: 8}
"""


@pytest.fixture
def published(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Publish the file as torchvision's weights; return where torch would keep them."""
    name = f"squeezenet1_1-{digest_of(file)[:8]}.pth"
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / name).write_bytes(file.read_bytes())
    home = tmp_path / "hub" / "checkpoints"
    found = public_weights("squeezenet1_1", "IMAGENET1K_V1")
    url = f"file://{tmp_path}/server/{name}"
    published = replace_fields(
        found, url=url, path=home / name, sha256=digest_of(file)[:8], num_bytes=5000
    )
    monkeypatch.setattr("runner.engine.network.weights.public_weights", lambda *_: published)
    Path("frozen.yaml").write_text(NAMED)
    return published.path


@pytest.mark.slow
def test_torchvisions_weights_are_fetched_once_with_their_checksum(
    call: Call, published: Path, tmp_path: Path
) -> None:
    planned = call("plan", "frozen.yaml")
    assert f"download  5.0 kB: {published.name} (5.0 kB)" in planned.out
    assert "keys provisional" in planned.out
    assert not published.exists()
    ran = call("run", "frozen.yaml")
    assert ran.code == 0, ran.err
    assert published.is_file()
    assert f"downloading {published.name}" in ran.err
    (tmp_path / "server" / published.name).unlink()
    again = call("run", "frozen.yaml", "--rerun")
    assert again.code == 0, again.err
    assert "keys provisional" not in call("plan", "frozen.yaml").out


def test_no_download_says_what_is_missing_and_where(
    call: Call, published: Path, tmp_path: Path
) -> None:
    called = call("run", "frozen.yaml", "--no-download")
    assert called.code == 2
    said = called.err.replace(published.name, "NAME").replace(str(tmp_path), "HERE")
    assert said == (
        "error: frozen.yaml:3:39: missing weights NAME\n"
        "    looked for: HERE/hub/checkpoints/NAME\n"
        "    hint: `runner run` without --no-download fetches file://HERE/server/NAME\n"
    )
    assert not Path("results.db").exists()


def test_fetched_weights_with_another_checksum_are_refused(
    call: Call, published: Path, tmp_path: Path
) -> None:
    (tmp_path / "server" / published.name).write_bytes(b"something else")
    called = call("run", "frozen.yaml")
    assert called.code == 2
    assert "the file that came has another checksum" in called.err
    assert not published.exists()
    assert not Path("results.db").exists()


@pytest.mark.slow
def test_weights_in_the_cache_with_another_checksum_are_refused(
    call: Call, published: Path
) -> None:
    published.parent.mkdir(parents=True)
    published.write_bytes(b"something else")
    called = call("run", "frozen.yaml")
    assert called.code == 2
    assert f"error: frozen.yaml:3:39: {published} is not what" in called.err
    assert "remove the file, and it is fetched again" in called.err


def swap() -> None:
    """Put weights of the same names and shapes into the place of the spec's."""
    path = Path("weights/squeezenet.pth")
    tensors = torch.load(path, weights_only=True)
    path.unlink()
    torch.save({name: tensor + 1 for name, tensor in tensors.items()}, path)


@pytest.mark.slow
def test_weights_that_change_while_they_are_fitted_start_nothing(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runner.engine.network import layout as network

    digest = network.weights_digest

    def swapped(*values: Any) -> Any:
        swap()
        return digest(*values)

    monkeypatch.setattr(network, "weights_digest", swapped)
    assert "squeezenet.pth is gone, or no longer the file whose SHA-256 begins with" in refused(
        call
    )
    known = json.loads(Path(".runner/layouts.json").read_text())["known"]
    assert not any(isinstance(each, list) for each in known.values())  # no digests of weights


@pytest.mark.slow
def test_weights_that_change_before_a_stage_loads_them_make_no_result(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    import runner.execute.worker as worker

    replace("epochs: 2", "epochs: 1")
    real = worker.do_stage

    def swapped(context: Any, job: Any) -> Any:
        if job.stage.kind == "features":
            swap()
        return real(context, job)

    with monkeypatch.context() as patch:
        patch.setattr(worker, "do_stage", swapped)
        assert call("run", "frozen.yaml").code == 1
    assert "squeezenet.pth is gone, or no longer the file" in call("show", "frozen:0:0").out
    assert not Path(".runner/features").exists()


@pytest.mark.slow
def test_network_of_a_finished_run_has_its_frozen_layers_from_the_file(
    tmp_path: Path, call: Call, file: Path
) -> None:
    replace("test: 0.25", "test: 0.6")
    assert call("run", "frozen.yaml").code == 0
    (index,) = Path(".runner/pixels").glob("*/index.json")
    known = json.loads(index.read_text())
    record = json.loads(call("show", "frozen:0", "--format", "json").out)
    settings = Settings.model_validate_json(json.dumps(record["settings"]))
    for image in settings.data.split(known["labels"], known["classes"], ())["test"]:
        target = Path("tested") / known["names"][image]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((Path("photos") / known["names"][image]).read_bytes())
    words = ("evaluate", "frozen:0", "--data", "tested", "--format", "json")
    measured = json.loads(call(*words).out)["measures"]
    best = record["epochs"][record["result"]["best_epoch"] - 1]
    assert measured["accuracy"] == best["test_accuracy"]
    assert measured["loss"] == pytest.approx(best["test_loss"], rel=1e-4)
    assert call("export", "frozen:0", "--out", "all.safetensors").code == 0
    with safe_open("all.safetensors", "pt") as exported:
        assert torch.equal(
            exported.get_tensor("features.0.weight"), torch.load(file)["features.0.weight"]
        )
    Path("below").mkdir()
    Path("weights").rename("below/weights")
    gone = call(*words)
    assert (gone.code, gone.out) == (2, "")
    assert "pretrained weights of the run's frozen layers are gone\n    looked for: " in gone.err
    assert call("predict", "frozen:0", "tested", "--data", "below").code == 0
    (tmp_path / "below" / "weights" / "squeezenet.pth").unlink()
    torch.save(torchvision.models.squeezenet1_1().state_dict(), "below/weights/squeezenet.pth")
    other = call("predict", "frozen:0", "tested", "--data", "below")
    assert (other.code, other.out) == (1, "")
    assert "no longer the file whose SHA-256 begins with" in other.err
