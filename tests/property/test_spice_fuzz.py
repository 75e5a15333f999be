"""Mutated netlists: refused with an error of the package, or read the same after being written; soon."""

import random
import time

import pytest

from eqspice.circuit import Instance, Subcircuit
from eqspice.circuit.spice_elements import FetKit
from eqspice.circuit.spice_reader import read_netlist
from eqspice.circuit.spice_writer import write_subcircuit
from eqspice.errors import EqspiceError
from eqspice.pdk import ideal

SEEDS = 1000
LIMIT = 1.0  # seconds of processor time per netlist

NETLISTS = (
    """* a 2T1C cell
.param w0=0.42 long={0.15*2} cstore=100f
.subckt cell wwl wbl inp inn out c={cstore} m=1
Xwrite wbl wwl mem 0 sky130_fd_pr__nfet_01v8 w={w0} l=0.15 m=1
Xread inp mem out out nfet_01v8 w=w0 l={long} m={m}
Cstore mem 0 {c} ; storage
Rleak mem inn 1e15
.ends cell
""",
    """.model clamp D (is=1e-14 n=1.05 rs=0)
.model gate vswitch ron=1 roff=1g von=0.5 voff=0.4
.subckt neuron in outp outn gain=2.5 back={1/gain}
E1 p 0 in 0 {gain} rout=0.1
E2 n 0 value={-gain*v(in)} rout=0.1
D1 0 p clamp
D2 n 0 clamp 2
Rp p outp 10
Rn n outn 9.9
+ m=1
G1 in 0 p outp {-back/10}
Bback in 0 I={back*(v(outp)-v(p))/10 + 1e-9*tanh(v(in,p)/25m)}
Bmul q 0 V=v(in)+3*(v(p,n)+0.5)*v(in)
Sq q outp in 0 gate
.ends
.subckt pair a b
X1 a b c neuron gain={2*1.5}
X2 b a c neuron
Rc c 0 1meg
Vb bias 0 dc 0.4
Rb bias a 10kohm
Iq a b 1u
.ends pair
.end
""",
    """.subckt deep a b n=3 r={1k*n}
.param half={r/2} other={half**2/half}
R1 a x {half}
R2 x b {other}
Bs a b I={exp(-(v(a,b)/0.5)**2)*1u - sin(v(x))*cos(v(b))/sqrt(2+v(a)*v(a)) + ln(10)*atan(sinh(v(b)/10))*1n}
M1 a b x 0 nfet_01v8 w=1u l=0.5u
.ends
.subckt top p q
Xa p m deep n=2
Xb m q deep n=2
Xc p q deep
Cc m q 1.5pF m=2
.ends
""",
)
PIECES = (
    "", "0", "-", "1e999", "1e-400", "{", "}", "'", "(", ")", "=", ",", "+", "*", "**", "/", "^", ".ends",
    ".subckt", "x1", "a", "b", "gnd", "v(a)", "v(a,b)", "{{", "1k", "2meg", "3q", "m=0", "m=-1", "value=",
    "tanh(", "abs(v(a))", "log(2)", "9" * 70, "\0", "é", "\t", "$ c", "; c", "\n+", "\n", "\n*", ".param",
    ".model", "params:", "x" * 50, "1/0", "-1", "1e308*10", "deep", "cell", "neuron", "rout=0", "w=1",
)  # fmt: skip


def fet(model, width, length, multiplier):
    assert model == "n"
    return ideal.mosfet("n", width, length, multiplier=multiplier)


KIT = FetKit(fet, {"sky130_fd_pr__nfet_01v8": "n", "nfet_01v8": "n"})


def mutated(rng):
    """A valid netlist with one to four changes."""
    text = rng.choice(NETLISTS)
    for _ in range(rng.randint(1, 4)):
        start = rng.randrange(len(text))
        kind = rng.randrange(7)
        if kind == 0:
            text = text[:start] + text[start + rng.randint(1, 12) :]
        elif kind == 1:
            text = text[:start] + rng.choice(PIECES) + text[start:]
        elif kind == 2:
            text = text[:start] + chr(rng.randrange(32, 127)) + text[start + 1 :]
        elif kind == 3:  # a word for another one
            words = text.split(" ")
            words[rng.randrange(len(words))] = rng.choice([*words, *PIECES])
            text = " ".join(words)
        elif kind == 4:  # a line twice, or elsewhere
            lines = text.split("\n")
            lines.insert(rng.randrange(len(lines)), rng.choice(lines))
            text = "\n".join(lines)
        elif kind == 5:
            lines = text.split("\n")
            del lines[rng.randrange(len(lines))]
            text = "\n".join(lines)
        else:
            end = min(len(text), start + rng.randint(1, 40))
            text = text[:end] + text[start:end] * rng.randint(1, 30) + text[end:]
    return text


def bare(subcircuit):
    """The same without the places that its parts came from."""
    instances = tuple(
        Instance(part.name, bare(part.of) if isinstance(part.of, Subcircuit) else part.of, part.nodes)
        for part in subcircuit.instances
    )
    return Subcircuit(subcircuit.name, subcircuit.ports, instances, subcircuit.parameters)


def outcome(text):
    """Number of subcircuits read, None if the text is refused; fails if reading it again differs."""
    try:
        netlist = read_netlist(text, "fuzz.sp")
        read = [netlist.build(name, KIT) for name in netlist.subcircuits]
    except EqspiceError as error:
        assert str(error).startswith("fuzz.sp:"), error
        return None
    for subcircuit in read:
        written = write_subcircuit(subcircuit, lambda device: "nfet_01v8")
        again = read_netlist(written, "again.sp").build(subcircuit.name, KIT)
        assert bare(again) == bare(subcircuit), written
    return len(read)


@pytest.mark.parametrize("part", range(4))
def test_mutations_are_refused_or_read_back_equal(part):
    accepted = 0
    for seed in range(part * SEEDS // 4, (part + 1) * SEEDS // 4):
        text = mutated(random.Random(seed))
        start = time.process_time()
        try:
            found = outcome(text)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}\n{text}") from error
        assert time.process_time() - start < LIMIT, f"seed {seed}:\n{text}"
        accepted += found is not None
    assert 0.02 < accepted / (SEEDS / 4) < 0.9  # the mutations neither spoil everything nor nothing


@pytest.mark.parametrize("text", NETLISTS)
def test_unmutated_netlists_are_read(text):
    assert outcome(text)
