"""What the nodes of a Ray cluster have room for, and whether they reach what workers need.

Knows Ray's description of a node, not Ray: everything here is told before any worker is started.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.bind.request import Request
from runner.bind.workspace import Workspace
from runner.core.errors import UsageError

Node = Mapping[str, Any]
"""As of `ray.nodes()`."""


@dataclass(frozen=True)
class Share:
    """What each worker has of a node.

    Attributes:
        cpus: cores.
        gpus: GPUs; a fraction shares one.
    """

    cpus: int
    gpus: float

    @classmethod
    def of(cls, request: Request, nodes: Sequence[Node]) -> Share:
        """Return what a request asks for: by default a core, and a GPU where there are any."""
        on_cpu = request.device == "cpu"
        gpus = request.gpus
        if gpus is None:
            has_gpus = any(_has(node, "GPU") for node in nodes)
            gpus = 0.0 if on_cpu or not (has_gpus or request.device == "cuda") else 1.0
        return cls(request.threads or 1, gpus)

    @property
    def device(self) -> str:
        """The device of a worker; Ray shows each the GPU that it has as the first."""
        return "cuda" if self.gpus else "cpu"

    def __str__(self) -> str:
        return f"{self.cpus} CPU and {self.gpus:g} GPU" if self.gpus else f"{self.cpus} CPU"


def _has(node: Node, name: str) -> float:
    return float(node["Resources"].get(name, 0.0))


def room_for(share: Share, nodes: Sequence[Node]) -> int:
    """Return how many workers the nodes have room for.

    Raises:
        UsageError: when they have room for none.
    """
    room = sum(_room(share, node) for node in nodes)
    if room:
        return room
    has = "; ".join(resources_in_words(each["Resources"]) for each in nodes)
    raise UsageError(
        f"no node of the Ray cluster has room for a worker with {share}",
        allowed=f"what its nodes have: {has or 'nothing'}",
        hint="--threads and --gpus say what each worker has",
    )


def _room(share: Share, node: Node) -> int:
    by_cpu = _has(node, "CPU") // share.cpus
    if not share.gpus:
        return int(by_cpu)
    # a worker's part is of one GPU: thirds leave some of each
    each = int(1 / share.gpus + 1e-9)
    return int(min(by_cpu, _has(node, "GPU") * each))


def resources_in_words(resources: Mapping[str, float]) -> str:
    """Return how many cores and GPUs there are, as Ray counts them."""
    return f"{resources.get('CPU', 0.0):g} CPU and {resources.get('GPU', 0.0):g} GPU"


def check_reach(home: Workspace, nodes: Sequence[Node]) -> None:
    """Check that every node can reach the database.

    Raises:
        UsageError: when it is a file, and a node is another host.
    """
    others = sorted({str(node["NodeManagerHostname"]) for node in nodes if not is_here(node)})
    if others and not home.database_path.startswith("postgresql"):
        raise UsageError(
            f"{home.database_path} is a file of this host, and the Ray cluster has others:"
            f" {', '.join(others[:3])}{' …' if len(others) > 3 else ''}",
            hint="a database that all of them reach: --db postgresql://…",
        )


def is_here(node: Node) -> bool:
    """Return whether a node is this host, as several can be."""
    import psutil

    mine = {each.address for found in psutil.net_if_addrs().values() for each in found}
    is_mine = node["NodeManagerAddress"] in mine
    return is_mine and node["NodeManagerHostname"] == socket.gethostname()
