"""Decks by the name of their dialect, as files for a user's own runs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath

from eqspice.circuit import Circuit, Stimulus
from eqspice.engines.base import Save, State
from eqspice.engines.spice import ngspice, vacask_deck, xyce
from eqspice.errors import InputError, unknown

DIALECTS = ("vacask", "ngspice", "xyce")
_MAIN = {"vacask": vacask_deck.MAIN, "ngspice": ngspice.MAIN, "xyce": xyce.MAIN}


def netlist(
    dialect: str,
    circuit: Circuit,
    stimulus: Stimulus,
    state: State | None = None,
    save: Save | None = None,
    main: str = "",
    library: str = "",
) -> dict[str, str]:
    """Returns the files of a deck, {name: text}, the one to run first.

    Args:
        dialect: one of DIALECTS.
        circuit: what to simulate.
        stimulus: its signals.
        state: voltages to start from; None: all nodes at zero.
        save: nodes to record; None: all.
        main: name of the file to run; the others are named after it. Empty: the dialect's own names.
        library: SPICE library of the process (its path, or "PDK_ROOT") whose transistors to use; empty for
            resolved model cards.

    Raises:
        InputError: there is no such dialect, or it cannot express a device; all of them are named.
    """
    if dialect not in DIALECTS:
        raise unknown("dialect", dialect, DIALECTS)
    if dialect == "vacask":
        if library:
            raise InputError("pdk library: VACASK cannot read it; leave it out, or choose ngspice or xyce.")
        files = vacask_deck.VacaskWriter().netlist(circuit, stimulus, state, save)
    elif dialect == "ngspice":
        options = ngspice.NgspiceOptions(library=library)
        files = ngspice.NgspiceWriter().netlist(circuit, stimulus, state, save, options)
    else:
        files = xyce.XyceWriter().netlist(circuit, stimulus, state, save, xyce.XyceOptions(library=library))
    return _renamed(files, _MAIN[dialect], main) if main else files


def _renamed(files: Mapping[str, str], old_main: str, main: str) -> dict[str, str]:
    """Names files after the main one, and mentions them so. Verilog-A files keep their names."""
    stem = PurePath(main).stem
    names = {old_main: main, "run.raw": f"{stem}.raw"}
    names |= {
        name: f"{stem}_{name}"
        for name in files
        if name not in (old_main, ngspice.INIT) and not name.endswith(".va")
    }
    pattern = re.compile(
        r'(?<=[" =])(?:' + "|".join(re.escape(name) for name in names) + r')(?="|$)', re.MULTILINE
    )
    return {
        names.get(name, name): pattern.sub(lambda found: names[found.group(0)], text)
        for name, text in files.items()
    }
