"""Noise sources of a compiled circuit: which devices, between which nodes, with which densities."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit import (
    GROUND,
    BehaviouralVoltageSource,
    BidirectionalAmplifier,
    Capacitor,
    Diode,
    FlatDevice,
    Mosfet,
    Product,
    Resistor,
    SoftLimiter,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
)
from eqspice.engines.native.compile import Compiled
from eqspice.engines.native.noise_sources import FLICKER, Noise
from eqspice.engines.native.options import NOISE_KINDS, NativeOptions
from eqspice.errors import InputError
from eqspice.pdk import noise_tables_kernel as tables
from eqspice.pdk.noise_tables import NoiseTable, characterise_noise

FloatArray = NDArray[np.float64]

BOLTZMANN = 1.380649e-23
HIGHEST_FLICKER = 1e7
"""Hz: above it thermal noise covers flicker noise."""

_SEED = 6  # key of the random streams of noise among those of a seed
_FIRST = 0  # key of the values that slow noise starts with
_RATIO = 10.0  # between sections of flicker noise; their sum ripples by 1.4 % around the exact slope
_LOADING = (Capacitor.kind, "square", "table", "bulk", "compact")  # kinds that have capacitances
_AHEAD = 4  # times the random numbers that one pass may need
_SWEEPS = 6  # Gauss-Seidel passes over coupled capacitances


class NoiseProgram:
    """Noise sources of a circuit, for one session.

    Attributes:
        arrays: what compiled code takes; nothing in it if there is no noise.
    """

    def __init__(self, arrays: Noise, seed: int) -> None:
        self.arrays = arrays
        self._seed = seed

    def start(self, time: float, voltage: FloatArray, state: FloatArray | None) -> None:
        """Sets the random numbers for a run.

        Args:
            time: at which the run starts, s; with the seed it decides the random numbers.
            voltage: at the start, by place, V.
            state: momentary values of slow noise as `state` returned them, or None to draw them.

        Raises:
            InputError: the state is not that of this circuit.
        """
        noise = self.arrays
        if not noise.kinds.any():
            return
        bits = int(np.float64(time).view(np.uint64))
        noise.words[:] = self._sequence(1 + bits).generate_state(4, np.uint64)
        noise.used[0] = len(noise.numbers)
        noise.pending[:] = 0.0
        noise.known[:] = 1e30
        noise.looked_at[:] = 1e30
        noise.owed[0] = 0.0
        if state is None:
            rng = np.random.default_rng(self._sequence(_FIRST))
            noise.sections[:] = rng.standard_normal(noise.sections.T.shape).T
        elif np.shape(state) != noise.sections.T.shape:
            raise InputError(f"state: noise has shape {np.shape(state)}, {noise.sections.T.shape} is needed.")
        else:
            noise.sections[:] = state.T
        noise.excursion[:] = 0.0
        noise.smooth[:] = voltage
        noise.guess[:] = voltage
        noise.usual[:] = 0.0
        noise.sections_at_mark[:] = noise.sections
        noise.excursion_at_mark[:] = 0.0
        noise.smooth_at_mark[:] = voltage

    def state(self) -> FloatArray | None:
        """Returns the momentary values of slow noise, or None if there are none."""
        return self.arrays.sections.T.copy() if self.arrays.kinds[FLICKER] else None

    def _sequence(self, key: int) -> np.random.SeedSequence:
        return np.random.SeedSequence(self._seed, spawn_key=(_SEED, key))


def noise_program(compiled: Compiled, options: NativeOptions) -> NoiseProgram:
    """Returns the noise sources of a compiled circuit under the engine's options."""
    groups = compiled.devices if options.noise else {}
    parts = [part for group in groups.values() for flat in group for part in _resistive(flat)]
    place = dict(zip(compiled.node_names, map(int, compiled.places), strict=True)) | {GROUND: 0}
    ends = [(part.p, part.n) for part in parts]
    controlled = groups.get(VoltageControlledCurrentSource.kind, ())
    for kind in (Switch.kind, Diode.kind, SoftLimiter.kind):
        ends += [(flat.nodes[0], flat.nodes[1]) for flat in groups.get(kind, ())]
    for kind in ("square", "table", "bulk", "compact"):
        ends += [(flat.nodes[0], flat.nodes[2]) for flat in groups.get(kind, ())]
    fets = [flat for kind in ("table", "bulk", "compact") for flat in groups.get(kind, ())]
    known = _Tables(fets)
    rate, amplitude = _flicker_sections(options.noise_band, known.exponents)
    loaded = {node for kind in _LOADING for flat in groups.get(kind, ()) for node in flat.nodes}
    loaded |= {GROUND, *(node for node, at in place.items() if at < compiled.program.first_unknown)}
    capacitance, coupled = _capacitances(compiled)
    size, count = len(capacitance), len(ends)
    end_places = np.array([(place[p], place[n]) for p, n in ends], np.uint32).reshape(-1, 2)
    unknown = end_places >= compiled.program.first_unknown
    mirrored = np.array([part.mirror != GROUND for part in parts] + [False] * (count - len(parts)), bool)
    alone = np.flatnonzero((unknown.sum(axis=1) == 1) & ~mirrored)
    slices = np.cumsum([0, *(len(groups.get(kind, ())) for kind in ("table", "bulk", "compact"))])
    table, bulk, compact = (slice(a, b) for a, b in zip(slices[:-1], slices[1:], strict=True))
    arrays = Noise(
        kinds=np.array([kind in options.noise for kind in NOISE_KINDS]),
        highest=float(options.noise_band[1]),
        four_kt=_four_kt(options.noise_temperature),
        level=float(options.noise_level),
        ends=end_places,
        pairs=np.flatnonzero(unknown.all(axis=1) | mirrored).astype(np.uint32),
        alone=alone.astype(np.uint32),
        alone_at=end_places[alone].max(axis=1).astype(np.uint32),
        alone_p=unknown[alone, 0],
        bare=np.array([k for k, pair in enumerate(ends) if not set(pair) <= loaded], np.int32),
        conductance=np.array([part.conductance for part in parts], float),
        mirror=np.array([place[part.mirror] for part in parts], np.int32),
        mirror_gain=np.array([part.mirror_gain for part in parts], float),
        sensed=np.array([[place[node] for node in flat.nodes] for flat in controlled], np.uint32).reshape(
            -1, 4
        ),
        transconductance=np.array([_transconductance(flat) for flat in controlled], float),
        square_four_kt=np.array([_four_kt(_fet(f).temperature) for f in groups.get("square", ())], float),
        plane=known.plane,
        space=known.space,
        plane_table=known.block[table],
        space_table=known.block[bulk],
        space_polarity=known.polarity[bulk],
        compact_table=known.block[compact],
        compact_tied=known.tied[compact],
        compact_polarity=known.polarity[compact],
        capacitance=capacitance,
        sweeps=_SWEEPS if coupled else 1,
        rate=rate,
        amplitude=amplitude,
        sections=np.zeros(amplitude.shape),
        sections_at_mark=np.zeros(amplitude.shape),
        pending=np.zeros(len(rate)),
        words=np.zeros(4, np.uint64),
        numbers=np.zeros(_AHEAD * max(size, count, amplitude.size)),
        used=np.zeros(1, np.int64),
        known=np.full((len(fets), 5), 1e30),
        density=np.zeros(count),
        into_p=np.zeros(count),
        into_n=np.zeros(count),
        unit=np.zeros(len(fets)),
        steady=np.zeros(len(fets)),
        rapid=np.zeros(len(fets)),
        owed=np.zeros(1),
        looked_at=np.full(size, 1e30),
        at=np.zeros((9, size)),
        guess=np.zeros(size),
        moved=np.zeros(size),
        excursion=np.zeros((3, size)),
        smooth=np.zeros((4, size)),
        usual=np.zeros(size),
        excursion_at_mark=np.zeros((3, size)),
        smooth_at_mark=np.zeros((4, size)),
    )
    return NoiseProgram(arrays, options.noise_seed)


