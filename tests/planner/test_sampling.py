"""Which runs are taken to show what sharing does."""

import stages
from hypothesis import given
from hypothesis import strategies as st

from runner.core.plan import Plan
from runner.planner.sampling import sample_runs, shared_stages


def plan_of(reads: dict[str, tuple[str, ...]], features: frozenset[str] = frozenset()) -> Plan:
    keys = dict.fromkeys(key for chain in reads.values() for key in chain)
    made = (stages.features(key) if key in features else stages.train(key) for key in keys)
    return Plan(tuple(made), reads)


def test_two_runs_of_each_branch_come_before_a_third_one() -> None:
    reads = {f"a{number}": ("root", "left") for number in range(5)}
    reads |= {f"b{number}": ("root", "right") for number in range(3)}
    reads |= {"c": ("alone",), "d": ("pair",), "e": ("pair",)}
    assert sample_runs(plan_of(reads), 5) == ("a0", "a1", "b0", "b1", "a2")
    assert sample_runs(plan_of(reads), 99)[-3:] == ("d", "e", "c")


def test_features_are_shared_even_by_one_run() -> None:
    shared = shared_stages(plan_of({"a": ("one",), "b": ("two", "three")}, frozenset({"two"})))
    assert shared == {"a": set(), "b": {"two"}}
    assert sample_runs(plan_of({"a": ("one",), "b": ("two",)}, frozenset({"two"})), 1) == ("b",)


@given(
    st.dictionaries(
        st.text("abc", min_size=1, max_size=3),
        st.lists(st.sampled_from("uvwxyz"), unique=True, max_size=4).map(tuple),
        min_size=1,
    ),
    st.integers(0, 9),
)
def test_runs_of_a_sample_are_different_and_share_where_any_two_do(
    reads: dict[str, tuple[str, ...]], size: int
) -> None:
    plan = plan_of(reads)
    taken = sample_runs(plan, size)
    assert len(set(taken)) == len(taken) == min(max(size, 1), len(reads))
    if size >= 2 and any(shared_stages(plan).values()):
        among = shared_stages(plan_of({run: reads[run] for run in taken}))
        assert any(among.values())
