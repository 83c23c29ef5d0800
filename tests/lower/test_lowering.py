"""Keys: equal work has equal keys, other work has others, and a reader is no work."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel

from runner.components import component as component_module
from runner.components.analyses import typed_analysis, with_weights
from runner.components.analyses.predictions import Predictions
from runner.components.analyses.robustness import Robustness
from runner.components.analyses.weights import Filters
from runner.components.augmentations import RandomHorizontalFlip
from runner.components.augmentations.pipeline import Pipeline
from runner.components.component import Component, keyed_settings
from runner.components.data.synthetic import Synthetic
from runner.components.losses import CrossEntropy
from runner.components.models.mlp import MLP
from runner.components.optimizers import SGD
from runner.components.schedules import Cosine, Plateau
from runner.components.settings import Best, EarlyStopping, Evaluation, Settings, Training
from runner.core.keys import canonical_json, content_key, epoch_key, text_key
from runner.core.plan import Facts
from runner.core.prefix import FrozenPrefix
from runner.core.reader import KEPT_WEIGHTS
from runner.core.stages import ExtractFeatures, Stage, Train
from runner.lower import stages, trajectory
from runner.lower.after_training import analyse, kept_analysis, measurement
from runner.lower.stages import Sizes, make_run, naive_chain, naive_plan
from runner.lower.trajectory import init_key, make_trajectory, num_views, prefix_key
from runner.planner.features import TOO_FEW, features_of, use_frozen_features
from runner.planner.unshared import not_shared

DATA = {"dataset": "synthetic", "validation": 0.2, "test": 0.2}
SGD_ = {"name": "sgd", "lr": 0.1, "momentum": 0.9}


def settings_of(changes: Mapping[str, Any] | None = None) -> Settings:
    """Return settings with changes at dotted paths."""
    document: dict[str, Any] = {
        "data": dict(DATA),
        "model": {"name": "mlp"},
        "train": {
            "epochs": 30,
            "optimizer": dict(SGD_),
            "schedule": {"name": "constant"},
            "loss": {"name": "cross_entropy"},
        },
        "evaluate": {},
    }
    for path, value in (changes or {}).items():
        *steps, last = path.split(".")
        node = document
        for step in steps:
            node = node[step]
        node[last] = value
    return Settings.model_validate_json(json.dumps(document))


def segment_keys(changes: Mapping[str, Any] | None = None) -> list[str]:
    return [
        segment.key for segment in make_trajectory(settings_of(changes), "fingerprint").segments
    ]


def chain_of(changes: Mapping[str, Any] | None = None, rerun: int = 0) -> tuple[Stage, ...]:
    settings = settings_of(changes)
    return naive_chain(make_run(settings, "fingerprint"), settings, rerun)


def run_key(changes: Mapping[str, Any] | None = None, fingerprint: str = "fingerprint") -> str:
    return make_run(settings_of(changes), fingerprint).run_key


READING = {
    "train.epochs": 50,
    "train.early_stopping": {"patience": 3},
    "train.best": {"monitor": "val_loss"},
    "train.diverged_if": 5.0,
    "evaluate.test": "last",
}
"""Changes of how a run reads its trajectory."""

WORK = {
    "seed": 1,
    "model": {"name": "mlp", "hidden": [3]},
    "model.dropout": 0.1,
    "model.init": "kaiming_uniform",
    "train.optimizer.lr": 0.2,
    "train.optimizer.momentum": 0.8,
    "train.optimizer.weight_decay": 0.01,
    "train.optimizer": {"name": "adam", "lr": 0.1},
    "train.schedule": {"name": "cosine"},
    "train.loss.label_smoothing": 0.1,
    "train.loss.class_weights": "balanced",
    "train.loss": {"name": "focal"},
    "train.batch_size": 64,
    "train.sampling": "balanced",
    "train.drop_last": True,
    "train.clip_grad_norm": 1.0,
    "train.augment": {"steps": [{"name": "RandomHorizontalFlip"}]},
    "train.precision": "bf16",
    "data.validation": 0.3,
    "data.test": 0.3,
    "data.split_seed": 1,
    "data.fold": {"index": 1, "of": 5},
    "data.train_images": 9,
    "data.normalize": "imagenet",
    "evaluate.train_eval": "full",
    "evaluate.test": "each_epoch",
}
"""Changes of what is computed in an epoch."""

PIXELS = {
    "data.resize": 16,
    "data.crop": 16,
    "data.color": "gray",
    "data.background": "black",
    "data.on_corrupt": "skip",
}
"""Changes of the decoded images."""


@pytest.mark.parametrize("path", READING)
def test_how_a_run_reads_its_trajectory_does_not_change_the_trajectory(path: str) -> None:
    changes = {path: READING[path]}
    assert segment_keys(changes) == segment_keys()
    assert run_key(changes) != run_key()
    assert chain_of(changes)[1].key != chain_of()[1].key


@pytest.mark.parametrize("path", WORK)
def test_what_an_epoch_computes_changes_the_trajectory_from_its_first_epoch(path: str) -> None:
    changes = {path: WORK[path]}
    assert segment_keys(changes)[0] != segment_keys()[0]
    assert run_key(changes) != run_key()
    assert chain_of(changes)[1].key != chain_of()[1].key


@pytest.mark.parametrize("path", [*WORK, *READING])
def test_settings_of_training_leave_the_decoded_pixels_alone(path: str) -> None:
    changes = {path: {**WORK, **READING}[path]}
    assert chain_of(changes)[0].key == chain_of()[0].key


@pytest.mark.parametrize("path", PIXELS)
def test_preprocessing_changes_every_key(path: str) -> None:
    changes = {path: PIXELS[path]}
    assert chain_of(changes)[0].key != chain_of()[0].key
    assert segment_keys(changes)[0] != segment_keys()[0]
    assert run_key(changes) != run_key()


OTHER_BATCHES = {
    "seed",
    "train.batch_size",
    "train.drop_last",
    "train.sampling",
    "train.augment",
    "data.validation",
    "data.test",
    "data.split_seed",
    "data.fold",
    "data.train_images",
    "data.normalize",
    *PIXELS,
}
"""What changes the images and labels of a step."""


@pytest.mark.parametrize("path", [*WORK, *READING, *PIXELS])
def test_a_stream_is_the_batches_that_are_trained_on_and_nothing_else(path: str) -> None:
    changes = {path: {**WORK, **READING, **PIXELS}[path]}
    streams = [chain_of(each)[1].stream for each in (changes, None)]
    assert all(streams)
    assert (len(set(streams)) == 2) == (path in OTHER_BATCHES)


def test_a_repetition_sees_the_batches_of_the_first() -> None:
    assert chain_of(rerun=1)[1].stream == chain_of()[1].stream


def leaves(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Return the dotted paths of all settings that are no components themselves."""
    found = set()
    for name, info in model.model_fields.items():
        inner = info.annotation
        options = [each for each in get_args(inner) or [inner] if each is not type(None)]
        nested = [
            each for each in options if isinstance(each, type) and issubclass(each, Component)
        ]
        if nested and get_origin(inner) is not tuple:
            for each in nested:
                found |= leaves(each, f"{prefix}{name}.")
        else:
            found.add(f"{prefix}{name}")
    return found