def _four_kt(temperature: float) -> float:
    return 4.0 * BOLTZMANN * (temperature + 273.15)


def _fet(flat: FlatDevice) -> Mosfet:
    assert isinstance(flat.device, Mosfet)
    return flat.device


class _Tables:
    """Density tables of FETs.

    Attributes:
        plane, space: blocks of densities, one per distinct transistor.
        block: of each FET; tied: whether it is one of plane.
        polarity, exponents: of each FET.
    """

    def __init__(self, fets: list[FlatDevice]) -> None:
        blocks: dict[bool, dict[Mosfet, int]] = {True: {}, False: {}}
        found: dict[bool, list[NoiseTable]] = {True: [], False: []}
        block, exponents = [], []
        self.tied = np.array([flat.nodes[2] == flat.nodes[3] for flat in fets], bool)
        for flat, tied in zip(fets, self.tied.tolist(), strict=True):
            single = replace(_fet(flat), multiplier=1.0)
            if single not in blocks[tied]:
                blocks[tied][single] = len(found[tied])
                found[tied].append(characterise_noise(single, tied))
            block.append(blocks[tied][single])
            exponents.append(found[tied][block[-1]].exponent)
        self.block = np.array(block, np.int32)
        self.exponents = np.array(exponents, float)
        self.polarity = np.array([float(_fet(flat).card.polarity) for flat in fets], float)
        self.plane = np.array([table.numbers for table in found[True]]).reshape(-1, *tables.PLANE)
        self.space = np.array([table.numbers for table in found[False]]).reshape(-1, *tables.SPACE)


