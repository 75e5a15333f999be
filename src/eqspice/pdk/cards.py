"""Writes model cards as text for SPICE decks."""

from __future__ import annotations

from eqspice.circuit.devices import Mosfet
from eqspice.errors import InputError, unknown

DIALECTS = ("ngspice", "vacask")
LEVELS = {"ngspice": ("bsim4",), "vacask": ("bsim4", "psp103")}
PSP103 = "psp103va"  # what VACASK calls the module of the model's source
_JUNCTION_CURRENTS = frozenset({"jss", "jsd", "jsws", "jswd", "jswgs", "jswgd"})
_AREAS = frozenset({"ad", "as"})
_PERIMETERS = frozenset({"pd", "ps"})
_WIDTH = 100


def model_card_text(mosfet: Mosfet, name: str, dialect: str = "ngspice") -> str:
    """Returns the `.model` card of a transistor.

    BSIM4: ngspice gets a version 4.5 card, the version of the Sky130 library. VACASK (which reads the
    card from a file included with lang=ngspice, and puts m_ before the name) gets version 4.8, the
    version of its OSDI model and ours. PSP 103: VACASK only, in its own language, with the same m_.

    Args:
        mosfet: a transistor with a BSIM4 or PSP 103 card.
        name: of the model in the deck.
        dialect: "ngspice" or "vacask".
    """
    _check(mosfet, dialect)
    if mosfet.card.level == "psp103":
        words = [f"type={mosfet.card.polarity}"]
        words += [f"{key}={float(value)!r}" for key, value in mosfet.card.parameters]
        return "\n".join([f"model m_{name} {PSP103} (", *_wrapped(words, " "), ")"]) + "\n"
    kind = "nmos" if mosfet.card.polarity > 0 else "pmos"
    version = "4.5" if dialect == "ngspice" else "4.8"
    words = ["level=54", f"version={version}"]
    # Below version 4.7 a junction without area carries 1e-14 A by itself, whatever the densities say.
    hidden = _JUNCTION_CURRENTS if dialect == "ngspice" and is_legacy(mosfet) else frozenset()
    words += [f"{key}={float(value)!r}" for key, value in mosfet.card.parameters if key not in hidden]
    return "\n".join([f".model {name} {kind}", *_wrapped(words, "+")]) + "\n"


def instance_text(mosfet: Mosfet, dialect: str = "ngspice") -> str:
    """Returns the parameters of the instance line: `w=… l=… m=… ad=…`, in SI units."""
    _check(mosfet, dialect)
    instance = dict(mosfet.instance)
    if dialect == "ngspice" and is_legacy(mosfet):
        # Zero must be said: areas that are not given are worked out from the layout rules of the card.
        instance |= dict.fromkeys(_AREAS, 0.0) | dict.fromkeys(_PERIMETERS, gate_edge(mosfet))
    pairs = [("w", mosfet.width), ("l", mosfet.length), ("m", mosfet.multiplier), *instance.items()]
    names = {"m": "$mfactor"} if dialect == "vacask" else {}
    return " ".join(f"{names.get(key, key)}={float(value)!r}" for key, value in pairs)


def is_legacy(mosfet: Mosfet) -> bool:
    """Whether the body junctions are the 1e-14 A ones of BSIM4 below version 4.7."""
    area: float = dict(mosfet.instance).get("ad", 0.0)
    return 0.0 < area <= 1e-19


def gate_edge(mosfet: Mosfet) -> float:
    """Returns the perimeter of a junction that is nothing but the gate's edge, a trifle less, in m.

    BSIM4 takes the gate's edge off a perimeter. Below version 4.7 nothing stops a perimeter of zero
    from becoming a negative sidewall then, whose capacitance counts in forward bias.
    """
    card = dict(mosfet.card.parameters)
    narrower = 2.0 * card.get("dwj", card.get("dwc", 0.0))
    return (mosfet.width + card.get("xw", 0.0) - narrower) * (1.0 - 1e-6)


def _wrapped(words: list[str], start: str) -> list[str]:
    """Joins words into lines of limited width that begin with start."""
    lines, line = [], start
    for word in words:
        if len(line) + len(word) > _WIDTH:
            lines.append(line)
            line = start
        line += " " + word
    return [*lines, line]


def _check(mosfet: Mosfet, dialect: str) -> None:
    if dialect not in DIALECTS:
        raise unknown("dialect", dialect, DIALECTS)
    if mosfet.card.level not in LEVELS[dialect]:
        raise InputError(
            f"model card {mosfet.card.name}: level {mosfet.card.level!r} cannot be written as a card for "
            f"{dialect}; only {' and '.join(LEVELS[dialect])} can."
        )
