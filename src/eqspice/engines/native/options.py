"""Options of the native engine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal

from eqspice.errors import InputError, unknown

FIDELITIES = ("transient", "phase")
Fidelity = Literal["transient", "phase"]
FET_MODELS = ("tables", "model")
FetModels = Literal["tables", "model"]
NOISE_KINDS = ("thermal", "flicker", "shot")
NoiseKind = Literal["thermal", "flicker", "shot"]


@dataclass(frozen=True)
class NativeOptions:
    """Numbers that set accuracy and cost.

    Attributes:
        fidelity: "transient" controls the step by the error of the storage nodes; "phase" takes
            backward Euler steps at the breakpoints only (the quasi-static limit).
        lte: allowed local error per step on a storage node, V (transient).
        points_per_plateau: time points between two breakpoints, both ends counted, at least 2; plateaus
            and edges alike (phase).
        max_step: longest step, s (transient); 0 for no limit.
        exact_step: if positive, steps of this length without error control, s (transient).
        bypass: a device is linearised while its voltages stay within this, V.
        max_change: most that a node may move in one Newton iteration, V.
        newton_limit: iterations before the step is cut.
        min_step: shortest step that may be tried after a failure, s.
        max_steps: time steps per run, rejected ones included.
        fets: "tables" where a FET can have one, or "model" to evaluate each by its compact model itself
            (ten times slower; the measure of what the tables are worth).
        noise: kinds of device noise: "thermal" of resistors, switches, amplifier outputs and channels,
            "flicker" of channels, "shot" of diodes; none for a noiseless circuit.
        noise_seed: of the random numbers; with the start time of a run it decides them.
        noise_band: lowest frequency of flicker noise and highest of all noise, Hz. The highest may be
            infinite: then each capacitance has its kT/C; flicker noise ends at 10 MHz at the latest.
        noise_temperature: of parts without a temperature of their own, degrees Celsius.
        noise_level: factor on the amplitude of all noise, for the question how much a network bears.
    """

    fidelity: Fidelity = "transient"
    lte: float = 1e-3
    points_per_plateau: int = 2
    max_step: float = 0.0
    exact_step: float = 0.0
    bypass: float = 1e-4
    max_change: float = 2.0
    newton_limit: int = 30
    min_step: float = 1e-15
    max_steps: int = 100_000_000
    fets: FetModels = "tables"
    noise: tuple[NoiseKind, ...] = ()
    noise_seed: int = 0
    noise_band: tuple[float, float] = (10.0, math.inf)
    noise_temperature: float = 27.0
    noise_level: float = 1.0

    def __post_init__(self) -> None:
        if self.fidelity not in FIDELITIES:
            raise unknown("fidelity", self.fidelity, FIDELITIES)
        if self.fets not in FET_MODELS:
            raise unknown("fets", self.fets, FET_MODELS)
        for name in ("lte", "bypass", "max_change", "min_step"):
            self._refuse_unless(
                name, _finite(value := getattr(self, name)) and value > 0, "a positive number"
            )
        for name in ("max_step", "exact_step"):
            self._refuse_unless(
                name, _finite(value := getattr(self, name)) and value >= 0, "zero or positive"
            )
            self._refuse_unless(name, not value or self.fidelity == "transient", "zero for fidelity phase")
        for name, least in (("points_per_plateau", 2), ("newton_limit", 1), ("max_steps", 1)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            self._refuse_unless(name, whole and value >= least, f"a whole number, at least {least}")
        self._check_noise()

    def _check_noise(self) -> None:
        for kind in self.noise:
            if kind not in NOISE_KINDS:
                raise unknown("noise", kind, NOISE_KINDS)
        self._refuse_unless(
            "noise_seed", isinstance(self.noise_seed, int) and self.noise_seed >= 0, "zero or positive"
        )
        low, high = self.noise_band
        self._refuse_unless(
            "noise_band", _finite(low) and 0 < low < high, "(lowest, highest) with 0 < lowest < highest, Hz"
        )
        self._refuse_unless(
            "noise_temperature",
            _finite(self.noise_temperature) and self.noise_temperature > -273.15,
            "above -273.15 degrees Celsius",
        )
        self._refuse_unless(
            "noise_level", _finite(self.noise_level) and self.noise_level >= 0, "zero or positive"
        )

    def _refuse_unless(self, name: str, allowed: bool, what: str) -> None:
        if not allowed:
            raise InputError(f"{name}: {getattr(self, name)!r} is not allowed, it must be {what}.")


def _finite(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
