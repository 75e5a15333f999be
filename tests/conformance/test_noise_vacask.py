"""Transient noise of one synapse column against VACASK's transient noise."""

from __future__ import annotations

import numpy as np
import pytest

from eqspice.circuit import Capacitor, Circuit, Instance, Resistor, Stimulus, VoltageSource
from eqspice.engines.base import Save
from eqspice.engines.native.engine import NativeEngine, NativeOptions
from eqspice.engines.spice import process
from eqspice.engines.spice.rawfile import read_raw
from eqspice.engines.spice.vacask import VacaskEngine
from eqspice.engines.spice.vacask_deck import _ACCURACY, MAIN, RAW, VacaskOptions
from eqspice.pdk import sky130

BAND = (1e5, 5e9)  # Hz; the column's corner is at some 200 MHz
STOP = 5e-6  # s: some 3,000 independent values, 1.3 % of the deviation
SILENT = Stimulus(np.array([0.0, STOP]), (), np.zeros((2, 0)))


def column(number: int) -> list[Instance]:
    """The reference's CMOS synapse between its row's rails and a loaded column."""
    pfet = sky130.mosfet("pfet_01v8", 1.302e-6, 0.15e-6)
    nfet = sky130.mosfet("nfet_01v8", 0.42e-6, 0.15e-6)
    k = number
    return [
        Instance(f"vp{k}", VoltageSource(0.3), (f"inp{k}", "0")),
        Instance(f"vn{k}", VoltageSource(-0.3), (f"inn{k}", "0")),
        Instance(f"vm{k}", VoltageSource(0.4), (f"mem{k}", "0")),
        Instance(f"mp{k}", pfet, (f"out{k}", f"mem{k}", f"inp{k}", f"inp{k}")),
        Instance(f"mn{k}", nfet, (f"out{k}", f"mem{k}", f"inn{k}", f"inn{k}")),
        Instance(f"load{k}", Resistor(1e4), (f"out{k}", "0")),
        Instance(f"c{k}", Capacitor(1e-13), (f"out{k}", "0")),
    ]


def vacask() -> float:
    """Deviation of the column in VACASK, V."""
    circuit = Circuit("column", tuple(column(0)))
    # Error control would chase the noise and stop at steps too small: short steps, loose tolerances.
    options = VacaskOptions(reltol=1e-3, abstol=1e-12, vntol=1e-6, chgtol=1e-14, max_step=1e-10)
    engine = VacaskEngine(options)
    state = NativeEngine().prepare(circuit).operating_point()
    files = engine.writer(circuit)(SILENT, state, None)
    noise = f'noisefmin={BAND[0]} noisefmax={BAND[1]} noiseseed=1 noisemode="sde"'
    assert 'icmode="uic"' in files[MAIN]
    files[MAIN] = files[MAIN].replace('icmode="uic"', f'icmode="uic" {noise}').replace(_ACCURACY, "")
    with process.work_folder("vacask") as folder:
        process.write_files(folder, files)
        done = process.run([str(process.find(process.VACASK)), "-qp", MAIN], folder, 120.0)
        plot = read_raw(folder / RAW)[0]
        assert done.code == 0, done.log
    time, values = plot.values[:, 0], plot.values[:, plot.names.index("n_out0")]
    grid = np.linspace(0.1 * STOP, STOP, 50_000)
    return float(np.interp(grid, time, values).std())


def native() -> float:
    """The same in phase fidelity, whose steps are ten thousand times the column's time constant, V."""
    cells, count = 50, 200
    parts = tuple(part for k in range(cells) for part in column(k))
    options = NativeOptions("phase", noise=("thermal", "flicker", "shot"), noise_band=BAND)
    axis = 1e-5 * np.arange(count + 1)
    nodes = tuple(f"out{k}" for k in range(cells))
    stimulus = Stimulus(axis, (), np.zeros((len(axis), 0)))
    run = NativeEngine(options).prepare(Circuit("columns", parts)).run(stimulus, None, Save(nodes, axis[2:]))
    return float(run.raise_for_status().waveforms.values.std())


@pytest.mark.slow
def test_noise_of_a_column_is_vacasks_within_a_decibel() -> None:
    ours, theirs = native(), vacask()
    assert abs(20.0 * np.log10(ours / theirs)) < 1.0, f"{1e6 * ours:.1f} uV, VACASK {1e6 * theirs:.1f} uV"
