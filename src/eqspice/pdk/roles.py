"""What cells ask a process kit for: transistors by the part they play, not by a kit's own names."""

from __future__ import annotations

from dataclasses import dataclass

ROLES = {
    "nfet": "small n-channel of the core supply",
    "pfet": "p-channel of the core supply that carries about the current of nfet",
    "nfet_lvt": "long n-channel with a low threshold: a nearly linear conductance",
    "pfet_lvt": "p-channel of the conductance of nfet_lvt",
}
"""Every kit draws each of these; a cell may give another width and length."""


@dataclass(frozen=True)
class Drawn:
    """A transistor as a kit draws it.

    Attributes:
        model: name in the kit.
        width, length: of the gate, m.
    """

    model: str
    width: float
    length: float
