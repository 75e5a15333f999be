"""SPICE subcircuit text: what is read, what is refused and where, and that hostile text is refused soon."""

import math
import time

import pytest

from eqspice.circuit import (
    BehaviouralCurrentSource,
    BehaviouralVoltageSource,
    Capacitor,
    CurrentSource,
    Diode,
    Product,
    Resistor,
    Switch,
    VoltageControlledCurrentSource,
    VoltageControlledVoltageSource,
    VoltageSource,
)
from eqspice.circuit.spice_elements import FetKit
from eqspice.circuit.spice_reader import read_netlist, read_subcircuit
from eqspice.circuit.spice_text import read_file
from eqspice.errors import InputError, NetlistError
from eqspice.pdk import ideal, sky130

KIT = FetKit(
    lambda model, w, length, m: sky130.mosfet(model, w, length, multiplier=m),
    {"sky130_fd_pr__nfet_01v8": "nfet_01v8", "nfet_01v8": "nfet_01v8"},
)


def one(lines, **how):
    """The devices of a subcircuit with ports a, b, c, by name."""
    subcircuit = read_subcircuit(f".subckt s a b c\n{lines}\n.ends\n", KIT, file="t.sp", **how)
    return {part.name: part for part in subcircuit.instances}


def value(text):
    return one(f"r1 a b {text}")["r1"].of.resistance


@pytest.mark.parametrize(
    "text, expected",
    [
        ("1", 1.0), ("1.5k", 1500.0), ("1K", 1e3), ("2meg", 2e6), ("2MEGohm", 2e6), ("3M", 3e-3),
        ("1mil", 25.4e-6), ("1e3", 1e3), (".5u", 0.5e-6), ("0.42u", 0.42e-6), ("10pF", 10e-12), ("1f", 1e-15),
        ("5V", 5.0), ("7ohm", 7.0), ("2g", 2e9), ("1t", 1e12), ("{2*3}", 6.0), ("'1+1'", 2.0), ("2*3", 6.0),
        ("{2**3}", 8.0), ("{1-2-3+10}", 6.0), ("{12/2/3}", 2.0), ("{10-2**2}", 6.0), ("{8+-2**2}", 4.0),
        ("{2**-1}", 0.5), ("{exp(0)+ln(1)+sqrt(4)}", 3.0), ("{max(1,2)*min(3,4)*abs(-2)}", 12.0),
        ("{log10(1000)}", 3.0), ("{cos(pi)+3}", 2.0), ("{ 1k + 1 }", 1001.0),
    ],
)  # fmt: skip
def test_numbers_and_arithmetic(text, expected):
    assert value(text) == pytest.approx(expected, rel=1e-15)


def test_numbers_are_rounded_once():
    assert value("0.42u") == 0.42e-6 and value("100f") == 100e-15


def test_linear_elements():
    parts = one(
        "R1 a b r=2k m=2\nC1 a c 3p\nG1 a b c 0 1m\nE1 x 0 a b 2.5 rout=10\nRx x b 1\nV1 n 0 dc 0.4\n"
        "Rn n a 1\nI1 a 0 1u"
    )
    assert parts["r1"].of == Resistor(1e3)
    assert parts["c1"].of == Capacitor(3e-12) and parts["c1"].nodes == ("a", "c")
    assert parts["g1"].of == VoltageControlledCurrentSource(1e-3) and parts["g1"].nodes == (
        "a",
        "b",
        "c",
        "0",
    )
    assert parts["e1"].of == VoltageControlledVoltageSource(2.5, 10.0)
    assert parts["v1"].of == VoltageSource(dc=0.4) and parts["i1"].of == CurrentSource(dc=1e-6)
    assert parts["rx"].origin == "t.sp:6"


