"""Names of settings: short names and dotted paths.

A sweep, a profile, ``--set`` and a table column name a setting by a short name or by its dotted
path. Records hold dotted paths only.
"""

from collections.abc import Sequence
from dataclasses import replace

from runner.spec.nodes import Node

SETTING_ROOTS = ("data", "model", "train", "evaluate", "seed")

SHORT_NAMES = {
    "augment": "train.augment",
    "batch_norm": "model.batch_norm",
    "batch_size": "train.batch_size",
    "clip_grad_norm": "train.clip_grad_norm",
    "crop": "data.crop",
    "dropout": "model.dropout",
    "early_stopping": "train.early_stopping",
    "epochs": "train.epochs",
    "filters": "model.filters",
    "freeze": "model.freeze",
    "gamma": "train.schedule.gamma",
    "hidden": "model.hidden",
    "init": "model.init",
    "kernel": "model.kernel",
    "label_smoothing": "train.loss.label_smoothing",
    "lr": "train.optimizer.lr",
    "milestones": "train.schedule.milestones",
    "momentum": "train.optimizer.momentum",
    "monitor": "train.early_stopping.monitor",
    "normalize": "data.normalize",
    "optimizer": "train.optimizer",
    "patience": "train.early_stopping.patience",
    "pool": "model.pool",
    "precision": "train.precision",
    "resize": "data.resize",
    "schedule": "train.schedule",
    "split_seed": "data.split_seed",
    "step_size": "train.schedule.step_size",
    "stride": "model.stride",
    "tolerance": "train.early_stopping.tolerance",
    "train_images": "data.train_images",
    "warmup": "train.schedule.warmup",
    "weight_decay": "train.optimizer.weight_decay",
    "weights": "model.weights",
}

COMPONENT_PATHS = {
    "data": "dataset",
    "model": "name",
    "train.optimizer": "name",
    "train.schedule": "name",
    "train.loss": "name",
    "train.step": "name",
}
"""Settings that are components; ``optimizer: adam`` is short for ``optimizer: {name: adam}``."""

PIPELINE = SHORT_NAMES["augment"]
WHOLE_PIPELINE = 1.0
"""The probability that goes with a pipeline that is written as a list."""
IMPLIED = f"{PIPELINE}.p"
"""The one setting that :func:`spell_out` gives where none is written."""


def setting_path(name: str) -> tuple[str, ...] | None:
    """Return the path of a short name or dotted path, or None when it is neither.

    A dotted path is only checked for its root; whether the rest exists depends on the components.
    Lists are set whole: an item has no path.
    """
    if name in SHORT_NAMES:
        return tuple(SHORT_NAMES[name].split("."))
    path = tuple(name.split("."))
    is_path = path[0] in SETTING_ROOTS and all(path)
    return path if is_path and not any(step.isdecimal() for step in path) else None


def as_mapping(path: Sequence[str]) -> str:
    """Return a path as a spec writes it: ``train: {epochs: …}``."""
    text = f"{path[-1]}: …"
    for key in reversed(path[:-1]):
        text = f"{key}: {{{text}}}"
    return text


def short_name(path: str) -> str:
    """Return the short name of a dotted path, or the path itself."""
    for name, full in SHORT_NAMES.items():
        if full == path:
            return name
    return path


def spell_out(path: str, node: Node) -> Node:
    """Return ``node`` with component names in full: ``adam`` becomes ``{name: adam}``.

    Args:
        path: where the node stands among the settings; "" for all settings.
        node: the value there.
    """
    if path == PIPELINE:
        return _spell_out_pipeline(node)
    if path == f"{PIPELINE}.steps":
        return spell_out_steps(node)
    key = COMPONENT_PATHS.get(path)
    if key is not None and isinstance(node.value, str):
        named = Node(node.value, node.position, node.key_position)
        return Node({key: named}, node.position, node.key_position)
    if not node.is_mapping:
        return node
    prefix = f"{path}." if path else ""
    children = {name: spell_out(prefix + name, child) for name, child in node.value.items()}
    return Node(children, node.position, node.key_position)


def _spell_out_pipeline(node: Node) -> Node:
    """Return a pipeline as a mapping; a list, or one step, has no probability of its own."""
    if node.is_mapping and node.get("name") is None:
        steps = node.get("steps")
        if steps is None:
            return node
        return replace(node, value={**node.value, "steps": spell_out_steps(steps)})
    if node.is_sequence or node.is_mapping or isinstance(node.value, str):
        steps = node if node.is_sequence else replace(node, value=(node,))
        chance = replace(node, value=WHOLE_PIPELINE)
        return replace(node, value={"p": chance, "steps": spell_out_steps(steps)})
    return node


def spell_out_steps(node: Node) -> Node:
    """Return a list of steps with the names in full, also in what a step chooses from."""
    if not node.is_sequence:
        return node
    return replace(node, value=tuple(_spell_out_step(step) for step in node.value))


def _spell_out_step(node: Node) -> Node:
    if isinstance(node.value, str):
        return replace(node, value={"name": Node(node.value, node.position, node.key_position)})
    choices = node.get("choices")
    if choices is None or not choices.is_sequence:
        return node
    lists = tuple(
        spell_out_steps(each if each.is_sequence else replace(each, value=(each,)))
        for each in choices.value
    )
    return replace(node, value={**node.value, "choices": replace(choices, value=lists)})
