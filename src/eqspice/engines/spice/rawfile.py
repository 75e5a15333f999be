"""Reads the raw files of SPICE simulators: VACASK, ngspice (binary and ASCII) and Xyce."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import SimulatorError

FloatArray = NDArray[np.float64]
_HEADER_LINES = 1_000_000


@dataclass(frozen=True)
class Plot:
    """One plot of a raw file.

    Attributes:
        title: of the plot ("Transient Analysis").
        names: of the variables as the simulator wrote them, the scale (time) first.
        values: shape (points, variables).
    """

    title: str
    names: tuple[str, ...]
    values: FloatArray


def read_raw(path: Path) -> list[Plot]:
    """Returns the plots of a raw file.

    A binary file whose simulator died while writing has fewer points than its header says (or says
    zero); what is there in whole rows is returned.

    Raises:
        SimulatorError: the file is not there, is no raw file, or holds complex values.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SimulatorError(f"raw file {path.name} cannot be read: {error.strerror or error}.") from error
    plots, position = [], 0
    while data[position:].strip(b"\r\n\t \0"):
        plot, position = _plot(data, position, path.name)
        plots.append(plot)
    if not plots:
        raise SimulatorError(f"raw file {path.name} is empty.")
    return plots


def _plot(data: bytes, position: int, name: str) -> tuple[Plot, int]:
    header: dict[str, str] = {}
    names: list[str] = []
    for _ in range(_HEADER_LINES):
        line, position = _line(data, position, name)
        key, _, rest = line.partition(":")
        key = key.strip().lower()
        if key == "variables" and not names:
            count = _integer(header, "no. variables", name)
            if rest.strip():  # the first variable may stand on the line of the keyword
                names.append(rest.split()[1])
            while len(names) < count:
                line, position = _line(data, position, name)
                fields = line.split()
                if len(fields) < 2 or fields[0] != str(len(names)):
                    raise SimulatorError(f"raw file {name}: {line!r} is not variable {len(names)}.")
                names.append(fields[1])
        elif key in ("binary", "values"):
            break
        elif key:
            header[key] = rest.strip()
    if "complex" in header.get("flags", "").lower():
        raise SimulatorError(f"raw file {name} holds complex values, real ones were expected.")
    if not names:
        raise SimulatorError(f"raw file {name} names no variables.")
    points = _integer(header, "no. points", name)
    read = _binary if key == "binary" else _text
    values, position = read(data, position, points, len(names), name)
    return Plot(header.get("plotname", ""), tuple(names), values), position


def _line(data: bytes, position: int, name: str) -> tuple[str, int]:
    end = data.find(b"\n", position)
    if end < 0:
        raise SimulatorError(f"raw file {name} ends inside its header.")
    return data[position:end].decode("utf-8", errors="replace").rstrip("\r"), end + 1


def _integer(header: dict[str, str], key: str, name: str) -> int:
    try:
        return int(header[key])
    except (KeyError, ValueError):
        raise SimulatorError(f"raw file {name}: header has no number {key!r}.") from None


def _binary(data: bytes, position: int, points: int, width: int, name: str) -> tuple[FloatArray, int]:
    rows = min(points, (len(data) - position) // (8 * width))
    if points == 0:  # a writer that never came back to fill in the count
        rows = (len(data) - position) // (8 * width)
    values = np.frombuffer(data, "<f8", rows * width, position).reshape(rows, width)
    whole = 0 < points == rows
    return values.astype(np.float64), position + 8 * rows * width if whole else len(data)


def _text(data: bytes, position: int, points: int, width: int, name: str) -> tuple[FloatArray, int]:
    """Reads `index value value …` per point, separated by any white space."""
    end = data.find(b"Title:", position)
    end = len(data) if end < 0 else end
    try:
        numbers = np.array(data[position:end].split(), float)
    except ValueError as error:
        raise SimulatorError(f"raw file {name}: {error}.") from None
    rows = min(points, len(numbers) // (width + 1)) if points else len(numbers) // (width + 1)
    table = numbers[: rows * (width + 1)].reshape(rows, width + 1)
    return np.ascontiguousarray(table[:, 1:]), end