def test_transistors_of_the_kit():
    parts = one("X1 a b c 0 sky130_fd_pr__nfet_01v8 w=0.42 l=0.15 m=2\nM1 a b c 0 nfet_01v8 w=0.42u l=0.15u")
    assert parts["x1"].of == sky130.mosfet("nfet_01v8", 0.42e-6, 0.15e-6, multiplier=2.0)
    assert parts["m1"].of == sky130.mosfet("nfet_01v8", 0.42e-6, 0.15e-6)
    assert parts["x1"].nodes == ("a", "b", "c", "0")


def test_diode_and_switch_models():
    parts = one(
        ".model dd d(is=1e-15 n=1.2 rs=0)\n.model sw vswitch ron=1 roff=1g von=0.5 voff=0.4\n"
        "D1 a b dd 2\nD2 a b dd area=3 m=2\nS1 a b c 0 sw"
    )
    assert parts["d1"].of == Diode(2e-15, 1.2) and parts["d2"].of.saturation_current == pytest.approx(6e-15)
    assert parts["s1"].of == Switch(1.0, 1e9, 0.5, 0.4)


def test_a_diode_follows_temperature_as_spice_does():
    """IS(T) = IS (T/Tnom)^(XTI/N) exp((T/Tnom - 1) Eg/(N kT/q)): it doubles every 5 K or so."""
    hot = one(".model dd d(is=1e-15)\nD1 a b dd", temperature=32.0)["d1"].of
    kelvin, nominal = 305.15, 300.15
    expected = 1e-15 * (kelvin / nominal) ** 3
    expected *= math.exp((kelvin / nominal - 1.0) * 1.11 / (8.617333262e-5 * kelvin))
    assert hot.saturation_current == pytest.approx(expected, rel=1e-12) and 1.8e-15 < expected < 2.3e-15
    assert hot.temperature == 32.0


def test_sources_of_formulas_become_the_simplest_device():
    parts = one(
        "B1 a b I=2m*V(a,c)/4\nB2 x 0 V={3*(V(a)-V(b))} rout=5\nRx x a 1\n"
        "B3 y 0 V={V(c)+2*(V(a,b)+0.5)*V(c,a)*3}\nRy y a 1\nB4 a 0 I={1u*tanh(V(b)/0.1)}\n"
        "B5 z 0 V={V(a)**2+1}\nRz z a 1\nE6 w 0 value={V(a)*4}\nRw w a 1\nG7 a 0 value={V(a)*V(b)}"
    )
    assert parts["b1"].of == VoltageControlledCurrentSource(0.5e-3) and parts["b1"].nodes[2:] == ("a", "c")
    assert parts["b2"].of == VoltageControlledVoltageSource(3.0, 5.0)
    assert parts["b3"].of == Product(6.0, 0.5, 1.0)
    assert parts["b3"].nodes == ("y", "c", "a", "b", "c", "a")
    assert isinstance(parts["b4"].of, BehaviouralCurrentSource) and parts["b4"].nodes == ("a", "0", "b")
    assert parts["b4"].of.formula.value([0.05]) == pytest.approx(1e-6 * math.tanh(0.5), rel=1e-15)
    assert isinstance(parts["b5"].of, BehaviouralVoltageSource)
    assert parts["e6"].of == VoltageControlledVoltageSource(4.0)
    assert isinstance(parts["g7"].of, BehaviouralCurrentSource)


@pytest.mark.parametrize(
    "formula",
    [
        "V(a)*V(b)-V(c)**3/2", "-V(a)**2", "2-V(a)-V(b)", "V(a)/V(b)/2", "exp(-V(a,b)**2)*sin(V(c))",
        "sqrt(1+V(a)*V(a))*(V(b)+2)*(V(c)-1)", "ln(2+V(a))+log10(3+V(b))+atan(V(c))", "V(a)**(1/2)",
        "cosh(V(a))-sinh(V(b))*cos(V(c))", "-(-V(a))", "V(a)*-2", "V(a)-(V(b)-(V(c)-V(a)))",
    ],
)  # fmt: skip
def test_formulas_have_the_value_of_the_same_text_in_python(formula):
    part = one(f"B1 a 0 I={{{formula}+0*tanh(V(a)*V(b)*V(c))}}")["b1"]
    at = {"a": 0.7, "b": -0.3, "c": 0.4}
    plain = formula.replace("V(a,b)", "(V('a')-V('b'))")
    for node in "abc":
        plain = plain.replace(f"V({node})", f"V('{node}')")
    known = {
        name: getattr(math, name) for name in ("exp", "sin", "cos", "sqrt", "log10", "atan", "sinh", "cosh")
    }
    expected = eval(plain, {"V": at.get, "ln": math.log, **known})
    assert part.of.formula.value([at[node] for node in part.nodes[2:]]) == pytest.approx(expected, rel=1e-14)


