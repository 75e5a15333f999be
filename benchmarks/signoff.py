"""What a sample costs in each simulator: the reference network 3-32-4, free, nudged and update phases.

    python benchmarks/signoff.py           # about one minute

CPU seconds of one process, without compilation and start-up of our own; errors are the largest ones on
plateaus, against the native engine at a local error of 1 µV. Results go to benchmarks/results/signoff.md and
signoff.json.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from conformance import networks  # noqa: E402
from eqspice.engines import get_engine  # noqa: E402
from eqspice.engines.base import Solution  # noqa: E402
from eqspice.engines.spice import process  # noqa: E402
from eqspice.errors import SimulatorError  # noqa: E402

RESULTS = Path(__file__).parent / "results"
NETWORK = ("reference", (3, 32, 4), 1)
SETTINGS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("native", {"fidelity": "phase"}),
    ("native", {"lte": 1e-3}),
    ("native", {"lte": 1e-5}),
    ("vacask", {"reltol": 1e-3}),
    ("vacask", {"reltol": 1e-4}),
    ("vacask", {"reltol": 1e-6}),
    ("ngspice", {"reltol": 1e-3}),
    ("ngspice", {"reltol": 1e-4}),
    ("ngspice", {"reltol": 1e-5}),
    ("xyce", {"reltol": 1e-4}),
    ("xyce", {"reltol": 1e-6}),
)
LIMIT_S = 900.0


def measure(bench: networks.Bench, exact: Solution, engine: str, options: dict[str, Any]) -> dict[str, Any]:
    more = {} if engine == "native" else {"timeout_s": LIMIT_S}
    row: dict[str, Any] = {"engine": engine, "options": options}
    try:
        session = get_engine(engine, **options, **more).prepare(bench.circuit)
        if engine == "native":
            session.run(bench.plan.stimulus, bench.state)  # compiles
        found = session.run(bench.plan.stimulus, bench.state).raise_for_status()
    except SimulatorError as error:
        return row | {"error": str(error).splitlines()[0][:160]}
    return row | {
        "cpu_s": found.statistics.cpu_s,
        "time_steps": found.statistics.time_steps,
        "newton_iterations": found.statistics.newton_iterations,
        "storage_v": bench.difference(exact, found, bench.circuit.storage_nodes),
        "outputs_v": bench.difference(exact, found, bench.outputs),
    }


def line(row: dict[str, Any]) -> str:
    options = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else value for key, value in row["options"].items()
    )
    if "error" in row:
        return f"| {row['engine']} | {options} | – | – | – | {row['error']} | |"
    counts = f"{row['cpu_s']:.3f} | {row['time_steps']} | {row['newton_iterations']}"
    errors = f"{1e6 * row['storage_v']:.2f} | {1e6 * row['outputs_v']:.2f}"
    return f"| {row['engine']} | {options} | {counts} | {errors} |"


def main() -> None:
    bench = networks.bench(*NETWORK)
    exact = get_engine("native", lte=1e-6).prepare(bench.circuit).run(bench.plan.stimulus, bench.state)
    exact.raise_for_status()
    rows = []
    for engine, options in SETTINGS:
        rows.append(measure(bench, exact, engine, options))
        print(line(rows[-1]), flush=True)
    versions = {name: found.version for name, found in process.installed().items() if found.version}
    head = [
        "# One sample of the reference network 3-32-4 in every simulator",
        "",
        "Written by `benchmarks/signoff.py`; " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ".",
        "",
        "| engine | settings | CPU, s | time steps | Newton iterations | storage, µV | outputs, µV |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    (RESULTS / "signoff.md").write_text("\n".join([*head, *map(line, rows)]) + "\n", encoding="utf-8")
    record = {"machine": platform.machine(), "versions": versions, "network": NETWORK, "rows": rows}
    (RESULTS / "signoff.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