def _flicker_sections(band: tuple[float, float], exponents: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Returns rates (1/s) and amplitudes of the sections that sum to 1/f^exponent within the band.

    An Ornstein-Uhlenbeck section of variance s and time constant t has the density
    4 s t / (1 + (2 pi f t)^2). Summed over time constants a factor r apart, with s proportional to
    t^(e - 1), that is 1/f^e for s = ln(r) (2 pi)^e sin(pi e / 2) / (2 pi) t^(e - 1).
    """
    low, high = band[0], max(min(band[1], HIGHEST_FLICKER), band[0])
    count = math.ceil(math.log(high / low) / math.log(_RATIO) - 1e-9) + 1
    rate: FloatArray = 2.0 * math.pi * low * _RATIO ** np.arange(float(count))
    e = exponents[:, None]
    scale = math.log(_RATIO) * (2.0 * math.pi) ** e * np.sin(0.5 * math.pi * e) / (2.0 * math.pi)
    return rate, np.ascontiguousarray(np.sqrt(scale * rate ** (1.0 - e)).T)


def _capacitances(compiled: Compiled) -> tuple[FloatArray, bool]:
    """Returns the diagonal of the linear capacitances by place, F, and whether any couples two unknowns."""
    program = compiled.program
    linear, first = program.linear, program.first_unknown
    diagonal = np.zeros(first + program.unknowns)
    rows = first + np.repeat(np.arange(program.unknowns), np.diff(linear.c_start))
    own = linear.c_column == rows
    np.add.at(diagonal, rows[own], linear.c_value[own])
    return diagonal, bool(np.any(~own & (linear.c_column >= first)))


@dataclass(frozen=True)
class Part:
    """A resistor, or what stands for one: between p and n; its current returns into mirror."""

    p: str
    n: str
    conductance: float
    mirror: str = GROUND
    mirror_gain: float = 0.0


def _resistive(flat: FlatDevice) -> list[Part]:
    """Returns the parts of a device that are resistors or stand for one."""
    device, nodes = flat.device, flat.nodes
    match device:
        case Resistor(resistance=r):
            return [Part(nodes[0], nodes[1], 1.0 / r)]
        case (
            VoltageControlledVoltageSource(output_resistance=r)
            | BehaviouralVoltageSource(output_resistance=r)
        ):
            return [Part(nodes[0], nodes[1], 1.0 / r)]
        case Product(output_resistance=r) if nodes[0] != nodes[1]:  # else it is a current source
            return [Part(nodes[0], GROUND, 1.0 / r)]
        case BidirectionalAmplifier(output_resistance=r, back_gain=b):
            # What it mirrors is the current that it delivers: its own noise counts.
            return [
                Part(nodes[1], GROUND, 1.0 / r, nodes[0], b),
                Part(nodes[2], GROUND, 1.0 / r, nodes[0], -b),
            ]
    return []


def _transconductance(flat: FlatDevice) -> float:
    assert isinstance(flat.device, VoltageControlledCurrentSource)
    return flat.device.transconductance
