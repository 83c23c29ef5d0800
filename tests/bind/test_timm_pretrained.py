"""timm's published weights from a hub on this machine, by revision and checksum."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from runner.bind.bound_request import BoundRequest, bind_request
from runner.bind.request import Request
from runner.components.download import DownloadFailed, Downloading
from runner.components.models.pretrained import weights_name
from runner.components.models.timm_names import timm_version
from runner.core.errors import SpecError
from runner.engine.network.initial import initial_network
from runner.engine.network.weights import WeightsMismatch, check_file
from runner.spec.experiment import load_experiment

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not timm_version(), reason="timm is not installed"),
]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
SPEC = """\
name: foreign
data: {dataset: synthetic, classes: 3, images: 40, height: 32, width: 32, normalize: model}
model: {name: timm/test_resnet.r160_in1k, pretrained: true, freeze: features}
train: {epochs: 1}
"""


@dataclass
class Hub:
    """A hub with one file.

    Attributes:
        content: of the file.
        tag: how the hub calls it: by its SHA-256.
        asked: how often the file was sent.
    """

    content: bytes
    tag: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Serve weights of the network with 1,000 classes, and lead the package there."""
    import huggingface_hub
    import timm

    torch.manual_seed(3)
    content = save(timm.create_model("test_resnet", pretrained=False).state_dict())
    hub = Hub(content, hashlib.sha256(content).hexdigest())
    places = [
        f"/timm/test_resnet.r160_in1k/resolve/{each}/model.safetensors" for each in ("main", COMMIT)
    ]

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, whole: bool) -> None:
            is_there = self.path.partition("?")[0] in places
            content = hub.content if is_there else b"Not found"
            self.send_response(200 if is_there else 404)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hub.tag}"')
            self.end_headers()
            if whole:
                hub.asked += [self.path] if is_there else []
                self.wfile.write(content)

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{http.server_address[1]}"
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    # some versions of the package hold on to what they have imported
    for module in (huggingface_hub.constants, huggingface_hub.file_download):
        for name in ("ENDPOINT", "HUGGINGFACE_CO_URL_TEMPLATE"):
            if known := getattr(module, name, None):
                monkeypatch.setattr(module, name, known.replace("https://huggingface.co", url))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield hub
    http.shutdown()
    http.server_close()
    thread.join()


def bound(
    folder: Path, pretrained: str = "true", told: list[Downloading] | None = None
) -> BoundRequest:
    path = folder / "foreign.yaml"
    path.write_text(SPEC.replace("pretrained: true", f"pretrained: {pretrained}"))
    request = Request(path, device="cpu", db=folder / "results.db")
    return bind_request(request, on_progress=None if told is None else told.append)


def test_published_weights_of_timm_are_fetched_once_and_loaded(tmp_path: Path, hub: Hub) -> None:
    told: list[Downloading] = []
    first = bound(tmp_path, told=told)
    assert (told[0].name, told[0].done) == ("timm/test_resnet.r160_in1k@main", 0)
    assert told[-1].done == len(hub.content)
    (path,) = set(first.weights.values())
    (cell,) = first.wanted_cells
    settings = cell.resolved.settings
    module, match = initial_network(settings, (3, 32, 32), 3, path)
    assert set(match.fresh) == {"fc.weight", "fc.bias"}
    import timm

    torch.manual_seed(3)
    state = timm.create_model("test_resnet", pretrained=False).state_dict()
    assert all(torch.equal(module.state_dict()[each], state[each]) for each in match.loaded)
    again = bound(tmp_path)
    assert len(hub.asked) == 1
    assert [each.run.run_key for each in again.wanted_cells] == [cell.run.run_key]
    assert cell.bound_model.prefix is not None
    note, size = (each for each in again.notes if "timm/" in each)
    assert (
        "its weights were made for images of 160×160, as by data: {resize: 168, crop: 160}" in size
    )
    assert f'pretrained: {{revision: "{COMMIT}", sha256: "{hub.tag}"}}' in note


def test_pinned_weights_of_timm_are_those_of_the_note(tmp_path: Path, hub: Hub) -> None:
    newest = bound(tmp_path, told=[])
    pinned = bound(tmp_path, f"{{revision: {COMMIT}, sha256: {hub.tag}}}")
    assert len(hub.asked) == 1
    (one,), (other,) = newest.wanted_cells, pinned.wanted_cells
    assert one.run.run_key == other.run.run_key
    assert one.run.settings.json["model"]["pretrained"] == {"revision": COMMIT, "sha256": hub.tag}
    assert one.cell.settings["model"]["pretrained"] is True
    assert {weights_name(each.resolved.settings.model) for each in (one, other)} <= set(
        newest.weights
    )
    assert not any("pretrained" in note for note in pinned.notes)


def test_weights_of_timm_with_another_checksum_are_refused(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(SpecError, match="its SHA-256 is") as refused:
        bound(tmp_path, f"{{revision: {COMMIT}, sha256: {'a' * 64}}}", told=[])
    assert ":3:116" in str(refused.value)
    hub.tag = "f" * 64
    (tmp_path / "other").mkdir()
    import huggingface_hub

    huggingface_hub.constants.HF_HUB_CACHE = str(tmp_path / "other")
    with pytest.raises(DownloadFailed, match=f"instead of {'f' * 64}"):
        bound(tmp_path, told=[])


def test_weights_of_timm_that_are_not_there_are_not_fetched_by_plan(
    tmp_path: Path, hub: Hub
) -> None:
    with pytest.raises(SpecError, match="missing weights") as refused:
        bound(tmp_path)
    assert "foreign.yaml:3:55" in str(refused.value)
    assert hub.asked == []


def test_revision_that_the_hub_has_not_cannot_be_fetched(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(DownloadFailed, match="the Hub does not give it"):
        bound(tmp_path, f"{{revision: {'c' * 40}, sha256: {hub.tag}}}", told=[])


def test_weights_of_timm_that_changed_in_the_cache_are_told(tmp_path: Path, hub: Hub) -> None:
    first = bound(tmp_path, told=[])
    (path,) = set(first.weights.values())
    (cell,) = first.wanted_cells
    check_file(cell.resolved.settings.model, path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.resolve().write_bytes(content)
    with pytest.raises(WeightsMismatch, match="no longer the file"):
        check_file(cell.resolved.settings.model, path)
    with pytest.raises(SpecError, match="is not what"):
        bound(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        (".r160_in1k", "", "pretrained needs to know which weights"),
        ("true", "{revision: main, sha256: abc}", "model.pretrained.revision is 'main'"),
        ("true", f"true, weights: {{file: a.pth, sha256: {'a' * 64}}}", "not both"),
    ],
)
def test_what_pretrained_lacks_is_told_by_the_spec_alone(
    before: str, after: str, found: str, tmp_path: Path
) -> None:
    path = tmp_path / "foreign.yaml"
    path.write_text(SPEC.replace(before, after))
    with pytest.raises(SpecError, match=found):
        load_experiment(path)
