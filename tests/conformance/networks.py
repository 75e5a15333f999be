"""Whole networks on their schedule: weights written by SET, then presentations with updates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from eqspice.circuit import Circuit
from eqspice.design import schedule as sc
from eqspice.design.elaborate import elaborate
from eqspice.design.families import architecture_of
from eqspice.design.network import Design
from eqspice.design.presets import get_preset
from eqspice.engines import get_engine
from eqspice.engines.base import Save, Solution, State


@dataclass(frozen=True, eq=False)
class Bench:
    """A network after SET, and what it is shown next."""

    design: Design
    circuit: Circuit
    state: State
    plan: sc.Schedule

    @property
    def outputs(self) -> tuple[str, ...]:
        return architecture_of(self.design).outputs(self.design).nodes

    @property
    def weights(self) -> tuple[str, ...]:
        """Storage nodes of the weights."""
        family = architecture_of(self.design)
        readouts = [family.weights(self.design, layer) for layer in range(self.design.layers)]
        return tuple(node for readout in readouts for node in readout.nodes)

    @property
    def plateaus(self) -> np.ndarray:
        """Ends of the free and nudged plateaus and the middles of all phases, s."""
        return np.concatenate([self.plan.free_ends, self.plan.nudged_ends, self.plan.middles.ravel()])

    def difference(self, one: Solution, other: Solution, nodes: tuple[str, ...]) -> float:
        """Returns the largest difference of nodes on the plateaus, V."""
        first, second = (s.waveforms.at(self.plateaus).select(nodes) for s in (one, other))
        return float(np.abs(first.values - second.values).max())


@cache
def bench(preset: str, widths: tuple[int, ...], samples: int) -> Bench:
    """Writes random weights into a network and plans presentations, one random row updated in each."""
    design = get_preset(preset).build(widths)
    circuit = elaborate(design)
    rng = np.random.default_rng(1)
    weights = [
        design.weight_centre + design.weight_spread * (rng.random(design.shape(k)) - 0.5) / (1 + k)
        for k in range(design.layers)
    ]
    stimulus = sc.set_sequence(design, weights)
    session = get_engine("native", lte=1e-4).prepare(circuit)
    state = session.run(stimulus, None, Save(circuit.nodes[:1])).raise_for_status().state
    amplitude = 0.3 if design.family == "differential" else 1.0  # its rows lie within the supply
    x = amplitude * rng.uniform(0.2, 1.0, (samples, widths[0]))
    y = 0.02 * np.sin(8.0 * x[:, :1]) * np.ones(widths[-1])
    rows = sc.random_rows(design, samples, "one", rng)
    plan = sc.presentation_schedule(design, sc.Presentations(x, y, rows), sc.set_period(design))
    return Bench(design, circuit, State(state.time, state.voltages), plan)


@cache
def simulate(preset: str, widths: tuple[int, ...], samples: int, engine: str) -> Solution:
    """Runs the presentations of a bench in an engine at its sign-off tolerances."""
    tight = {"native": {"lte": 1e-5}}.get(engine, {})
    chosen = bench(preset, widths, samples)
    session = get_engine(engine, **tight).prepare(chosen.circuit)
    return session.run(chosen.plan.stimulus, chosen.state).raise_for_status()
