"""The deck of an experiment: weights written by SET, then the first samples of the first epoch."""

from __future__ import annotations

import numpy as np

from eqspice.circuit import Circuit, Stimulus
from eqspice.design import schedule as sc
from eqspice.design.elaborate import elaborate
from eqspice.engines.spice import decks
from eqspice.errors import InputError
from eqspice.training import trainer
from eqspice.training.build import design_of, initial_weights, task_of
from eqspice.training.experiment import Experiment


def experiment_deck(
    experiment: Experiment, dialect: str, samples: int = 1, main: str = "", library: str = ""
) -> dict[str, str]:
    """Returns the files of a deck that starts from rest, {name: text}, the one to run first.

    Args:
        experiment: what to write.
        dialect: "vacask", "ngspice" or "xyce".
        samples: presentations after SET.
        main: name of the file to run; empty for the dialect's own.
        library: SPICE library of the process whose transistors to use; empty for resolved model cards.

    Raises:
        InputError: no such dialect, more samples than the epoch has, or a device that it cannot express.
    """
    circuit, stimulus = opening(experiment, samples)
    return decks.netlist(dialect, circuit, stimulus, main=main, library=library)


def opening(experiment: Experiment, samples: int) -> tuple[Circuit, Stimulus]:
    """Returns the circuit of an experiment and the signals of SET and the first samples."""
    task = task_of(experiment)
    design = design_of(experiment, task)
    chunk = trainer.draw_epoch(experiment, design, task, 0)[0]
    if not 1 <= samples <= len(chunk.points):
        raise InputError(f"samples: {samples} is not allowed, it must be 1 to {len(chunk.points)}.")
    first = sc.set_sequence(design, initial_weights(design, experiment))
    plan = sc.presentation_schedule(design, chunk.data.first(samples), sc.set_period(design))
    return elaborate(design), joined(first, plan.stimulus)


def joined(first: Stimulus, second: Stimulus) -> Stimulus:
    """Returns two stimuli that meet in time as one.

    Raises:
        InputError: they do not meet, or have other signals.
    """
    length = first.times[-1] - first.times[0]
    if abs(second.times[0] - first.times[-1]) > 1e-9 * length:
        raise InputError(
            f"stimulus: one ends at {first.times[-1]:.9g} s, the next starts at {second.times[0]:.9g} s."
        )
    if set(first.names) != set(second.names):
        raise InputError("stimulus: the two do not have the same signals.")
    columns = [second.names.index(name) for name in first.names]
    times = np.concatenate([first.times, second.times[1:]])
    return Stimulus(times, first.names, np.concatenate([first.values, second.values[1:, columns]]))
