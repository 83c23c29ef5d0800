"""Which names are of own code, and where they lead among what is allowed."""

from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from own_nets import write_nets
from pydantic import TypeAdapter, ValidationError

from runner.components.models import Model
from runner.components.own.names import CodeName, is_code_name, parse_code_name
from runner.components.own.permission import allow_code, permission
from runner.components.own.problems import KIND, CodeProblem
from runner.core.errors import UsageError

NAME = CodeName("nets.py", "WideNet")


def test_name_is_a_file_and_a_class() -> None:
    assert parse_code_name("nets.py:WideNet") == NAME
    assert parse_code_name("a/b_1/nets.py:W") == ("a/b_1/nets.py", "W")
    assert str(NAME) == "nets.py:WideNet"


@pytest.mark.parametrize(
    "text",
    [
        "/etc/nets.py:W",
        "../nets.py:W",
        "a/../nets.py:W",
        "./nets.py:W",
        "a//nets.py:W",
        "a\\nets.py:W",
        "nets.py:",
        "nets.py:a.b",
        "nets.py:W()",
        "nets.py :W",
        "1.py:W",
        "a\x00.py:W",
        "~/nets.py:W",
        "x" * 500 + ".py:W",
    ],
)
def test_names_of_another_form_are_refused(text: str) -> None:
    assert is_code_name(text)
    with pytest.raises(CodeProblem, match="is no name of own code"):
        parse_code_name(text)


@given(
    st.text(max_size=12),
    st.text(max_size=12),
    st.sampled_from(["", "/", "../", "a/"]),
    st.sampled_from([".py", "", "-nets"]),
)
def test_no_name_gives_anything_but_a_problem(
    file: str, attribute: str, above: str, suffix: str
) -> None:
    name = f"{above}{file}{suffix}:{attribute}"
    assume(is_code_name(name))
    with allow_code(Path(__file__).parent), pytest.raises(ValidationError) as caught:
        TypeAdapter(Model).validate_python({"name": name})
    assert [each["type"] for each in caught.value.errors()] == [KIND]


def test_names_of_components_are_no_names_of_code() -> None:
    assert not any(map(is_code_name, ("mlp", "nets.py", "timm/a:b", "", None, 3, ["nets.py:W"])))


def test_nothing_is_allowed_unless_somebody_allows_it(tmp_path: Path) -> None:
    write_nets(tmp_path)
    with pytest.raises(CodeProblem, match=r"is Python code; allow it with --code nets\.py"):
        permission().find(NAME)
    with allow_code(tmp_path / "nets.py"):
        _, path = permission().find(NAME)
        assert path == (tmp_path / "nets.py").resolve()
    with pytest.raises(CodeProblem):
        permission().find(NAME)


def test_a_file_is_named_by_its_name_and_one_in_a_folder_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "vision").mkdir()
    write_nets(tmp_path / "vision")
    with allow_code(tmp_path):
        _, path = permission().find(CodeName("vision/nets.py", "W"))
        assert path.parent.name == "vision"
        with pytest.raises(CodeProblem, match="is in no file that is allowed") as caught:
            permission().find(NAME)
        assert "--code nets.py" in caught.value.hint
    with allow_code(tmp_path / "vision" / "nets.py"):
        assert permission().find(NAME)[1] == path
        with pytest.raises(CodeProblem):
            permission().find(CodeName("layers.py", "W"))


def test_permissions_add_up_within_each_other_and_end(tmp_path: Path) -> None:
    write_nets(tmp_path)
    with allow_code(tmp_path / "layers.py"):
        with allow_code(tmp_path / "nets.py"):
            assert len(permission().paths) == 2
        with pytest.raises(CodeProblem) as caught:
            permission().find(CodeName("layer.py", "W"))
        assert caught.value.suggestion == "layers.py"


def test_two_files_of_one_name_are_not_chosen_between(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        write_nets(tmp_path / name)
    with (
        allow_code(tmp_path / "a", tmp_path / "b"),
        pytest.raises(CodeProblem, match="one of several files"),
    ):
        permission().find(NAME)
    with allow_code(tmp_path / "a", tmp_path / "a" / "nets.py"):  # the same file twice
        assert permission().find(NAME)[1].parent.name == "a"


def test_link_that_leads_out_of_what_is_allowed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    write_nets(tmp_path)
    (tmp_path / "allowed" / "nets.py").symlink_to(tmp_path / "nets.py")
    with allow_code(tmp_path / "allowed"), pytest.raises(CodeProblem, match="leads outside of"):
        permission().find(NAME)
    with allow_code(tmp_path / "allowed" / "nets.py"):  # who allows the link, allows its file
        assert permission().find(NAME)[1] == (tmp_path / "nets.py").resolve()


@pytest.mark.parametrize("name", ["gone.py", "own.yaml"])
def test_what_is_no_code_cannot_be_allowed(tmp_path: Path, name: str) -> None:
    write_nets(tmp_path)
    with pytest.raises(UsageError, match="--code"), allow_code(tmp_path / name):
        pass


def test_paths_of_a_permission_allow_another_process_the_same_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "code").mkdir()
    write_nets(tmp_path / "code")
    (tmp_path / "link.py").symlink_to(tmp_path / "code" / "nets.py")
    monkeypatch.chdir(tmp_path)
    with allow_code("code", "link.py"):
        here, paths = permission(), permission().paths
    monkeypatch.chdir("/")
    with allow_code(*paths):
        there = permission()
    assert [root.path for root in there.roots] == [root.path for root in here.roots]
    for name in (NAME, CodeName("link.py", "W")):
        assert there.find(name)[1] == here.find(name)[1]
    with pytest.raises(CodeProblem):
        there.find(CodeName("code/nets.py", "W"))