def test_parameters_are_local_lazy_and_overridable():
    text = """.param base={k*2} k=5
.subckt inner a b r={base} n=1
.param half={r/2}
R1 a b {half*n}
.ends
.subckt outer a b n=7
X1 a b inner
X2 a b inner r=4 n={n}
X3 a b inner n={1} r=10
.ends
"""
    parts = {part.name: part.of for part in read_subcircuit(text, name="outer").instances}
    assert [parts[name].instances[0].of.resistance for name in ("x1", "x2", "x3")] == [5.0, 14.0, 5.0]
    assert parts["x1"] is parts["x3"]  # equal parameters, one subcircuit
    assert parts["x1"].name == "inner" and parts["x2"].name == "inner__2"
    given = read_subcircuit(text, name="outer", parameters={"N": 3.0})
    assert given.instances[1].of.instances[0].of.resistance == 6.0


def test_lines_are_joined_and_comments_taken_away():
    text = "* title\r\n\n.SUBCKT S A B ; ports\nR1 A\n+ B\n* between µ\n+ {1 + $ one\n+ 2}\n.ENDS S\n.END"
    subcircuit = read_subcircuit(text)
    assert subcircuit.ports == ("a", "b") and subcircuit.instances[0].of == Resistor(3.0)


REFUSED = {
    "r1 a b 1q": (2, 9, "not a scale or unit"),
    "r1 a b": (2, 1, "two nodes and a value"),
    "r1 a b 1 2": (2, 10, "one too many"),
    "r1 a b -5": (2, 1, "resistance is -5, it must be positive"),
    "r1 a b 1e999": (2, 8, "not a finite number"),
    "r1 a b 1e-999": (2, 8, "too small"),
    "r1 a b {1/0}": (2, 10, "not finite"),
    "r1 a b {x}": (2, 9, "'x' is not known"),
    "r1 a b {(1}": (2, 11, "expected ')'"),
    "r1 a b {1": (2, 8, "not closed"),
    "r1 a b {log(2)}": (2, 9, "ln or log10"),
    "r1 a b {2^3}": (2, 10, "write **"),
    "r1 a b {2**3**2}": (2, 13, "write brackets"),
    "r1 a b {v(a)}": (2, 9, "a voltage is not expected"),
    "r1 a b 1 tc=3": (2, 13, "tc is not known here, expected r, m"),
    "r1 a gnd 1": (2, 6, "write 0 or another name"),
    "r1 a b! 1": (2, 6, "expected a node"),
    "r1 a b\n+ 1q": (3, 4, "not a scale or unit"),
    "r1 a b 1\nr1 a b 1": (3, 1, "defined twice"),
    "r1 a x 1": (2, 1, "node x is connected to nothing else"),
    "q1 a b c model": (2, 1, "begins with R, C, D, M, S, V, I, E, G, B, X"),
    "l1 a b 1u": (2, 1, "begins with"),
    ".tran 1 2": (2, 1, ".tran is not read"),
    ".include /etc/passwd": (2, 1, ".include is not read"),
    "b1 a b i=abs(v(a))": (2, 10, "not smooth"),
    "b1 a b i=v(a)**v(b)": (2, 14, "the exponent must be a constant"),
    "b1 a b i=time*v(a)": (2, 10, "does not know the time"),
    "b1 a b i=if(v(a),1,2)": (2, 10, "a jump is not smooth"),
    "b1 a b i={i(v1)}": (2, 11, "current of an element"),
    "b1 a b i=__import__('os')": (2, 21, "expected a number"),
    "b1 a b i={1} v={2}": (2, 1, "I={...} or V={...}"),
    "b1 a b v=v(gnd)": (2, 10, "gnd is ground"),
    "e1 a b poly(1) c 0 1": (2, 12, "expressions stand in braces"),
    "d1 a b nomodel": (2, 8, "model 'nomodel'"),
    ".model m d(cjo=1p)\nd1 a b m": (2, 16, "cjo is not modelled"),
    ".model m sw(vt=1)": (2, 10, "vswitch"),
    "m1 a b c 0 nfet_01v8 w=0.42 l=0.15u": (2, 24, "write w=0.42u"),
    "x1 a b c 0 nfet_01v8 w=0.42u l=0.15": (2, 24, "in micrometres on an X line, write w=0.42"),
    "x1 a b c 0 nfet_01v8 w=0.42 l=0.15 ad=1": (2, 39, "ad is not known"),
    "x1 a b c 0 nfet_01v8 w=0.42": (2, 1, "l= is missing"),
    "x1 a b c 0 nfet_01v8 w=4200 l=0.15": (2, 12, "the range is"),
    "x1 a b c nfet_01v8 w=0.42 l=0.15": (2, 1, "has 4 terminals"),
    "x1 a b nothing": (2, 8, "subcircuit or transistor 'nothing' is not known"),
    "x1 a b c s": (2, 10, "cannot contain itself: s > s"),
    ".param p={q} q={p}\nr1 a b p": (2, 17, "depends on itself"),
    ".subckt t a\n": (2, 1, "inside .subckt"),
    ".ends other": (2, 7, "expected s"),
    "r1 a b \x00": (2, 8, "printable ASCII"),
    "r1 a b 1µ": (2, 9, "printable ASCII"),
}


