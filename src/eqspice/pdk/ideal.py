"""A square-law FET in closed form, for first looks at a circuit and for proofs. It exists in no process.

With p = +1 (n) or -1 (p), x = p (V_g - V_s) - V_t, y = p (V_g - V_d) - V_t (overdrives of the two
ends), u = p (V_d - V_s), and a smooth rectifier of width 2 n V_T, f(x) = s ln(1 + exp(x / s)) with
s = 2 n V_T, which turns the square law into an exponential below threshold:

    I_d = p (K/2) (W/L) [f(x)^2 - f(y)^2] [1 + lambda sqrt(u^2 + s^2)]

Exchanging drain and source changes the sign of I_d and nothing else; all derivatives are
continuous. With s -> 0 it is the textbook law: (K/2)(W/L) x^2 in saturation, K (W/L) (x - u/2) u in
the triode region. Gate charge (constant capacitances, half of the oxide on each side):

    Q_g = C (V_g - V_s) + C (V_g - V_d),  Q_d = -C (V_g - V_d),  Q_s = -C (V_g - V_s),  Q_b = 0
    C = c_ox W L / 2 + c_ov W

The bulk carries neither current nor charge.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from eqspice.circuit.devices import ModelCard, Mosfet
from eqspice.errors import InputError, unknown
from eqspice.jit import kernel
from eqspice.pdk.osdi import Evaluation

POLARITIES = ("n", "p")
PARAMETERS = ("polarity", "beta", "vt", "lambda", "softness", "cgs")
"""Order of the numbers in `parameter_row`."""

_BOLTZMANN_OVER_CHARGE = 8.617333262e-5


def mosfet(
    polarity: str | int,
    width: float,
    length: float,
    threshold: float = 0.4,
    transconductance: float = 2e-4,
    channel_length_modulation: float = 0.0,
    *,
    slope_factor: float = 1.3,
    oxide_capacitance: float = 8e-3,
    overlap_capacitance: float = 2.5e-10,
    temperature: float = 27.0,
    multiplier: float = 1.0,
) -> Mosfet:
    """Returns a square-law FET.

    Args:
        polarity: "n" or "p" (+1 or -1).
        width: in metres.
        length: in metres.
        threshold: V_t in volts, positive for an enhancement device of either polarity.
        transconductance: K in A/V^2.
        channel_length_modulation: lambda in 1/V.
        slope_factor: n of the exponential below threshold; 0 gives the sharp textbook law.
        oxide_capacitance: c_ox in F/m^2.
        overlap_capacitance: c_ov in F/m, each side.
        temperature: degrees Celsius; it sets the slope below threshold only.
        multiplier: number of devices in parallel.
    """
    sign = {"n": 1, "p": -1, 1: 1, -1: -1}.get(polarity)
    if sign is None:
        raise unknown("polarity", polarity, POLARITIES)
    for name, value in (("width", width), ("length", length), ("transconductance", transconductance)):
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"{name}: {value:g} is not allowed, it must be positive.")
    for name, value in (
        ("channel_length_modulation", channel_length_modulation),
        ("slope_factor", slope_factor),
        ("oxide_capacitance", oxide_capacitance),
        ("overlap_capacitance", overlap_capacitance),
    ):
        if not (math.isfinite(value) and value >= 0):
            raise InputError(f"{name}: {value:g} is not allowed, it must be zero or positive.")
    if not (math.isfinite(temperature) and temperature > -273.15):
        raise InputError(f"temperature: {temperature:g} degrees Celsius is not allowed.")
    parameters = {
        "kp": transconductance,
        "vt": threshold,
        "lambda": channel_length_modulation,
        "n": slope_factor,
        "cox": oxide_capacitance,
        "cov": overlap_capacitance,
    }
    card = ModelCard(
        name=f"ideal_{'n' if sign > 0 else 'p'}fet",
        level="square_law",
        polarity=sign,
        parameters=tuple(sorted(parameters.items())),
        provenance="square law, no process",
    )
    return Mosfet(card, width, length, multiplier, temperature)


def parameter_row(device: Mosfet) -> np.ndarray:
    """Returns the numbers `square_law` needs, float64 (6,): see PARAMETERS; multiplier included."""
    if device.card.level != "square_law":
        raise InputError(f"model card {device.card.name}: level {device.card.level!r} is not square_law.")
    p = dict(device.card.parameters)
    softness = 2.0 * p["n"] * _BOLTZMANN_OVER_CHARGE * (device.temperature + 273.15)
    beta = p["kp"] * device.width / device.length * device.multiplier
    area = device.width * device.length
    capacitance = (0.5 * p["cox"] * area + p["cov"] * device.width) * device.multiplier
    row = [device.card.polarity, beta, p["vt"], p["lambda"], softness, capacitance]
    return np.array(row, dtype=np.float64)


@kernel(nogil=True)
def _rectify(x: float, s: float) -> tuple[float, float]:
    """Returns f(x) = s ln(1 + exp(x/s)) and f'(x); max(x, 0) for s = 0."""
    if s == 0.0:
        return (x, 1.0) if x > 0.0 else (0.0, 0.0)
    z = x / s
    if z > 0.0:
        e = math.exp(-z)
        return x + s * math.log1p(e), 1.0 / (1.0 + e)
    e = math.exp(z)
    return s * math.log1p(e), e / (1.0 + e)


