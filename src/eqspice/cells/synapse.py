"""Synapses: a storage capacitor whose voltage sets the current from a row into a column.

Every synapse has the ports wwl, wbl (write word line, write bit line), inp, inn (the row's two
rails) and out (the column), and the storage node mem.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from eqspice.cells.switch import SwitchDesign
from eqspice.circuit import GROUND, Capacitor, Instance, Mosfet, Product, Resistor, Subcircuit

UNUSED = 1e12  # ohm, to ground from a rail that a cell does not need
PORTS = ("wwl", "wbl", "inp", "inn", "out")
STORAGE = "mem"


class FetFactory(Protocol):
    """Makes FETs of the design's process."""

    def __call__(
        self, role: str, width: float | None = None, length: float | None = None, multiplier: float = 1.0
    ) -> Mosfet:
        """Returns a FET.

        Args:
            role: one of `pdk.roles.ROLES`; or a model of the kit, with width and length.
            width: of the gate, m; None for that with which the kit draws the role.
            length: of the gate, m; None as for width.
            multiplier: devices in parallel.
        """
        ...


@dataclass(frozen=True)
class SynapseKind:
    """What a network must know of a synapse.

    Attributes:
        build: (fets, switch, capacitance in F, multiplier) -> subcircuit with PORTS.
        update_sign: +1 if a higher storage voltage raises the column for a positive row, else -1.
        description: one line.
    """

    build: Callable[[FetFactory, SwitchDesign, float, float], Subcircuit]
    update_sign: float
    description: str


def _storage(switch: SwitchDesign, capacitance: float, origin: str) -> tuple[Instance, Instance]:
    return (
        switch.instance("write", "wbl", STORAGE, "wwl", origin),
        Instance("store", Capacitor(capacitance), (STORAGE, GROUND), origin),
    )


def synapse_cmos(fets: FetFactory, switch: SwitchDesign, capacitance: float, multiplier: float) -> Subcircuit:
    """The reference synapse: a 2T1C cell whose read transistor is a common-source CMOS amplifier.

    The pfet pulls the column to the row's positive rail, the nfet to its negative rail; both gates
    are the storage node. A higher storage voltage therefore weighs more negatively.

    Args:
        fets: makes FETs of the kit.
        switch: the write switch.
        capacitance: storage capacitance in farad.
        multiplier: parallel transistors of each kind.
    """
    origin = "cells.synapse_cmos"
    pfet = fets("pfet", multiplier=multiplier)
    nfet = fets("nfet", multiplier=multiplier)
    instances = (
        *_storage(switch, capacitance, origin),
        Instance("pfet", pfet, ("out", STORAGE, "inp", "inp"), origin),
        Instance("nfet", nfet, ("out", STORAGE, "inn", "inn"), origin),
    )
    return Subcircuit(
        "synapse_cmos", PORTS, instances, (("capacitance", capacitance), ("multiplier", multiplier))
    )


def synapse_read_nfet(
    fets: FetFactory, switch: SwitchDesign, capacitance: float, multiplier: float
) -> Subcircuit:
    """The plain 2T1C cell: the reference synapse without its pfet.

    The nfet pulls the column towards the row's negative rail, its source: a higher storage voltage weighs
    more negatively, and the column needs a pull to a supply. Once the column is well above that rail the
    nfet saturates. Then the row still drives the column, but the column hardly drives the row, and little
    of the error reaches the layer before.

    Args:
        fets: makes FETs of the kit.
        switch: the write switch.
        capacitance: storage capacitance in farad.
        multiplier: parallel transistors.
    """
    origin = "cells.synapse_read_nfet"
    nfet = fets("nfet", multiplier=multiplier)
    instances = (
        *_storage(switch, capacitance, origin),
        Instance("read", nfet, ("out", STORAGE, "inn", "inn"), origin),
        Instance("unused", Resistor(UNUSED), ("inp", GROUND), origin),
    )
    return Subcircuit(
        "synapse_read_nfet", PORTS, instances, (("capacitance", capacitance), ("multiplier", multiplier))
    )


CONDUCTANCE_UNIT = 1e-4  # S per volt of storage voltage
CONDUCTANCE_CENTRE = 1.0  # V: storage voltages lie within +- this


def synapse_conductance(
    fets: FetFactory, switch: SwitchDesign, capacitance: float, multiplier: float
) -> Subcircuit:
    """A programmable linear conductance pair, the memristor baseline (Kendall et al. 2020).

    Conductance k (w0 + w) to the positive rail and k (w0 - w) to the negative one, with w the storage
    voltage, w0 = 1 V and k = 100 uS/V. Each conductance is made of two multipliers, one at each end,
    so that it is reciprocal.

    Args:
        fets: unused: no transistors.
        switch: the write switch.
        capacitance: storage capacitance in farad.
        multiplier: scales the conductance.
    """
    origin = "cells.synapse_conductance"
    instances = list(_storage(switch, capacitance, origin))
    unit = CONDUCTANCE_UNIT * multiplier
    for rail, sign in (("inp", 1.0), ("inn", -1.0)):
        # I(a) = -(gain / R) (w + offset) (V(b) - V(a)) with R = 1 ohm: a conductance from a to b.
        law = Product(gain=sign * unit, offset=sign * CONDUCTANCE_CENTRE, output_resistance=1.0)
        for end, near, far in (("column", "out", rail), ("row", rail, "out")):
            nodes = (near, near, STORAGE, GROUND, far, near)
            instances.append(Instance(f"{rail}_{end}", law, nodes, origin))
    return Subcircuit(
        "synapse_conductance",
        PORTS,
        tuple(instances),
        (("capacitance", capacitance), ("multiplier", multiplier)),
    )


SYNAPSES: dict[str, SynapseKind] = {
    "cmos": SynapseKind(synapse_cmos, -1.0, "2T1C storage with a CMOS read amplifier (the reference)"),
    "read_nfet": SynapseKind(synapse_read_nfet, -1.0, "plain 2T1C cell with one read nfet"),
    "conductance": SynapseKind(synapse_conductance, 1.0, "programmable linear conductance pair"),
}
