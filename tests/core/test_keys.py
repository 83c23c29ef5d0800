import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.keys import KEY_LENGTH, canonical_json, content_key, keyed_seed


def test_canonical_json_sorts_mappings_and_writes_no_spaces() -> None:
    assert canonical_json({"b": [1, 2.0], "a": "é"}) == '{"a":"é","b":[1,2.0]}'


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, [math.nan], {"a": math.inf}])
def test_canonical_json_refuses_numbers_that_are_not_finite(value: object) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json(value)


def test_canonical_json_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(TypeError):
        canonical_json({"a": object()})


def test_integers_floats_booleans_and_texts_have_different_keys() -> None:
    values = [1, 1.0, True, "1", None, [1], {"1": 1}]
    assert len({content_key("kind", value) for value in values}) == len(values)


def test_content_key_is_pinned() -> None:
    assert content_key("kind", {"a": 1}) == "ec684fc2b543a74a11fa7025017f4b28"
    assert len(content_key("kind", {"a": 1})) == KEY_LENGTH


def test_content_key_depends_on_the_kind() -> None:
    assert content_key("one", 1) != content_key("two", 1)


@given(st.dictionaries(st.text(max_size=4), st.integers(), max_size=5), st.randoms())
def test_content_key_does_not_depend_on_the_order_of_a_mapping(mapping, random) -> None:
    items = list(mapping.items())
    random.shuffle(items)
    assert content_key("kind", dict(items)) == content_key("kind", mapping)


def test_keyed_seeds_are_pinned() -> None:
    assert keyed_seed(0, "shuffle") == 6374179233949520591
    assert keyed_seed(7, "dropout", epoch=3, step=41) == 3598126098614046325


def test_keyed_seeds_are_distinct_and_in_range() -> None:
    purposes = ("init", "shuffle", "dropout")
    draws = itertools.product(range(4), purposes, range(12), range(12))
    seeds = [keyed_seed(*draw) for draw in draws]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_keyed_seed_does_not_confuse_neighbouring_arguments() -> None:
    assert keyed_seed(1, "a", 11, 1) != keyed_seed(1, "a", 1, 11)
    assert keyed_seed(1, "2") != keyed_seed(12, "")
