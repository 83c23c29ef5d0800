"""What the output of each function or method of a tensor sees, given what its inputs see.

Owns the rule of each; one without a rule is said to be unknown, never guessed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from runner.engine.inspection.receptive_windows import (
    ReceptiveWindow,
    UnknownOperation,
    adaptively_pooled,
    joined,
    mixed,
    normalised,
    permuted,
    reshaped,
)


def name_of(function: Any) -> str:
    """Return the name of a function, by which its rule is found."""
    return str(getattr(function, "__name__", function))


Arguments = tuple[tuple[Any, ...], dict[str, Any]]

POINTWISE = frozenset(
    {
        *("add", "iadd", "sub", "isub", "mul", "imul", "truediv", "itruediv", "neg", "relu"),
        *("relu_", "relu6", "leaky_relu", "gelu", "silu", "hardswish", "hardsigmoid", "sigmoid"),
        *("tanh", "dropout", "dropout2d", "batch_norm", "stochastic_depth", "contiguous"),
        *("clone", "detach", "float", "to", "type_as", "clamp"),
    }
)
"""Names of functions and methods that compute each unit from that unit of their inputs."""


def function_window(
    name: str, arguments: Arguments, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    """Return what the output of a function or method sees.

    Raises:
        UnknownOperation: for one without a rule.
    """
    if name in POINTWISE:
        return joined(seen)
    rule = RULES.get(name)
    if rule is None or (len(seen) > 1 and name != "cat"):
        raise UnknownOperation(f"{name} has no rule")
    return rule(arguments, source, output, seen)


def _concatenated(
    arguments: Arguments, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    along = _argument(arguments, 1, "dim", 0) % output.ndim
    both = joined(seen)
    if both.axes is None or along in both.axes:
        raise UnknownOperation("parts of images are put side by side")
    return both


def _mean(
    arguments: Arguments, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    dimensions = _argument(arguments, 1, "dim", None)
    if dimensions is None or seen[0].axes is None:
        raise UnknownOperation("a mean over everything")
    listed = dimensions if isinstance(dimensions, tuple | list) else [dimensions]
    over = {each % source.ndim for each in listed}
    means = mixed(seen[0], over)
    if output.ndim == source.ndim:
        return means.at(seen[0].axes, output)
    if output.ndim == 2 and over == set(seen[0].axes):
        return replace(means, axes=None)
    raise UnknownOperation("a mean over one side of images")


def _part(
    arguments: Arguments, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    """Return what one of several tensors sees; a part of a tensor has no rule."""
    if isinstance(source, tuple | list):
        return seen[0]
    raise UnknownOperation("a part of a tensor")


def _chunked(
    arguments: Arguments, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    along = _argument(arguments, 2, "dim", 0) % source.ndim
    if seen[0].axes is None or along in seen[0].axes:
        raise UnknownOperation("images are cut into parts")
    return seen[0]


def _transposed(
    arguments: Arguments, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    order = list(range(source.ndim))
    one, other = arguments[0][1], arguments[0][2]
    order[one], order[other] = order[other], order[one]
    return permuted(seen[0], tuple(order), output)


def _permute(
    arguments: Arguments, source: Any, output: Any, seen: list[ReceptiveWindow]
) -> ReceptiveWindow:
    order = arguments[0][1:] or tuple(arguments[1].get("dims", ()))
    if len(order) == 1 and isinstance(order[0], tuple | list):
        order = tuple(order[0])
    return permuted(seen[0], tuple(order), output)


def _argument(arguments: Arguments, position: int, name: str, default: Any) -> Any:
    given, named = arguments
    return given[position] if len(given) > position else named.get(name, default)


Rule = Callable[[Arguments, Any, Any, list[ReceptiveWindow]], ReceptiveWindow]

RULES: Mapping[str, Rule] = {
    "getitem": _part,
    "cat": _concatenated,
    "mean": _mean,
    "chunk": _chunked,
    "transpose": _transposed,
    "permute": _permute,
    **dict.fromkeys(
        ("flatten", "view", "reshape"),
        lambda arguments, source, output, seen: reshaped(seen[0], source, output),
    ),
    "adaptive_avg_pool2d": lambda arguments, source, output, seen: adaptively_pooled(
        seen[0], output
    ),
    "layer_norm": lambda arguments, source, output, seen: normalised(
        seen[0], source, len(_argument(arguments, 1, "normalized_shape", ()))
    ),
}
"""By the name of a function or method."""
