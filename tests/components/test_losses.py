"""Losses: classes weighted as scikit-learn balances them, focal loss against its formula."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from sklearn.utils.class_weight import compute_class_weight

from runner.components.component import keyed_settings
from runner.components.losses import CrossEntropy, Focal, Loss

WEIGHTS = (1.0, 4.0, 0.5)


def some_logits(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    labels = torch.randint(0, 3, (count,), generator=generator)
    return 3 * torch.randn(count, 3, generator=generator), labels


def loss_of(name: str, **settings: Any) -> Any:
    return TypeAdapter(Loss).validate_python({"name": name, **settings}, strict=True)


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    labels = np.repeat([0, 1, 2, 4], [50, 7, 1, 20])
    loss = CrossEntropy(name="cross_entropy", class_weights="balanced")
    found = loss.weights_of_classes(np.bincount(labels, minlength=6).tolist())
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 2, 4]), y=labels)
    assert found == pytest.approx((*expected[:3], 0.0, expected[3], 0.0))


def test_given_weights_are_those_given() -> None:
    assert loss_of("focal", class_weights=WEIGHTS).weights_of_classes([5, 6, 7]) == WEIGHTS
    assert loss_of("focal").weights_of_classes([5, 6, 7]) is None


def test_weights_of_equal_classes_are_one() -> None:
    loss = CrossEntropy(name="cross_entropy", class_weights="balanced")
    assert loss.weights_of_classes([8, 8, 8]) == (1.0, 1.0, 1.0)


@pytest.mark.parametrize("weights", ["even", (), (1.0,), (1.0, 0.0), (1.0, -1.0), (1.0, 1e7), 2.0])
def test_wrong_class_weights_are_refused(weights: object) -> None:
    with pytest.raises(ValidationError):
        loss_of("cross_entropy", class_weights=weights)


@pytest.mark.parametrize("weights", [None, torch.tensor(WEIGHTS)])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_is_its_formula(gamma: float, weights: torch.Tensor | None) -> None:
    logits, labels = some_logits()
    found = Focal(name="focal", gamma=gamma).build(weights)(logits, labels)
    right = logits.double().softmax(1).numpy()[np.arange(40), labels.numpy()]
    each = -((1 - right) ** gamma) * np.log(right)
    factors = np.ones(3) if weights is None else weights.double().numpy()
    expected = np.average(each, weights=factors[labels.numpy()])
    assert found.item() == pytest.approx(expected, rel=1e-5)


def test_focal_loss_of_gamma_0_is_cross_entropy() -> None:
    logits, labels = some_logits()
    weights = torch.tensor(WEIGHTS)
    focal, plain = loss_of("focal", gamma=0.0), loss_of("cross_entropy")
    expected = plain.build(weights)(logits, labels)
    torch.testing.assert_close(focal.build(weights)(logits, labels), expected)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 2.0])
def test_focal_loss_has_a_finite_gradient_where_all_is_right_or_wrong(gamma: float) -> None:
    logits = torch.tensor([[200.0, 0.0, 0.0], [0.0, 200.0, 0.0]], requires_grad=True)
    loss = Focal(name="focal", gamma=gamma).build()(logits, torch.tensor([0, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(100.0)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()
    assert logits.grad[1].abs().sum() > 0.4


def test_weighted_batches_add_up_to_the_loss_of_all_images() -> None:
    logits, labels = some_logits()
    weights = torch.tensor(WEIGHTS)
    for loss in (loss_of("cross_entropy", label_smoothing=0.2), loss_of("focal")):
        criterion = loss.build(weights)
        parts = list(zip(logits.split(7), labels.split(7), strict=True))
        means = [criterion(*part).item() for part in parts]
        sizes = [weights[theirs].sum().item() for _, theirs in parts]
        assert np.average(means, weights=sizes) == pytest.approx(criterion(logits, labels).item())


def test_a_loss_without_class_weights_has_the_key_that_it_had() -> None:
    keyed = keyed_settings(CrossEntropy(name="cross_entropy"))
    assert keyed == {"semantics": 1, "name": "cross_entropy", "label_smoothing": 0.0}
    weighted = keyed_settings(CrossEntropy(name="cross_entropy", class_weights=WEIGHTS))
    assert weighted["class_weights"] == list(WEIGHTS)