def test_every_setting_of_training_and_evaluation_is_in_one_of_the_tests_above() -> None:
    mine = {path for path in leaves(Settings) if path.startswith(("train.", "evaluate.", "seed"))}
    components = ("train.optimizer", "train.schedule", "train.loss", "train.step", "train.augment")
    readers = ("train.best", "train.early_stopping")
    plain = {path for path in mine if not path.startswith(components + readers)}
    tested = set(WORK) | set(READING)
    assert plain <= tested
    assert {path.rpartition(".")[2] for path in WORK} >= {"lr", "label_smoothing", "class_weights"}


FLIP, CROP = {"name": "RandomHorizontalFlip"}, {"name": "RandomCrop", "size": 32, "padding": 4}


def test_every_setting_of_an_augmentation_changes_the_trajectory() -> None:
    pipelines = [
        {"steps": [FLIP, CROP]},
        {"steps": [CROP, FLIP]},
        {"steps": [FLIP]},
        {"steps": [FLIP], "p": 0.5},
        {"steps": [{**FLIP, "p": 0.4}]},
        {"steps": [{"name": "one_of", "choices": [[FLIP], [CROP]]}]},
        {"steps": [{"name": "one_of", "choices": [[FLIP], [CROP]], "weights": [1, 2]}]},
    ]
    keys = {segment_keys({"train.augment": each})[0] for each in pipelines}
    assert len(keys | {segment_keys()[0]}) == len(pipelines) + 1
    written_out = {"steps": [{**FLIP, "p": 0.5}], "p": 1.0}
    assert segment_keys({"train.augment": written_out}) == segment_keys(
        {"train.augment": {"steps": [FLIP]}}
    )


