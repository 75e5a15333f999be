"""Lines that ngspice and Xyce have in common: linear elements, behavioural sources, PWL sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from eqspice.circuit import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    BidirectionalAmplifier,
    Capacitor,
    CurrentSource,
    Device,
    Diode,
    FlatDevice,
    Mosfet,
    Product,
    Resistor,
    SoftLimiter,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.engines.spice import behavioural, dialects
from eqspice.engines.spice.dialects import Deck, number
from eqspice.errors import InputError
from eqspice.pdk import sky130
from eqspice.pdk.cards import instance_text, model_card_text
from eqspice.pdk.ideal import parameter_row

LEVELS = ("bsim4", "square_law")
KINDS = (
    "resistor", "capacitor", "diode", "switch", "voltage_source", "current_source", "vccs", "vcvs",
    "product", "bidirectional_amplifier", "soft_limiter", "mosfet", *behavioural.KINDS,
)  # fmt: skip

FUNCTIONS = (
    ".func eq_clip(x) {min(max(x,0),1)}",
    ".func eq_step(x) {x*x*(3-2*x)}",
    ".func eq_softplus(x) {max(x,0)+ln(1+exp(-abs(x)))}",
)
"""Functions of the behavioural sources: clip to 0…1, smoothstep, ln(1 + e^x) without overflow."""


def difference(p: str, n: str) -> str:
    """Returns the voltage between two nodes as an expression."""
    if p == n:
        return "0"
    if n == "0":
        return f"v({p})"
    return f"(-v({n}))" if p == "0" else f"v({p},{n})"


def sources(deck: Deck, brackets: bool = True) -> list[str]:
    """Returns the lines of all independent sources: time in seconds, value in volts or amperes.

    Args:
        deck: what is written.
        brackets: around the points of a signal; ngspice wants them, Xyce's form has none.
    """
    before, after = ("(", ["+ )"]) if brackets else ("", [])
    lines = ["* sources: time in seconds, value in volts or amperes"]
    for flat in deck.circuit.devices:
        if not isinstance(flat.device, VoltageSource | CurrentSource):
            continue
        letter = "v" if isinstance(flat.device, VoltageSource) else "i"
        start = f"{letter}_{deck.instances[flat.name]} {' '.join(deck.at(flat))}"
        wave = deck.waveform(flat.device)
        if wave is None:
            lines.append(f"{start} dc {number(flat.device.dc)}")
            continue
        points = [f"{number(t)} {number(v)}" for t, v in zip(*wave, strict=True)]
        lines += [f"{start} pwl{before}", *dialects.wrap(points, " ", "+ ", "+ "), *after]
    return lines


def opening(deck: Deck, command: list[str], models_file: str, sources_file: str, path: str) -> list[str]:
    """Returns the lines before the devices: header, transistor models, sources and functions.

    Args:
        deck: what is written.
        command: runs it.
        models_file: name of the file of resolved model cards.
        sources_file: name of the file of sources.
        path: of the process's library, see `library`; empty for resolved cards.
    """
    lines = [f"* eqspice {deck.circuit.name}", *dialects.header(deck, "*", " ".join(command))]
    if deck.models:
        lines += library(deck, path) if path else [f".include {models_file}"]
    return [*lines, f".include {sources_file}", *FUNCTIONS]


def body(
    deck: Deck, from_library: bool, switch: Callable[[FlatDevice, Switch, Deck], list[str]]
) -> list[str]:
    """Returns the lines of all devices but the independent sources.

    Args:
        deck: what is written.
        from_library: whether transistors are those of the process's library.
        switch: returns the lines of a switch.
    """
    lines: list[str] = []
    for flat in deck.circuit.devices:
        if isinstance(flat.device, Switch):
            lines += switch(flat, flat.device, deck)
        elif isinstance(flat.device, Mosfet) and flat.device.card.level != "square_law":
            lines.append(transistor(flat, flat.device, deck, from_library))
        elif not isinstance(flat.device, VoltageSource | CurrentSource):
            lines += device(flat, deck)
    return lines


def library(deck: Deck, path: str) -> list[str]:
    """Returns the line that reads the user's library of the process.

    Raises:
        InputError: there is no such file, or the transistors are of several corners or model sets.
    """
    calls = [sky130.library_call(mosfet) for mosfet in deck.models]
    sections = sorted({(call.corner, call.model_set) for call in calls})
    if len(sections) != 1:
        raise InputError(
            f"pdk library: transistors of {len(sections)} sections ({sections}) cannot come from one library."
        )
    return [f'.lib "{sky130.library_path(path).as_posix()}" {sections[0][0]}']


def transistor(flat: FlatDevice, mosfet: Mosfet, deck: Deck, from_library: bool) -> str:
    """Returns the line of a transistor: of a resolved model card, or called from the user's library."""
    where = f"{deck.instances[flat.name]} {' '.join(deck.at(flat))}"
    if from_library:
        return f"x_{where} {sky130.library_call(mosfet).text}"
    return f"m_{where} {deck.models[dialects.model_key(mosfet)]} {instance_text(mosfet, 'ngspice')}"


def models(deck: Deck) -> str:
    """Returns the resolved model cards."""
    cards = [model_card_text(mosfet, name, "ngspice") for mosfet, name in deck.models.items()]
    return "* transistor models of the circuit, resolved\n" + "".join(cards)


