"""What steers the stepper, and where it stands: lives over calls of the compiled code."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

# Places in Track.clock.
NOW = 0  # time of the last step
STEP = 1  # the last step
STEP_BEFORE = 2  # the step before it
NEXT_STEP = 3  # step to try

# Places in Track.place.
MARK = 0  # next mark
SEGMENT = 1  # segment of the stimulus
ORDER = 2  # steps since the last mark: the length of the history
NEXT_RECORD = 3  # next of the wanted times
KEPT = 4  # time points recorded
RECORD_AT_MARK = 5  # the two above at the last mark
KEPT_AT_MARK = 6
SOLUTIONS = 7  # solutions remembered so far
STRAYED = 8  # whether the last step ended far outside the tables of transistors

REMEMBERED = 64  # solutions kept as first guesses


class Control(NamedTuple):
    """Numbers that steer the stepper.

    Attributes:
        lte: allowed local error of a storage node per step, V.
        fixed: 1.0 for backward Euler at exactly the marks, 0.0 for error control.
        max_step: longest step, s.
        min_step: shortest step that Newton's failures or the error may ask for, s.
        exact_step: if positive, every step is this long and no error is controlled (order tests), s.
        bypass: V.
        max_change: V.
        newton_limit: iterations.
        max_steps: time steps, rejected ones included.
    """

    lte: float
    fixed: float
    max_step: float
    min_step: float
    exact_step: float
    bypass: float
    max_change: float
    newton_limit: int
    max_steps: int


class Track(NamedTuple):
    """Where a run stands; lives over calls.

    Attributes:
        clock: times in seconds, see NOW to NEXT_STEP.
        place: counts, see MARK to STRAYED.
        charge_1, charge_2: booked charges one and two steps ago.
        before_1, before_2, before_3: voltages one, two, three steps ago.
        mark_voltage, mark_charge: at the last mark.
        memory: voltages after the last steps with a large change of an input (phase steps only),
            shape (REMEMBERED, places).
        memory_inputs: inputs before those steps, shape (REMEMBERED, first_unknown).
    """

    clock: FloatArray
    place: NDArray[np.int64]
    charge_1: FloatArray
    charge_2: FloatArray
    before_1: FloatArray
    before_2: FloatArray
    before_3: FloatArray
    mark_voltage: FloatArray
    mark_charge: FloatArray
    memory: FloatArray
    memory_inputs: FloatArray
