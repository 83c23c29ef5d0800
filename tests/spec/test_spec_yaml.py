import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.errors import SourcePosition, SpecError
from runner.spec import yaml_loader
from runner.spec.nodes import as_yaml, plain
from runner.spec.yaml_loader import load_yaml, parse_yaml


def read(text: str) -> object:
    return plain(parse_yaml(f"key: {text}", "a.yaml"))["key"]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1e-3", 0.001),
        ("5e-5", 0.00005),
        ("1E3", 1000.0),
        ("1.5e+2", 150.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-0.25", -0.25),
        (".INF", math.inf),
        ("-.inf", -math.inf),
    ],
)
def test_floats_of_yaml_1_2(text: str, number: float) -> None:
    assert read(text) == number
    assert type(read(text)) is float


def test_two_zeros_are_one() -> None:
    assert [str(read(text)) for text in ("-0.0", "-0e3", "0.0")] == ["0.0"] * 3


@pytest.mark.parametrize("text", [".nan", ".NaN", ".NAN"])
def test_not_a_number(text: str) -> None:
    value = read(text)
    assert isinstance(value, float)
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("text", "number"), [("0o17", 15), ("0x1f", 31), ("-7", -7), ("+7", 7), ("012", 12)]
)
def test_integers_of_yaml_1_2(text: str, number: int) -> None:
    assert read(text) == number
    assert type(read(text)) is int


@pytest.mark.parametrize(
    "text",
    [
        "no",
        "off",
        "yes",
        "on",
        "y",
        "n",
        "12:30:45",
        "2001-01-01",
        "1_000",
        "0b11",
        "=",
        "<<",
        "tRue",
    ],
)
def test_texts_that_yaml_1_1_reads_otherwise(text: str) -> None:
    assert read(text) == text


@pytest.mark.parametrize("text", ["'1'", '"1"', "!!str 1"])
def test_quoted_numbers_are_text(text: str) -> None:
    assert read(text) == "1"


@pytest.mark.parametrize("text", ["", "~", "null", "Null", "NULL"])
def test_nulls(text: str) -> None:
    assert read(text) is None


@pytest.mark.parametrize("text", ["true", "True", "TRUE"])
def test_booleans(text: str) -> None:
    assert read(text) is True


def test_aliases_stand_for_the_value_of_their_anchor() -> None:
    tree = parse_yaml("a: &x {b: [1, 2]}\nc: *x", "a.yaml")
    assert plain(tree) == {"a": {"b": (1, 2)}, "c": {"b": (1, 2)}}


def test_every_value_and_key_knows_its_position() -> None:
    tree = parse_yaml("a:\n  b: [1,\n      two]\n", "a.yaml")
    inner = tree.value["a"].value["b"]
    assert inner.key_position == SourcePosition("a.yaml", 2, 3)
    assert inner.position == SourcePosition("a.yaml", 2, 6)
    assert [item.position for item in inner.value] == [
        SourcePosition("a.yaml", 2, 7),
        SourcePosition("a.yaml", 3, 7),
    ]


def test_keys_are_text_whatever_they_look_like() -> None:
    assert plain(parse_yaml("1: a\ntrue: b\n~: c", "a.yaml")) == {"1": "a", "true": "b", "~": "c"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: \x00b", "a.yaml:1:4: the control character '\\x00', which YAML does not allow"),
        ("a: b\nc: \x07", "a.yaml:2:4: the control character '\\x07', which YAML does not allow"),
        ("a: " + "[" * 2000, "a.yaml:1:53: lists or mappings nest more than 50 levels deep"),
        ("a: " + "9" * 30, "a.yaml:1:4: a whole number too long to be stored"),
        ("a: " + "9" * 5000, "a.yaml:1:4: a whole number too long to be stored"),
        (
            "a: !!int abc",
            "a.yaml:1:4: 'abc' with the tag !!int\n    allowed: plain values, without",
        ),
        ("a: !!bool yes", "a.yaml:1:4: 'yes' with the tag !!bool\n"),
        ("a: !!set {b}", "a.yaml:1:4: the tag !!set\n"),
        (
            'a: "\\U00110000"',
            "a.yaml:1:7: broken YAML: an escape that is no character, or too long a number\n"
            "    hint: characters are \\U00000000 to \\U0010FFFF",
        ),
        ('a: "\\UFFFFFFFF"', "a.yaml:1:7: broken YAML: an escape that is no character"),
        ("%YAML 1." + "1" * 5000 + "\n--- a", "a.yaml:1:9: broken YAML: an escape that is no"),
        (
            'a: "b\\ud800"',
            "a.yaml:1:4: the escape \\ud800, which is half of a character\n    allowed: both",
        ),
        ('a:\n  "\\udfff": 1', "a.yaml:2:3: the escape \\udfff, which is half of a character"),
        ("a: 0x8000000000000000", "a.yaml:1:4: a whole number too long to be stored"),
        ("? [a]\n: 1", "a.yaml:1:3: a list or mapping as a key\n"),
        ("a: *b", "a.yaml:1:4: broken YAML: found undefined alias 'b'"),
        ("a: 'b", "a.yaml:1:6: broken YAML: while scanning a quoted scalar found unexpected"),
    ],
    ids=lambda text: text[:24],
)
def test_broken_files_are_spec_errors_with_their_positions(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_yaml(text, "a.yaml")
    assert str(caught.value).startswith(message)


def test_aliases_cannot_blow_up_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_loader, "MAX_NODES", 2000)
    lines = ["a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(SpecError, match="more than 2000 values"):
        parse_yaml("\n".join(lines), "a.yaml")


def test_levels_of_aliases_count_as_levels() -> None:
    lines = ["a0: &a0 [1]", *(f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 60))]
    with pytest.raises(SpecError, match=r"a.yaml:50:6: lists or mappings nest more than 50 levels"):
        parse_yaml("\n".join(lines), "a.yaml")


