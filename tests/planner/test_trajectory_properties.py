"""Whatever families of runs there are, sharing their trajectories keeps what each of them wants."""

from collections import Counter
from itertools import pairwise

from examples import examples
from families import chain_of, epochs_of, naive, own_epochs, shared, span, trainings
from hypothesis import given, settings
from hypothesis import strategies as some

from runner.core.artifacts import state_name
from runner.core.plan import Facts, Plan
from runner.core.stages import Evaluate, Train
from runner.planner.cost import cost_of
from runner.planner.rules import apply_rules, merge_equal_stages
from runner.planner.trajectories import share_trajectories

CHECK = settings(max_examples=examples(150))

PATHS = some.lists(
    some.tuples(some.sampled_from("xy"), some.integers(1, 4)), min_size=1, max_size=3
).map(lambda pieces: " ".join(f"{values}{length}" for values, length in pieces))


@some.composite
def families(draw) -> Plan:
    """Draw the naive plan of runs that often have epochs in common."""
    runs = draw(some.lists(PATHS, min_size=1, max_size=7))
    return naive(
        {
            f"R{number}": chain_of(
                f"R{number}",
                path,
                tested=draw(some.booleans()),
                limit=draw(some.sampled_from([20.0, 20.0, 5.0])),
            )
            for number, path in enumerate(runs)
        }
    )


def own_training(plan: Plan, run: str) -> Train:
    """Return the training of a run in the naive plan."""
    return next(stage for stage in trainings(plan) if stage.key == run)


@CHECK
@given(families())
def test_every_epoch_of_every_run_is_covered_exactly_once(plan: Plan) -> None:
    after = shared(plan)
    by_key = {stage.key: stage for stage in after.stages}
    for run, keys in after.stages_by_run.items():
        wanted = list(epochs_of(own_training(plan, run).trajectory))
        nodes = [by_key[key] for key in keys if isinstance(by_key[key], Train)]
        covered = Counter(each for node in nodes for each in own_epochs(node))
        assert all(covered[each] == 1 for each in wanted)
        firsts = [span(node)[0] for node in nodes]
        assert firsts == [1, *(span(node)[1] + 1 for node in nodes[:-1])]
        assert span(nodes[-1])[0] <= len(wanted) <= span(nodes[-1])[1]
        assert all(run in node.readers for node in nodes)


@CHECK
@given(families())
def test_all_readers_of_a_training_agree_on_all_its_epochs(plan: Plan) -> None:
    for node in trainings(shared(plan)):
        path = {epoch: key for key, epoch in epochs_of(node.trajectory)}
        assert len({reader.diverged_if for reader in node.readers.values()}) == 1
        for run, reader in node.readers.items():
            own = own_training(plan, run)
            assert reader == own.readers[run]
            assert all(path.get(epoch, key) == key for key, epoch in epochs_of(own.trajectory))
            assert set(own.produces) <= set(node.produces)
        # the settings are those of a run that trains all these epochs
        longest = own_training(plan, node.settings.json["of"])
        assert set(epochs_of(node.trajectory)) <= set(epochs_of(longest.trajectory))
        assert longest.key in node.readers


@CHECK
@given(families())
def test_no_epoch_is_trained_twice(plan: Plan) -> None:
    after = trainings(shared(plan))
    distinct = {
        (stage.readers[stage.key].diverged_if, *each)
        for stage in trainings(plan)
        for each in epochs_of(stage.trajectory)
    }
    assert sum(stage.epochs for stage in after) == len(distinct)
    assert all(stage.epochs == len(own_epochs(stage)) for stage in after)


@CHECK
@given(families())
def test_needs_are_planned_before_and_states_are_those_of_the_epoch_before(plan: Plan) -> None:
    before: set[str] = set()
    products: set[str] = set()
    for stage in shared(plan).stages:
        assert set(stage.needs) <= before
        assert set(stage.consumes) <= products
        if isinstance(stage, Train) and stage.first_epoch > 1:
            last = stage.first_epoch - 1
            key = next(key for key, epoch in epochs_of(stage.trajectory) if epoch == last)
            assert stage.start == state_name(key, last)
            assert stage.start in stage.consumes
        before.add(stage.key)
        products.update(stage.produces)


@CHECK
@given(families())
def test_evaluations_need_the_trainings_of_their_run(plan: Plan) -> None:
    after = shared(plan)
    trained = {stage.key for stage in trainings(after)}
    for stage in after.stages:
        if isinstance(stage, Evaluate):
            mine = [key for key in after.stages_by_run[stage.solo_key] if key in trained]
            assert list(stage.trainings) == mine
            assert stage.needs == ("p", *mine)


