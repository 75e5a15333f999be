"""What an engine is: prepare a circuit once, run stimuli on it often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import Circuit, Stimulus
from eqspice.errors import ConvergenceError, InputError
from eqspice.waveforms import Waveforms

FloatArray = NDArray[np.float64]


class Status(Enum):
    """How a simulation ended. The value is what to do about it."""

    SUCCESS = "the simulation converged"
    NEWTON_FAILED = (
        "Newton's iteration did not converge even at the smallest time step and with conductances to ground; "
        "look at the bias of the named node, soften the near-ideal part on it, or slow the signal's edge"
    )
    SINGULAR = "a pivot is zero: the named node has no conducting path at this time; give it one"
    NOT_FINITE = "a voltage or current is not finite; look at the named device's parameters"
    ERROR_LIMIT = (
        "the local error stays above lte even at min_step; relax lte, or slow what moves the named node"
    )
    STEP_LIMIT = "more time steps than max_steps were needed; raise max_steps or relax lte"


@dataclass(frozen=True)
class State:
    """Everything needed to go on at a time.

    Attributes:
        time: seconds.
        voltages: node name order is the session's node_names, shape (N,).
        charges: charge at each node as the stepper books it (coulomb), shape (N,); None: computed from
            the voltages.
        noise: momentary values of slow noise, as the engine keeps them; None: drawn anew.
    """

    time: float
    voltages: FloatArray
    charges: FloatArray | None = None
    noise: FloatArray | None = None


@dataclass(frozen=True)
class Save:
    """What to keep of a run.

    Attributes:
        nodes: node names.
        times: seconds at which to record (interpolated inside a step); None records every time step.
    """

    nodes: tuple[str, ...]
    times: FloatArray | None = None

    def within(self, origin: float, end: float) -> FloatArray:
        """Returns the wanted times, counted from origin, inside [0, end]; none if every step is wanted.

        Raises:
            InputError: they are not finite, not in order, or outside of the stimulus.
        """
        if self.times is None:
            return np.zeros(0)
        record = np.asarray(self.times, float) - origin
        slack = 1e-9 * end
        if record.ndim != 1 or len(record) == 0:
            raise InputError(f"save: times has shape {record.shape}, a list of at least one time is needed.")
        if not np.isfinite(record).all() or np.any(np.diff(record) < 0):
            raise InputError("save: times must be finite and in ascending order.")
        if record[0] < -slack or record[-1] > end + slack:
            raise InputError(
                f"save: times from {record[0] + origin:.9g} to {record[-1] + origin:.9g} s do not lie within "
                f"the stimulus, {origin:.9g} to {origin + end:.9g} s."
            )
        return np.clip(record, 0.0, end)


@dataclass(frozen=True)
class Statistics:
    """Work done: counts, and CPU seconds of this process without compilation."""

    time_steps: int = 0
    rejected_steps: int = 0
    newton_iterations: int = 0
    factorisations: int = 0
    device_evaluations: int = 0
    gmin_steps: int = 0
    cpu_s: float = 0.0

    def __add__(self, other: Statistics) -> Statistics:
        return Statistics(
            self.time_steps + other.time_steps,
            self.rejected_steps + other.rejected_steps,
            self.newton_iterations + other.newton_iterations,
            self.factorisations + other.factorisations,
            self.device_evaluations + other.device_evaluations,
            self.gmin_steps + other.gmin_steps,
            self.cpu_s + other.cpu_s,
        )


@dataclass(frozen=True)
class Solution:
    """Result of a run.

    Attributes:
        waveforms: what was saved.
        state: where it ended.
        status: how it ended.
        statistics: work done.
        message: what stopped it; on success what deserves a look, or nothing.
        provenance: engine, versions and their like.
    """

    waveforms: Waveforms
    state: State
    status: Status
    statistics: Statistics
    message: str = ""
    provenance: Mapping[str, str] = field(default_factory=dict)

    def raise_for_status(self) -> Solution:
        """Returns itself, or raises ConvergenceError with node, device, time and advice."""
        if self.status is not Status.SUCCESS:
            raise ConvergenceError(self.message)
        return self


class Session(Protocol):
    """A prepared circuit."""

    @property
    def node_names(self) -> tuple[str, ...]:
        """Order of the voltages in a State."""
        ...

    def run(self, stimulus: Stimulus, state: State | None = None, save: Save | None = None) -> Solution:
        """Simulates from the first to the last breakpoint of the stimulus."""
        ...


class Engine(Protocol):
    """A simulator."""

    name: str

    def prepare(self, circuit: Circuit) -> Session:
        """Compiles the circuit.

        Raises:
            InputError: with the list of all devices and options that this engine cannot run.
        """
        ...