def test_aliased_value_is_converted_once() -> None:
    tree = parse_yaml("a: &a [{b: 1}]\nc: [*a, *a]", "a.yaml")
    first, second = tree.value["c"].value
    assert first is second
    assert first.value[0] is tree.value["a"].value[0]
    assert plain(tree) == {"a": ({"b": 1},), "c": (({"b": 1},), ({"b": 1},))}


def test_values_are_counted_before_the_document_is_composed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(yaml_loader, "MAX_NODES", 20)
    # what follows is broken, and is not looked at any more
    with pytest.raises(SpecError, match=r"a.yaml:1:56: more than 20 values"):
        parse_yaml("a: [" + "1, " * 30 + "]]]", "a.yaml")


def test_escaped_halves_of_a_character_are_one() -> None:
    assert plain(parse_yaml(r'"\ud83d\ude00": "a\ud83d\ude00ü"', "a.yaml")) == {"😀": "a😀ü"}


def test_numbers_that_a_database_holds_are_read() -> None:
    text = "[0x7fffffffffffffff, -9223372036854775807, 0o17, 007, +5, 0]"
    assert plain(parse_yaml(text, "a.yaml")) == (2**63 - 1, 1 - 2**63, 15, 7, 5, 0)


def test_missing_file_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"no such file: .*nothing\.yaml"):
        load_yaml(tmp_path / "nothing.yaml")


def test_folder_or_binary_file_is_a_spec_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read"):
        load_yaml(tmp_path)
    with pytest.raises(SpecError, match="cannot read"):
        load_yaml(tmp_path / "a\0b.yaml")
    with pytest.raises(SpecError, match="cannot read"):
        load_yaml(tmp_path / ("a" * 5000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe\x00", ":1:1: the byte 0xff, which is not UTF-8\n    allowed: text in UTF-8"),
        (b"\xef\xbb\xbfa: \xff", ":1:4: the byte 0xff, which is not UTF-8"),
        ("ü: 1\r\nüb: ".encode() + b"\xed\xa0\x80", ":2:5: the byte 0xed, which is not UTF-8"),
    ],
)
def test_byte_that_is_no_text_has_a_position(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(content)
    with pytest.raises(SpecError) as caught:
        load_yaml(path)
    assert str(caught.value).startswith(f"{path}{message}")


def test_file_is_read_no_further_than_a_spec_may_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yaml_loader, "MAX_BYTES", 100)
    (tmp_path / "a.yaml").write_text("a: " + "x" * 98)
    with pytest.raises(SpecError, match=r"a\.yaml:1:1: .*a\.yaml has more than 100 bytes"):
        load_yaml(tmp_path / "a.yaml")


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    tree = load_yaml(tmp_path / "a.yaml")
    assert plain(tree) == {"a": 1, "b": 2}
    assert tree.value["b"].position.line == 2


@given(st.text(max_size=40))
def test_text_of_any_kind_is_a_tree_or_a_spec_error(text: str) -> None:
    try:
        tree = parse_yaml(text, "a.yaml")
    except SpecError:
        return
    assert tree.position is not None


words = st.text(alphabet=st.characters(codec="ascii", min_codepoint=32, max_codepoint=126))
scalars = st.none() | st.booleans() | st.integers(-(10**9), 10**9) | words
# a training in this process may have made it flush subnormal numbers
scalars |= st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
keys = st.sampled_from(["lr", "epochs", "hidden"])


@given(
    st.recursive(
        scalars,
        lambda inner: st.lists(inner).map(tuple) | st.dictionaries(keys, inner),
        max_leaves=6,
    )
)
def test_value_as_yaml_is_read_back(value: object) -> None:
    assert plain(parse_yaml(f"key: {as_yaml(value)}", "a.yaml")) == {"key": value}


def test_component_as_yaml_is_its_name_if_that_says_all() -> None:
    assert as_yaml({"name": "adam"}) == "adam"
    assert as_yaml({"name": "adam", "lr": 0.001}) == "{name: adam, lr: 0.001}"
