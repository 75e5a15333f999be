"""The gradient panel shows the figures of its check."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from eqspice.analysis.diagnosis import LayerCheck
from eqspice.report import gradient_plot, style
from eqspice.training.gradcheck import GradientCheck


def check_of(update: np.ndarray, gradient: np.ndarray) -> GradientCheck:
    figures = dict.fromkeys(("batch_cosine", "ratio", "correction", "signal_fraction", "nudge_drift"), 0.5)
    figures |= dict.fromkeys(("weight_drift", "forward_backward", "transport_cosine", "clamped"), np.nan)
    figures |= {"cosine": 0.4, "signal_cosine": 0.9, "nudge_cosine": 0.8, "rule_cosine": 0.7}
    layer = LayerCheck(layer=0, **figures)
    return GradientCheck(np.arange(len(update)), (layer,), ("fine",), (update,), (gradient,))


def test_scatter_has_the_slope_of_the_best_line():
    rng = np.random.default_rng(0)
    descent = rng.normal(size=(5, 3, 4))
    axes = gradient_plot.update_scatter(Figure().subplots(), descent, 0.25 * descent)
    x, y = axes.lines[-1].get_data()
    assert (y[1] - y[0]) / (x[1] - x[0]) == pytest.approx(0.25)


def test_bars_are_the_cosines_of_the_links():
    rng = np.random.default_rng(0)
    check = check_of(rng.normal(size=(5, 3, 4)), rng.normal(size=(5, 3, 4)))
    axes = gradient_plot.link_bars(Figure().subplots(), check.layers, [check.cosines(0)])
    assert [bar.get_height() for bar in axes.patches] == [0.4, 0.9, 0.8, 0.7]
    assert axes.lines[0].get_ydata() == pytest.approx(check.cosines(0))


def test_a_layer_that_learns_nothing_is_drawn():
    with style.styled():
        figure, caption = gradient_plot.gradient_figure(check_of(np.zeros((1, 2, 2)), np.zeros((1, 2, 2))))
        assert style.png(figure) and "1 sample" in caption
