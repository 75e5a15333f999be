"""Presets from a file: cells given as SPICE text take the places of the package's own."""

import shutil

import numpy as np
import pytest

from eqspice.design.elaborate import elaborate
from eqspice.design.preset_file import PresetFiles
from eqspice.design.presets import get_preset
from eqspice.errors import InputError, StorageError
from eqspice.training import trainer
from eqspice.training.checkpoint import RunFolder
from eqspice.training.experiment import load_experiment, make_experiment

CELLS = """* the cells of the reference circuit
.param ron=1 roff=1e14
.model logic vswitch(ron={ron} roff={roff} von=0.5 voff=0.4)
.model clamp d(is=1e-14 n=1)

.subckt synapse word bit p n column cstore=1p m=1
Swrite bit store word 0 logic
Cstore store 0 {cstore}
Xp column store p p sky130_fd_pr__pfet_01v8 w=1.302 l=0.15 m={m}
Xn column store n n sky130_fd_pr__nfet_01v8 w=0.42 l=0.15 m={m}
.ends

.subckt hidden in outp outn gain=1 back=1 r=10
Ep p 0 in 0 {gain} rout=0.1
En n 0 in 0 {-gain} rout=0.1
Gi in 0 in 0 {2*gain*back/0.1}
Gb in 0 n p {back/0.1}
Dp 0 p clamp
Dn n 0 clamp
Rp p outp {r-0.1}
Rn n outn {r-0.1}
.ends

.subckt last in outp outn gain=1 back=1 r=10
Bp outp 0 V={gain*V(in)} rout={r}
Bn outn 0 V={-gain*V(in)} rout={r}
Bi in 0 I={back*(2*gain*V(in)-V(outp)+V(outn))/r}
.ends

.subckt update wbl free early write column row gain=1 c=0.1p
Ebuffer buffered 0 column 0 1
Sfree buffered a free 0 logic
Ca a 0 {c}
Btarget target 0 V={V(wbl)+gain*V(column,a)*V(row)}
Starget target bm early 0 logic
Sbm bm b early 0 logic
Sbg bm 0 early 0 ground
Cb b 0 {c}
Ewrite written 0 b 0 1
Swrite written wm write 0 logic
Swm wm wbl write 0 logic
Swg wm 0 write 0 ground
.ends
.model ground vswitch(ron={ron} roff={roff} von=0.3 voff=0.4)
"""
PRESET = """base = "reference"
description = "the reference circuit, from text"

[design]
gain = 2.5

[synapse]
file = "cells/all.sp"
subckt = "Synapse"
ports = { wwl = "word", wbl = "bit", inp = "p", inn = "n", out = "column" }
storage = "store"
update_sign = -1
parameters = { cstore = "capacitance", m = "multiplier" }

[hidden_neuron]
file = "cells/all.sp"
subckt = "hidden"
parameters = { gain = "gain", back = "back_gain", r = "output_resistance" }

[output_neuron]
file = "cells/all.sp"
subckt = "last"
parameters = { gain = "gain", back = "back_gain", r = 10 }

[optimizer]
file = "cells/all.sp"
subckt = "update"
ports = { nudged_early = "early", update = "write" }
storage = { held_free = "a", held_target = "b" }
parameters = { gain = "update_gain", c = "capacitance" }
"""
SMALL = ("network.hidden=[3]", "learning.epochs=1", "learning.samples=6", "engine.fidelity=phase")


@pytest.fixture
def preset(tmp_path):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "all.sp").write_text(CELLS)
    (tmp_path / "mine.toml").write_text(PRESET)
    return tmp_path / "mine.toml"


