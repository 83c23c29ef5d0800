"""Settings of stages are validated once, wherever they come from."""

import json
from typing import Any

import pytest

from runner.components import resolved as module
from runner.components.component import canonical_settings, with_shared_parts
from runner.components.resolved import settings_key, typed_data, typed_settings
from runner.components.settings import Settings
from runner.core.run import ResolvedSettings

DOCUMENT = {
    "data": {"dataset": "digits"},
    "model": {"name": "mlp"},
    "train": {
        "optimizer": {"name": "adam"},
        "schedule": {"name": "constant"},
        "loss": {"name": "cross_entropy"},
    },
}
SETTINGS = Settings.model_validate(DOCUMENT)
VALUES = canonical_settings(SETTINGS)


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return the classes that are validated from now on."""
    module._validated.cache_clear()
    asked: list[Any] = []
    real = module.TypeAdapter

    def remember(kind: Any) -> Any:
        asked.append(kind)
        return real(kind)

    monkeypatch.setattr(module, "TypeAdapter", remember)
    return asked


def test_settings_of_a_planned_run_are_not_validated_again(validated: list[Any]) -> None:
    assert typed_settings(ResolvedSettings(VALUES, SETTINGS)) is SETTINGS
    assert validated == []


def test_settings_from_json_are_validated_once_for_all_stages_of_a_run(
    validated: list[Any],
) -> None:
    stages = [ResolvedSettings(json.loads(json.dumps(VALUES))) for _ in range(3)]
    assert {id(typed_settings(each)) for each in stages} == {id(typed_settings(stages[0]))}
    assert typed_settings(stages[0]) == SETTINGS
    assert validated == [Settings]
    assert typed_data(ResolvedSettings(VALUES["data"])) == SETTINGS.data


def test_canonical_settings_are_what_pydantic_dumps() -> None:
    assert json.dumps(VALUES) == json.dumps(SETTINGS.model_dump(mode="json"))


def test_equal_parts_are_one_object_and_leave_the_key_as_it_is() -> None:
    one, other = (
        with_shared_parts(Settings.model_validate({**DOCUMENT, "seed": seed})) for seed in (1, 2)
    )
    assert one.train is other.train
    assert one.data is other.data
    assert one.seed != other.seed
    assert settings_key(one) == settings_key(Settings.model_validate({**DOCUMENT, "seed": 1}))
