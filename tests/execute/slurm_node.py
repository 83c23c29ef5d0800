"""A real Slurm of one machine, from Debian's packages, in a folder of its own.

Its three daemons are children of this process, listen on free ports of 127.0.0.1, and belong to the
user who runs the tests.
"""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from waiting import wait_for

DAEMONS = ("munged", "slurmctld", "slurmd")
PLACES = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
SETTINGS = """\
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
MpiDefault=none
MailProg=/bin/true
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1
JobAcctGatherType=jobacct_gather/none
ReturnToService=2
KillWait=10
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def is_installed() -> bool:
    """Return whether all of it is installed: Debian's slurmctld, slurmd, slurm-client, munge."""
    return all(shutil.which(name, path=PLACES) for name in (*DAEMONS, "sbatch", "scontrol"))


def answer(*words: str) -> str:
    """Return what a command of Slurm says, on either stream."""
    done = subprocess.run(words, capture_output=True, text=True)
    return done.stdout + done.stderr


@contextmanager
def running_slurm(folder: Path) -> Iterator[None]:
    """Start it, with SLURM_CONF in the environment, and end it."""
    folder.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    host = socket.gethostname().partition(".")[0]
    ports = dict(zip(("controller", "node"), _free_ports(2), strict=True))
    settings = folder / "slurm.conf"
    settings.write_text(
        SETTINGS.format(host=host, user=getpass.getuser(), folder=folder, **ports), encoding="utf-8"
    )
    (folder / "munge.key").write_bytes(os.urandom(1024))
    (folder / "munge.key").chmod(0o600)
    files = {"key": "munge.key", "socket": "munge.socket", "pid": "munged.pid", "log": "munged.log"}
    options = [
        f"--{name}-file={folder / file}" if name != "socket" else f"--socket={folder / file}"
        for name, file in {**files, "seed": "munge.seed"}.items()
    ]
    commands = {
        "munged": ["--foreground", "--force", *options],
        "slurmctld": ["-D", "-f", str(settings)],
        "slurmd": ["-D", "-f", str(settings), "-N", host],
    }
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("SLURM_CONF", str(settings))
        for name, words in commands.items():
            path = shutil.which(name, path=PLACES)
            assert path is not None
            log = stack.enter_context((folder / f"{name}.out").open("wb"))
            daemon = subprocess.Popen([path, *words], stdout=log, stderr=log)
            stack.callback(_end, daemon)
            if name == "munged":
                wait_for(lambda: (folder / "munge.socket").exists())
        wait_for(lambda: "idle" in answer("sinfo", "--noheader", "--format=%t"), pause=0.2)
        yield


def _free_ports(number: int) -> list[int]:
    """Return ports that are free, each another one: they are held until all are chosen."""
    with ExitStack() as held:
        free = [held.enter_context(closing(socket.socket())) for _ in range(number)]
        for each in free:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in free]


def _end(daemon: subprocess.Popen[bytes]) -> None:
    daemon.terminate()
    try:
        daemon.wait(20)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