def test_the_last_weights_that_count_as_the_best_are_analysed_as_these() -> None:
    best, last = Filters(name="filters"), Filters(name="filters", weights="last")
    of_best = analyse(chain_of(), best, "best")
    same = analyse(chain_of(), last, "best")
    other = analyse(chain_of(), last, "last")
    assert (same.key, same.cost_key) == (of_best.key, of_best.cost_key)
    assert other.key != of_best.key


def test_runs_share_the_settings_of_an_analysis_and_its_keys_hold_them() -> None:
    transforms = [{"label": "a", "severities": [[FLIP], [CROP]]}]
    text = json.dumps({"name": "robustness", "transforms": transforms})
    asked = Robustness.model_validate_json(text)
    chains = [chain_of(), chain_of({"model.hidden": [9]})]
    for epoch in KEPT_WEIGHTS:
        made = [analyse(chain, asked.model_copy(), epoch) for chain in chains]
        assert made[0].analysis is made[1].analysis
        keyed = keyed_settings(with_weights(asked, epoch))
        for chain, stage in zip(chains, made, strict=True):
            train = next(each for each in chain if isinstance(each, Train))
            assert stage.key == content_key("analyse", [train.key, epoch, keyed])
            assert stage.cost_key == content_key("cost", ["analyse", train.cost_key, keyed])
            assert typed_analysis(stage.analysis) == with_weights(asked, epoch)


def test_logits_count_where_they_are_made_once_for_each_weights_that_are_kept() -> None:
    sizes = Sizes(weights=1000, images={"val": 9, "test": 9}, logits={"val": 10, "test": 7})

    def sized(**evaluate: Any) -> list[int | None]:
        changed = settings_of({"evaluate": evaluate})
        chain = naive_chain(make_run(changed, "fingerprint"), changed, sizes=sizes)
        return [stage.num_bytes for stage in chain[1:]]

    assert sized() == [1010, 7]
    assert sized(test="last") == [2020, 7]
    assert sized(test="each_epoch") == [1017]
    assert [stage.num_bytes for stage in chain_of()[1:]] == [None, None]
    train = next(stage for stage in chain_of() if isinstance(stage, Train))
    asked = (train, "val", "best", ["macro_f1"])
    assert measurement(*asked, 3, sizes=sizes).num_bytes == 10
    assert measurement(*asked, left_by=[train.key], sizes=sizes).num_bytes == 0
    looked_at = Predictions(name="predictions", split="val")
    assert analyse(chain_of(), looked_at, "best", 3, sizes=sizes).num_bytes == 10
    assert analyse(chain_of(), looked_at, "best", sizes=sizes).num_bytes is None


def test_runs_on_the_same_images_share_those_that_an_analysis_changes() -> None:
    transforms = [{"label": "a", "severities": [[FLIP], [CROP]]}]
    text = json.dumps({"name": "robustness", "transforms": transforms, "draws": 3})
    asked, sizes = Robustness.model_validate_json(text), Sizes(images={"val": 9.0}, image=5)
    data = [{}, {"model.hidden": [9]}, {"data": {**DATA, "split_seed": 1}}]
    first, second, others = (analyse(chain_of(each), asked, "best", sizes=sizes) for each in data)
    of_last = analyse(chain_of(), asked, "last", sizes=sizes)
    assert first.changed_bytes == 9 * 5 * 2 * 3
    assert first.changed_key == second.changed_key == of_last.changed_key
    assert others.changed_key not in ("", first.changed_key)
    again = asked.model_copy(update={"seed": 1})
    assert analyse(chain_of(), again, "best", sizes=sizes).changed_key != first.changed_key
    unknown = analyse(chain_of(), asked, "best")
    assert (unknown.changed_key, unknown.changed_bytes) == ("", 0)


