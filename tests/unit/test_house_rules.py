"""Rules that the code itself is held to: the way data goes, no machine's paths, docstrings."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "eqspice"
STATIONS = (
    ("errors",),
    ("jit",),
    ("units",),
    ("progress",),
    ("crew",),
    ("circuit",),
    ("pdk",),
    ("cells",),
    ("design",),
    ("waveforms",),
    ("engines",),
    ("analysis",),
    ("training",),
    ("report",),
    ("verify",),
    ("fleet",),
    ("run",),
    ("sklearn",),
    ("__init__", "cli", "__main__"),
)
RANK = {name: rank for rank, names in enumerate(STATIONS) for name in names}
CLOSED_TO_ENGINES = {"cells", "design", "training"}
SOURCES = sorted(PACKAGE.rglob("*.py"))
MACHINE_PATH = re.compile(r"(?<![\w.~*})/-])/(?:tmp|work|root|home|Users)(?:/|(?![\w/-]))")


def station(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_stations(tree: ast.AST, path: Path) -> set[str]:
    """Stations of the package that a module imports, wherever in the module."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "eqspice":
                found.add(parts[1] if len(parts) > 1 and parts[1] in RANK else "__init__")
    return found


def identifier(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_a_module_has_a_station_and_a_docstring(path):
    assert station(path) in RANK, f"{path}: give it a place in the order of stations"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), f"{path}: has no docstring"


@pytest.mark.parametrize("path", SOURCES, ids=identifier)
def test_imports_go_one_way(path):
    own = station(path)
    for other in imported_stations(ast.parse(path.read_text(encoding="utf-8")), path):
        assert RANK[other] <= RANK[own], f"{identifier(path)} ({own}) must not import {other}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "engines").rglob("*.py")), ids=identifier)
def test_engines_know_no_networks(path):
    assert not imported_stations(ast.parse(path.read_text(encoding="utf-8")), path) & CLOSED_TO_ENGINES


def test_the_import_check_sees_every_form():
    text = (
        "import eqspice.pdk.osdi\nfrom eqspice import cells\ndef f():\n from eqspice.design.network import X"
    )
    assert imported_stations(ast.parse(text), Path("x")) == {"pdk", "cells", "design"}


def project_files() -> list[Path]:
    command = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git work tree")
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_file_names_a_place_of_one_machine():
    found = []
    for path in project_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line):
                found.append(f"{identifier(path)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def test_the_path_check_sees_paths():
    for place in ("tmp", "work", "root", "home"):
        assert MACHINE_PATH.search(f"open('/{place}/x')") and MACHINE_PATH.search(f" /{place} ")
    for text in ("path/" + "tmp/x", "f/" + "work", "https://host/" + "home/", "a /" + "working day"):
        assert not MACHINE_PATH.search(text)
