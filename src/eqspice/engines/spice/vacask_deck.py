"""Writes a circuit as a VACASK netlist, with our own Verilog-A for the kinds that VACASK lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib import resources

import numpy as np

from eqspice.circuit import (
    BidirectionalAmplifier,
    Capacitor,
    Circuit,
    CurrentSource,
    Device,
    Diode,
    Mosfet,
    Product,
    Resistor,
    SoftLimiter,
    Stimulus,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.engines.base import Save, State
from eqspice.engines.spice import behavioural, dialects
from eqspice.engines.spice.dialects import Deck, number
from eqspice.engines.spice.session import check_options
from eqspice.pdk import osdi, veriloga
from eqspice.pdk.cards import instance_text, model_card_text

MAIN = "deck.sim"
SOURCES = "sources.inc"
MODELS = "models.spice"
FORMULAS = "formulas.spice"
RAW = "tran1.raw"
DEVICES = "eqspice_devices.va"
PSP = "psp103.va"
PSP_MODELS = "psp_models.inc"
LEVELS = ("bsim4", "psp103")
METHODS = ("trap", "gear2", "euler")
KINDS = (
    "resistor", "capacitor", "diode", "switch", "voltage_source", "current_source", "vccs", "vcvs",
    "product", "bidirectional_amplifier", "soft_limiter", "mosfet", *behavioural.KINDS,
)  # fmt: skip


# The first three points after a corner of a signal are taken without error control: they must lie
# close together, or a switch that closes on the edge is stepped over. And an error is measured
# against the largest signal of its nature: the current of a source jumps where a transistor's drain
# and source change places, which no step is short enough for.
_ACCURACY = 'tran_fbr=0.05 relref="sigglobal"'


@dataclass(frozen=True)
class VacaskOptions:
    """Numbers that set accuracy and cost.

    Attributes:
        reltol: relative tolerance. Plateau errors only fall at 1e-6 and below.
        abstol: absolute tolerance of currents, A.
        vntol: absolute tolerance of voltages, V.
        chgtol: absolute tolerance of charges, C.
        gmin: conductance across junctions, S.
        max_step: longest time step, s; 0 for no limit.
        method: integration, one of METHODS.
        timeout_s: seconds of wall time after which a run is stopped.
        keep: whether the work folder stays after a success.
    """

    reltol: float = 1e-6
    abstol: float = 1e-14
    vntol: float = 1e-8
    chgtol: float = 1e-20
    gmin: float = 1e-18
    max_step: float = 0.0
    method: str = "gear2"
    timeout_s: float = 3600.0
    keep: bool = False

    def __post_init__(self) -> None:
        check_options(
            self,
            ("reltol", "abstol", "vntol", "chgtol", "timeout_s"),
            ("gmin", "max_step"),
            {"method": METHODS},
        )


class VacaskWriter:
    """Writes a circuit, its stimulus and its initial state as a VACASK netlist."""

    def netlist(
        self,
        circuit: Circuit,
        stimulus: Stimulus,
        state: State | None = None,
        save: Save | None = None,
        options: VacaskOptions | None = None,
        libraries: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Returns the files of the deck, {name: text}.

        Args:
            circuit: what to simulate.
            stimulus: its signals.
            state: voltages to start from; None: all nodes at zero.
            save: nodes to record; None: all.
            options: tolerances.
            libraries: compiled library of each Verilog-A file that the deck would load. Without one the
                text comes with the deck, and VACASK compiles it.
        """
        dialects.refuse(circuit, "vacask", LEVELS, KINDS)
        deck = dialects.make_deck(circuit, stimulus, state, save)
        libraries = libraries or {}
        files = {
            MAIN: "\n".join(self._main(deck, options or VacaskOptions(), libraries)) + "\n",
            SOURCES: "\n".join(self._sources(deck)) + "\n",
        }
        formulas = _formulas(deck)
        if formulas:
            files[FORMULAS] = "\n".join(["* behavioural sources", *formulas]) + "\n"
        for level in _levels(deck):
            cards = [model_card_text(m, n, "vacask") for m, n in deck.models.items() if m.card.level == level]
            name, mark, _ = _CARDS[level]
            files[name] = "".join([f"{mark} transistor models of the circuit, resolved\n", *cards])
        files |= {name: text() for name, text in _verilog(deck).items() if name not in libraries}
        return files

    def _main(self, deck: Deck, options: VacaskOptions, libraries: Mapping[str, str]) -> list[str]:
        lines = [f"eqspice {deck.circuit.name}", *dialects.header(deck, "//", f"vacask -qp {MAIN}"), ""]
        lines += ['load "spice/resistor.osdi"', 'load "spice/capacitor.osdi"']
        lines += [f'load "{libraries.get(name, name)}"' for name in _verilog(deck)]
        for level in _levels(deck):
            lines += _CARDS[level][2]
        lines += [f"model {name} {of}" for name, of in _MODELS]
        lines += [f'include "{SOURCES}"']
        lines += [f'include "{FORMULAS}" lang=ngspice', ""] if _formulas(deck) else [""]
        for flat in deck.circuit.devices:
            text = _instance(flat.device, deck)
            if text is not None:
                lines.append(f"i_{deck.instances[flat.name]} ({' '.join(deck.at(flat))}) {text}")
        return [*lines, "", *self._control(deck, options)]

    def _sources(self, deck: Deck) -> list[str]:
        lines = ["// sources: time in seconds, value in volts or amperes"]
        for flat in deck.circuit.devices:
            if not isinstance(flat.device, VoltageSource | CurrentSource):
                continue
            kind = "m_vsource" if isinstance(flat.device, VoltageSource) else "m_isource"
            start = f"i_{deck.instances[flat.name]} ({' '.join(deck.at(flat))}) {kind} "
            wave = deck.waveform(flat.device)
            if wave is None:
                lines.append(f'{start}type="dc" dc={number(flat.device.dc)}')
                continue
            points = [f"{number(t)},{number(v)}" for t, v in zip(*wave, strict=True)]
            lines.append(f'{start}type="pwl" slopetol=0 wave=[')
            lines += dialects.wrap(points, ", ", "  ", "  ")
            lines.append("]")
        return lines

    def _control(self, deck: Deck, options: VacaskOptions) -> list[str]:
        step = float(np.min(np.diff(deck.times))) / 100.0
        longest = options.max_step or deck.stop
        start = [*deck.initial(), *_internal_initial(deck)]
        initial = [f'"{node}", {number(value)}' for node, value in start]
        analysis = f"  analysis tran1 tran stop={number(deck.stop)} step={number(step)} "
        analysis += f'maxstep={number(longest)} icmode="uic"'
        if initial:
            analysis = "\n".join([analysis + " ic={", *dialects.wrap(initial, ", ", "    ", "    "), "  }"])
        lines = ["control"]
        lines += [
            f"  options reltol={number(options.reltol)} abstol={number(options.abstol)} "
            f"vntol={number(options.vntol)} chgtol={number(options.chgtol)} gmin={number(options.gmin)}",
            f'  options temp={number(dialects.temperature(deck.circuit))} tran_method="{options.method}" '
            f'tran_minpts=0 tran_itl=40 {_ACCURACY} rawfile="binary"',
        ]
        everything = (f"v({name})" for name in dialects.recorded(deck))
        lines += dialects.wrap(everything, " ", "  save ", "  save ")
        return [*lines, analysis, "  print stats", "endc"]


