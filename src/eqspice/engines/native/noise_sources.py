"""Noise densities, conductances and capacitances of every device at its last evaluation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from eqspice.jit import kernel
from eqspice.pdk.noise_tables_kernel import plane_noise, space_noise

FloatArray = NDArray[np.float64]
IndexArray = NDArray[np.uint32]
IntArray = NDArray[np.int32]

ELEMENTARY_CHARGE = 1.602176634e-19
THERMAL, FLICKER, SHOT = 0, 1, 2  # places in Noise.kinds
SAME_STATE = 5e-3  # V: FETs are not looked at while no node has moved by more
SAME_BIAS = 20e-3  # V: a FET that has moved less keeps its densities, relative to conductance and current
_LEAST_CONDUCTANCE = 1e-15  # S, of a channel


class Noise(NamedTuple):
    """Noise sources of a compiled circuit, and what changes from step to step.

    Devices stand in the order resistive parts, switches, diodes, limiters, square-law, table, bulk and
    compact FETs: D in all, the last F of them with flicker noise.

    Attributes:
        kinds: whether there is thermal, flicker and shot noise.
        highest: band limit, Hz; may be infinite.
        four_kt: 4 k T of parts without a temperature of their own, J.
        level: factor on the amplitude of all noise.
        ends: p and n of each device (drain and source), shape (D, 2).
        pairs: devices between two unknown nodes, or whose current is mirrored.
        alone: other devices with one unknown end: their white noise adds up there; alone_at: its place;
            alone_p: whether it is p.
        bare: devices with an end that has neither a capacitor nor a FET.
        conductance: of the resistive parts, S.
        mirror: place into which an amplifier output's current returns, 0 for other resistive parts;
            mirror_gain: how much of it.
        sensed: p, n, cp, cn of each voltage-controlled current source; transconductance: in S.
        square_four_kt: 4 k T of each square-law FET, J.
        plane, space: densities of FETs with bulk tied to source and of others, one block per transistor.
        plane_table: block of each table FET.
        space_table: block of each bulk FET; space_polarity: its polarity.
        compact_table, compact_tied, compact_polarity: of each compact-model FET.
        capacitance: diagonal of the linear capacitances, by place, F.
        sweeps: passes over the nodes to sample voltages of coupled capacitances.
        rate: of each section of flicker noise, 1/s, shape (K,).
        amplitude: standard deviation of each section for a density of 1/f^exponent, shape (K, F).
        sections: momentary values of unit variance, shape (K, F); sections_at_mark: at the last mark.
        pending: time that each section has not been moved by yet, s, shape (K,).
        words: state of the random numbers, shape (4,); numbers: normal ones drawn ahead; used: how many of
            them, shape (1,).
        known: per FET with flicker noise: three voltages of its last look-up, white density over channel
            conductance, and flicker current at 1 Hz over drain current, shape (F, 5).
        density, into_p, into_n: per device: white density in A^2/Hz, current from p to n by V(p) and minus
            that by V(n) in S.
        unit, steady, rapid: per FET: flicker current of unit amplitude, A, what lasts longer than a step,
            A, and the variance of what does not, A^2.
        owed: time of steps whose noise has been put off, s, shape (1,).
        looked_at: voltages at which the FETs were last looked at, by place, V.
        at: per place: white density, conductance and capacitance of the node, then steps per time
            constant, the sampled noise voltage, the share of white noise that a node without capacitance
            can show, then density, conductance and rapid flicker noise of the devices alone there, shape
            (9, places).
        guess: voltages to start the next step from: fast nodes before this noise, V.
        moved: charge that the last noise has moved, by place, C.
        excursion: charges that noise has moved and the circuit, linear about its way, has not forgotten:
            one step ago, two steps ago, and after this one without its own noise, C, shape (3, places).
        smooth: voltages without that excursion now and one, two, three steps ago, V, shape (4, places).
        usual: root of the mean square of the last moves by noise, by place, V.
        excursion_at_mark, smooth_at_mark: the same at the last mark.
    """

    kinds: NDArray[np.bool_]
    highest: float
    four_kt: float
    level: float
    ends: IndexArray
    pairs: IndexArray
    alone: IndexArray
    alone_at: IndexArray
    alone_p: NDArray[np.bool_]
    bare: IntArray
    conductance: FloatArray
    mirror: IntArray
    mirror_gain: FloatArray
    sensed: IndexArray
    transconductance: FloatArray
    square_four_kt: FloatArray
    plane: FloatArray
    space: FloatArray
    plane_table: IntArray
    space_table: IntArray
    space_polarity: FloatArray
    compact_table: IntArray
    compact_tied: NDArray[np.bool_]
    compact_polarity: FloatArray
    capacitance: FloatArray
    sweeps: int
    rate: FloatArray
    amplitude: FloatArray
    sections: FloatArray
    sections_at_mark: FloatArray
    pending: FloatArray
    words: NDArray[np.uint64]
    numbers: FloatArray
    used: NDArray[np.int64]
    known: FloatArray
    density: FloatArray
    into_p: FloatArray
    into_n: FloatArray
    unit: FloatArray
    steady: FloatArray
    rapid: FloatArray
    owed: FloatArray
    looked_at: FloatArray
    at: FloatArray
    guess: FloatArray
    moved: FloatArray
    excursion: FloatArray
    smooth: FloatArray
    usual: FloatArray
    excursion_at_mark: FloatArray
    smooth_at_mark: FloatArray


@kernel(inline="always")
def two_terminal_sources(program, work, noise):  # type: ignore[no-untyped-def]
    """Densities and conductances of resistive parts, switches, diodes and limiters; returns their number."""
    thermal = noise.four_kt if noise.kinds[THERMAL] else 0.0
    shot = 2.0 * ELEMENTARY_CHARGE if noise.kinds[SHOT] else 0.0
    k = 0
    for i in range(len(noise.conductance)):
        g = noise.conductance[i]
        noise.density[k], noise.into_p[k], noise.into_n[k] = thermal * g, g, g
        k += 1
    for i in range(len(program.switches.log_on)):
        g = work.switch_conductance[i]
        noise.density[k], noise.into_p[k], noise.into_n[k] = thermal * g, g, g
        k += 1
    for i in range(len(program.diodes.v_line)):
        # Two independent streams of charges: I + Is forward, Is backward.
        carried = work.diode[i, 1] + 2.0 * program.diodes.saturation_current[i]
        g = work.diode[i, 2]
        noise.density[k], noise.into_p[k], noise.into_n[k] = shot * max(carried, 0.0), g, g
        k += 1
    for i in range(len(program.limiters.low)):
        g = work.limiter[i, 2]
        noise.density[k], noise.into_p[k], noise.into_n[k] = thermal * g, g, g
        k += 1
    return k


@kernel(inline="always")
def three_terminal_sources(program, work, noise, k):  # type: ignore[no-untyped-def]
    """The same of square-law and table FETs, with flicker currents and capacitances of the latter."""
    thermal, flicker = noise.kinds[THERMAL], noise.kinds[FLICKER]
    capacitance = noise.at[2]
    for i in range(len(program.square_fets.nodes)):
        row, parameters = work.square_fet[i], program.square_fets.parameters[i]
        _add_capacitance(program.square_fets.nodes[i], row, capacitance)
        source = _overdrive(parameters, row[0])
        drain = _overdrive(parameters, row[0] - row[1])
        # Channel noise of the square law: 2/3 of the sum of squares over the sum (van der Ziel 1986).
        charge = source + drain
        g = 0.0
        if charge > 0.0:
            g = 2.0 / 3.0 * parameters[1] * (charge * charge - source * drain) / charge
        noise.density[k] = noise.square_four_kt[i] * g if thermal else 0.0
        noise.into_p[k], noise.into_n[k] = row[4], row[3] + row[4]
        k += 1
    first = len(noise.density) - len(noise.steady)
    density, into_p, into_n, unit = noise.density, noise.into_p, noise.into_n, noise.unit
    known, cache, nodes = noise.known, work.table_fet, program.table_fets.nodes
    for i in range(len(nodes)):
        row, seen = cache[i], known[k - first]
        _add_capacitance(nodes[i], row, capacitance)
        g = max(row[4], row[3] + row[4], _LEAST_CONDUCTANCE)
        if _moved(seen, row[0], row[1], 0.0):
            m = program.table_fets.multiplier[i]
            white, ratio = plane_noise(noise.plane[noise.plane_table[i]], row[0], row[1])
            seen[3], seen[4] = m * white / g, math.sqrt(ratio / m)
        density[k] = seen[3] * g if thermal else 0.0
        unit[k - first] = row[2] * seen[4] if flicker else 0.0
        into_p[k], into_n[k] = row[4], row[3] + row[4]
        k += 1
    return k


@kernel(inline="always")
def _moved(known, x, y, z):  # type: ignore[no-untyped-def]
    """Whether a FET has left the voltages of its last look-up; if so, notes the new ones."""
    if abs(x - known[0]) < SAME_BIAS and abs(y - known[1]) < SAME_BIAS and abs(z - known[2]) < SAME_BIAS:
        return False
    known[0], known[1], known[2] = x, y, z
    return True


@kernel(inline="always")
def _add_capacitance(nodes, row, capacitance):  # type: ignore[no-untyped-def]
    capacitance[nodes[0]] += row[10]
    capacitance[nodes[1]] += row[6]
    capacitance[nodes[2]] += row[6] + row[7] + row[9] + row[10]


@kernel(inline="always")
def _overdrive(parameters, gate):  # type: ignore[no-untyped-def]
    """Smooth overdrive of one end of a square-law channel, V."""
    x, softness = parameters[0] * gate - parameters[2], parameters[4]
    if softness == 0.0 or x > 40.0 * softness:
        return max(x, 0.0)
    return softness * math.log1p(math.exp(max(x / softness, -40.0)))


@kernel(inline="always")
def four_terminal_sources(program, work, noise, k):  # type: ignore[no-untyped-def]
    """The same of three-axis table FETs and of compact-model FETs."""
    thermal, flicker = noise.kinds[THERMAL], noise.kinds[FLICKER]
    capacitance = noise.at[2]
    first = len(noise.density) - len(noise.steady)
    density, into_p, into_n, unit = noise.density, noise.into_p, noise.into_n, noise.unit
    known, cache, nodes = noise.known, work.bulk_fet, program.bulk_fets.nodes
    for i in range(len(nodes)):
        row, seen = cache[i], known[k - first]
        capacitance[nodes[i, 0]] += row[16]
        capacitance[nodes[i, 1]] += row[13]
        capacitance[nodes[i, 2]] += row[22]
        g = max(row[4], -row[6], _LEAST_CONDUCTANCE)
        if _moved(seen, row[0], row[1], row[2]):
            block, m = noise.space[noise.space_table[i]], program.bulk_fets.multiplier[i]
            white, ratio = space_noise(block, noise.space_polarity[i], row[0], row[1], row[2])
            seen[3], seen[4] = m * white / g, math.sqrt(ratio / m)
        density[k] = seen[3] * g if thermal else 0.0
        unit[k - first] = row[3] * seen[4] if flicker else 0.0
        into_p[k], into_n[k] = row[4], -row[6]
        k += 1
    for i in range(len(program.compact_fets.context)):
        row, m = work.compact_fet[i], program.compact_fets.multiplier[i]
        for t in range(3):
            capacitance[program.compact_fets.nodes[i, t]] += row[28 + 5 * t]
        if noise.compact_tied[i]:
            block = noise.plane[noise.compact_table[i]]
            white, ratio = plane_noise(block, row[1] - row[2], row[0] - row[2])
        else:
            block, polarity = noise.space[noise.compact_table[i]], noise.compact_polarity[i]
            b = row[3]
            white, ratio = space_noise(block, polarity, row[0] - b, row[1] - b, row[2] - b)
        noise.density[k] = m * white if thermal else 0.0
        noise.unit[k - first] = row[4] * math.sqrt(ratio / m) if flicker else 0.0
        noise.into_p[k], noise.into_n[k] = row[12], -row[14]
        k += 1