def test_analysis_without_a_plan_is_the_stage_that_a_plan_of_the_finished_run_has() -> None:
    text = {"name": "robustness", "transforms": [{"label": "a", "severities": [[FLIP]]}]}
    asked, chain = Robustness.model_validate_json(json.dumps(text)), chain_of()
    train = next(each for each in chain if isinstance(each, Train))
    for epoch in KEPT_WEIGHTS:
        planned = analyse(chain, asked, epoch, 3)
        made = kept_analysis(train.key, asked, epoch, 3, train.settings, train.pixels_key, 7)
        assert (made.key, made.to_json()) == (planned.key, planned.to_json())


def test_analysis_of_logits_comes_after_what_leaves_them() -> None:
    chain, asked = chain_of(), Predictions(name="predictions")
    prepare, train, test = (stage.key for stage in chain)
    for split, wanted in (("val", {prepare, train}), ("test", {prepare, train, test})):
        made = analyse(chain, asked.model_copy(update={"split": split}), "best")
        assert set(made.needs) == wanted
        assert made.finds_logits
    for number in (None, 3):
        made = analyse(chain, asked.model_copy(update={"split": "train"}), "best", number)
        assert not made.finds_logits
        assert (train in made.needs) == (number is None)
        assert made.weights in made.consumes
        assert made.logits in made.produces


def test_other_data_changes_every_key() -> None:
    settings = settings_of()
    other = naive_chain(make_run(settings, "other"), settings)
    assert {stage.key for stage in other}.isdisjoint(stage.key for stage in chain_of())
    assert run_key(fingerprint="other") != run_key()


STEP = {"name": "step", "step_size": 10, "gamma": 0.1}


def test_a_longer_budget_continues_the_same_segments() -> None:
    short = segment_keys({"train.schedule": STEP, "train.epochs": 15})
    long = segment_keys({"train.schedule": STEP, "train.epochs": 40})
    assert (len(short), len(long)) == (2, 4)
    assert long[:2] == short


def test_a_step_schedule_shares_its_first_phase_with_a_constant_rate() -> None:
    stepped = segment_keys({"train.schedule": STEP})
    assert stepped[0] == segment_keys()[0]
    assert len(set(stepped)) == 3


def test_schedules_that_part_later_share_the_phases_before() -> None:
    tenth = segment_keys({"train.schedule": STEP})
    half = segment_keys({"train.schedule": {**STEP, "gamma": 0.5}})
    assert half[0] == tenth[0]
    assert set(half[1:]).isdisjoint(tenth)
    later = segment_keys({"train.schedule": {**STEP, "step_size": 15}})
    assert later[0] == tenth[0]
    assert set(later[1:]).isdisjoint(tenth)


def test_segments_cover_the_budget_without_gaps() -> None:
    changes = {"train.schedule": {**STEP, "step_size": 7}}
    segments = make_trajectory(settings_of(changes), "fingerprint").segments
    epochs = [
        epoch
        for segment in segments
        for epoch in range(segment.first_epoch, segment.first_epoch + segment.num_epochs)
    ]
    assert epochs == list(range(1, 31))
    assert [segment.last_epoch for segment in segments] == [7, 14, 21, 28, 30]


def test_a_segments_key_says_all_that_came_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    changes = {"train.schedule": {**STEP, "step_size": 7}}
    settings = settings_of(changes)
    hashed: list[dict[str, Any]] = []

    def remember(kind: str, text: str) -> str:
        hashed.append(json.loads(text))
        assert text == canonical_json(hashed[-1])
        return text_key(kind, text)

    monkeypatch.setattr(trajectory, "text_key", remember)
    segments = make_trajectory(settings, "a fingerprint of its own").segments
    assert hashed[0]["parent"] == init_key(settings, "a fingerprint of its own")
    for before, after, values in zip(segments, segments[1:], hashed[1:], strict=False):
        assert values["parent"] == epoch_key(before.key, after.first_epoch - 1)
        assert values["first"] == after.first_epoch


def test_a_cosine_over_another_horizon_shares_nothing() -> None:
    cosine = {"train.schedule": {"name": "cosine"}}
    short = segment_keys({**cosine, "train.epochs": 20})
    assert set(short).isdisjoint(segment_keys(cosine))
    assert len(short) == 1