_MODELS = (
    ("m_resistor", "sp_resistor"),
    ("m_capacitor", "sp_capacitor"),
    ("m_vsource", "vsource"),
    ("m_isource", "isource"),
    ("m_switch", "eqspice_switch"),
    ("m_diode", "eqspice_diode"),
    ("m_limiter", "eqspice_limiter"),
    ("m_vccs", "eqspice_vccs"),
    ("m_vcvs", "eqspice_vcvs"),
    ("m_product", "eqspice_product"),
    ("m_amplifier", "eqspice_amplifier"),
)


# Unknowns inside a transistor, in lower case, and the terminal whose voltage each has when no current
# flows. The simulator starts those that are not given at zero, which puts a wrong charge on the gate;
# names that it does not know it ignores.
_INTERNAL: dict[str, tuple[tuple[str, int], ...]] = {
    "bsim4": (("d_int", 0), ("s_int", 2), ("b_int", 3), ("db_int", 3), ("sb_int", 3)),
    "psp103": (("gp", 1), ("di", 0), ("si", 2), ("bp", 3), ("bi", 3), ("bs", 3), ("bd", 3)),
}

# File of the model cards of a level, mark of its comments, lines that load the model and read the cards.
_CARDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "bsim4": (MODELS, "*", ('load "spice/bsim4v8.osdi"', f'include "{MODELS}" lang=ngspice')),
    "psp103": (PSP_MODELS, "//", (f'include "{PSP_MODELS}"',)),
}


