"""A network of timm held against what the program relies on, before any work: tried once.

Owns what is remembered of that: for each version of timm, since another one may do other things.
"""

from __future__ import annotations

from runner.artifacts.memory import LayoutCache
from runner.components.component import keyed_settings
from runner.components.models import Model
from runner.components.models.own_model import OwnModel
from runner.components.models.timm_model import TimmModel
from runner.components.models.timm_names import timm_version
from runner.components.own.other_packages import unkeyed_versions
from runner.components.settings import Settings
from runner.core.keys import content_key


def built_by(model: Model) -> dict[str, str]:
    """Return the packages that build a network, where another version may build another one."""
    if isinstance(model, OwnModel):
        return unkeyed_versions()
    return {"timm": timm_version()} if isinstance(model, TimmModel) else {}


def size_notes(model: Model, shape: tuple[int, int, int]) -> tuple[str, ...]:
    """Return what to know where published weights were made for images of another size.

    Args:
        model: of a run; () for one without published weights of timm.
        shape: of an image.
    """
    if not isinstance(model, TimmModel) or not model.pretrained:
        return ()
    height, width, resized = model.size()
    if shape[1:] == (height, width):
        return ()
    crop = str(height) if height == width else f"[{height}, {width}]"
    return (
        f"{model.name}: its weights were made for images of {height}×{width}, as by data: {{resize:"
        f" {resized}, crop: {crop}}}; here they are {shape[1]}×{shape[2]}",
    )


def why_not_in_parts(
    settings: Settings, shape: tuple[int, int, int], num_classes: int, known: LayoutCache
) -> str:
    """Return why frozen layers of a network of timm are to be computed in every epoch, or "".

    Args:
        settings: of a run whose network has a frozen prefix; "" for any other network.
        shape: of an image.
        num_classes: of the data.
        known: what was tried.
    """
    if not isinstance(settings.model, TimmModel):
        return ""
    optimizer = {**keyed_settings(settings.train.optimizer), "lr": None}
    trained_by = [keyed_settings(settings.train.loss), optimizer]
    tried = [keyed_settings(settings.model), *trained_by, shape, num_classes, timm_version()]

    def find_out() -> str:
        from runner.engine.numerics import flush_denormals
        from runner.engine.own_prefix_probe import why_not_in_parts

        flush_denormals()  # no thread may begin before
        return why_not_in_parts(settings, shape, num_classes)

    why: str = known.recall(content_key("parts", tried), find_out)
    return why