@CHECK
@given(families(), some.randoms(use_true_random=False))
def test_the_order_of_runs_does_not_matter(plan: Plan, draw) -> None:
    by_key = {stage.key: stage for stage in plan.stages}
    runs = list(plan.stages_by_run)
    draw.shuffle(runs)
    shuffled = Plan(
        stages=tuple(by_key[key] for run in runs for key in plan.stages_by_run[run]),
        stages_by_run={run: plan.stages_by_run[run] for run in runs},
    )
    one, other = shared(plan), shared(shuffled)
    assert {stage.key: stage for stage in one.stages} == {s.key: s for s in other.stages}
    assert one.stages_by_run == other.stages_by_run
    assert set(one.decisions) == set(other.decisions)


@CHECK
@given(families())
def test_sharing_twice_is_sharing_once(plan: Plan) -> None:
    once = shared(plan)
    assert share_trajectories(once, Facts()) == once


@CHECK
@given(families())
def test_equal_stages_need_not_be_merged_before(plan: Plan) -> None:
    assert share_trajectories(plan, Facts()).stages_by_run == shared(plan).stages_by_run


@CHECK
@given(families())
def test_sharing_never_costs_more(plan: Plan) -> None:
    merged, facts = merge_equal_stages(plan, Facts()), Facts(seconds={"t": 2.0, "p": 1.0})
    old, new = cost_of(merged.stages, facts), cost_of(shared(plan).stages, facts)
    for name in ("epochs", "seconds", "unknown", "num_bytes"):
        assert getattr(new, name) <= getattr(old, name)


@CHECK
@given(families(), some.data())
def test_whatever_is_done_and_gone_every_need_is_there_or_planned_before(plan: Plan, data) -> None:
    """Stages are done in an order that can be, artifacts lost at will; no run has a result."""
    done: set[str] = set()
    artifacts: set[str] = set()
    for stage in shared(plan).stages:
        if set(stage.needs) <= done and data.draw(some.booleans()):
            done.add(stage.key)
            artifacts |= {name for name in stage.produces if data.draw(some.booleans())}
    facts = Facts(done=frozenset(done), artifacts=frozenset(artifacts))
    after = apply_rules(plan, facts)
    ended, products = set(done), set(artifacts)
    for stage in after.stages:
        assert set(stage.needs) <= ended
        assert set(stage.consumes) <= products
        ended.add(stage.key)
        products.update(stage.produces)
    assert all(key in ended for keys in after.stages_by_run.values() for key in keys)
    again = apply_rules(after, facts)
    assert (again.stages, again.stages_by_run) == (after.stages, after.stages_by_run)


@CHECK
@given(families(), some.data())
def test_what_has_ended_changes_no_key_and_trains_nothing_for_itself(plan: Plan, data) -> None:
    """So a process that plans later, or again, means the same stages."""
    whole = trainings(shared(plan))
    ended = [run for run in plan.stages_by_run if data.draw(some.booleans())]
    in_order, done = [], set()
    for stage in whole:
        if set(stage.needs) <= {*done, "p"} and data.draw(some.booleans()):
            done.add(stage.key)
            in_order.append(stage)
    facts = Facts(done=frozenset(done), finished=dict.fromkeys(ended, "done"))
    after = share_trajectories(merge_equal_stages(plan, facts), facts)
    open_runs = [run for run in plan.stages_by_run if run not in ended]
    nodes = {key for run in open_runs for key in after.stages_by_run[run]}
    left = [stage for stage in trainings(after) if stage.key in nodes]
    assert {stage.key for stage in left} <= {stage.key for stage in whole}
    assert all(set(stage.readers) <= set(open_runs) for stage in left)
    alone = [own_training(plan, run) for run in open_runs]
    wanted = {
        (stage.readers[stage.key].diverged_if, *each)
        for stage in alone
        for each in epochs_of(stage.trajectory)
    }
    assert sum(stage.epochs for stage in left) == len(wanted)
    assert len(left) <= max(1, 2 * len(alone) - 1) + len(done)
    by_key = {stage.key: stage for stage in left}
    for run in open_runs:
        own = list(epochs_of(own_training(plan, run).trajectory))
        chain = [by_key[key] for key in after.stages_by_run[run] if key in by_key]
        assert set(own) <= {each for node in chain for each in own_epochs(node)}
        assert [span(node)[0] for node in chain[1:]] == [span(node)[1] + 1 for node in chain[:-1]]
        for parent, child in pairwise(chain):
            assert child.start in parent.produces
    assert all(after.stages_by_run[run] == plan.stages_by_run[run] for run in ended)
