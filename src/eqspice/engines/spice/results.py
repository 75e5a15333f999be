"""From a simulator's raw data to a Solution in our names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from eqspice.engines.base import Save, Solution, State, Statistics, Status
from eqspice.engines.spice.dialects import Deck
from eqspice.engines.spice.rawfile import Plot
from eqspice.errors import SimulatorError
from eqspice.waveforms import Waveforms

_TIME_ERROR = 1e-9  # of the run's length


@dataclass(frozen=True)
class Results:
    """What a simulator left.

    Attributes:
        run: all nodes over time; the first variable is time in seconds.
        column: name of the variable that holds a node's voltage, from the simulator's node name.
        statistics: counts and CPU time.
    """

    run: Plot
    column: Callable[[str], str]
    statistics: Statistics


def solution(deck: Deck, results: Results, save: Save | None, provenance: Mapping[str, str]) -> Solution:
    """Returns the solution of a run that reached its end.

    Raises:
        SimulatorError: the run stopped early, a value is not finite, or a node is missing.
    """
    times = results.run.values[:, 0]
    if len(times) == 0 or times[-1] < deck.stop * (1.0 - _TIME_ERROR):
        reached = float(times[-1]) if len(times) else 0.0
        raise SimulatorError(f"the simulation stopped at {reached:.9g} s of {deck.stop:.9g} s.")
    values = _columns(results.run, deck, deck.save, results.column)
    last = _columns(results.run, deck, deck.circuit.nodes, results.column)[-1]
    origin = float(deck.stimulus.times[0])
    waveforms = Waveforms(times + origin, deck.save, values)
    if save is not None and save.times is not None:
        waveforms = waveforms.at(np.asarray(save.times, float))
    end = float(deck.stimulus.times[-1])
    return Solution(waveforms, State(end, last), Status.SUCCESS, results.statistics, "", dict(provenance))


def _columns(plot: Plot, deck: Deck, nodes: tuple[str, ...], column: Callable[[str], str]) -> np.ndarray:
    index = {name.lower(): place for place, name in enumerate(plot.names)}
    places = []
    for node in nodes:
        name = column(deck.nodes[node])
        if name not in index:
            raise SimulatorError(f"the simulator did not record node {node} ({name}).")
        places.append(index[name])
    values = np.ascontiguousarray(plot.values[:, places])
    if not np.isfinite(values).all():
        row, place = np.argwhere(~np.isfinite(values))[0]
        raise SimulatorError(f"node {nodes[place]} is {values[row, place]} at {plot.values[row, 0]:.6g} s.")
    return values
