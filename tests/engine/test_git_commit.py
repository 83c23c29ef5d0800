"""The commit of a folder is found, and nothing that the folder's settings name is run for it."""

import os
import subprocess
from pathlib import Path

import pytest

from runner.engine.git_commit import commit_of

WHO = ("-c", "user.name=someone", "-c", "user.email=someone@example.org")


def git(folder: Path, *words: str) -> str:
    told = subprocess.run(["git", *WHO, *words], cwd=folder, capture_output=True, check=True)
    return told.stdout.decode().strip()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose only file is committed; no settings of the user's count."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "tree"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "spec.yaml").write_text("name: a\n")
    git(folder, "add", "spec.yaml")
    git(folder, "commit", "--quiet", "--message", "first")
    return folder


def test_a_commit_has_a_plus_where_something_has_changed(tree: Path) -> None:
    commit = git(tree, "rev-parse", "HEAD")
    assert len(commit) == 40
    (tree / "results.db").write_text("not tracked")
    assert commit_of(tree) == commit
    (tree / "inner").mkdir()
    (tree / "spec.yaml").write_text("name: b\n")
    assert commit_of(tree / "inner") == f"{commit}+"
    git(tree, "add", "spec.yaml")
    assert commit_of(tree) == f"{commit}+"


def test_without_a_commit_there_is_none(tmp_path: Path) -> None:
    assert commit_of(tmp_path) == ""
    git(tmp_path, "init", "--quiet")
    assert commit_of(tmp_path) == ""
    assert commit_of(tmp_path / "missing") == ""


def test_no_program_of_the_folders_settings_is_run(tree: Path, tmp_path: Path) -> None:
    commit, ran = git(tree, "rev-parse", "HEAD"), tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 >> {ran}\ncat\n")
    program.chmod(0o755)
    for event in ("post-index-change", "reference-transaction", "post-checkout"):
        (tree / ".git" / "hooks" / event).symlink_to(program)
    git(tree, "config", "core.fsmonitor", str(program))
    (tree / ".git" / "info" / "attributes").write_text("* filter=a=b.c\n")
    (tree / ".git" / "more").write_text(f'[filter "a=b.c"]\nclean = {program}\nrequired = true\n')
    git(tree, "config", "include.path", "more")
    index = tree / ".git" / "index"
    os.utime(tree / "spec.yaml", ns=(1, 1))  # so that git reads it again
    before = index.read_bytes()
    ran.unlink(missing_ok=True)
    assert commit_of(tree) == commit
    assert not ran.exists()
    assert index.read_bytes() == before
    git(tree, "status")
    assert ran.exists()


def test_settings_that_the_user_gives_by_the_environment_stay(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "spec.yaml").chmod(0o755)
    assert commit_of(tree).endswith("+")
    for name, value in (("COUNT", "1"), ("KEY_0", "core.fileMode"), ("VALUE_0", "false")):
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    assert not commit_of(tree).endswith("+")
