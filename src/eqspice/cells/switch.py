"""Logic-controlled switches of the array: write, select, set, sample."""

from __future__ import annotations

from dataclasses import dataclass

from eqspice.circuit import GROUND, Instance, Subcircuit, Switch

ISOLATING_PORTS = ("p", "n", "control")


@dataclass(frozen=True)
class SwitchDesign:
    """Numbers of every logic-controlled switch.

    Attributes:
        on_resistance: ohm.
        off_resistance: ohm; may be infinite.
        v_on, v_off: control voltages at which it is fully on and fully off, V.
    """

    on_resistance: float = 1.0
    off_resistance: float = 1e14
    v_on: float = 0.5
    v_off: float = 0.4

    def instance(self, name: str, p: str, n: str, control: str, origin: str) -> Instance:
        """Returns a switch between p and n that the logic node control closes."""
        device = Switch(self.on_resistance, self.off_resistance, self.v_on, self.v_off)
        return Instance(name, device, (p, n, control, GROUND), origin)

    def isolating(self, name: str, p: str, n: str, control: str, origin: str) -> Instance:
        """Returns a switch through which nothing leaks from p to n: two in series, grounded between them.

        While it is open both sides leak to ground. So no loop closes through it, however large its gain:
        a plain switch of 1e14 ohm lets a node of 0.1 pF grow at (loop gain - 1) / 10 s. The ground opens
        before the path closes, or else a held voltage would lose charge to it.
        """
        device = Switch(self.on_resistance, self.off_resistance, self.v_on, self.v_off)
        grounded = Switch(self.on_resistance, self.off_resistance, 2 * self.v_off - self.v_on, self.v_off)
        parts = (
            Instance("near", device, ("p", "middle", "control", GROUND), "cells.switch"),
            Instance("far", device, ("middle", "n", "control", GROUND), "cells.switch"),
            Instance("shunt", grounded, ("middle", GROUND, "control", GROUND), "cells.switch"),
        )
        return Instance(name, Subcircuit("isolating_switch", ISOLATING_PORTS, parts), (p, n, control), origin)
