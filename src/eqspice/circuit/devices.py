"""Device kinds as data: terminals, parameters, and whether silicon could build the part as drawn.

All values are SI (volt, ampere, ohm, farad, metre, second), temperatures in degrees Celsius.
A node voltage is V(name); currents are positive into the device at the named terminal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields
from numbers import Real
from typing import ClassVar

from eqspice.circuit.formula import Formula
from eqspice.errors import CircuitError


def _as_floats(pairs: tuple[tuple[str, float], ...]) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(value)) for name, value in pairs)


@dataclass(frozen=True)
class Device:
    """Base of all device kinds. A kind adds its parameters as fields.

    Numbers of any type become floats, so that equal devices are equal and hash alike. What a parameter
    may be is looked at by `check` when the device becomes an instance, whose name the error then has.
    """

    terminals: ClassVar[tuple[str, ...]] = ()
    kind: ClassVar[str] = "device"
    ideal: ClassVar[bool] = False
    may_be_infinite: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for name in self._numbers():
            value = getattr(self, name)
            if isinstance(value, Real) and not isinstance(value, bool):
                object.__setattr__(self, name, float(value))

    def check(self) -> None:
        """Checks the parameters. A kind with limits of its own adds them.

        Raises:
            CircuitError: names the parameter, its value and what is needed.
        """
        for name in self._numbers():
            value = getattr(self, name)
            if not isinstance(value, float):
                raise CircuitError(f"{self.kind}: {name} is {value!r}, it must be a number.")
            if not math.isfinite(value) and name not in self.may_be_infinite:
                raise CircuitError(f"{self.kind}: {name} is {value}, it must be finite.")

    def _numbers(self) -> Iterator[str]:
        return (field.name for field in fields(self) if field.type == "float")

    def _positive(self, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            if not value > 0:
                raise CircuitError(f"{self.kind}: {name} is {value:g}, it must be positive.")


@dataclass(frozen=True)
class Resistor(Device):
    """I(p) = (V(p) - V(n)) / resistance."""

    resistance: float
    terminals: ClassVar[tuple[str, ...]] = ("p", "n")
    kind: ClassVar[str] = "resistor"

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("resistance")


@dataclass(frozen=True)
class Capacitor(Device):
    """Q(p) = capacitance * (V(p) - V(n))."""

    capacitance: float
    terminals: ClassVar[tuple[str, ...]] = ("p", "n")
    kind: ClassVar[str] = "capacitor"

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("capacitance")


@dataclass(frozen=True)
class Diode(Device):
    """I(p) = saturation_current * (exp((V(p) - V(n)) / (emission * kT/q)) - 1), Shockley's law.

    The exponential goes on as a straight line above 1 A. An emission coefficient far below one
    (0.01, say) makes a near-ideal diode; such a part is ideal.
    """

    saturation_current: float = 1e-14
    emission: float = 1.0
    temperature: float = 27.0
    terminals: ClassVar[tuple[str, ...]] = ("p", "n")
    kind: ClassVar[str] = "diode"

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("saturation_current", "emission")

    @property
    def ideal(self) -> bool:  # type: ignore[override]
        """No junction has an emission coefficient below one."""
        return self.emission < 0.9


@dataclass(frozen=True)
class Switch(Device):
    """A conductance between p and n set by u = V(cp) - V(cn), smooth in log conductance.

    With x = clip((u - v_off) / (v_on - v_off), 0, 1) and s = x^2 (3 - 2x):
    G = exp((1 - s) ln(1/off_resistance) + s ln(1/on_resistance)). v_on may lie below v_off
    (a switch that opens when its control rises). off_resistance may be infinite: then
    G = s / on_resistance.
    """

    on_resistance: float = 1.0
    off_resistance: float = 1e14
    v_on: float = 0.5
    v_off: float = 0.4
    terminals: ClassVar[tuple[str, ...]] = ("p", "n", "cp", "cn")
    kind: ClassVar[str] = "switch"
    ideal: ClassVar[bool] = True
    may_be_infinite: ClassVar[tuple[str, ...]] = ("off_resistance",)

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("on_resistance", "off_resistance")
        if self.v_on == self.v_off:
            raise CircuitError(f"switch: v_on and v_off are both {self.v_on:g}, they must differ.")


@dataclass(frozen=True)
class VoltageSource(Device):
    """V(p) - V(n) = dc, or the stimulus signal of that name times scale plus dc."""

    dc: float = 0.0
    signal: str | None = None
    scale: float = 1.0
    terminals: ClassVar[tuple[str, ...]] = ("p", "n")
    kind: ClassVar[str] = "voltage_source"


@dataclass(frozen=True)
class CurrentSource(Device):
    """I(p) = dc + scale * signal flows from p through the source to n."""

    dc: float = 0.0
    signal: str | None = None
    scale: float = 1.0
    terminals: ClassVar[tuple[str, ...]] = ("p", "n")
    kind: ClassVar[str] = "current_source"


@dataclass(frozen=True)
class VoltageControlledCurrentSource(Device):
    """I(p) = transconductance * (V(cp) - V(cn)), and -I(p) at n."""

    transconductance: float
    terminals: ClassVar[tuple[str, ...]] = ("p", "n", "cp", "cn")
    kind: ClassVar[str] = "vccs"
    ideal: ClassVar[bool] = True


@dataclass(frozen=True)
class VoltageControlledVoltageSource(Device):
    """V(p) - V(n) = gain * (V(cp) - V(cn) + offset) behind output_resistance.

    I(p) = (V(p) - V(n) - gain (V(cp) - V(cn) + offset)) / output_resistance.
    """

    gain: float = 1.0
    output_resistance: float = 1.0
    offset: float = 0.0
    terminals: ClassVar[tuple[str, ...]] = ("p", "n", "cp", "cn")
    kind: ClassVar[str] = "vcvs"
    ideal: ClassVar[bool] = True

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("output_resistance")


@dataclass(frozen=True)
class Product(Device):
    """A multiplier with voltage output behind output_resistance.

    E = V(r) + gain * (V(ap) - V(an) + offset) * (V(bp) - V(bn)), I(p) = (V(p) - E) / output_resistance.
    r is a high-impedance reference input to which the product is added; the return current flows
    to ground. Unit of gain: 1/V.
    """

    gain: float
    offset: float = 0.0
    output_resistance: float = 1.0
    terminals: ClassVar[tuple[str, ...]] = ("p", "r", "ap", "an", "bp", "bn")
    kind: ClassVar[str] = "product"
    ideal: ClassVar[bool] = True

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("output_resistance")


@dataclass(frozen=True)
class BidirectionalAmplifier(Device):
    """Voltage times gain forward, current times back_gain backward (Kendall et al. 2020).

    I(outp) = (V(outp) - gain (V(in) + offset)) / output_resistance,
    I(outn) = (V(outn) + gain (V(in) + offset)) / output_resistance, and with the currents delivered to the
    rails J_p = -I(outp), J_n = -I(outn): I(in) = back_gain * (J_p - J_n). The return current flows to ground.
    """

    gain: float
    back_gain: float
    output_resistance: float = 10.0
    offset: float = 0.0
    terminals: ClassVar[tuple[str, ...]] = ("in", "outp", "outn")
    kind: ClassVar[str] = "bidirectional_amplifier"
    ideal: ClassVar[bool] = True

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("output_resistance")


@dataclass(frozen=True)
class SoftLimiter(Device):
    """A two-sided clamp: I(p) = (V0/R) [softplus((v - high)/V0) - softplus((low - v)/V0)].

    v = V(p) - V(n), V0 = softness in volts, R = on_resistance, softplus(x) = ln(1 + exp(x)).
    """

    low: float
    high: float
    softness: float = 0.02
    on_resistance: float = 1e3
    terminals: ClassVar[tuple[str, ...]] = ("p", "n")
    kind: ClassVar[str] = "soft_limiter"
    ideal: ClassVar[bool] = True

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("softness", "on_resistance")
        if not self.high > self.low:
            raise CircuitError(f"soft_limiter: high {self.high:g} must be above low {self.low:g}.")


@dataclass(frozen=True)
class BehaviouralCurrentSource(Device):
    """I(p) = formula(V(c0), V(c1), ...), and -I(p) at n. Unit of the formula: A."""

    formula: Formula
    kind: ClassVar[str] = "behavioural_current"
    ideal: ClassVar[bool] = True

    @property
    def terminals(self) -> tuple[str, ...]:  # type: ignore[override]
        """One sensing terminal per voltage of the formula."""
        return ("p", "n", *(f"c{k}" for k in range(self.formula.variables)))


@dataclass(frozen=True)
class BehaviouralVoltageSource(Device):
    """V(p) - V(n) = formula(V(c0), V(c1), ...) behind output_resistance. Unit of the formula: V.

    I(p) = (V(p) - V(n) - formula(V(c0), V(c1), ...)) / output_resistance.
    """

    formula: Formula
    output_resistance: float = 1.0
    kind: ClassVar[str] = "behavioural_voltage"
    ideal: ClassVar[bool] = True

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("output_resistance")

    @property
    def terminals(self) -> tuple[str, ...]:  # type: ignore[override]
        """One sensing terminal per voltage of the formula."""
        return ("p", "n", *(f"c{k}" for k in range(self.formula.variables)))


@dataclass(frozen=True)
class ModelCard:
    """Numbers of one compact model, resolved for one geometry, corner and temperature.

    level: "bsim4", "psp103" or "square_law". polarity: +1 n-channel, -1 p-channel.
    parameters: (name, value) pairs in the units of the model, names in lower case.
    """

    name: str
    level: str
    polarity: int
    parameters: tuple[tuple[str, float], ...]
    provenance: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", _as_floats(self.parameters))


@dataclass(frozen=True)
class Mosfet(Device):
    """A four-terminal FET whose equations are those of its model card.

    instance holds further instance parameters of the model, (name, value) pairs
    (areas and perimeters of the junctions, say). Temperature in degrees Celsius.
    """

    card: ModelCard
    width: float
    length: float
    multiplier: float = 1.0
    temperature: float = 27.0
    instance: tuple[tuple[str, float], ...] = ()
    terminals: ClassVar[tuple[str, ...]] = ("d", "g", "s", "b")
    kind: ClassVar[str] = "mosfet"

    def check(self) -> None:
        """Checks the parameters."""
        super().check()
        self._positive("width", "length", "multiplier")
        for name, value in self.card.parameters + self.instance:
            if not math.isfinite(value):
                raise CircuitError(f"mosfet: {name} of model {self.card.name} is {value}, it must be finite.")

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "instance", _as_floats(self.instance))

    @property
    def ideal(self) -> bool:  # type: ignore[override]
        """A square-law FET exists in no process."""
        return self.card.level == "square_law"
