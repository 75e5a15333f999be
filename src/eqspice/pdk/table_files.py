"""Files of device tables: found again by key, whole or not at all."""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eqspice.circuit.devices import Mosfet
from eqspice.pdk import osdi

_log = logging.getLogger(__name__)

Floats = NDArray[np.float64]


def device_key(mosfet: Mosfet, kind: str) -> str:
    """Returns the sha256 of everything that the numbers of a table of this kind depend on."""
    card = mosfet.card
    parts = [
        kind,
        f"library {osdi.library(card.level).sha256}",
        f"{card.level} {card.polarity} {sorted((k, float(v)) for k, v in card.parameters)}",
        f"{float(mosfet.width)!r} {float(mosfet.length)!r} {float(mosfet.multiplier)!r}",
        f"{float(mosfet.temperature)!r} {sorted((k, float(v)) for k, v in mosfet.instance)}",
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def load(path: Path, key: str, shape: tuple[int, ...]) -> Floats | None:
    """Returns the numbers in a file, or None if there are none that can be trusted."""
    try:
        with np.load(path, allow_pickle=False) as stored:  # the zip container checks each array
            numbers = np.asarray(stored["coefficients"], dtype=np.float64)
            if str(stored["key"]) == key and numbers.shape == shape:
                return numbers
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        _log.info("cache file %s is damaged (%s), it is made again", path, error)
    return None


def save(path: Path, key: str, numbers: Floats) -> None:
    """Writes a file in one step; without a writable folder it warns and the caller goes on in memory."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as stream:
            temporary = Path(stream.name)
            np.savez(stream, coefficients=numbers, key=np.array(key))
        os.replace(temporary, path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        warnings.warn(
            f"device tables cannot be kept in {path.parent} ({error.strerror}); each run makes them "
            "again. Set EQSPICE_CACHE to a folder that can be written.",
            stacklevel=4,
        )


def aligned(count: int) -> Floats:
    """Returns an array (count,) that starts on a cache line, so that no node lies across two."""
    raw = np.empty(count + 8)
    start = (-raw.ctypes.data % 64) // 8
    return raw[start : start + count]