@pytest.mark.parametrize("lines", REFUSED)
def test_errors_give_the_place_and_what_was_expected(lines):
    line, column, message = REFUSED[lines]
    with pytest.raises(NetlistError) as caught:
        one(lines)
    assert str(caught.value).startswith(f"t.sp:{line}:{column}: "), caught.value
    assert message in str(caught.value)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "1:1: there is no .subckt"),
        ("r1 a b 1", "1:1: r1 stands outside"),
        ("+ r1", "1:1: a continuation"),
        (".subckt s a\nr1 a 0 1", "1:9: .subckt s is not closed"),
        (".subckt s a\n.ends", "1:9: the subcircuit s is empty"),
        (".subckt s a a\nr1 a 0 1\n.ends", "1:13: the port a is named twice"),
        (".subckt s a 0\nr1 a 0 1\n.ends", "1:13: ground"),
        (".subckt s a\nr1 a 0 1\n.ends\n.end\nr2 a b 1", "5:1: nothing is expected behind .end"),
        (".ends", "1:1: .ends closes nothing"),
    ],
)
def test_statements_out_of_place(text, message):
    with pytest.raises(NetlistError, match="netlist:" + message.replace("(", "\\(")):
        read_netlist(text)


def test_choice_of_subcircuit_and_parameters():
    text = ".subckt s a p=1\nr1 a 0 p\n.ends\n.subckt t a\nr1 a 0 1\n.ends\n"
    with pytest.raises(InputError, match="has 2 .s, t., name one"):
        read_subcircuit(text)
    with pytest.raises(InputError, match="Choose one of: s, t"):
        read_subcircuit(text, name="u")
    with pytest.raises(InputError, match="Choose one of: p"):
        read_subcircuit(text, name="s", parameters={"q": 1.0})
    with pytest.raises(InputError, match="must be finite"):
        read_subcircuit(text, name="s", parameters={"p": math.inf})
    with pytest.raises(NetlistError, match="resistance is -1"):
        read_subcircuit(text, name="s", parameters={"p": -1.0})


