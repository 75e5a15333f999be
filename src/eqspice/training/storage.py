"""Files that are whole or absent: written beside their place, made durable, then renamed.

Every failure of the file system becomes a StorageError that names the path and the reason.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import StorageError

_MARK = ".partial-"  # start of the name of a file that is being written
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date inside every npz, so that equal arrays give equal bytes


@contextlib.contextmanager
def _explained(path: Path, deed: str) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{path}: cannot be {deed}: {reason}. Files written before are whole.") from error


def names(folder: Path) -> list[str]:
    """Returns the names in a folder, sorted; empty if it does not exist.

    Raises:
        StorageError: it is not a folder or cannot be read.
    """
    with _explained(folder, "read"):
        return sorted(os.listdir(folder)) if folder.exists() else []


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, if missing."""
    with _explained(path, "made"):
        path.mkdir(parents=True, exist_ok=True)


def remove(path: Path) -> None:
    """Removes a file or a folder, if there is one."""
    with _explained(path, "removed"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Removes what a killed process left half-written in a folder."""
    for name in names(folder):
        if name.startswith(_MARK):
            remove(folder / name)


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces a file as a whole: whoever reads it finds the old or the new content, also after a crash.

    Raises:
        StorageError: names the path and the reason; the old content stays.
    """
    beside = path.with_name(f"{_MARK}{path.name}")
    with _explained(path, "written"):
        try:
            with open(beside, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
            _sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            raise


def write_tree(path: Path, write: Callable[[Path], None]) -> None:
    """Replaces a folder as a whole.

    Args:
        path: of the folder.
        write: writes a new folder at the path that it is given.
    """
    beside = path.with_name(f"{_MARK}{path.name}")
    old = path.with_name(f"{_MARK}old-{path.name}")
    with _explained(path, "written"):
        remove(beside)
        remove(old)
        try:
            write(beside)
            for place, _, files in os.walk(beside):
                for name in files:
                    with open(os.path.join(place, name), "rb+") as file:
                        os.fsync(file.fileno())
            if path.exists():
                os.replace(path, old)
            os.replace(beside, path)
            _sync_folder(path.parent)
        except OSError:
            with contextlib.suppress(OSError):
                remove(beside)
            raise
        remove(old)


def append(path: Path, content: bytes) -> None:
    """Adds to the end of a file."""
    with _explained(path, "written"), open(path, "ab") as file:
        file.write(content)


def _sync_folder(folder: Path) -> None:
    """Makes a rename durable. Windows cannot open folders and needs no such call."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_npz(path: Path, arrays: Mapping[str, Any]) -> None:
    """Replaces an npz file as a whole; equal arrays give equal bytes. Objects are refused.

    Raises:
        StorageError: it cannot be written.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(arrays):
            entry = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            entry.create_system = 3
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asanyarray(arrays[name]), allow_pickle=False)
            archive.writestr(entry, member.getvalue())
    write_bytes(path, buffer.getvalue())


def read_npz(path: Path) -> dict[str, NDArray[Any]]:
    """Returns all arrays of an npz file; its checksums are checked.

    Raises:
        StorageError: missing or damaged; names the path.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except OSError as error:
        raise StorageError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (
        ValueError,
        EOFError,
        KeyError,
        TypeError,
        AttributeError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise StorageError(f"{path}: is damaged ({error}).") from error