def smooth_switch(flat: FlatDevice, switch: Switch, deck: Deck) -> list[str]:
    """Returns a behavioural source with the switch's own law."""
    p, n, cp, cn = deck.at(flat)
    span = number(switch.v_on - switch.v_off)
    x = f"eq_clip(({difference(cp, cn)}-({number(switch.v_off)}))/({span}))"
    if np.isinf(switch.off_resistance):
        conductance = f"{number(1.0 / switch.on_resistance)}*eq_step({x})"
    else:
        log_off, log_on = -np.log(switch.off_resistance), -np.log(switch.on_resistance)
        conductance = f"exp(({number(log_off)})+({number(log_on - log_off)})*eq_step({x}))"
    return [f"b_{deck.instances[flat.name]} {p} {n} i={{{conductance}*{difference(p, n)}}}"]


def device(flat: FlatDevice, deck: Deck) -> list[str]:
    """Returns the lines of any device but sources, switches and transistors of a process."""
    name, nodes = deck.instances[flat.name], deck.at(flat)
    return _LINES[type(flat.device)](flat.device, name, nodes)


def _resistor(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, Resistor)
    return [f"r_{name} {' '.join(nodes)} {number(device.resistance)}"]


def _capacitor(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, Capacitor)
    return [f"c_{name} {' '.join(nodes)} {number(device.capacitance)}"]


def _diode(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, Diode)
    p, n = nodes
    v, vt = difference(p, n), number(dialects.thermal_voltage(device))
    line, isat = number(dialects.line_voltage(device)), number(device.saturation_current)
    return [f"b_{name} {p} {n} i={{{isat}*(exp(min({v},{line})/{vt})-1)+max({v}-{line},0)/{vt}}}"]


def _limiter(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, SoftLimiter)
    p, n = nodes
    v, vs = difference(p, n), number(device.softness)
    up = f"eq_softplus(({v}-({number(device.high)}))/{vs})"
    down = f"eq_softplus((({number(device.low)})-{v})/{vs})"
    return [f"b_{name} {p} {n} i={{{number(device.softness / device.on_resistance)}*({up}-{down})}}"]


def _vccs(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, VoltageControlledCurrentSource)
    return [f"g_{name} {' '.join(nodes)} {number(device.transconductance)}"]


def _vcvs(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, VoltageControlledVoltageSource)
    p, n, cp, cn = nodes
    r = device.output_resistance
    lines = [f"r_{name} {p} {n} {number(r)}", f"g_{name} {p} {n} {cp} {cn} {number(-device.gain / r)}"]
    if device.offset:
        lines.append(f"i_{name} {p} {n} {number(-device.gain * device.offset / r)}")
    return lines


def _product(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, Product)
    p, r, ap, an, bp, bn = nodes
    scale = number(-device.gain / device.output_resistance)
    factor = f"({difference(ap, an)}+({number(device.offset)}))"
    return [
        f"g_{name} {p} 0 {p} {r} {number(1.0 / device.output_resistance)}",
        f"b_{name} {p} 0 i={{({scale})*{factor}*{difference(bp, bn)}}}",
    ]


def _amplifier(device: Device, name: str, nodes: list[str]) -> list[str]:
    assert isinstance(device, BidirectionalAmplifier)
    into, p, n = nodes
    forward, back = device.gain / device.output_resistance, device.back_gain / device.output_resistance
    offsets = [
        f"i_{name}_p {p} 0 {number(-forward * device.offset)}",
        f"i_{name}_n {n} 0 {number(forward * device.offset)}",
        f"i_{name}_i {into} 0 {number(2.0 * device.gain * back * device.offset)}",
    ]
    return [
        f"r_{name}_p {p} 0 {number(device.output_resistance)}",
        f"g_{name}_p {p} 0 {into} 0 {number(-forward)}",
        f"r_{name}_n {n} 0 {number(device.output_resistance)}",
        f"g_{name}_n {n} 0 {into} 0 {number(forward)}",
        f"g_{name}_i {into} 0 {into} 0 {number(2.0 * device.gain * back)}",
        f"g_{name}_b {into} 0 {p} {n} {number(-back)}",
        *(offsets if device.offset else ()),
    ]


def _square_law(device: Device, name: str, nodes: list[str]) -> list[str]:
    """I_d = p (K/2)(W/L) [f(x)^2 - f(y)^2] [1 + lambda sqrt(u^2 + s^2)], see eqspice.pdk.ideal."""
    assert isinstance(device, Mosfet)
    d, g, s, _ = nodes
    sign, beta, threshold, modulation, soft, charge = (float(value) for value in parameter_row(device))
    polarity = "" if sign > 0 else "-1*"

    def rectified(end: str) -> str:
        x = f"({polarity}{difference(g, end)}-({number(threshold)}))"
        return f"max({x},0)" if soft == 0.0 else f"({number(soft)}*eq_softplus({x}/{number(soft)}))"

    stretch = f"(1+{number(modulation)}*sqrt({difference(d, s)}*{difference(d, s)}+{number(soft * soft)}))"
    square = f"({rectified(s)}*{rectified(s)}-{rectified(d)}*{rectified(d)})"
    return [
        f"b_{name} {d} {s} i={{({number(0.5 * sign * beta)})*{square}*{stretch}}}",
        f"c_{name}_s {g} {s} {number(charge)}",
        f"c_{name}_d {g} {d} {number(charge)}",
    ]


_LINES: Mapping[type[Device], Callable[[Device, str, list[str]], list[str]]] = {
    Resistor: _resistor,
    Capacitor: _capacitor,
    Diode: _diode,
    SoftLimiter: _limiter,
    VoltageControlledCurrentSource: _vccs,
    VoltageControlledVoltageSource: _vcvs,
    Product: _product,
    BidirectionalAmplifier: _amplifier,
    Mosfet: _square_law,
    BehaviouralCurrentSource: behavioural.behavioural,
    BehaviouralVoltageSource: behavioural.behavioural,
}
