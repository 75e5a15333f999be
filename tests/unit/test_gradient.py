"""The adjoint gradient and the figures of a gradient check, against closed forms."""

import math

import numpy as np
import pytest
from scipy.sparse import csr_array

from eqspice.analysis import gradient as gr
from eqspice.analysis.diagnosis import LayerCheck, diagnose
from eqspice.errors import InputError


def hand_made() -> tuple[csr_array, csr_array]:
    """Node 0: an output with 2 mS to ground; node 1: a gate that takes 3 mA/V from it; node 2: a row
    whose 5 fF to the gate ride on 100 fF of storage. Node 2 has 1 mS to ground."""
    conductance = csr_array(np.array([[2e-3, 3e-3, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1e-3]]))
    capacitance = csr_array(np.array([[0.0, 0.0, 0.0], [0.0, 105e-15, -5e-15], [0.0, -5e-15, 5e-15]]))
    return conductance, capacitance


def test_a_node_floats_if_it_keeps_its_charge():
    conductance, capacitance = hand_made()
    assert gr.floating(conductance, capacitance, 1e-4).tolist() == [False, True, False]


def test_adjoint_of_a_hand_made_circuit():
    conductance, capacitance = hand_made()
    linear = gr.Linearisation(conductance, capacitance, np.array([False, True, False]))
    # V_out = -1.5 V_gate + 500 I_0, V_gate = (q + 5 fF V_row) / 105 fF, V_row = 1000 I_2
    error = 0.02
    expected = error * np.array([500.0, -1.5 / 105e-15, -1.5 * (5 / 105) * 1000.0])
    assert linear.adjoint(np.array([error, 0.0, 0.0])) == pytest.approx(expected, rel=1e-12)
    charge = linear.response(np.array([0.0, 1e-15, 0.0]))
    assert charge == pytest.approx([-1.5 / 105, 1 / 105, 0.0], rel=1e-12)


def test_a_node_without_anything_is_named():
    nothing = csr_array(np.diag([1e-3, 0.0]))
    with pytest.raises(InputError, match="node 1 neither"):
        gr.Linearisation(nothing, csr_array((2, 2)), np.array([False, False]))


def test_contrast_of_a_cubic_element_is_exact_to_third_order():
    # I = theta v^3 / 3, so dG/dtheta = v^4 / 12 and dI/dtheta = v^3 / 3.
    errors = []
    for change in (1e-2, 1e-3):
        slopes = (csr_array([[v**3 / 3]]) for v in (0.3, 0.3 + change))
        found = gr.contrastive(*slopes, np.array([change]))[0]
        errors.append(abs(found - ((0.3 + change) ** 4 - 0.3**4) / 12))
    assert math.log10(errors[0] / errors[1]) == pytest.approx(3.0, abs=0.05)


def test_cosine_and_size():
    assert gr.cosine(np.array([[1.0, 0.0]]), np.array([1.0, 1.0])) == pytest.approx(math.sqrt(0.5))
    assert math.isnan(gr.cosine(np.zeros(2), np.ones(2)))
    with pytest.raises(InputError, match="2 and 3 values"):
        gr.cosine(np.zeros(2), np.zeros(3))
    assert gr.received(np.array([0.1, 5.0]), np.array([1.0, 0.0])) == pytest.approx(0.1)
    assert gr.size_ratio(np.array([3.0, 4.0]), np.array([0.0, 2.0])) == pytest.approx(2.5)
    assert gr.mean_cosine(np.array([[1.0, 0], [0, 0]]), np.ones((2, 2))) == pytest.approx(math.sqrt(0.5))


def layer(number: int, **changes: float) -> LayerCheck:
    """A layer without fault."""
    fine = dict(
        cosine=1.0,
        batch_cosine=1.0,
        ratio=0.1,
        correction=0.1,
        signal_cosine=1.0,
        signal_fraction=1.0,
        nudge_cosine=1.0,
        nudge_drift=0.0,
        rule_cosine=1.0,
        weight_drift=0.0,
        forward_backward=math.nan if number == 0 else 1.0,
        transport_cosine=math.nan if number == 0 else 1.0,
        clamped=0.2,
    )
    return LayerCheck(layer=number, **(fine | changes))


def verdict(*layers: LayerCheck) -> str:
    return "\n".join(diagnose(layers))


def test_diagnosis_of_a_sound_network():
    said = diagnose([layer(0), layer(1)])
    assert said == [
        "layer 0: the update follows the gradient (cosine 1.00).",
        "layer 1: the update follows the gradient (cosine 1.00).",
        "updating every row corrects 0.2 of the error.",
    ]


def test_diagnosis_of_cells_that_are_not_reciprocal():
    starved = layer(0, cosine=0.4, signal_cosine=0.5, signal_fraction=0.03, rule_cosine=0.42)
    said = verdict(starved, layer(1, forward_backward=8.4, transport_cosine=0.6))
    assert "layer 0: the update has cosine 0.40 with the gradient; the layer receives 3%" in said
    assert "cells are not reciprocal at this bias in layer 1 (forward/backward 8.4" in said
    assert "change the rule" not in said


def test_the_rule_is_not_blamed_for_leakage():
    said = verdict(layer(0, cosine=0.8, weight_drift=0.7))
    assert "leakage moves its weights by 70% of an update" in said and "change the rule" not in said


def test_diagnosis_of_the_rule():
    said = verdict(layer(0), layer(1, cosine=0.65, rule_cosine=0.96))
    assert "layer 1: the update has cosine 0.65" in said and "rule would reach 0.96: change the rule" in said
    assert "receives" not in said


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cosine": math.nan, "correction": math.nan}, "nothing is updated"),
        ({"cosine": 0.9, "nudge_cosine": 0.8}, "too strong to be linear (cosine 0.80): lower it"),
        (
            {"cosine": 0.9, "nudge_cosine": 0.8, "nudge_drift": 0.4},
            "40% of what its columns do in the nudged",
        ),
        ({"weight_drift": 0.5}, "leakage moves its weights by 50% of an update"),
        ({"clamped": 0.9}, "90% of its neurons are clamped"),
        ({"correction": 1e-3}, "the direction is right, but updating every row corrects 0.001 of the error"),
        ({"correction": 1e-3}, "300 times too little: raise update_gain or the nudge"),
        ({"correction": 3.0}, "it overshoots: lower update_gain 10 times"),
        ({"correction": -0.1}, "raises the loss (by 0.2 of it): check the sign"),
    ],
)
def test_diagnosis_of_one_fault(changes, words):
    assert words in verdict(layer(0, **changes))
