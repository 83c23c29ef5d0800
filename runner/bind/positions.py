"""Problems with their position in the spec, of what only data or a built network can tell.

Owns where such a problem stands, and the words for a network that cannot be built.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from runner.components.models.classifier import UnknownLayer
from runner.components.models.timm_names import UnknownNetwork
from runner.components.own.problems import OwnCodeFailed
from runner.core.errors import Problem, SpecError, nearest
from runner.spec.cells import ResolvedCell
from runner.spec.nodes import Node, find

SHOWN_LAYERS = 24


def written_node(tree: Node, path: str) -> Node:
    """Return the node at a dotted path, or the nearest above it that was written."""
    steps = path.split(".")
    for end in range(len(steps), 0, -1):
        node = find(tree, steps[:end])
        if node is not None and node.position is not None:
            return node
    return tree


def problem_at(
    resolved: ResolvedCell, path: str, found: str, allowed: str = "", *, hint: str = ""
) -> SpecError:
    """Return the error of one problem at a setting."""
    position = written_node(resolved.tree, path).position
    return SpecError([Problem(position, found, allowed, hint=hint)])


@contextmanager
def network_problems(resolved: ResolvedCell) -> Iterator[None]:
    """Turn what is wrong with a network while it is built into a problem of the spec.

    Raises:
        SpecError: for an unknown network or layer, an empty policy, or a network that does not fit.
    """
    from runner.engine.network.freezing import EmptyPolicy

    try:
        yield
    except UnknownLayer as error:
        raise unknown_layer(resolved, error) from None
    except UnknownNetwork as error:
        raise unknown_network(resolved, error) from None
    except EmptyPolicy as error:
        allowed = "a policy that freezes some layers and leaves others to train"
        raise problem_at(resolved, "model.freeze", str(error), allowed) from None
    except OwnCodeFailed as error:
        raise problem_at(resolved, "model", error.found, hint=error.hint) from None
    except (AssertionError, ValueError, RuntimeError) as error:
        found = f"the model does not fit the data: {error}"
        hint = "take another network, or other images (data.resize, data.crop, data.color)"
        raise problem_at(resolved, "model", found, hint=hint) from None


def unknown_network(resolved: ResolvedCell, error: UnknownNetwork) -> SpecError:
    """Return the error of a network that cannot be built here, at its name."""
    position = written_node(resolved.tree, "model.name").position
    problem = Problem(position, error.found, hint=error.hint, suggestion=error.suggestion)
    return SpecError([problem])


def unknown_layer(resolved: ResolvedCell, error: UnknownLayer) -> SpecError:
    """Return the error of a layer that a setting of the model names and the network has not."""
    path = f"model.{error.setting}"
    node = written_node(resolved.tree, path)
    if node.is_sequence:
        node = next((item for item in node.value if item.value == error.pattern), node)
    kind = "no layer" if error.setting == "cut" else "no layer with weights"
    found = f"{path}: {kind} is called {error.pattern!r}"
    layers = list(error.layers[:SHOWN_LAYERS]) + ["…"] * (len(error.layers) > SHOWN_LAYERS)
    suggestion = nearest(error.pattern.rstrip(".*?"), error.layers)
    return SpecError([Problem(node.position, found, ", ".join(layers), suggestion=suggestion)])
