"""Who a process is, and whether it still lives."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from waiting import wait_for

from runner.artifacts.process import (
    Process,
    boot_id,
    host,
    is_dead,
    process_of,
    start_ticks,
    this_process,
)


def test_this_process_lives() -> None:
    me = this_process()
    assert (me.host, me.boot_id, me.pid) == (host(), boot_id(), os.getpid())
    assert not is_dead(me)


def test_process_id_used_again_is_another_process() -> None:
    me = this_process()
    assert not is_dead(me)
    assert me.ticks is not None
    assert is_dead(replace(me, ticks=me.ticks - 1))
    assert not is_dead(replace(me, host="elsewhere", ticks=0))


def test_process_that_was_killed_is_dead_even_while_its_parent_has_not_looked() -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        process = replace(this_process(), pid=child.pid, ticks=start_ticks(child.pid))
        assert not is_dead(process)
        child.kill()
        wait_for(lambda: is_dead(process))
    finally:
        child.wait()
    assert is_dead(process)


def test_start_of_a_process_is_read_whatever_its_name(tmp_path: Path) -> None:
    rename = "import ctypes, time; ctypes.CDLL(None).prctl(15, b'a) 1 (b', 0, 0, 0)"
    code = f"{rename}; print(1, flush=True)"
    child = subprocess.Popen(
        [sys.executable, "-c", f"{code}; time.sleep(60)"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    child.stdout.readline()
    ticks, started = start_ticks(child.pid), psutil.Process(child.pid).create_time()
    child.kill()
    child.communicate()
    assert ticks is not None
    since_boot = ticks / os.sysconf("SC_CLK_TCK")
    assert since_boot == pytest.approx(started - psutil.boot_time(), abs=1.5)
    assert start_ticks(child.pid) is None


def test_process_without_ticks_is_told_by_the_clock_with_some_slack(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the system has no /proc."""
    monkeypatch.setattr("runner.artifacts.process.start_ticks", lambda pid: None)
    me = replace(this_process(), ticks=None)
    assert not is_dead(replace(me, started=me.started + 1))
    assert is_dead(replace(me, started=me.started - 60))


def test_process_of_before_this_boot_is_dead() -> None:
    before = replace(this_process(), boot_id="before", started=psutil.boot_time() - 60)
    assert is_dead(before)


def test_process_on_another_machine_of_this_name_is_not_taken_for_dead() -> None:
    """Two machines of one name: neither can know of the other's processes."""
    elsewhere = replace(this_process(), boot_id="its own", started=time.time(), pid=2**22 + 1)
    assert not is_dead(elsewhere)


def test_process_of_another_container_is_not_taken_for_dead() -> None:
    elsewhere = replace(this_process(), host=f"{host()} (pid:[1])", pid=2**22 + 1)
    assert not is_dead(elsewhere)


@pytest.mark.parametrize("ticks", [None, 12345])
def test_tag_names_its_process(ticks: int | None) -> None:
    process = Process(host(), boot_id(), 77, 1700000000.75, ticks)
    tag = process.tag()
    assert "/" not in tag
    assert "." not in tag
    assert process_of(tag) == replace(process, started=1700000000.0)


def test_tag_of_another_boot_names_a_process_of_that_boot() -> None:
    process = process_of(replace(this_process(), boot_id="before").tag())
    assert process is not None
    assert process.boot_id != boot_id()


@pytest.mark.parametrize("tag", ["", "host.7", "old-0123abcd-7-1", "0123abcd-0123abcd-7"])
def test_tag_that_is_none_names_no_process(tag: str) -> None:
    assert process_of(tag) is None


def test_tag_of_another_host_names_no_process() -> None:
    assert process_of(replace(this_process(), host="elsewhere").tag()) is None
