"""Files of weights for timm's networks: what is loaded, what is freshly drawn, what is refused."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from benches import SYNTHETIC, settings_of
from safetensors.torch import save_file

from runner.components.models.timm_names import timm_version
from runner.components.settings import Settings
from runner.engine.network.initial import initial_network
from runner.engine.network.layout import weights_digest
from runner.engine.network.weights import WeightsMismatch, check_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not timm_version(), reason="timm is not installed"),
]
SHAPE, CLASSES = (3, 32, 32), 3


def saved(name: str, path: Path, **settings: Any) -> dict[str, torch.Tensor]:
    """Write the weights of a network of timm; return them."""
    import timm

    torch.manual_seed(5)
    state = timm.create_model(name, pretrained=False, **settings).state_dict()
    save_file(state, path) if path.suffix == ".safetensors" else torch.save(state, path)
    return state


def settings_with(name: str, path: Path, **more: Any) -> Settings:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    weights = {"file": str(path), "sha256": digest, **more}
    data = {**SYNTHETIC, "height": 32, "width": 32}
    return settings_of(model={"name": f"timm/{name}", "weights": weights}, data=data)


@pytest.mark.parametrize("file", ["weights.pth", "weights.safetensors"])
@pytest.mark.parametrize(
    ("name", "head"), [("test_resnet", "fc"), ("test_convnext", "head.fc"), ("test_vit3", "head")]
)
def test_timm_weights_of_other_classes_are_loaded_but_for_the_last_layer(
    name: str, head: str, file: str, tmp_path: Path
) -> None:
    size = {"img_size": 32} if "vit" in name else {}
    state = saved(name, tmp_path / file, **size)
    settings = settings_with(name, tmp_path / file)
    module, match = initial_network(settings, SHAPE, CLASSES, tmp_path / file)
    assert set(match.fresh) == {f"{head}.weight", f"{head}.bias"}
    loaded = module.state_dict()
    assert all(torch.equal(loaded[each], state[each]) for each in match.loaded)
    assert match.loaded
    assert settings.model.last_layer() == set(match.fresh)
    check_file(settings.model, tmp_path / file)
    assert weights_digest(settings, SHAPE, CLASSES, tmp_path / file).loaded


def test_timm_weights_of_as_many_classes_are_loaded_whole(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    saved("test_resnet", path, num_classes=CLASSES)
    _, match = initial_network(settings_with("test_resnet", path), SHAPE, CLASSES, path)
    assert match.fresh == ()


def test_timm_weights_for_images_of_another_size_are_refused_with_the_size(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    saved("test_vit", path)
    with pytest.raises(WeightsMismatch, match="pos_embed") as refused:
        initial_network(settings_with("test_vit", path), SHAPE, CLASSES, path)
    assert refused.value.hint == "timm's own weights are for 3 channels of 160×160 pixels"


def test_timm_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    saved("test_convnext", path)
    with pytest.raises(WeightsMismatch, match=r"lack \d+ tensors of timm/test_resnet"):
        initial_network(settings_with("test_resnet", path), SHAPE, CLASSES, path)


def test_timm_weights_may_lack_named_layers(tmp_path: Path) -> None:
    path = tmp_path / "weights.pth"
    state = saved("test_resnet", path)
    torch.save({key: value for key, value in state.items() if "layer4" not in key}, path)
    settings = settings_with("test_resnet", path, missing=["layer4"])
    _, match = initial_network(settings, SHAPE, CLASSES, path)
    assert {each.partition(".")[0] for each in match.fresh} == {"layer4", "fc"}
