"""Writes docs/conformance.md: largest difference of every circuit of the conformance suite, per engine.

python benchmarks/conformance_table.py   # two minutes; needs ngspice, Xyce is taken where it is found
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conformance import judge, networks  # noqa: E402
from conformance.cases import Case  # noqa: E402
from conformance.circuits import CASES  # noqa: E402
from eqspice.design.presets import PRESETS  # noqa: E402
from eqspice.engines.spice import process  # noqa: E402

HEAD = """# Conformance of the engines

Written by `benchmarks/conformance_table.py`; the same suite runs in `tests/conformance`. Engines: {engines}.

## Circuits

Largest difference of any node at 200 instants, microvolts. A circuit with a closed form is compared with
that; else VACASK, ngspice and Xyce are compared with the native engine, and the native engine with VACASK.
Every engine must agree within {limit:g} µV, edges included: time steps are at most 1/4000 to 1/20000 of the
run, and straight lines between them are what is left of most numbers.

"""
NETWORKS = """
## Networks

Weights written by SET, then presentations with updates, against the native engine; largest difference on
plateaus, microvolts. Allowed: 100 µV on weights, also after the last sample, 500 µV on outputs and on what
the differential circuits hold behind their amplifiers. Held are the voltages of optimisers and samplers.

The numbers of the reciprocal preset on held nodes and outputs are the 0.3 % of the three-axis device tables;
with `fets = "model"` they are a tenth of that.

"""


def cell(case: Case, engine: str) -> str:
    if engine in case.excluded:
        return "–"
    error, _ = judge.error(case, engine)
    return f"{1e6 * error:.2f}"


def circuits(engines: list[str]) -> list[str]:
    lines = [f"| circuit | judged by | {' | '.join(engines)} |", "|---|---|" + "---:|" * len(engines)]
    for name, case in CASES.items():
        judged = "closed form" if case.exact else "engines"
        row = " | ".join(cell(case, engine) for engine in engines)
        lines.append(f"| {name} | {judged} | {row} |")
        print(lines[-1], flush=True)
    reasons: dict[str, list[str]] = {}
    for name, case in CASES.items():
        for engine, reason in case.excluded.items():
            reasons.setdefault(f"{engine}: {reason}", []).append(name)
    return [*lines, "", "Excluded:", "", *(f"- {', '.join(n)} in {why}" for why, n in reasons.items())]


def network_rows(engines: list[str]) -> list[str]:
    lines = [
        "| network | samples | engine | storage | outputs | storage after |",
        "|---|---:|---|---:|---:|---:|",
    ]
    chosen = [("reference", (3, 4, 2), 2), *((preset, (2, 2, 1), 1) for preset in PRESETS)]
    for preset, widths, samples in chosen:
        bench = networks.bench(preset, widths, samples)
        ours = networks.simulate(preset, widths, samples, "native")
        places = [bench.circuit.nodes.index(node) for node in bench.weights]
        held = tuple(node for node in bench.circuit.storage_nodes if node not in bench.weights)
        for engine in engines:
            if engine == "native":
                continue
            other = networks.simulate(preset, widths, samples, engine)
            plateaus = [
                bench.difference(ours, other, group) for group in (bench.weights, held, bench.outputs)
            ]
            after = float(np.abs(ours.state.voltages - other.state.voltages)[places].max())
            figures = " | ".join(f"{1e6 * value:.2f}" for value in (*plateaus, after))
            title = f"{preset} {'-'.join(map(str, widths))}"
            lines.append(f"| {title} | {samples} | {engine} | {figures} |")
            print(lines[-1], flush=True)
    return lines


def main() -> None:
    installed = {name: found for name, found in process.installed().items() if found.version}
    engines = list(installed)
    named = ", ".join(f"{name} {found.version}" for name, found in installed.items())
    limit = 1e6 * max(case.tolerance for case in CASES.values())
    text = HEAD.format(engines=named, limit=limit)
    text += "\n".join(circuits(engines)) + "\n" + NETWORKS + "\n".join(network_rows(engines)) + "\n"
    (ROOT / "docs/conformance.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
