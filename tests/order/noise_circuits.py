"""Circuits and runs that the tests of device noise share."""

from __future__ import annotations

import numpy as np

from eqspice.circuit import Capacitor, Circuit, Instance, Mosfet, Resistor, Stimulus, VoltageSource
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions, NativeSession
from eqspice.engines.native.noise import BOLTZMANN

FloatArray = np.ndarray
KT = BOLTZMANN * 300.15
CHARGE = 1.602176634e-19
STEP = 1e-6
FIDELITIES = ("phase", "transient")


def session(parts: list[Instance], fidelity: str, kinds: tuple[str, ...], **options: object) -> NativeSession:
    if fidelity == "transient":
        options.setdefault("exact_step", STEP)
    chosen = NativeOptions(fidelity=fidelity, noise=kinds, **options)  # type: ignore[arg-type]
    return NativeEngine(chosen).prepare(Circuit("noise", tuple(parts)))


def silence(axis: FloatArray, fidelity: str) -> Stimulus:
    """No signals, with time steps that end on the axis."""
    breakpoints = axis if fidelity == "phase" else axis[[0, -1]]
    return Stimulus(breakpoints, (), np.zeros((len(breakpoints), 0)))


def steady(
    parts: list[Instance],
    nodes: list[str],
    count: int,
    fidelity: str,
    kinds: tuple[str, ...],
    **options: object,
) -> FloatArray:
    """Voltages at the ends of `count` equal steps without signals, after 100 more, (count, nodes)."""
    step = float(options.get("exact_step", STEP))  # type: ignore[arg-type]
    axis = step * np.arange(count + 101)
    prepared = session(parts, fidelity, kinds, **options)
    found = prepared.run(silence(axis, fidelity), None, Save(tuple(nodes), axis[101:])).raise_for_status()
    return found.waveforms.values


def copies(count: int, make: object) -> list[Instance]:
    return [part for k in range(count) for part in make(k)]  # type: ignore[operator]


def network(k: int) -> list[Instance]:
    """Four capacitive nodes, two of them coupled, a node without capacitance, one that floats."""
    return [
        Instance(f"r1_{k}", Resistor(1e6), (f"a{k}", "0")),
        Instance(f"r2_{k}", Resistor(3e6), (f"a{k}", f"x{k}")),
        Instance(f"r3_{k}", Resistor(2e4), (f"x{k}", f"b{k}")),
        Instance(f"r4_{k}", Resistor(1e8), (f"x{k}", f"c{k}")),
        Instance(f"ca_{k}", Capacitor(1e-13), (f"a{k}", "0")),
        Instance(f"cb_{k}", Capacitor(3e-13), (f"b{k}", "0")),
        Instance(f"cc_{k}", Capacitor(2e-14), (f"c{k}", "0")),
        Instance(f"cab_{k}", Capacitor(2e-13), (f"a{k}", f"b{k}")),
        Instance(f"cbf_{k}", Capacitor(1e-13), (f"b{k}", f"f{k}")),
        Instance(f"cf_{k}", Capacitor(1e-13), (f"f{k}", "0")),
    ]


def biased(device: Mosfet, gate: float, load: float) -> object:
    """Transistors with their drains at half of the supply behind a load."""
    sign = device.card.polarity

    def make(k: int) -> list[Instance]:
        return [
            Instance(f"vg{k}", VoltageSource(sign * gate), (f"g{k}", "0")),
            Instance(f"vd{k}", VoltageSource(sign * 1.2), (f"s{k}", "0")),
            Instance(f"r{k}", Resistor(load), (f"s{k}", f"d{k}")),
            Instance(f"m{k}", device, (f"d{k}", f"g{k}", "0", "0")),
        ]

    return make


def decibels(got: FloatArray, expected: FloatArray) -> FloatArray:
    return 10.0 * np.log10(got / expected)