def test_a_plateau_shares_over_budgets_and_not_over_rules() -> None:
    plateau = {"name": "plateau", "patience": 3}
    one = segment_keys({"train.schedule": plateau})
    assert segment_keys({"train.schedule": plateau, "train.epochs": 99}) == one
    assert segment_keys({"train.schedule": {**plateau, "patience": 4}}) != one
    assert segment_keys({"train.schedule": {**plateau, "monitor": "train_loss"}}) != one


MULTI = {"name": "multistep", "milestones": [10, 20], "gamma": 0.1}


def test_milestones_at_equal_distances_are_a_step_schedule() -> None:
    assert segment_keys({"train.schedule": MULTI}) == segment_keys({"train.schedule": STEP})


def test_milestones_share_the_phases_up_to_where_they_part() -> None:
    both = segment_keys({"train.schedule": MULTI})
    later = segment_keys({"train.schedule": {**MULTI, "milestones": [10, 25]}})
    assert later[:2] == both[:2]
    assert later[2] not in both
    assert both[0] == segment_keys()[0]


def test_schedules_with_one_warmup_share_it_and_what_follows_at_equal_rates() -> None:
    warm = {"warmup": 4}
    constant = segment_keys({"train.schedule": {"name": "constant", **warm}})
    multi = segment_keys({"train.schedule": {**MULTI, **warm}})
    assert len(constant) == 5
    assert len(multi) == 7
    assert multi[:5] == constant
    assert set(constant).isdisjoint(segment_keys())
    shorter = segment_keys({"train.schedule": {"name": "constant", "warmup": 4}, "train.epochs": 3})
    assert shorter == constant[:3]


@pytest.mark.parametrize("name", ["cosine", "plateau"])
def test_the_warmup_is_part_of_a_rule(name: str) -> None:
    plain = segment_keys({"train.schedule": {"name": name}})
    assert segment_keys({"train.schedule": {"name": name, "warmup": 0}}) == plain
    assert set(segment_keys({"train.schedule": {"name": name, "warmup": 2}})).isdisjoint(plain)


def test_a_rate_is_its_value_not_its_text() -> None:
    assert segment_keys({"train.optimizer.lr": 1e-1}) == segment_keys()
    assert run_key({"train.optimizer.lr": 1e-1}) == run_key()


def test_a_rerun_trains_and_evaluates_anew_on_the_same_pixels() -> None:
    first, again, third = chain_of(), chain_of(rerun=1), chain_of(rerun=2)
    assert again[0] == first[0]
    for position in (1, 2):
        assert len({each[position].key for each in (first, again, third)}) == 3
    assert again[1].produces != first[1].produces


def test_stages_need_those_before_them_and_name_their_products() -> None:
    prepare, train, evaluate = chain_of()
    assert [stage.kind for stage in (prepare, train, evaluate)] == ["prepare", "train", "evaluate"]
    assert train.needs == (prepare.key,)
    assert evaluate.needs == (prepare.key, train.key)
    assert (evaluate.weights,) == train.produces
    assert train.consumes == prepare.produces
    assert evaluate.consumes == (*prepare.produces, *train.produces)
    assert (evaluate.solo_key, evaluate.trainings) == (train.key, (train.key,))
    assert list(train.readers) == [train.key]
    assert (train.first_epoch, train.start) == (1, "")
    assert train.epochs == 30
    json.dumps([stage.to_json() for stage in (prepare, train, evaluate)])


def test_a_run_that_tests_its_last_epoch_keeps_two_weights_and_evaluates_one() -> None:
    _, train, evaluate = chain_of({"evaluate.test": "last"})
    assert train.produces == (f"weights/{train.key}-best", f"weights/{train.key}-last")
    assert evaluate.weights == f"weights/{train.key}-last"
    assert train.produces[0] not in evaluate.consumes


@pytest.mark.parametrize(("test", "kinds"), [("never", 2), ("each_epoch", 2), ("last", 3)])
def test_test_images_get_a_stage_of_their_own_only_after_training(test: str, kinds: int) -> None:
    assert len(chain_of({"evaluate.test": test})) == kinds


