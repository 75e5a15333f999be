"""Differential synapses: currents between a pair of row rails and a column, set by two gates.

Every core has the ports mem_p, mem_n (the two storage voltages), rp, rn (row rails at the common mode
plus and minus the row's signal), cp, cn (the column's two wires) and common. A weight is half the
difference of its storage voltages; a positive one raises the column for a positive row. A core that drives
cp alone belongs to a column of a single wire, whose cn is held at the common mode.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from eqspice.cells.switch import SwitchDesign
from eqspice.cells.synapse import FetFactory
from eqspice.circuit import (
    GROUND,
    Capacitor,
    Instance,
    Mosfet,
    SoftLimiter,
    Subcircuit,
    VoltageControlledVoltageSource,
)

CORE_PORTS = ("mem_p", "mem_n", "rp", "rn", "cp", "cn", "common")
STORAGE_PORTS = ("wwl", "blp", "bln", "mem_p", "mem_n")
WRITE_WIDTH, WRITE_LENGTH = 0.42e-6, 0.35e-6  # m, gate of a write transistor
LIMIT_SOFTNESS = 5e-3  # V
LIMIT_RESISTANCE = 1e5  # ohm
LIMIT_RAILS = ("ceiling", "floor")
NEVER = 10.0  # V: the other bound of a clamp that has one


@dataclass(frozen=True)
class DifferentialSynapse:
    """What a network must know of a differential synapse.

    Attributes:
        build: (fets, storage capacitance in F) -> subcircuit with CORE_PORTS.
        description: one line.
        columns: "pair", or "single" if it drives cp alone.
        stores: whether the core has the storage capacitors itself; its gates then follow the signals, and
            their range is not clamped.
    """

    build: Callable[[FetFactory, float], Subcircuit]
    description: str
    columns: Literal["pair", "single"] = "pair"
    stores: bool = False


def four_nfet(fets: FetFactory, capacitance: float) -> Subcircuit:
    """Four low-threshold nfets on a common substrate: rp to cp and rn to cn at mem_p, crosswise at mem_n.

    In the triode region each carries k (V_gate - V_t) u - k (V_d² - V_s²) / 2 for a drop u; the quadratic
    parts of the two FETs on a column add up to a common-mode current, and the difference of the two
    columns' currents is k [(mem_p + mem_n - 2 V_t') (-2 v) + (mem_p - mem_n) 2 a] for a row ±a and a column
    ±v about the common mode. It derives from one co-content, so the cell is reciprocal.

    Args:
        fets: makes FETs of the kit.
        capacitance: unused: stored beside the core.
    """
    nfet = fets("nfet_lvt")
    paths = (
        ("direct_p", "cp", "mem_p", "rp"),
        ("direct_n", "cn", "mem_p", "rn"),
        ("cross_p", "cp", "mem_n", "rn"),
        ("cross_n", "cn", "mem_n", "rp"),
    )
    instances = tuple(
        Instance(name, nfet, (drain, gate, source, GROUND), "cells.four_nfet")
        for name, drain, gate, source in paths
    )
    return Subcircuit("synapse_four_nfet", CORE_PORTS, instances)


def _pair_of_nfets(fets: FetFactory, origin: str) -> tuple[Instance, Instance]:
    nfet = fets("nfet_lvt")
    return (
        Instance("direct", nfet, ("cp", "mem_p", "rp", GROUND), origin),
        Instance("cross", nfet, ("cp", "mem_n", "rn", GROUND), origin),
    )


def two_nfet(fets: FetFactory, capacitance: float) -> Subcircuit:
    """Two low-threshold nfets into a single wire: rp at mem_p, rn at mem_n. Not reciprocal.

    The quadratic parts of the two add up to -k a² on the column, whose derivative by a has no counterpart
    backward.

    Args:
        fets: makes FETs of the kit.
        capacitance: unused: stored beside the core.
    """
    return Subcircuit("synapse_two_nfet", CORE_PORTS, _pair_of_nfets(fets, "cells.two_nfet"))


def split_nfet(fets: FetFactory, capacitance: float) -> Subcircuit:
    """As two_nfet, but each storage capacitor is split half to its FET's row rail and half to the column.

    A gate then follows the mean of source and drain, and the quadratic part vanishes.

    Args:
        fets: makes FETs of the kit.
        capacitance: of each storage node, farad.
    """
    origin = "cells.split_nfet"
    half = Capacitor(0.5 * capacitance)
    stores = tuple(
        Instance(f"store_{name}", half, nodes, origin)
        for name, nodes in (
            ("p_row", ("mem_p", "rp")),
            ("p_column", ("mem_p", "cp")),
            ("n_row", ("mem_n", "rn")),
            ("n_column", ("mem_n", "cp")),
        )
    )
    return Subcircuit("synapse_split_nfet", CORE_PORTS, (*_pair_of_nfets(fets, origin), *stores))


def complementary(fets: FetFactory, capacitance: float) -> Subcircuit:
    """A low-threshold nfet from rp and pfet from rn into a single wire, each with its bulk at its rail.

    The nfet's gate is mem_p; the pfet's is mem_n mirrored at the common mode by an ideal inverter, so
    that both gates rise with the weight: the quadratic parts of n and p have opposite signs.

    Args:
        fets: makes FETs of the kit.
        capacitance: unused: stored beside the core.
    """
    origin = "cells.complementary"
    mirror = VoltageControlledVoltageSource(-1.0, 1.0)
    instances = (
        Instance("mirror", mirror, ("gate", "common", "mem_n", "common"), origin),
        Instance("direct", fets("nfet_lvt"), ("cp", "mem_p", "rp", "rp"), origin),
        Instance("cross", fets("pfet_lvt"), ("cp", "gate", "rn", "rn"), origin),
    )
    return Subcircuit("synapse_complementary", CORE_PORTS, instances)


def storage_pair(
    switch: SwitchDesign | Mosfet,
    capacitance: float,
    centre: float = 0.0,
    limit: float = 0.0,
    rails: bool = False,
) -> Subcircuit:
    """Two storage capacitors with their write switches, and clamps of the gates' range.

    A clamp never ends: a gate that was pushed against it creeps back by its softness over and over, as long
    again each time. Where this would hide what an update is made of, the clamps are tied to rails, the ports
    ceiling and floor, that stand at the limits in the update only and apart otherwise.

    A p-channel write transistor has its bulk on a port of its own, well, and writes while wwl is low. It is
    off at the level of the well, above all storage voltages; it leaks and injects charge as its model says.

    Args:
        switch: the write switches, or the write transistor.
        capacitance: of each storage node, farad; 0 if the core stores.
        centre: middle of the gates' range, V.
        limit: the gates stay within centre ± limit, V; 0 for no clamp.
        rails: the gates stay between the ports ceiling and floor instead.
    """
    origin = "cells.storage_pair"
    instances = []
    for line, node in (("blp", "mem_p"), ("bln", "mem_n")):
        name = f"write_{node[-1]}"
        if isinstance(switch, Mosfet):
            instances.append(Instance(name, switch, (node, "wwl", line, "well"), origin))
        else:
            instances.append(switch.instance(name, line, node, "wwl", origin))
        if capacitance > 0.0:
            instances.append(Instance(f"store_{node[-1]}", Capacitor(capacitance), (node, GROUND), origin))
        if rails:
            for rail, low, high in zip(LIMIT_RAILS, (-NEVER, 0.0), (0.0, NEVER), strict=True):
                clamp = SoftLimiter(low, high, LIMIT_SOFTNESS, LIMIT_RESISTANCE)
                instances.append(Instance(f"limit_{node[-1]}_{rail}", clamp, (node, rail), origin))
        elif limit > 0.0:
            clamp = SoftLimiter(centre - limit, centre + limit, LIMIT_SOFTNESS, LIMIT_RESISTANCE)
            instances.append(Instance(f"limit_{node[-1]}", clamp, (node, GROUND), origin))
    parameters = (("capacitance", capacitance), ("centre", centre))
    ports = STORAGE_PORTS + ("well",) * isinstance(switch, Mosfet) + LIMIT_RAILS * rails
    return Subcircuit("storage_pair", ports, tuple(instances), parameters)


def write_transistor(fets: FetFactory) -> Mosfet:
    """Returns a small low-threshold p-channel transistor: it passes all levels of the storage nodes whole."""
    return fets("pfet_lvt", WRITE_WIDTH, WRITE_LENGTH)


DIFFERENTIAL_SYNAPSES: dict[str, DifferentialSynapse] = {
    "four_nfet": DifferentialSynapse(
        four_nfet, "four low-threshold nfets, crosswise (double-MOSFET method): reciprocal"
    ),
    "complementary": DifferentialSynapse(
        complementary, "low-threshold nfet and pfet, bulk at their rails: reciprocal", "single"
    ),
    "split_nfet": DifferentialSynapse(
        split_nfet,
        "two low-threshold nfets, gates follow source and drain: nearly reciprocal",
        "single",
        True,
    ),
    "two_nfet": DifferentialSynapse(
        two_nfet, "two low-threshold nfets, gates against ground: not reciprocal, the control", "single"
    ),
}
