"""timm's networks: named, built for images and classes, refused where they do not fit."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import pytest
import torch
from pydantic import ValidationError
from torch import nn

import runner.components.models.timm_names as timm_names
from runner.components.models.layers_net import on_meta
from runner.components.models.timm_model import TimmModel
from runner.components.models.timm_names import UnknownNetwork, timm_version
from runner.components.settings import Settings

pytestmark = pytest.mark.slow

T = TypeVar("T", bound=Callable[..., Any])
SMALL = re.compile(r"_(atto|nano|tiny|small|xxs|xs|s|t)(_|$)|2d_s$")
"""In the names of a family's smaller networks, which are built sooner."""


def needs_timm(test: T) -> T:
    """Mark a test that builds networks of timm, whose import alone takes a second."""
    absent = pytest.mark.skipif(not timm_version(), reason="timm is not installed")
    return pytest.mark.slow(absent(test))


def model(name: str, **settings: object) -> TimmModel:
    return TimmModel.model_validate({"name": name, **settings})


def test_timm_name_chooses_its_component_among_all_models() -> None:
    values = {"data": {"dataset": "digits"}, "model": {"name": "timm/resnet18.a1_in1k"}}
    settings = Settings.model_validate(values)
    assert isinstance(settings.model, TimmModel)
    assert Settings.model_validate_json(settings.model_dump_json()) == settings


@pytest.mark.parametrize(
    "name",
    [
        "timm/",
        "timm/resnet18.",
        "timm/ResNet18",
        "timm/a/b",
        "timm/hf_hub:x",
        "timm/../x",
        "resnet18",
    ],
)
def test_timm_name_of_another_form_is_refused_without_timm(name: str) -> None:
    with pytest.raises(ValidationError):
        model(name)


def test_timm_network_without_timm_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timm_names, "timm_version", lambda: "")
    with pytest.raises(UnknownNetwork, match="not installed") as refused:
        model("timm/resnet18").build((3, 32, 32), 2)
    assert refused.value.hint == 'pip install "runner[timm]"'


@needs_timm
@pytest.mark.parametrize("name", ["resnet", "vit", "convnext", "efficientnet", "nfnet", "byobnet"])
def test_timm_network_is_timms_with_as_many_outputs_as_classes(name: str) -> None:
    import timm

    network = on_meta(lambda: model(f"timm/test_{name}").build((3, 160, 160), 7))
    with torch.device("meta"):
        same = timm.create_model(f"test_{name}", num_classes=7)
    assert {key: value.shape for key, value in network.state_dict().items()} == {
        key: value.shape for key, value in same.state_dict().items()
    }
    assert network.eval()(torch.empty(2, 3, 160, 160, device="meta")).shape == (2, 7)


@needs_timm
@pytest.mark.parametrize("shape", [(3, 32, 48), (1, 64, 64)])
def test_timm_network_for_one_size_is_built_for_that_of_the_data(shape: tuple[int, ...]) -> None:
    network = model("timm/test_vit").build(shape, 5).eval()
    assert network(torch.zeros(2, *shape)).shape == (2, 5)


@needs_timm
def test_timm_network_that_cannot_have_another_size_says_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import timm

    class OneSize(nn.Module):
        def __init__(self) -> None:
            raise TypeError("unexpected keyword argument img_size")

    monkeypatch.setattr(timm, "create_model", lambda *_, **__: OneSize())
    with pytest.raises(ValueError, match="takes images of 160×160 alone, not of 32×32"):
        model("timm/test_vit").build((3, 32, 32), 5)


@needs_timm
def test_timm_network_without_a_classifier_is_refused() -> None:
    with pytest.raises(ValueError, match=r"gives \(B, .*, not logits \(B, 7\)"):
        on_meta(lambda: model("timm/qwen3_vit_88m_enc").build((3, 64, 64), 7))


@needs_timm
def test_unknown_timm_network_has_the_nearest_names() -> None:
    with pytest.raises(UnknownNetwork, match="has no network resnt18") as refused:
        model("timm/resnt18").build((3, 32, 32), 2)
    assert "timm/resnet18" in refused.value.suggestion.split(", ")
    with pytest.raises(UnknownNetwork, match="has no weights a1_in2k of resnet18") as refused:
        model("timm/resnet18.a1_in2k").build((3, 32, 32), 2)
    assert refused.value.suggestion == "timm/resnet18.a1_in1k"
    assert "a1_in1k" in refused.value.hint


@needs_timm
@pytest.mark.slow(50)
def test_timm_networks_of_all_families_are_built_for_one_image() -> None:
    import timm
    from timm.models import get_pretrained_cfg

    families = [timm.list_models(module=module) for module in timm.list_modules()]
    small = [next(filter(SMALL.search, names), names[0]) for names in families if names]
    assert len(small) > 60
    for name in small:
        shape = tuple(get_pretrained_cfg(name).input_size)
        network = on_meta(partial(model(f"timm/{name}").build, shape, 7))
        assert sum(each.numel() for each in network.parameters()) > 1000
