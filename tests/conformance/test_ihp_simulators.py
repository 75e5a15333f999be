"""The IHP kit against VACASK, and our data against the library that it comes from."""

from __future__ import annotations

import gzip
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from eqspice.circuit.devices import Mosfet
from eqspice.engines.spice import process
from eqspice.engines.spice.rawfile import read_raw
from eqspice.pdk import cards, ihp_sg13g2, osdi

UM = 1e-6
REPOSITORY = Path(__file__).parents[2]
BULK = -0.2
WHEEL = os.environ.get("IHP_WHEEL")
needs_wheel = pytest.mark.skipif(
    not WHEEL, reason="set IHP_WHEEL to the ihp-gdsfactory 2.0.0 wheel to check the data"
)


def vacask(folder: Path, models: str, device: str, temperature: float) -> dict[str, np.ndarray]:
    """Returns drain, gate and bulk currents over a grid of drain and gate voltages."""
    (folder / "dc1.raw").unlink(missing_ok=True)
    (folder / "deck.sim").write_text(f"""device
{models}
model v vsource
ground 0
vd (d 0) v dc=0
vg (g 0) v dc=0
vb (b 0) v dc={BULK}
{device}
control
  options reltol=1e-6 abstol=1e-15 vntol=1e-9 gmin=0 temp={temperature} rawfile="binary"
  sweep xd instance="vd" parameter="dc" from=-1.5 to=1.5 step=0.1
  sweep xg instance="vg" parameter="dc" from=-1.5 to=1.5 step=0.1
  analysis dc1 op
endc
""")
    command = [str(process.find(process.VACASK)), "-qp", "deck.sim"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert (folder / "dc1.raw").exists(), done.stdout + done.stderr
    plot = read_raw(folder / "dc1.raw")[0]
    assert len(plot.values) == 31 * 31
    return {name: plot.values[:, k] for k, name in enumerate(plot.names)}


def check(mosfet: Mosfet, found: dict[str, np.ndarray]) -> None:
    """Compares currents: VACASK was asked for 1e-6 and 1 fA of every current."""
    zero = np.zeros(len(found["d"]))
    points = np.stack([found["d"], found["g"], zero, zero + BULK], axis=1)
    ours = osdi.compact_model(mosfet).evaluate(points).current
    for column, source in ((0, "vd"), (1, "vg"), (3, "vb")):
        reference = -found[f"{source}:flow(br)"]
        excess = np.abs(ours[:, column] - reference) - 1e-5 * np.abs(reference)
        assert excess.max() < 3e-15


@pytest.mark.parametrize(
    ("model", "corner", "temperature", "multiplier"),
    [("sg13_lv_nmos", "tt", 27.0, 1.0), ("sg13_lv_pmos", "ff", 80.0, 3.0)],
)
def test_dc_equals_vacask(
    tmp_path: Path, model: str, corner: str, temperature: float, multiplier: float
) -> None:
    device = ihp_sg13g2.mosfet(
        model, 0.42 * UM, 0.15 * UM, corner=corner, temperature=temperature, multiplier=multiplier
    )
    models = f'load "{osdi.library_path("psp103").as_posix()}"\n'
    models += cards.model_card_text(device, "fet", "vacask")
    instance = f"i1 (d g 0 b) m_fet {cards.instance_text(device, 'vacask')}"
    check(device, vacask(tmp_path, models, instance, temperature))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the unpacked wheel; VACASK keeps what it compiles beside the deck."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.unpack_archive(str(WHEEL), folder, "zip")
    return folder


@needs_wheel
@pytest.mark.parametrize(
    ("model", "corner", "fingers"),
    [
        ("sg13_lv_nmos", "tt", 1),
        ("sg13_lv_nmos", "sf", 2),
        ("sg13_lv_pmos", "ss", 3),
        ("sg13_lv_pmos", "fs", 4),
    ],
)
def test_dc_equals_the_original_library_in_vacask(wheel: Path, model: str, corner: str, fingers: int) -> None:
    """The library with its own subcircuit and model source, which VACASK compiles by itself."""
    library = (wheel / "ihp/models/vacask/models/cornerMOSlv.lib").as_posix()
    device = ihp_sg13g2.mosfet(
        model, 1.2 * UM, 0.3 * UM, corner=corner, temperature=80.0, multiplier=2.0, fingers=fingers
    )
    models = f'include "{library}" section=mos_{corner}'
    instance = f"x1 (d g 0 b) {model} w=1.2u l=0.3u ng={fingers} m=2"
    check(device, vacask(wheel, models, instance, 80.0))


@needs_wheel
def test_data_is_what_the_library_says() -> None:
    path = REPOSITORY / "scripts/import_ihp_sg13g2.py"
    spec = importlib.util.spec_from_file_location("import_ihp_sg13g2", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["import_ihp_sg13g2"] = module
    spec.loader.exec_module(module)
    made = module.build(Path(str(WHEEL)))
    assert sorted(made) == ["ihp_sg13g2.json.gz", "psp103.va.gz"]
    for name, content in made.items():
        kept = (REPOSITORY / "src/eqspice/pdk/data" / name).read_bytes()
        assert gzip.decompress(content) == gzip.decompress(kept)