@kernel(nogil=True)
def square_law(row: np.ndarray, vgs: float, vds: float, out: np.ndarray) -> None:
    """Evaluates the FET; out is filled as by `tables_kernel.table_evaluate`.

    Args:
        row: `parameter_row` of the device.
        vgs: gate to source voltage in volts.
        vds: drain to source voltage in volts.
        out: receives I_d, dI_d/dV_gs, dI_d/dV_ds, then Q_g, Q_d and I_g with their derivatives (12,).
    """
    p, beta, vt, modulation, s, c = row[0], row[1], row[2], row[3], row[4], row[5]
    u = p * vds
    fx, gx = _rectify(p * vgs - vt, s)
    fy, gy = _rectify(p * vgs - u - vt, s)
    root = math.sqrt(u * u + s * s)
    stretch = 1.0 + modulation * root
    bend = modulation * u / root if root > 0.0 else 0.0
    square = fx * fx - fy * fy
    out[0] = p * 0.5 * beta * square * stretch
    out[1] = beta * (fx * gx - fy * gy) * stretch
    out[2] = beta * (fy * gy * stretch + 0.5 * square * bend)
    out[3] = c * (2.0 * vgs - vds)
    out[4] = 2.0 * c
    out[5] = -c
    out[6] = -c * (vgs - vds)
    out[7] = -c
    out[8] = c
    out[9] = 0.0
    out[10] = 0.0
    out[11] = 0.0


@kernel(nogil=True)
def _square_law_many(row: np.ndarray, vgs: np.ndarray, vds: np.ndarray, out: np.ndarray) -> None:
    for k in range(vgs.shape[0]):
        square_law(row, vgs[k], vds[k], out[k])


def evaluate(device: Mosfet, v: ArrayLike) -> Evaluation:
    """Returns currents and charges of a square-law FET at N points.

    Args:
        device: made by `mosfet`.
        v: terminal voltages in volts (N, 4), order d, g, s, b.
    """
    points = np.atleast_2d(np.asarray(v, dtype=np.float64))
    if points.shape[1] != 4:
        raise InputError(f"v: shape {np.shape(v)} is not (N, 4).")
    out = np.empty((len(points), 12))
    vgs, vds = points[:, 1] - points[:, 2], points[:, 0] - points[:, 2]
    _square_law_many(parameter_row(device), vgs, vds, out)
    by_source = {k: -out[:, k + 1] - out[:, k + 2] for k in (0, 3, 6)}
    value, slope = {}, {}
    for name, k in (("i", 0), ("g", 3), ("d", 6)):
        value[name] = out[:, k]
        slope[name] = np.stack([out[:, k + 2], out[:, k + 1], by_source[k], 0.0 * out[:, k]], axis=1)
    zero, rows = np.zeros(len(points)), np.zeros((len(points), 4))
    current = np.stack([value["i"], zero, -value["i"], zero], axis=1)
    charge = np.stack([value["d"], value["g"], -value["g"] - value["d"], zero], axis=1)
    conductance = np.stack([slope["i"], rows, -slope["i"], rows], axis=1)
    capacitance = np.stack([slope["d"], slope["g"], -slope["g"] - slope["d"], rows], axis=1)
    return Evaluation(current, charge, conductance, capacitance)
