"""What nodes of a Ray cluster have room for, and which of them reach the database; without Ray."""

from __future__ import annotations

import importlib.util
import re
import socket
from pathlib import Path
from typing import Any

import pytest

import runner
from runner.bind.request import Request
from runner.bind.workspace import Workspace
from runner.core.errors import UsageError
from runner.execute.ray_nodes import Share, check_reach, is_here, room_for


def node(cpus: float, gpus: float = 0, host: str = "", address: str = "127.0.0.1") -> Any:
    resources = {"CPU": cpus, **({"GPU": gpus} if gpus else {})}
    name = host or socket.gethostname()
    return {"Resources": resources, "NodeManagerHostname": name, "NodeManagerAddress": address}


@pytest.fixture(autouse=True)
def _has_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())


@pytest.mark.parametrize(
    ("options", "gpus_there", "cpus", "gpus", "device"),
    [
        ({}, 0, 1, 0, "cpu"),
        ({}, 2, 1, 1, "cuda"),
        ({"device": "cpu"}, 2, 1, 0, "cpu"),
        ({"device": "cuda"}, 0, 1, 1, "cuda"),
        ({"gpus": 0.25, "threads": 3}, 1, 3, 0.25, "cuda"),
        ({"gpus": 0.0}, 2, 1, 0, "cpu"),
    ],
)
def test_a_worker_has_a_core_and_a_gpu_where_there_are_any(
    options: dict[str, Any], gpus_there: int, cpus: int, gpus: float, device: str
) -> None:
    share = Share.of(Request(["a.yaml"], executor="ray", **options), [node(4, gpus_there)])
    assert (share.cpus, share.gpus, share.device) == (cpus, gpus, device)


@pytest.mark.parametrize(
    ("share", "room"),
    [
        (Share(1, 0), 6),
        (Share(2, 0), 3),
        (Share(4, 0), 1),
        (Share(1, 1), 2),
        (Share(1, 0.5), 4),
        (Share(1, 0.3), 4),  # three on each GPU, but the node has four cores
        (Share(2, 0.25), 2),
    ],
)
def test_room_is_counted_on_each_node(share: Share, room: int) -> None:
    assert room_for(share, [node(4, 2), node(2)]) == room


def test_no_room_names_what_the_nodes_have() -> None:
    with pytest.raises(UsageError, match="a worker with 8 CPU") as raised:
        room_for(Share(8, 0), [node(4, 2), node(2)])
    assert "4 CPU and 2 GPU; 2 CPU and 0 GPU" in str(raised.value)
    with pytest.raises(UsageError, match=r"1 CPU and 0\.5 GPU"):
        room_for(Share(1, 0.5), [node(4)])


def test_a_file_is_reached_from_nodes_of_this_host_only() -> None:
    home = Workspace("results.db", Path(".runner"), None)
    check_reach(home, [node(1), node(2)])
    others = [node(1), node(1, host="elsewhere"), node(1, address="198.51.100.7")]
    assert [is_here(each) for each in others] == [True, False, False]
    with pytest.raises(UsageError, match="the Ray cluster has others: elsewhere") as raised:
        check_reach(home, others)
    assert "--db postgresql://" in str(raised.value)
    check_reach(Workspace("postgresql://db/grid", Path(".runner"), None), others)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"device": "cuda:1"}, "takes no device cuda:1"),
        ({"gpus": 2.0}, "gpus is 2"),
        ({"gpus": -0.5}, "gpus is -0.5"),
        ({"gpus": 0.5, "device": "cpu"}, "gpus is 0.5, and device is cpu"),
        ({"gpus": 0.5, "executor": "local"}, "for workers of the executor 'ray'"),
    ],
)
def test_what_ray_cannot_do_is_an_error_of_the_request(options: dict[str, Any], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        Request(["a.yaml"], **{"executor": "ray", **options})


def test_without_ray_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r'pip install "runner\[ray\]"'):
        Request(["a.yaml"], executor="ray")


def test_one_module_imports_ray() -> None:
    found = [
        path.name
        for path in Path(runner.__file__).parent.rglob("*.py")
        if re.search(r"^\s*(import|from) ray\b", path.read_text(encoding="utf-8"), re.M)
    ]
    assert found == ["ray_cluster.py"]
