"""Logic-controlled switches of the array: write, select, set."""

from __future__ import annotations

from dataclasses import dataclass

from eqspice.circuit import GROUND, Instance, Switch


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
