"""Runs a case in an engine and measures its error."""

from __future__ import annotations

from functools import cache

import numpy as np

from conformance.circuits import CASES, Case
from eqspice.engines import get_engine
from eqspice.engines.base import Save, State
from eqspice.waveforms import Waveforms

ENGINES = ("native", "vacask", "ngspice", "xyce")
POINTS = 4000
REFERENCES = {"native": "vacask", "vacask": "native", "ngspice": "native", "xyce": "native"}
_TIGHT = {
    "native": {"lte": 1e-6, "bypass": 1e-6},
    "vacask": {"reltol": 1e-6},
    "ngspice": {"reltol": 1e-5},
    "xyce": {"reltol": 1e-6},
}


@cache
def simulate(name: str, engine: str) -> Waveforms:
    """Returns all nodes of a case, at the instants that are compared."""
    case = CASES[name]
    stimulus = case.stimulus
    chosen = get_engine(engine, max_step=float(stimulus.times[-1]) / case.points, **_TIGHT[engine])
    session = chosen.prepare(case.circuit)
    volts = np.array([case.start.get(node, 0.0) for node in session.node_names])
    assert set(case.start) <= set(session.node_names)
    saved = Save(session.node_names, case.times)
    return session.run(stimulus, State(0.0, volts), saved).raise_for_status().waveforms


def reference(case: Case, engine: str) -> str:
    """Returns the engine that an engine is judged by where there is no closed form."""
    other = REFERENCES[engine]
    if other not in case.excluded:
        return other
    return next(name for name in ENGINES if name != engine and name not in case.excluded)


def error(case: Case, engine: str) -> tuple[float, str]:
    """Returns (largest difference in V, node) to the closed form, or to the reference engine."""
    found = simulate(case.name, engine)
    errors = {node: np.abs(found[node] - exact(case.times)).max() for node, exact in case.exact.items()}
    if not errors:
        other = simulate(case.name, reference(case, engine))
        errors = {node: np.abs(found[node] - other[node]).max() for node in found.names}
    worst = max(errors, key=lambda node: errors[node])
    return float(errors[worst]), worst