def trained(preset, fidelity="phase"):
    """Outputs and weights after an epoch of a small network."""
    settings = {"task": {"name": "sine", "options": {"outputs": 2}}, "preset": str(preset)}
    bench = trainer.prepare(make_experiment(settings, (*SMALL, f"engine.fidelity={fidelity}")))
    start = trainer.write_weights(bench, trainer.initial_weights(bench.design, bench.experiment)).state
    solution, record = trainer.run_chunk(bench, trainer.epoch_chunks(bench, 0)[0], start)
    return record["free"], np.concatenate([w.ravel() for w in bench.weights(solution.state)]), start


@pytest.mark.parametrize("fidelity", ["phase", "transient"])
def test_the_reference_cells_as_text_learn_the_same(preset, fidelity):
    own, known = trained(preset, fidelity), trained("reference", fidelity)
    tolerance = 1e-6 if fidelity == "phase" else 5e-4  # V; other step sizes, as other unknowns are controlled
    assert np.max(np.abs(own[0] - known[0])) < tolerance
    assert np.max(np.abs(own[1] - known[1])) < tolerance
    assert np.ptp(known[0]) > 0.01


def test_a_preset_file_is_a_preset(preset):
    found = get_preset(preset)
    assert found.description == "the reference circuit, from text"
    design = found.build((3, 4, 2))
    assert design.preset == "mine" and design.gain == 2.5 and design.cells.synapse.update_sign == -1.0
    circuit = elaborate(design)
    assert circuit.count()["mosfet"] == 2 * (3 * 4 + 4 * 2)
    assert "layer0.cell_2_3.mem" in circuit.storage_nodes
    assert "layer1.optimizer_0.held_free" in circuit.storage_nodes
    assert circuit.devices[-1].origin.startswith("design.") or circuit.devices[-1].origin.startswith("cells.")
    origin = next(flat.origin for flat in circuit.devices if flat.name == "layer0.cell_0_0.xp")
    assert origin == "all.sp:9"


def test_the_experiment_carries_the_texts(preset, tmp_path, monkeypatch):
    experiment = make_experiment({"task": "sine", "preset": str(preset)}, SMALL)
    assert experiment.preset == "mine.toml" and set(experiment.preset_files.hashes) == {"mine.toml", "all.sp"}
    folder = RunFolder.create(tmp_path / "run", experiment)
    dump = folder.read_manifest()["experiment"]
    assert dump["preset"] == "mine.toml" and dump["preset_files"] == experiment.preset_files.hashes
    shutil.rmtree(preset.parent / "cells")
    preset.unlink()
    again = RunFolder.open(tmp_path / "run").experiment()  # needs the run folder alone
    assert again == experiment and again.preset_files == experiment.preset_files
    assert (tmp_path / "run" / "preset" / "all.sp").read_text() == CELLS


def test_a_run_is_not_resumed_with_other_cells(preset, tmp_path):
    experiment = make_experiment({"task": "sine", "preset": str(preset)}, SMALL)
    RunFolder.create(tmp_path / "run", experiment)
    (preset.parent / "cells" / "all.sp").write_text(CELLS.replace("w=0.42", "w=0.84"))
    other = make_experiment({"task": "sine", "preset": str(preset)}, SMALL)
    with pytest.raises(InputError, match=r"preset_files.all.sp"):
        RunFolder.create(tmp_path / "run", other, "resume")
    kept = tmp_path / "run" / "preset" / "all.sp"
    kept.write_text(CELLS + "* changed\n")
    with pytest.raises(InputError, match="not those that the experiment was started with"):
        RunFolder.open(tmp_path / "run").experiment()
    kept.unlink()
    with pytest.raises(StorageError, match="all.sp"):
        RunFolder.open(tmp_path / "run").experiment()


def test_a_path_in_an_experiment_file_starts_at_its_folder(preset):
    file = preset.parent / "experiment.toml"
    file.write_text('task = "sine"\npreset = "mine.toml"\n')
    assert load_experiment(file).preset_files == PresetFiles.load(preset)
    with pytest.raises(InputError, match="other.toml"):
        load_experiment(file, [f"preset={preset.parent}/other.toml"])


