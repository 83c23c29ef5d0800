"""Keys of trainings by a step of the user's own, and what they share with others."""

from pathlib import Path

import pytest
from own_nets import SAM

from runner.components.own.permission import allow_code
from runner.components.settings import Settings
from runner.core.plan import Facts
from runner.core.prefix import FrozenPrefix
from runner.core.stages import Train
from runner.lower.stages import make_run, naive_chain, naive_plan
from runner.lower.trajectory import make_trajectory, num_views
from runner.planner.features import use_frozen_features
from runner.planner.together import train_together
from runner.planner.unshared import not_shared


def settings_of(folder: Path, text: str = SAM, seed: int = 0, **step: object) -> Settings:
    (folder / "steps.py").write_text(text)
    own = {"step": {"name": "steps.py:Sam", **step}} if text else {}
    train = {**own, "augment": {"steps": ({"name": "RandomHorizontalFlip"},)}}
    with allow_code(folder):
        return Settings.model_validate(
            {"data": {"dataset": "digits"}, "model": {"name": "mlp"}, "train": train, "seed": seed}
        )


def first_key(settings: Settings) -> str:
    return make_trajectory(settings, "data").segments[0].key


def test_a_step_is_in_the_keys_from_the_first_epoch_on(tmp_path: Path) -> None:
    plain, sam = settings_of(tmp_path, ""), settings_of(tmp_path)
    others = [
        settings_of(tmp_path, rho=0.1),
        settings_of(tmp_path, version=1),
        settings_of(tmp_path, SAM.replace("1e-12", "1e-11")),
    ]
    every = [plain, sam, *others]
    assert len({first_key(each) for each in every}) == 5
    assert len({make_run(each, "data").run_key for each in every}) == 5
    commented = settings_of(tmp_path, f"# twice\n{SAM}")
    assert first_key(commented) == first_key(sam)


def train_stage(settings: Settings, prefix: FrozenPrefix | None = None) -> Train:
    chain = naive_chain(make_run(settings, "data"), settings, prefix=prefix)
    return next(stage for stage in chain if isinstance(stage, Train))


@pytest.mark.parametrize(("text", "count"), [("", 1), (SAM, 0)])
def test_trainings_by_a_step_of_their_own_are_not_done_together(
    tmp_path: Path, text: str, count: int
) -> None:
    prefix = FrozenPrefix("key", "flatten", (3,), None)
    every = [settings_of(tmp_path, text), settings_of(tmp_path, text)]
    every[1] = every[1].model_copy(
        update={"model": every[1].model.model_copy(update={"dropout": 0.5})}
    )
    chains = [
        (run, naive_chain(run, settings, prefix=prefix))
        for settings in every
        for run in [make_run(settings, "data")]
    ]
    assert len(train_together(naive_plan(chains), Facts()).cohorts) == count


def test_a_step_sees_images_and_what_is_evaluated_may_be_features(tmp_path: Path) -> None:
    plain, own = settings_of(tmp_path, ""), settings_of(tmp_path)
    assert (num_views(plain), num_views(own)) == (2, None)
    prefix = FrozenPrefix("key", "flatten", (3,), num_views(own))
    run = make_run(own, "data")
    plan = naive_plan([(run, naive_chain(run, own, prefix=prefix))])
    left = use_frozen_features(plan, Facts())
    assert not any(isinstance(each, Train) and each.trains_on_features for each in left.stages)
    (why,) = not_shared(plan, left, Facts(), {}, {})
    assert why == "frozen features of 1 training: a step of its own sees the images"


def test_seconds_of_a_step_are_its_own(tmp_path: Path) -> None:
    plain, own = settings_of(tmp_path, ""), settings_of(tmp_path)
    assert train_stage(plain).cost_key != train_stage(own).cost_key
    assert train_stage(own).cost_key == train_stage(settings_of(tmp_path, seed=1)).cost_key
