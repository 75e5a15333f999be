"""Analog circuits that learn: design, simulate and train them, transistor by transistor.

The names here are loaded when they are first used, so that `import eqspice` is quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eqspice.errors import (
        CircuitError,
        ConvergenceError,
        EqspiceError,
        InputError,
        ModelError,
        SimulatorError,
        StorageError,
    )
    from eqspice.run import Run, open_run, resume, train
    from eqspice.training import tasks
    from eqspice.training.experiment import Experiment, load_experiment, make_experiment
    from eqspice.training.sections import EngineChoice, Learning, MismatchChoice, Network, ProcessChoice

_PLACES = {
    "tasks": "eqspice.training.tasks",
    **dict.fromkeys(("Run", "open_run", "resume", "train"), "eqspice.run"),
    **dict.fromkeys(
        ("Experiment", "load_experiment", "make_experiment"),
        "eqspice.training.experiment",
    ),
    **dict.fromkeys(
        ("EngineChoice", "Learning", "MismatchChoice", "Network", "ProcessChoice"),
        "eqspice.training.sections",
    ),
    **dict.fromkeys(
        (
            "CircuitError",
            "ConvergenceError",
            "EqspiceError",
            "InputError",
            "ModelError",
            "SimulatorError",
            "StorageError",
        ),
        "eqspice.errors",
    ),
}

__all__ = [
    "CircuitError",
    "ConvergenceError",
    "EngineChoice",
    "EqspiceError",
    "Experiment",
    "InputError",
    "Learning",
    "ModelError",
    "MismatchChoice",
    "Network",
    "ProcessChoice",
    "Run",
    "SimulatorError",
    "StorageError",
    "load_experiment",
    "make_experiment",
    "open_run",
    "resume",
    "tasks",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'eqspice' has no attribute {name!r}")
    module = importlib.import_module(_PLACES[name])
    return module if name == "tasks" else getattr(module, name)


def __dir__() -> list[str]:
    return __all__
