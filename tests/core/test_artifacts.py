"""Names of artifacts: their text stays as keys and databases hold it."""

import pytest

from runner.core.artifacts import (
    KINDS,
    ArtifactName,
    analysis_name,
    changed_name,
    checkpoint_name,
    features_name,
    kind_of,
    logits_name,
    pixels_name,
    state_name,
    weights_name,
)

NAMES = {
    pixels_name("p"): ("pixels/p", ArtifactName("pixels", "p")),
    features_name("f"): ("features/f", ArtifactName("features", "f")),
    changed_name("i"): ("changed/i", ArtifactName("changed", "i")),
    state_name("s", 12): ("states/s-12", ArtifactName("states", "s", "12")),
    checkpoint_name("c"): ("checkpoints/c", ArtifactName("checkpoints", "c")),
    weights_name("run", "best"): ("weights/run-best", ArtifactName("weights", "run", "best")),
    analysis_name("a"): ("analyses/a", ArtifactName("analyses", "a")),
    logits_name("run", "best", "val"): (
        "logits/run-best-val",
        ArtifactName("logits", "run", "best-val"),
    ),
    weights_name("a-b", "last"): ("weights/a-b-last", ArtifactName("weights", "a-b", "last")),
}


@pytest.mark.parametrize("name", NAMES)
def test_artifact_name_is_its_text_and_comes_back_from_it(name: str) -> None:
    text, parsed = NAMES[name]
    assert name == text == str(parsed)
    assert ArtifactName.parse(name) == parsed
    assert kind_of(name) == parsed.kind


def test_artifact_names_cover_every_kind() -> None:
    assert {parsed.kind for _, parsed in NAMES.values()} == set(KINDS)


def test_artifact_name_of_a_state_has_an_epoch() -> None:
    assert ArtifactName.parse("states/s-12").epoch == 12


@pytest.mark.parametrize(
    "text",
    ["", "pixels", "pixels/", "other/key", "states/s", "states/s-last", "states/-1", "weights/run",
     "logits/run-best", "logits/-best-val",
     "pixels/..", "pixels/../key", "pixels/a/b", "/etc/passwd"],
)  # fmt: skip
def test_artifact_name_that_is_none_is_refused(text: str) -> None:
    """A name becomes a path: nothing in it leads out of its folder."""
    with pytest.raises(ValueError, match="is no name of an artifact"):
        ArtifactName.parse(text)


def test_kind_of_no_artifact_name_is_refused() -> None:
    with pytest.raises(ValueError, match="is no name of an artifact"):
        kind_of("other/key")