@pytest.mark.parametrize(
    "old, new, message",
    [
        (
            'base = "reference"',
            'base = "nothing"',
            "preset: 'nothing' is not known. Choose one of: reference",
        ),
        ('base = "reference"\n', "", "base is missing"),
        ("gain = 2.5", 'gain = "much"', "design.gain: 'much' is not allowed, it must be a number"),
        ("gain = 2.5", "gian = 2.5", "design: 'gian' is not known. Choose one of: update_gains"),
        ("gain = 2.5", "widths = [3]", "design: 'widths' is not known"),
        ("gain = 2.5", "gain = -1", "gain: -1.0 is not allowed, it must be positive"),
        ("gain = 2.5", "switch = { v_onn = 1 }", "design.switch: 'v_onn' is not known"),
        ("gain = 2.5", "update_gains = 3", "must be .hidden layers, last layer."),
        ("[optimizer]", "[optimiser]", "'optimiser' is not known. Choose one of: base"),
        ('subckt = "hidden"', 'subckt = "hiden"', "hidden_neuron.subckt of all.sp: 'hiden' is not known"),
        ('file = "cells/all.sp"', 'file = "all.sp"', "is not a file"),
        ('wwl = "word"', 'wl = "word"', "synapse.ports: 'wl' is not known. Choose one of: wwl"),
        ('wwl = "word"', 'wwl = "wort"', "synapse.ports.wwl: port of synapse: 'wort' is not known"),
        ('wwl = "word", ', "", "port 'word' of synapse is connected to nothing"),
        ('storage = "store"\n', "", "synapse.storage: the node of mem is missing"),
        ('storage = "store"', "storage = 3", "synapse.storage: 3 is not allowed"),
        ("update_sign = -1", "update_sign = 0.5", "update_sign: 0.5 is not allowed, it must be 1 or -1"),
        ("m = ", "mm = ", "parameters of synapse: 'mm' is not known. Choose one of: cstore, m"),
        (
            '"multiplier"',
            '"multiplyer"',
            "parameters.m: 'multiplyer' is not known. Choose one of: capacitance",
        ),
        ("[design]", "[design", "mine.toml is not TOML"),
    ],
)
def test_mistakes_name_field_value_and_what_is_allowed(preset, old, new, message):
    text = preset.read_text()
    assert old in text
    preset.write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=message):
        make_experiment({"task": "sine", "preset": str(preset)})


def test_a_storage_node_that_does_not_exist_shows_when_the_circuit_is_built(preset):
    preset.write_text(preset.read_text().replace('"store"', '"stor"'))
    with pytest.raises(InputError, match="node 'stor' does not exist in synapse of all.sp"):
        elaborate(get_preset(preset).build((3, 2)))


def test_a_mistake_in_the_text_names_its_line(preset):
    path = preset.parent / "cells" / "all.sp"
    path.write_text(CELLS.replace("w=1.302", "w=1.302u"))
    with pytest.raises(InputError, match="^all.sp:9:47: w is in micrometres"):
        elaborate(get_preset(preset).build((3, 2)))


def test_names_inside_a_cell_do_not_clash_with_those_of_the_network(preset):
    """A node called mem that is not the storage node keeps out of the way of the one that is."""
    path = preset.parent / "cells" / "all.sp"
    text = CELLS.replace(
        ".ends\n\n.subckt hidden", "Rx store mem 1k\nRy mem wwl 1k\nRz wwl 0 1k\n.ends\n\n.subckt hidden"
    )
    path.write_text(text)
    circuit = elaborate(get_preset(preset).build((3, 2)))
    assert {"layer0.cell_0_0.mem_cell", "layer0.cell_0_0.wwl_cell"} <= set(circuit.nodes)
    at = {flat.name: flat.nodes for flat in circuit.devices}
    assert at["layer0.cell_0_0.rx"] == ("layer0.cell_0_0.mem", "layer0.cell_0_0.mem_cell")