def tower(levels, uses, last, values=""):
    text = "".join(
        f".subckt s{i} a p=1\n"
        + "".join(f"x{k} a s{i + 1} {values.format(k=k)}\n" for k in range(uses))
        + ".ends\n"
        for i in range(levels)
    )
    return text + f".subckt s{levels} a p=1\n{last}\n.ends\n"


def inside(lines):
    return f".subckt s a b\n{lines}\n.ends\n"


HOSTILE = {
    "a million instances": inside("\n".join(f"r{i} a b 1" for i in range(1_000_000))),
    "many instances": inside("\n".join(f"r{i} a b 1" for i in range(20_000))),
    "ten to the twelve": tower(12, 10, "r1 a 0 1"),
    "a tower of different subcircuits": tower(15, 2, "r1 a 0 p", "p={{p*2+{k}}}"),
    "long arithmetic in a tower": tower(10, 2, "r1 a 0 {p" + "+1" * 50_000 + "}", "p={{p*2+{k}}}"),
    "brackets": inside("r1 a b {" + "(" * 90_000 + "1" + ")" * 90_000 + "}"),
    "signs": inside("r1 a b {" + "-" * 90_000 + "1}"),
    "powers": inside("r1 a b {(9**99)**(9**99)}"),
    "a long formula": inside("b1 a b i={v(a)" + "*v(a)" * 20_000 + "}"),
    "a chain of parameters": inside(
        "".join(f".param p{i}={{p{i + 1}+1}}\n" for i in range(2_500)) + ".param p2500=1\nr1 a b p0"
    ),
    "digits": inside("r1 a b " + "9" * 200_000),
    "a name": inside("r1 a b " + "n" * 200_000),
    "quotes": inside("r1 a b " + "'" * 200_000),
    "ports": ".subckt s " + " ".join(f"p{i}" for i in range(30_000)) + "\nr1 p1 0 1\n.ends",
    "deep hierarchy": tower(900, 1, "r1 a 0 1"),
    "transistors": inside(
        "\n".join(f"m{i} a b 0 0 nfet_01v8 w={0.5 + i / 1e3}u l=0.15u" for i in range(2_000))
    ),
    "binary": bytes(range(256)).decode("latin1") * 900,
    "lines": "\n" * 250_000,
    "spaces": " " * 250_000 + "r",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_is_refused_soon(name):
    start = time.process_time()
    with pytest.raises(NetlistError) as caught:
        netlist = read_netlist(HOSTILE[name])
        netlist.build(next(iter(netlist.subcircuits)), KIT)
    assert time.process_time() - start < 1.0
    assert len(str(caught.value)) < 500


def test_the_largest_text_that_is_read_takes_less_than_a_second():
    text = inside("\n".join(f"b{i} a b i={{v(a)*v(b)+{i}u*tanh(v(a,b)/25m)}}" for i in range(2_900)))
    start = time.process_time()
    assert len(read_subcircuit(text).instances) == 2_900
    assert time.process_time() - start < 1.0


def test_files(tmp_path):
    path = tmp_path / "cell.sp"
    path.write_bytes(b"\xef\xbb\xbf* cell\n")
    assert read_file(path) == "* cell\n"
    for data, message in ((b"\xff\xfe\x00", "is not text"), (b"*" * 300_000, "too large")):
        path.write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_file(path)
    for place in (tmp_path, tmp_path / "missing", "nul\0byte"):
        with pytest.raises(InputError, match="not a file|cannot be read"):
            read_file(place)


def test_a_kit_may_count_lengths_in_metres():
    kit = FetKit(lambda model, w, length, m: ideal.mosfet("n", w, length, multiplier=m), {"nmos": "n"}, 1.0)
    text = ".subckt s a b c\nX1 a b c 0 nmos w=0.35u l=0.13u\n.ends"
    fet = read_subcircuit(text, kit).instances[0].of
    assert (fet.width, fet.length) == (0.35e-6, 0.13e-6)
