"""A request is plain values: it can be pickled and compared, and one value stands for several."""

import pickle

import pytest

from runner.bind.request import Request, as_request
from runner.core.errors import UsageError


def test_request_is_plain_values_and_takes_one_value_for_several() -> None:
    request = Request("small.yaml", only="lr=0.1", sets=["epochs=2"], disable="merge_equal_stages")
    assert request.specs == ("small.yaml",)
    assert request.only == ("lr=0.1",)
    assert request.sets == ("epochs=2",)
    assert request.disable == ("merge_equal_stages",)
    assert pickle.loads(pickle.dumps(request)) == request
    assert hash(request) == hash(pickle.loads(pickle.dumps(request)))


def test_request_with_options_on_top_keeps_the_others() -> None:
    request = Request("a.yaml", only="lr=0.1", threads=2)
    changed = as_request(request, {"threads": 1})
    assert changed == Request(["a.yaml"], only=["lr=0.1"], threads=1)
    assert as_request(["a.yaml", "b.yaml"], {"limit": 3}) == Request(("a.yaml", "b.yaml"), limit=3)
    with pytest.raises(TypeError, match="no option 'thread'; there are: only, "):
        as_request(request, {"thread": 1})


def test_request_refuses_a_limit_below_one() -> None:
    with pytest.raises(UsageError, match=r"limit is 0\n +allowed: at least 1"):
        Request("a.yaml", limit=0)
