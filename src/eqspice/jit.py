"""Compiled functions, kept on disk between processes under a name that changes with their source.

numba invalidates a cached function when its own file changes, not when a function that it calls in
another file does. Therefore the folder is named by a hash over all kernel sources.
"""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

PACKAGE = Path(__file__).parent
_SHAPES_CODE = (b"@kernel(", b"@intrinsic", b"NamedTuple")  # a source without these compiles to nothing


def cache_folder() -> Path:
    """Returns where tables and compiled code are kept: EQSPICE_CACHE, or the platform's cache folder."""
    if chosen := os.environ.get("EQSPICE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "eqspice"


@functools.cache
def _compiled_folder() -> str | None:
    digest = hashlib.sha256(numba.__version__.encode())
    for folder in ("pdk", "engines/native"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            source = path.read_bytes()
            if any(mark in source for mark in _SHAPES_CODE):
                digest.update(source)
    compiled = cache_folder() / f"compiled-{digest.hexdigest()[:16]}"
    try:
        compiled.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return str(compiled) if os.access(compiled, os.W_OK) else None


def kernel(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Returns numba's njit decorator with a disk cache in our folder (none if it cannot be written)."""

    def decorate(function: Callable[..., Any]) -> Any:
        folder = _compiled_folder()
        if folder is None:
            return numba.njit(**options)(function)
        settings: Any = numba.config
        before = settings.CACHE_DIR
        settings.CACHE_DIR = folder
        try:
            return numba.njit(cache=True, **options)(function)
        finally:
            settings.CACHE_DIR = before

    return decorate
