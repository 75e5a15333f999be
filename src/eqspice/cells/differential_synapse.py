"""Differential synapses: currents between a pair of row rails and a pair of columns, set by two gates.

Every core has the ports mem_p, mem_n (the two storage voltages), rp, rn (row rails at the common mode
plus and minus the row's signal) and cp, cn (the column's two wires). A weight is half the difference of
its storage voltages; a positive one raises the column for a positive row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from eqspice.cells.switch import SwitchDesign
from eqspice.cells.synapse import FetFactory
from eqspice.circuit import GROUND, Capacitor, Instance, SoftLimiter, Subcircuit

CORE_PORTS = ("mem_p", "mem_n", "rp", "rn", "cp", "cn")
STORAGE_PORTS = ("wwl", "blp", "bln", "mem_p", "mem_n")
LIMIT_SOFTNESS = 5e-3  # V
LIMIT_RESISTANCE = 1e5  # ohm


@dataclass(frozen=True)
class DifferentialSynapse:
    """What a network must know of a differential synapse.

    Attributes:
        build: fets -> subcircuit with CORE_PORTS.
        description: one line.
    """

    build: Callable[[FetFactory], Subcircuit]
    description: str


def four_nfet(fets: FetFactory) -> Subcircuit:
    """Four low-threshold nfets on a common substrate: rp to cp and rn to cn at mem_p, crosswise at mem_n.

    In the triode region each carries k (V_gate - V_t) u - k (V_d² - V_s²) / 2 for a drop u; the quadratic
    parts of the two FETs on a column add up to a common-mode current, and the difference of the two
    columns' currents is k [(mem_p + mem_n - 2 V_t') (-2 v) + (mem_p - mem_n) 2 a] for a row ±a and a column
    ±v about the common mode. It derives from one co-content, so the cell is reciprocal.

    Args:
        fets: makes FETs of the kit.
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


def storage_pair(
    switch: SwitchDesign, capacitance: float, centre: float = 0.0, limit: float = 0.0
) -> Subcircuit:
    """Two storage capacitors with their write switches, and clamps of the gates' range.

    Args:
        switch: the write switches.
        capacitance: of each storage node, farad.
        centre: middle of the gates' range, V.
        limit: the gates stay within centre ± limit, V; 0 for no clamp.
    """
    origin = "cells.storage_pair"
    instances = []
    for line, node in (("blp", "mem_p"), ("bln", "mem_n")):
        instances.append(switch.instance(f"write_{node[-1]}", line, node, "wwl", origin))
        instances.append(Instance(f"store_{node[-1]}", Capacitor(capacitance), (node, GROUND), origin))
        if limit > 0.0:
            clamp = SoftLimiter(centre - limit, centre + limit, LIMIT_SOFTNESS, LIMIT_RESISTANCE)
            instances.append(Instance(f"limit_{node[-1]}", clamp, (node, GROUND), origin))
    parameters = (("capacitance", capacitance), ("centre", centre))
    return Subcircuit("storage_pair", STORAGE_PORTS, tuple(instances), parameters)


DIFFERENTIAL_SYNAPSES: dict[str, DifferentialSynapse] = {
    "four_nfet": DifferentialSynapse(
        four_nfet, "four low-threshold nfets, crosswise (double-MOSFET method): reciprocal"
    ),
}
