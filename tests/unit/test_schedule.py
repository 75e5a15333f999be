"""The schedule: phases, edges, offsets, addressing, chunks that join, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.design import schedule as sc
from eqspice.design.presets import get_preset
from eqspice.design.single_ended.network import SingleEnded as Design
from eqspice.design.single_ended.network import Timing
from eqspice.errors import InputError

T, W, E, OFF = 40, 18, 2, 4  # period, plateau, edge, offset in steps
STEP = 2e-6


def design(*widths: int) -> Design:
    return get_preset("reference").build(widths)


def presentations(net: Design, count: int, rows: str = "one", update: bool = True, seed: int = 3):
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1.0, 1.0, (count, net.widths[0]))
    y = rng.uniform(-0.02, 0.02, (count, net.widths[-1]))
    return sc.Presentations(x, y, sc.random_rows(net, count, rows, rng, update))


def signal(plan: sc.Schedule, name: str, steps: object, origin: float = 0.0) -> np.ndarray:
    """A signal at times given in steps after the origin."""
    column = plan.stimulus.names.index(name)
    return plan.stimulus.at(origin + STEP * np.asarray(steps, float))[:, column]


def rises_and_falls(plan: sc.Schedule, name: str) -> list[float]:
    """Steps at which a signal leaves or reaches zero."""
    column = plan.stimulus.values[:, plan.stimulus.names.index(name)]
    on = column != 0.0
    times = np.round(plan.stimulus.times / STEP, 6)
    starts, ends = np.flatnonzero(on[1:] & ~on[:-1]), np.flatnonzero(~on[1:] & on[:-1]) + 1
    return sorted([*times[starts], *times[ends]])


def test_every_signal_rises_and_falls_when_the_schedule_says():
    net = design(2, 4, 1)
    data = sc.Presentations(np.array([[0.3, -0.7]]), np.array([[0.02]]), np.array([[[1, 0]]]))
    plan = sc.presentation_schedule(net, data, 0.0)
    nudged, update = T, 2 * T
    assert rises_and_falls(plan, "x_0") == [W - OFF, 3 * T + OFF]
    assert rises_and_falls(plan, "y_0") == [W - OFF, 3 * T + OFF]
    assert rises_and_falls(plan, "free") == [W, T]
    assert rises_and_falls(plan, "nudged") == [nudged + W - OFF, nudged + T + OFF]
    assert rises_and_falls(plan, "nudged_early") == [nudged + W - OFF, nudged + T - OFF]
    assert rises_and_falls(plan, "update") == [update + W, update + T]
    addressed = [W - OFF, T + OFF, nudged + W - OFF, nudged + T + OFF, update + W + OFF, update + T - OFF]
    assert rises_and_falls(plan, "layer0_wwl_1") == addressed
    assert rises_and_falls(plan, "layer1_wwl_0") == addressed
    assert rises_and_falls(plan, "layer0_wwl_0") == []
    assert rises_and_falls(plan, "set") == []


def test_levels_and_edges():
    net = design(2, 4, 1)
    data = sc.Presentations(np.array([[0.3, -0.7]]), np.array([[0.02]]), np.array([[[1, 0]]]))
    plan = sc.presentation_schedule(net, data, 1.0)
    assert signal(plan, "free", [W, W + E / 2, W + E, T - E, T - E / 2, T], 1.0) == pytest.approx(
        [0.0, 0.975, 1.95, 1.95, 0.975, 0.0], abs=1e-8
    )
    middle = plan.middles[0]
    assert middle == pytest.approx(
        1.0 + STEP * np.array([W + E + W / 2, T + W + E + W / 2 - OFF, 2 * T + W + E + W / 2])
    )
    at = plan.stimulus.at(middle)
    values = {name: at[:, k] for k, name in enumerate(plan.stimulus.names)}
    assert values["x_0"] == pytest.approx([0.3] * 3) and values["x_1"] == pytest.approx([-0.7] * 3)
    assert values["y_0"] == pytest.approx([0.02] * 3)
    for name, phases in (
        ("free", (1, 0, 0)),
        ("nudged", (0, 1, 0)),
        ("nudged_early", (0, 1, 0)),
        ("update", (0, 0, 1)),
    ):
        assert values[name] == pytest.approx(1.95 * np.array(phases))
    ends = plan.stimulus.at(np.array([plan.free_ends[0], plan.nudged_ends[0]]))
    assert ends[0, plan.stimulus.names.index("free")] == pytest.approx(1.95)
    assert ends[1, plan.stimulus.names.index("nudged_early")] == pytest.approx(1.95)


def test_only_the_asked_phases_are_driven_at_the_same_times():
    net = design(2, 4, 1)
    data = presentations(net, 2)
    whole, free = (
        sc.presentation_schedule(net, data, 0.0),
        sc.presentation_schedule(net, data, 0.0, ("free",)),
    )
    for name in ("nudged", "nudged_early", "update", "layer0_wwl_0", "layer0_wwl_1", "layer1_wwl_0"):
        assert rises_and_falls(free, name) == []
    assert rises_and_falls(free, "x_0") == rises_and_falls(whole, "x_0")
    assert free.free_ends.tolist() == whole.free_ends.tolist()


def test_word_lines_run_along_the_shorter_side():
    net = design(3, 32, 4)
    assert [net.transposed(layer) for layer in range(2)] == [False, True]
    assert [net.word_lines(layer) for layer in range(2)] == [3, 4]
    assert [net.bit_lines(layer) for layer in range(2)] == [32, 32]
    weights = [np.arange(96.0).reshape(3, 32), 100.0 + np.arange(128.0).reshape(32, 4)]
    stimulus = sc.set_sequence(net, weights)
    for word in range(4):
        middle = STEP * (T * (word + 1) + E + W / 2)
        at = dict(zip(stimulus.names, stimulus.at(np.array([middle]))[0], strict=True))
        assert at["layer1_level_17"] == pytest.approx(weights[1][17, word])
        if word < 3:
            assert at["layer0_level_17"] == pytest.approx(weights[0][word, 17])
        for layer, lines in ((0, 3), (1, 4)):
            for line in range(lines):
                assert at[f"layer{layer}_wwl_{line}"] == pytest.approx(1.95 if line == word else 0.0)


def test_levels_stand_before_the_word_line_rises_and_after_it_falls():
    net = design(2, 4, 1)
    stimulus = sc.set_sequence(net, [np.full((2, 4), 0.3), np.full((4, 1), -0.2)])
    line = stimulus.values[:, stimulus.names.index("layer0_wwl_1")] > 0.0
    level = stimulus.values[:, stimulus.names.index("layer0_level_2")]
    assert line.any() and np.all(level[line] == pytest.approx(0.3))
    assert stimulus.times[-1] == pytest.approx(sc.set_period(net) + sc.settle_time(net))
    assert np.all(stimulus.values[-1] == 0.0)


@pytest.mark.parametrize("rows", ["one", "all"])
@pytest.mark.parametrize("widths", [(2, 4, 1), (3, 6, 5, 2), (3, 4)])
def test_two_chunks_are_the_signals_of_one(widths: tuple[int, ...], rows: str):
    net = design(*widths)
    data = presentations(net, 5, rows)
    cycles = data.rows.shape[1]
    whole = sc.presentation_schedule(net, data, 0.0).stimulus
    first, second = (
        sc.presentation_schedule(
            net,
            sc.Presentations(data.x[part], data.y[part], data.rows[part]),
            start * sc.sample_period(net, cycles),
        ).stimulus
        for part, start in ((slice(0, 2), 0), (slice(2, 5), 2))
    )
    assert first.names == second.names == whole.names
    assert first.times[-1] == pytest.approx(second.times[0], rel=1e-12)
    joined = np.concatenate([first.times, second.times[1:]])
    assert joined == pytest.approx(whole.times, rel=1e-12)  # the join is a breakpoint in any case
    assert np.concatenate([first.values, second.values[1:]]) == pytest.approx(whole.values, abs=1e-12)
    assert np.all(whole.values[[0, -1]] == 0.0)


def test_all_rows_mode_addresses_each_word_line_once():
    net = design(3, 8, 5)
    rows = sc.random_rows(net, 7, "all", np.random.default_rng(0))
    assert rows.shape == (7, 5, 2)
    for one in rows:
        assert sorted(one[:, 0]) == [sc.NO_ROW, sc.NO_ROW, 0, 1, 2] and sorted(one[:, 1]) == [0, 1, 2, 3, 4]
    assert len({tuple(one[:, 1]) for one in rows}) > 1
    data = sc.Presentations(np.zeros((7, 3)), np.zeros((7, 5)), rows)
    plan = sc.presentation_schedule(net, data, 0.0)
    assert plan.free_ends[0] == pytest.approx(STEP * (4 * 3 * T + W + E + W))  # that of the last cycle
    assert len(rises_and_falls(plan, "layer1_wwl_2")) == 7 * 6


def test_one_row_mode_draws_from_all_lines_and_from_the_seed_alone():
    net = design(3, 8, 5)
    draw = sc.random_rows(net, 400, "one", np.random.default_rng(1))
    assert draw.shape == (400, 1, 2)
    assert set(draw[:, 0, 0]) == {0, 1, 2} and set(draw[:, 0, 1]) == {0, 1, 2, 3, 4}
    assert np.array_equal(draw, sc.random_rows(net, 400, "one", np.random.default_rng(1)))
    rngs = np.random.default_rng(2), np.random.default_rng(2)
    assert np.all(sc.random_rows(net, 9, "one", rngs[0], update=False) == sc.NO_ROW)
    sc.random_rows(net, 9, "one", rngs[1])
    assert rngs[0].random() == rngs[1].random()


def test_what_does_not_fit_is_refused():
    net = design(2, 4, 1)
    good = presentations(net, 2)

    def plan(x=good.x, y=good.y, rows=good.rows):
        return sc.presentation_schedule(net, sc.Presentations(x, y, rows), 0.0)

    for change, message in (
        ({"x": np.zeros((2, 3))}, "x has 3 columns, 2 are needed"),
        ({"y": np.zeros((2, 2))}, "y has 2 columns, 1 are needed"),
        ({"x": np.array([[0.0, 1.0], [np.nan, 0.0]])}, r"x\[1, 0\] is nan"),
        ({"rows": np.full((2, 1, 3), -1)}, "rows has 3 layers, 2 are needed"),
        ({"rows": np.full((2, 1, 2), 1)}, r"rows of layer 1 must lie in -1 … 0"),
        ({"rows": np.full((2, 1, 2), -2)}, r"rows of layer 0 must lie in -1 … 1"),
        ({"x": np.zeros((0, 2)), "y": np.zeros((0, 1)), "rows": np.zeros((0, 1, 2), int)}, "at least one"),
        ({"rows": np.zeros((2, 2), int)}, "do not fit"),
    ):
        with pytest.raises(InputError, match=message):
            plan(**change)
    with pytest.raises(InputError, match="rows: 'some' is not allowed"):
        sc.random_rows(net, 1, "some", np.random.default_rng(0))
    with pytest.raises(InputError, match=r"layer 1 has shape \(3, 1\), \(4, 1\) is needed"):
        sc.set_sequence(net, [np.zeros((2, 4)), np.zeros((3, 1))])
    with pytest.raises(InputError, match="layer 0 has a value that is not finite"):
        sc.set_sequence(net, [np.full((2, 4), np.inf), np.zeros((4, 1))])


@pytest.mark.parametrize(
    ("timing", "message"),
    [
        ({"step": 0.0}, "timing.step: 0.0"),
        ({"period": 20}, "leave no plateau"),
        ({"edge": 0}, "leave no plateau"),
        ({"offset": 2}, "leave no plateau"),
        ({"period": 41}, "period 41"),
        ({"step": float("inf")}, "timing.step: inf"),
    ],
)
def test_timings_without_a_plateau_are_refused(timing: dict[str, float], message: str):
    with pytest.raises(InputError, match=message):
        Timing(**timing)  # type: ignore[arg-type]
