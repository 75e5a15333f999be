"""Writes model cards as text for SPICE decks."""

from __future__ import annotations

from eqspice.circuit.devices import Mosfet
from eqspice.errors import InputError, unknown

DIALECTS = ("ngspice", "vacask")
_JUNCTION_CURRENTS = frozenset({"jss", "jsd", "jsws", "jswd", "jswgs", "jswgd"})
_AREAS = frozenset({"ad", "as", "pd", "ps"})
_WIDTH = 100


def model_card_text(mosfet: Mosfet, name: str, dialect: str = "ngspice") -> str:
    """Returns the `.model` card of a transistor.

    ngspice gets a version 4.5 card, the version of the Sky130 library. VACASK (which reads the card
    from a file included with lang=ngspice) gets version 4.8, the version of its OSDI model and ours.

    Args:
        mosfet: a transistor with a BSIM4 card.
        name: of the model in the deck.
        dialect: "ngspice" or "vacask".
    """
    _check(mosfet, dialect)
    kind = "nmos" if mosfet.card.polarity > 0 else "pmos"
    version = "4.5" if dialect == "ngspice" else "4.8"
    words = ["level=54", f"version={version}"]
    # Below version 4.7 a junction without area carries 1e-14 A by itself, whatever the densities say.
    hidden = _JUNCTION_CURRENTS if dialect == "ngspice" and is_legacy(mosfet) else frozenset()
    words += [f"{key}={float(value)!r}" for key, value in mosfet.card.parameters if key not in hidden]
    lines, line = [f".model {name} {kind}"], "+"
    for word in words:
        if len(line) + len(word) > _WIDTH:
            lines.append(line)
            line = "+"
        line += " " + word
    return "\n".join([*lines, line]) + "\n"


def instance_text(mosfet: Mosfet, dialect: str = "ngspice") -> str:
    """Returns the parameters of the instance line: `w=… l=… m=… ad=…`, in SI units."""
    _check(mosfet, dialect)
    # Zero must be said: areas that are not given are worked out from the layout rules of the card.
    zero = _AREAS if dialect == "ngspice" and is_legacy(mosfet) else frozenset()
    pairs = [("w", mosfet.width), ("l", mosfet.length), ("m", mosfet.multiplier)]
    pairs += [(key, 0.0 if key in zero else value) for key, value in mosfet.instance]
    names = {"m": "$mfactor"} if dialect == "vacask" else {}
    return " ".join(f"{names.get(key, key)}={float(value)!r}" for key, value in pairs)


def is_legacy(mosfet: Mosfet) -> bool:
    """Whether the body junctions are the 1e-14 A ones of BSIM4 below version 4.7."""
    area: float = dict(mosfet.instance).get("ad", 0.0)
    return 0.0 < area <= 1e-19


def _check(mosfet: Mosfet, dialect: str) -> None:
    if dialect not in DIALECTS:
        raise unknown("dialect", dialect, DIALECTS)
    if mosfet.card.level != "bsim4":
        raise InputError(
            f"model card {mosfet.card.name}: level {mosfet.card.level!r} cannot be written as a SPICE "
            "card; only bsim4 can."
        )
