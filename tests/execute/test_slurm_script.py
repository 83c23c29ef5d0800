"""The script of an array of workers: its options, its times, and how words are quoted."""

import shlex
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import slurm_stand_in

from runner.core.errors import UsageError
from runner.execute.slurm_script import SbatchOption, WorkerArray, parse_options, seconds_of_time

ARRAY = WorkerArray(jobs=8, name="runner-grid", folder="/here", python="/bin/python3")
STRANGE = "a 'single', a \"double\"\n$HOME `ls` \\ #SBATCH --wrap=rm"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90", 90 * 60),
        ("90:30", 90 * 60 + 30),
        ("4:00:00", 4 * 3600),
        ("2-12", 60 * 3600),
        ("2-12:30", 60 * 3600 + 1800),
        ("1-00:00:05", 86405),
        ("infinite", None),
        ("UNLIMITED", None),
    ],
)
def test_times_are_read_as_slurm_reads_them(text: str, seconds: int | None) -> None:
    assert seconds_of_time(text) == seconds


@pytest.mark.parametrize("text", ["", "4h", "1:2:3:4", "-5", "1.5", "0", "0:00", "0-0"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="minutes, hours:minutes:seconds or days-hours"):
        replace(ARRAY, time=text)


@pytest.mark.parametrize(
    ("time", "signal", "hours"),
    [("4:00:00", 120, 4 - 240 / 3600), ("10", 60, 8 / 60), (None, 120, None)],
)
def test_worker_stops_before_it_is_told_to(
    time: str | None, signal: int, hours: float | None
) -> None:
    array = replace(ARRAY, time=time)
    assert (array.signal_seconds, array.max_hours) == (signal, hours)
    assert f"#SBATCH --signal=B:USR1@{signal}\n" in array.script()
    assert ("--max-hours" in array.script()) == (hours is not None)


@pytest.mark.parametrize("jobs", [0, -1, 1001, 10**6])
def test_arrays_that_slurm_would_not_take_are_refused(jobs: int) -> None:
    with pytest.raises(UsageError, match="allowed: 1 to 1000, as Slurm's MaxArraySize") as refused:
        replace(ARRAY, jobs=jobs)
    assert "there need not be one for each run" in str(refused.value)


def test_options_are_lines_that_sbatch_reads_back() -> None:
    given = ["partition=long", "--exclusive", "comment=a b #c", "mem=16G", "nodelist=n[1-3,5]"]
    script = replace(ARRAY, options=parse_options(given), time="2-12").script()
    assert slurm_stand_in.parse(script) == {
        "job-name": "runner-grid",
        "array": "0-7",
        "time": "2-12",
        "partition": "long",
        "exclusive": "",
        "comment": "a b #c",
        "mem": "16G",
        "nodelist": "n[1-3,5]",
        "signal": "B:USR1@120",
        "requeue": "",
        "open-mode": "append",
    }


def test_name_of_the_job_may_be_another() -> None:
    script = replace(ARRAY, options=parse_options(["job-name=mine"])).script()
    assert slurm_stand_in.parse(script)["job-name"] == "mine"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        (["-p long"], "'-p long' is no option of sbatch"),
        (["partition="], "'partition=' is no option of sbatch"),
        (["=long"], "'=long' is no option of sbatch"),
        (["array=0-3"], "the option array of sbatch cannot be set: --jobs says"),
        (["--time=3"], "the option time of sbatch cannot be set: --time says"),
        (["no-requeue"], "the option no-requeue of sbatch cannot be set"),
        (["comment=a\n#SBATCH --uid=0"], "cannot stand in a script of Slurm"),
        (['comment="a"'], "cannot stand in a script of Slurm"),
        (["comment=a\\b"], "cannot stand in a script of Slurm"),
        (["mem=1G", "--mem=2G"], "the option mem of sbatch is given twice"),
    ],
)
def test_options_that_cannot_be_are_refused(given: list[str], problem: str) -> None:
    with pytest.raises(UsageError) as refused:
        parse_options(given)
    assert problem in str(refused.value)


def test_words_reach_the_worker_as_they_are_whatever_stands_in_them(tmp_path: Path) -> None:
    folder = tmp_path / STRANGE.replace("/", "")
    folder.mkdir()
    python = folder / "py thon"
    python.write_text('#!/bin/sh\npwd > told\nprintf "%s|" "$NAME" "$@" >> told\n')
    python.chmod(0o755)
    array = replace(
        ARRAY,
        folder=str(folder),
        python=str(python),
        worker=["--data", STRANGE],
        variables={"NAME": STRANGE},
    )
    script = array.script()
    assert slurm_stand_in.parse(script)["array"] == "0-7"
    subprocess.run(["bash"], input=script, text=True, check=True)
    words = ["-P", "-m", "runner", "worker", "--data", STRANGE]
    told = (folder / "told").read_text()
    assert told == f"{folder}\n" + "".join(f"{word}|" for word in [STRANGE, *words])


@pytest.mark.parametrize(("code", "requeued"), [(0, False), (1, False), (75, True), (130, False)])
def test_only_a_worker_whose_time_is_over_is_put_back(
    code: int, requeued: bool, tmp_path: Path
) -> None:
    for name, line in {"py": f"exit {code}", "scontrol": 'echo "$@" > asked'}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    script = replace(ARRAY, folder=str(tmp_path), python=str(tmp_path / "py")).script()
    variables = f"PATH={tmp_path}:$PATH SLURM_ARRAY_JOB_ID=12 SLURM_ARRAY_TASK_ID=3"
    ended = subprocess.run(["bash", "-c", f"{variables} bash -c {shlex.quote(script)}"])
    assert ended.returncode == code
    asked = tmp_path / "asked"
    assert (asked.read_text() if requeued else asked.exists()) == (
        "requeue 12_3\n" if requeued else False
    )


def test_signal_is_passed_on_and_the_script_waits_for_the_worker(tmp_path: Path) -> None:
    trap = 'trap "sleep 0.1; exit 75" USR1; touch begun; while :; do sleep 0.01; done'
    for name, line in {"py": trap, "scontrol": "exit 1"}.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
    script = replace(ARRAY, folder=str(tmp_path), python=str(tmp_path / "py")).script()
    around = f'PATH={tmp_path}:$PATH; me=$$; (until [ -e "{tmp_path}/begun" ]; do sleep 0.01; done;'
    around += f" sleep 0.1; kill -USR1 $me) & exec bash -c {shlex.quote(script)}"
    ended = subprocess.run(["bash", "-c", around], capture_output=True, text=True)
    assert ended.returncode == 75
    assert ended.stderr == "not requeued; give the command runner slurm again to go on\n"


def test_an_option_without_value_has_no_equals_sign() -> None:
    assert SbatchOption.parse("--exclusive").line() == "#SBATCH --exclusive"