def test_where_images_lie_is_in_no_key() -> None:
    keys = set()
    for path in ("a", "/b/c"):
        data = {"dataset": "imagefolder", "path": path, "validation": 0.2, "test": 0.2}
        settings = settings_of({"data": data})
        run = make_run(settings, "fingerprint")
        keys.add((run.run_key, *(stage.key for stage in naive_chain(run, settings))))
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("component", "changes"),
    [
        (Synthetic, {}),
        (MLP, {}),
        (SGD, {}),
        (CrossEntropy, {}),
        (Cosine, {"train.schedule": {"name": "cosine"}}),
        (Plateau, {"train.schedule": {"name": "plateau"}}),
        (Training, {}),
        (Evaluation, {}),
        (Best, {}),
        (EarlyStopping, {"train.early_stopping": {"patience": 3}}),
        (Pipeline, {"train.augment": {"steps": [{"name": "RandomHorizontalFlip"}]}}),
        (RandomHorizontalFlip, {"train.augment": {"steps": [{"name": "RandomHorizontalFlip"}]}}),
    ],
)
def test_raised_semantics_make_other_runs_and_other_trainings(
    component: type[Component], changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stage = run_key(changes), chain_of(changes)[1].key
    monkeypatch.setattr(component, "semantics", 2)
    remembered = (
        component_module._keyed_component,
        component_module._part_text,
        trajectory.pixels_key,
        trajectory._data_key,
        trajectory._init_key,
        trajectory._trajectory,
        stages._prepare,
        stages._cost_key,
        trajectory._reader_text,
    )
    for function in remembered:
        function.cache_clear()
    try:
        assert run_key(changes) != run
        assert chain_of(changes)[1].key != stage
    finally:
        for function in remembered:
            function.cache_clear()


def test_the_cost_key_is_shared_by_runs_that_cost_the_same_an_epoch() -> None:
    kind = chain_of()[1].cost_key
    for path in ("train.optimizer.lr", "train.epochs", "seed", "train.early_stopping"):
        assert chain_of({path: {**WORK, **READING}[path]})[1].cost_key == kind
    for path in (
        "train.batch_size",
        "train.augment",
        "model",
        "train.precision",
        "evaluate.train_eval",
    ):
        assert chain_of({path: WORK[path]})[1].cost_key != kind


def test_the_naive_plan_does_every_chain_by_itself() -> None:
    pairs = []
    for seed in (0, 1):
        settings = settings_of({"seed": seed})
        run = make_run(settings, "fingerprint")
        pairs.append((run, naive_chain(run, settings)))
    plan = naive_plan(pairs)
    assert [stage.kind for stage in plan.stages] == ["prepare", "train", "evaluate"] * 2
    expected = {run.run_key: tuple(stage.key for stage in chain) for run, chain in pairs}
    assert plan.stages_by_run == expected


def test_pretrained_weights_change_every_key_of_a_run_but_the_pixels() -> None:
    settings = settings_of()
    plain, loaded = make_run(settings, "data"), make_run(settings, "data", "digest")
    assert plain.run_key != loaded.run_key
    before, after = naive_chain(plain, settings), naive_chain(loaded, settings)
    assert before[0].key == after[0].key
    assert before[1].key != after[1].key


def test_the_source_of_weights_is_no_part_of_a_trajectory() -> None:
    one = settings_of({"model": {"name": "alexnet", "weights": "IMAGENET1K_V1"}})
    file = {"file": "a.pth", "sha256": "a" * 64, "missing": ["classifier"]}
    other = settings_of({"model": {"name": "alexnet", "weights": file}})
    keys = [
        [each.key for each in make_trajectory(item, "data", "same").segments]
        for item in (one, other)
    ]
    assert keys[0] == keys[1]
    assert make_trajectory(one, "data", "another").key != keys[0][0]


def test_freezing_begins_with_the_epochs_and_not_before() -> None:
    plain, frozen = settings_of(), settings_of({"model.freeze": "classifier"})
    assert init_key(plain, "data") == init_key(frozen, "data")
    assert make_trajectory(plain, "data").key != make_trajectory(frozen, "data").key


def feature_key(
    changes: Mapping[str, Any] | None = None, weights: str = "prefix", fingerprint: str = "data"
) -> str:
    settings = settings_of(changes)
    views = num_views(settings) or 1
    return prefix_key(settings, fingerprint, "structure", weights, "all", views)


def test_features_of_pretrained_weights_are_those_of_every_seed_and_head() -> None:
    same = [
        {"seed": 1},
        {"model.hidden": [9]},
        {"model.freeze": ["features"]},
        {"train.optimizer.lr": 0.5},
        {"train.batch_size": 7},
        {"data.validation": 0.3},
        {"data.split_seed": 3},
    ]
    assert {feature_key(changes) for changes in same} == {feature_key()}


def test_features_of_drawn_weights_are_those_of_one_seed() -> None:
    assert feature_key({"seed": 1}, "") != feature_key(None, "")
    assert feature_key({"train.optimizer.lr": 0.5}, "") == feature_key(None, "")


def test_what_features_are_computed_from_changes_their_key() -> None:
    others = [
        feature_key({"data.resize": 5}),
        feature_key({"data.normalize": "none"}),
        feature_key({"train.precision": "bf16"}),
        feature_key(weights="other"),
        feature_key(fingerprint="other"),
        prefix_key(settings_of(), "data", "other structure", "prefix", "all"),
    ]
    assert len({feature_key(), *others}) == 7


def features_stage(chain: Sequence[Stage]) -> ExtractFeatures:
    """Return the stage that would compute the prefix of a chain's network once."""
    (features,) = features_of(chain).values()
    return features


def test_a_chain_holds_the_prefix_that_could_be_computed_once() -> None:
    settings = settings_of()
    run = make_run(settings, "data")
    prefix = FrozenPrefix("key", "flatten", (6, 2, 2), num_bytes=24)
    chain = naive_chain(run, settings, prefix=prefix)
    plain = naive_chain(run, settings)
    assert [stage.key for stage in chain] == [stage.key for stage in plain]
    assert [each.to_json() for each in chain] == [each.to_json() for each in plain]
    features = features_stage(chain)
    assert features == features_stage(chain[:2])
    assert (features.kind, features.produces) == ("features", ("features/key",))
    assert features.consumes == chain[0].produces
    assert features.needs == (chain[0].key,)
    assert features.to_json()["prefix"] == {"cut": "flatten", "shape": [6, 2, 2]}
    assert features.num_bytes == 24


def chain_with_prefix(augment: Mapping[str, Any] | None) -> tuple[Stage, ...]:
    settings = settings_of({"train.augment": augment})
    prefix = FrozenPrefix("key", "flatten", (6, 2, 2), num_views(settings))
    return naive_chain(make_run(settings, "data"), settings, prefix=prefix)


def test_features_of_mirrored_images_have_two_views_and_a_key_of_their_own() -> None:
    flip = {"train.augment": {"steps": [FLIP], "p": 0.5}}
    assert feature_key(flip) != feature_key()
    assert feature_key({"train.augment": {"steps": [{**FLIP, "p": 0.9}]}}) == feature_key(flip)
    features = features_stage(chain_with_prefix(flip["train.augment"]))
    assert features.to_json()["prefix"]["views"] == 2


@pytest.mark.parametrize(
    "augment",
    [{"steps": [CROP]}, {"steps": [FLIP, FLIP]}],
    ids=str,
)
def test_features_of_what_is_evaluated_are_those_of_images_that_are_not_augmented(
    augment: Mapping[str, Any],
) -> None:
    assert feature_key({"train.augment": augment}) == feature_key()
    chain, plain = chain_with_prefix(augment), chain_with_prefix(None)
    assert features_stage(chain).key == features_stage(plain).key
    assert features_stage(chain).to_json()["prefix"] == features_stage(plain).to_json()["prefix"]


def test_features_of_what_is_evaluated_are_left_where_they_save_nothing() -> None:
    chain = chain_with_prefix({"steps": [CROP]})
    plan = naive_plan([(make_run(settings_of(), "data"), chain)])
    left = use_frozen_features(plan, Facts())
    assert (left.stages, left.stages_by_run) == (plan.stages, plan.stages_by_run)
    assert {each.why for each in left.decisions} == {TOO_FEW}
    (why,) = not_shared(plan, left, Facts(), {}, {})
    assert why == "frozen features of 1 training: the images are augmented"
