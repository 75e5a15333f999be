"""The same SPICE text, read by us and by ngspice itself: same operating points."""

import re
import shutil
import subprocess

import numpy as np
import pytest

from eqspice.circuit import Circuit, Instance, Stimulus, VoltageSource
from eqspice.circuit.spice_elements import FetKit
from eqspice.circuit.spice_reader import read_subcircuit
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.engines.spice.ngspice import NgspiceEngine, NgspiceOptions
from eqspice.engines.spice.vacask import VacaskEngine
from eqspice.pdk import sky130
from eqspice.pdk.cards import model_card_text

NGSPICE = shutil.which("ngspice")
pytestmark = pytest.mark.skipif(NGSPICE is None, reason="ngspice is not installed")

# Voltage sources are loaded by 10 Mohm at most, so that our ohm in series is not seen.
TEXT = """.param unit=1k scale={2*unit/1k}
.model dd d(is=2e-14 n=1.3)
.subckt divider top bottom out params: r=1k n=1
R1 top out {r*n}
R2 out bottom 'r/2'
.ends divider
.subckt cell a b o1 o2 o3 o4 o5 o6 o7 o8 o9
Xd a b mid divider r={3*unit} n=2
Xe mid 0 low divider
Dd a low dd area=2
Rz low o1 47
Ro o1 0 10MEG
Eg o2 0 a b {-scale}
Rg o2 0 10meg
Gg 0 o3 mid low 0.1m
R3 o3 0 4.7kohm
Rs o3 low 1mil
B4 o4 0 V=V(a)**2+V(a,b)*V(mid)/3-2*-V(b)
R4 o4 0 10meg
B5 0 o5 I={1e-4*(tanh(V(a,b)/0.3)+sin(V(a))*cos(V(b))-ln(2+V(a)*V(a))+log10(3)+atan(V(mid)))}
R5 o5 0 1k
B6 o6 0 V={exp(-(V(a)/0.5)**2)*sqrt(1+V(b)*V(b))+cosh(V(a))-sinh(V(b)/2)-(1-2-3)*4/2/2}
+ ; a continued line
R6 o6 0 10meg
X7 o7 a 0 0 sky130_fd_pr__nfet_01v8 w=0.84 l=0.15 m=2
R7 o7 b7 20k
E7 b7 0 value={1.2+0.1*V(b)}
X8 b7 a o8 0 sky130_fd_pr__nfet_01v8 w=0.42 l=0.15
R8 o8 0 50k
G9 0 o9 value={1u*max(1,2)*V(a)*V(a)}
I9 0 o9 3u
V9 k 0 dc 0.25
R9 o9 k 100K
.ends cell
"""
PORTS = ("a", "b", *(f"o{k}" for k in range(1, 10)))
KIT = FetKit(
    lambda model, w, length, m: sky130.mosfet(model, w, length, multiplier=m, junctions="physical"),
    {"sky130_fd_pr__nfet_01v8": "nfet_01v8"},
)


def ours(a, b):
    cell = read_subcircuit(TEXT, KIT, "cell")
    sources = [Instance(f"v{n}", VoltageSource(v), (n, "0")) for n, v in (("a", a), ("b", b))]
    circuit = Circuit("cell", (*sources, Instance("x", cell, PORTS)))
    state = NativeEngine().prepare(circuit).operating_point()
    voltages = dict(zip(circuit.nodes, state.voltages, strict=True))
    return [voltages[node] for node in PORTS]


def theirs(a, b, folder):
    """The transistor's library is a subcircuit with lengths in micrometres around our card."""
    library = []
    for width in (0.84e-6, 0.42e-6):
        fet = sky130.mosfet("nfet_01v8", width, 0.15e-6, junctions="physical")
        # Areas are given per geometry, as the kit's layout rules have them.
        values = dict(fet.instance)
        text = model_card_text(fet, f"card{width * 1e8:.0f}", "ngspice")
        library.append((text, values))
    names = ["card84", "card42"]
    deck = ["* same text", *(text for text, _ in library)]
    wrapped = TEXT
    for name, (_, values), size in zip(names, library, ("w=0.84 l=0.15", "w=0.42 l=0.15"), strict=True):
        areas = " ".join(f"{key}={value!r}" for key, value in values.items())
        deck.append(f".subckt lib_{name} d g s b w=1 l=1 m=1")
        deck.append(f"M1 d g s b {name} w={{w*1e-6}} l={{l*1e-6}} m={{m}} {areas}\n.ends")
        wrapped = wrapped.replace(f"sky130_fd_pr__nfet_01v8 {size}", f"lib_{name} {size}")
    deck += [wrapped, f"Va a 0 {a}", f"Vb b 0 {b}", f"Xc {' '.join(PORTS)} cell"]
    deck += [".options reltol=1e-9 abstol=1e-15 vntol=1e-12 gmin=1e-15", ".control", "op"]
    deck += ["set numdgt=12", *(f"print v({node})" for node in PORTS), ".endc", ".end"]
    (folder / "deck.cir").write_text("\n".join(deck))
    command = [NGSPICE, "-n", "-b", "deck.cir"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    found = dict(re.findall(r"^v\((\w+)\) = (\S+)$", done.stdout, re.MULTILINE))
    assert len(found) == len(PORTS), done.stdout + done.stderr
    return [float(found[node]) for node in PORTS]


@pytest.mark.parametrize("a, b", [(0.9, 0.2), (-0.3, 0.7), (1.5, -0.6)])
def test_operating_points_agree_with_ngspice_on_the_same_text(a, b, tmp_path):
    expected = theirs(a, b, tmp_path)
    found = ours(a, b)
    for node, value, reference in zip(PORTS, found, expected, strict=True):
        tolerance = 1e-4 if node in ("o7", "o8") else 2e-6  # V; transistors go by tables
        assert value == pytest.approx(reference, rel=2e-6, abs=tolerance), node


@pytest.mark.parametrize(
    "engine", [NgspiceEngine(NgspiceOptions(max_step=1e-8)), VacaskEngine()], ids=lambda engine: engine.name
)
def test_behavioural_sources_in_other_simulators(engine):
    """With odd powers of negative voltages, which ngspice computes as powers of the magnitude.

    Compared once the charging from rest, which each simulator starts with steps of its own, is over.
    """
    text = """.subckt cell in out low
B1 0 out I={1m*(V(in)**3-V(in)**2*V(out)+tanh(V(in,out)/0.2)-0.1/(2+V(in))**-3)}
R1 out 0 1k
C1 out 0 1n
B2 low 0 V={exp(-V(in)**2)*sin(3*V(out))} rout=100
R2 low 0 300
C2 low 0 100p
.ends
"""
    cell = Instance("x", read_subcircuit(text), ("in", "out", "low"))
    source = Instance("v", VoltageSource(signal="s"), ("in", "0"))
    circuit = Circuit("cell", (source, cell), storage_nodes=("out", "low"))
    ramp = Stimulus.from_signals({"s": (np.array([0.0, 2e-6, 8e-6]), np.array([0.0, -0.9, 0.9]))})
    save = Save(("out", "low"), np.linspace(3e-6, 8e-6, 16))
    native = NativeEngine(NativeOptions(lte=1e-6)).prepare(circuit).run(ramp, None, save).raise_for_status()
    other = engine.prepare(circuit).run(ramp, None, save).raise_for_status()
    assert np.ptp(native.waveforms["out"]) > 0.3
    assert np.max(np.abs(native.waveforms.values - other.waveforms.values)) < 2e-4
