"""Cases of transistors: models, corners, temperatures, bodies, charge injection."""

from __future__ import annotations

from conformance.cases import (
    PSP,
    SQUARE_LAW,
    US,
    Case,
    Part,
    Points,
    circuit,
    driven,
)
from eqspice.circuit import (
    Capacitor,
    Mosfet,
    Resistor,
)
from eqspice.pdk import ideal, ihp_sg13g2, sky130


def fet(model: str, width: float, length: float, **choice: object) -> Mosfet:
    return sky130.mosfet(model, width * US, length * US, **choice)  # type: ignore[arg-type]


def ihp(model: str, width: float, length: float) -> Mosfet:
    return ihp_sg13g2.mosfet(model, width * US, length * US)


def _discharge(name: str, device: Mosfet, body: str = "s", **more: object) -> Case:
    """A transistor that moves charge between two capacitors; its gate goes up and down.

    body: "s" ties it to the source, else a node.
    """
    sign = device.card.polarity
    low, high = (0.0, 1.6) if sign > 0 else (0.0, -1.6)
    gate: Points = [(0, low), (1, low), (2, high), (4, high), (6, -0.2 * high), (8, -0.2 * high)]
    drain: Points = [(0, 0), (3, 0), (4, sign * 1.2), (6, sign * 1.2), (7, -sign * 0.5), (8, -sign * 0.5)]
    parts: list[Part] = [
        *driven("g", "d"),
        ("rd", Resistor(1e4), "d a"),
        ("ca", Capacitor(1e-13), "a 0"),
        ("m", device, f"a g s {body}"),
        ("cs", Capacitor(1e-13), "s 0"),
        ("rs", Resistor(1e6), "s 0"),
    ]
    start = {"s": 0.1 * sign}
    circuit_ = circuit(name, parts, ("a", "s"))
    return Case(name, circuit_, {"g": gate, "d": drain}, start, **more)  # type: ignore[arg-type]


def _transistors() -> list[Case]:
    cases = [
        _discharge("nfet", fet("nfet_01v8", 0.42, 0.15, junctions="legacy")),
        _discharge("pfet", fet("pfet_01v8", 1.302, 0.15, junctions="legacy")),
        _discharge("nfet_parallel", fet("nfet_01v8", 0.42, 0.15, junctions="legacy", multiplier=8.0)),
        _discharge("nfet_physical_junctions", fet("nfet_01v8", 0.42, 0.15)),
        _discharge("nfet_lvt", fet("nfet_01v8_lvt", 0.42, 1.0)),
        _discharge("pfet_lvt", fet("pfet_01v8_lvt", 1.0, 0.5)),
        _discharge("pfet_hvt", fet("pfet_01v8_hvt", 0.8, 0.15)),
        _discharge("nfet_continuous", fet("nfet_01v8", 0.5, 0.2, model_set="continuous")),
        _discharge("nfet_grounded_bulk", fet("nfet_01v8_lvt", 0.42, 1.0), body="0"),
        _discharge("nfet_cold", fet("nfet_01v8", 0.42, 0.15, temperature=-40.0)),
        _discharge("pfet_hot", fet("pfet_01v8", 1.302, 0.15, temperature=125.0), points=20_000),
        _discharge("ihp_nmos", ihp("sg13_lv_nmos", 0.42, 0.15), excluded=PSP),
        _discharge("ihp_pmos", ihp("sg13_lv_pmos", 1.0, 0.15), excluded=PSP),
        _discharge(
            "square_law",
            ideal.mosfet("n", 1e-6, 1e-6),
            excluded={"vacask": SQUARE_LAW},
        ),
    ]
    for corner in ("ss", "ff", "sf", "fs"):
        cases.append(_discharge(f"nfet_{corner}", fet("nfet_01v8", 0.42, 0.15, corner=corner)))
        cases.append(_discharge(f"pfet_{corner}", fet("pfet_01v8", 1.302, 0.15, corner=corner)))
    return cases


def _charge_injection() -> list[Case]:
    """A real write transistor, bulk at ground, samples 0.5 V and pushes charge into the cell as it opens."""
    gate: Points = [(0, 0), (1, 0), (1.5, 1.8), (5, 1.8), (5.05, 0), (8, 0)]
    cases = []
    for name, load in (("charge_injection_100_ff", 1e-13), ("charge_injection_10_ff", 1e-14)):
        parts: list[Part] = [
            *driven("gate", "bit"),
            ("line", Resistor(1e3), "bit wbl"),
            ("cline", Capacitor(1e-13), "wbl 0"),
            ("write", fet("nfet_01v8", 0.42, 0.15), "wbl gate mem 0"),
            ("store", Capacitor(load), "mem 0"),
        ]
        bit: Points = [(0, 0), (1, 0.5), (6, 0.5), (7, 0), (8, 0)]
        cases.append(Case(name, circuit(name, parts, ("mem",)), {"gate": gate, "bit": bit}, points=20_000))
    return cases


def _held_gates() -> list[Case]:
    """A gate holds its charge while the channel conducts: what is inside the transistor starts right."""
    devices = {
        "held_gate": (fet("nfet_01v8", 0.42, 0.15), {}),
        "held_gate_continuous": (
            fet("nfet_01v8_lvt", 0.42, 1.0, model_set="continuous"),
            {},
        ),
        "held_gate_psp103": (ihp("sg13_lv_nmos", 0.42, 0.15), PSP),
    }
    drain: Points = [(0, 0.4), (2, 0.4), (3, 0.1), (6, 0.1)]
    cases = []
    for name, (device, excluded) in devices.items():
        parts: list[Part] = [
            *driven("d"),
            ("m", device, "d mem s 0"),
            ("r", Resistor(1e3), "s 0"),
            ("store", Capacitor(3e-14), "mem 0"),
        ]
        start = {"mem": 1.0, "s": 0.02}
        cases.append(Case(name, circuit(name, parts, ("mem",)), {"d": drain}, start, excluded=excluded))
    return cases


def transistor_cases() -> list[Case]:
    """Returns the cases of this file."""
    return [*_transistors(), *_charge_injection(), *_held_gates()]