def _levels(deck: Deck) -> list[str]:
    """Returns the transistor models that the deck needs."""
    return sorted({mosfet.card.level for mosfet in deck.models})


def _verilog(deck: Deck) -> dict[str, Callable[[], str]]:
    """Returns the Verilog-A files that the deck loads, with what gives their text."""
    files: dict[str, Callable[[], str]] = {DEVICES: device_source}
    if "psp103" in _levels(deck):
        files[PSP] = lambda: veriloga.source("psp103.va.gz")
    return files


def _internal_initial(deck: Deck) -> list[tuple[str, float]]:
    """Returns (unknown, volts) inside the transistors where it is not zero."""
    volts = deck.start()
    found = []
    for flat, mosfet in dialects.transistors(deck.circuit):
        at = [volts[node] for node in flat.nodes]
        inside = {name: at[terminal] for name, terminal in _INTERNAL[mosfet.card.level]}
        sheet, squares = dict(mosfet.card.parameters).get("rsh", 0.0), dict(mosfet.instance)
        if "nrd" in squares and at[0] != at[2]:
            # Behind sheet resistance the channel's current makes a difference of millivolts.
            current = float(osdi.compact_model(replace(mosfet, multiplier=1.0)).evaluate([at]).current[0, 0])
            inside["d_int"] -= current * sheet * squares["nrd"]
            inside["s_int"] += current * sheet * squares["nrs"]
        name = deck.instances[flat.name]
        found += [(f"i_{name}:{unknown}", value) for unknown, value in inside.items() if value != 0.0]
    return found


def _instance(device: Device, deck: Deck) -> str | None:
    """Returns master and parameters of a device, None for sources, which stand in a file of their own."""
    match device:
        case Resistor(resistance=r):
            return f"m_resistor r={number(r)}"
        case Capacitor(capacitance=c):
            return f"m_capacitor c={number(c)}"
        case Diode():
            law = [dialects.thermal_voltage(device), dialects.line_voltage(device)]
            return (
                f"m_diode isat={number(device.saturation_current)} vt={number(law[0])} vline={number(law[1])}"
            )
        case Switch():
            off = "blocking=1" if np.isinf(device.off_resistance) else f"roff={number(device.off_resistance)}"
            levels = f"von={number(device.v_on)} voff={number(device.v_off)}"
            return f"m_switch {levels} ron={number(device.on_resistance)} {off}"
        case SoftLimiter():
            levels = f"low={number(device.low)} high={number(device.high)}"
            return f"m_limiter {levels} vs={number(device.softness)} r={number(device.on_resistance)}"
        case VoltageControlledCurrentSource(transconductance=gm):
            return f"m_vccs gm={number(gm)}"
        case VoltageControlledVoltageSource(gain=gain, output_resistance=r, offset=offset):
            return f"m_vcvs gain={number(gain)} rout={number(r)}{_offset(offset)}"
        case Product(gain=gain, offset=offset, output_resistance=r):
            return f"m_product gain={number(gain)} offset={number(offset)} rout={number(r)}"
        case BidirectionalAmplifier(gain=gain, back_gain=back, output_resistance=r, offset=offset):
            gains = f"gain={number(gain)} back_gain={number(back)}"
            return f"m_amplifier {gains} rout={number(r)}{_offset(offset)}"
        case Mosfet():
            return f"m_{deck.models[dialects.model_key(device)]} {instance_text(device, 'vacask')}"
    return None


def _offset(offset: float) -> str:
    return f" offset={number(offset)}" if offset else ""


def _formulas(deck: Deck) -> list[str]:
    """Returns the lines of the behavioural sources, which VACASK compiles to Verilog-A by itself."""
    lines: list[str] = []
    for flat in deck.circuit.devices:
        if behavioural.is_behavioural(flat.device):
            lines += behavioural.behavioural(flat.device, deck.instances[flat.name], deck.at(flat))
    return lines


def device_source() -> str:
    """Returns the Verilog-A text of our device kinds."""
    return resources.files("eqspice.engines.spice").joinpath("devices.va").read_text(encoding="utf-8")
