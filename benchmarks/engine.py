"""What the native engine costs: CPU time per epoch, what a Newton iteration is made of, cost against size.

    python benchmarks/engine.py            # all of it, about two minutes
    python benchmarks/engine.py --quick    # without the large networks

Times are CPU seconds of one thread after compilation, the median of several runs. Results go to
benchmarks/results/engine.json and engine_scaling.png.
"""

import argparse
import json
import platform
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from eqspice.engines.base import State
from eqspice.engines.native import newton
from eqspice.engines.native import program as pg
from eqspice.engines.native.sparse import factorise, solve
from eqspice.training import trainer
from eqspice.training.dataset import arrays
from eqspice.training.experiment import Experiment
from eqspice.training.sections import EngineChoice, Learning, Network

RESULTS = Path(__file__).parent / "results"
SAMPLES = 50
SCALING = (27, 53, 95, 173, 311)  # inputs = hidden neurons; with 10 outputs 1k to 100k synapses


def experiment(widths: tuple[int, int, int], fidelity: str, samples: int = SAMPLES) -> Experiment:
    """A reference network on random data: the cost does not depend on what is learned."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1.0, 1.0, (samples, widths[0]))
    y = rng.uniform(-0.02, 0.02, (samples, widths[2]))
    return Experiment(
        task=arrays(x, y, scale=False),
        network=Network(hidden=(widths[1],)),
        learning=Learning(epochs=100, lr=0.01),
        engine=EngineChoice(fidelity=fidelity),
    )


def start(bench: trainer.Bench) -> State:
    return trainer.write_weights(bench, trainer.initial_weights(bench.design, bench.experiment)).state


def epochs(bench: trainer.Bench, repeats: int) -> dict[str, Any]:
    """Median CPU time of an epoch that follows one epoch of warming up."""
    state, seconds = start(bench), []
    for epoch in range(repeats + 1):
        before = time.process_time()
        for chunk in trainer.epoch_chunks(bench, epoch):
            solution, _ = trainer.run_chunk(bench, chunk, state)
            state = solution.state
        seconds.append(time.process_time() - before)
    work = solution.statistics
    return {
        "cpu_s_per_epoch": statistics.median(seconds[1:]),
        "unknowns": bench.session.unknowns,
        "fets": bench.circuit.count()["mosfet"],
        "synapses": bench.design.synapses,
        "time_steps": work.time_steps,
        "rejected_steps": work.rejected_steps,
        "newton_iterations": work.newton_iterations,
        "factorisations": work.factorisations,
        "device_evaluations": work.device_evaluations,
        "us_per_iteration": 1e6 * statistics.median(seconds[1:]) / work.newton_iterations,
    }


@njit
def repeat(program, work, part, alpha, bypass, right, calls):
    """Calls one part of a Newton iteration often, inside compiled code."""
    start, column, diagonal = program.start, program.column, program.diagonal
    values, inverse = work.values, work.inverse_pivot
    for _ in range(calls):
        if part == EVALUATE:
            newton.evaluate(program, work, bypass)
        elif part == ASSEMBLE or part == FACTORISE:
            newton.assemble(program, work, alpha, 0.0)
            if part == FACTORISE:
                factorise(start, column, diagonal, values, inverse, work.scratch)
        else:
            solve(start, column, diagonal, values, inverse, right)


EVALUATE, ASSEMBLE, FACTORISE, SOLVE = range(4)


def profile(bench: trainer.Bench, epoch: dict[str, Any]) -> dict[str, float]:
    """Shares of an epoch's CPU time: each kernel's time alone, times how often it was called."""
    program, work = bench.session.compiled.program, pg.new_work(bench.session.compiled.program)
    work.voltage[bench.session.compiled.places] = start(bench).voltages
    newton.evaluate(program, work, 1e-4)

    def seconds(part: int, bypass: float = 1e-4, calls: int = 300) -> float:
        right, found = np.zeros(program.unknowns), []
        repeat(program, work, part, 1e6, bypass, right, 1)
        for _ in range(5):
            before = time.process_time()
            repeat(program, work, part, 1e6, bypass, right, calls)
            found.append((time.process_time() - before) / calls)
        return min(found)

    bypassed = seconds(EVALUATE, bypass=1.0)
    per_fet = (seconds(EVALUATE, bypass=-1.0) - bypassed) / epoch["fets"]
    assemble = seconds(ASSEMBLE)
    lu = seconds(FACTORISE) - assemble
    parts = {
        "devices": epoch["newton_iterations"] * bypassed + epoch["device_evaluations"] * per_fet,
        "assembly": epoch["factorisations"] * assemble,
        "lu": epoch["factorisations"] * lu,
        "solve": epoch["newton_iterations"] * seconds(SOLVE),
    }
    shares = {name: value / epoch["cpu_s_per_epoch"] for name, value in parts.items()}
    return shares | {"rest": 1.0 - sum(shares.values()), "ns_per_fet_evaluation": 1e9 * per_fet}


def scaling() -> list[dict[str, Any]]:
    """Phase fidelity, ten presentations, from 1k to 100k synapses."""
    rows = []
    for width in SCALING:
        before = time.perf_counter()
        bench = trainer.prepare(experiment((width, width, 10), "phase", samples=10))
        row = epochs(bench, 1) | {"prepare_s": time.perf_counter() - before}
        row["cpu_s_per_presentation"] = row["cpu_s_per_epoch"] / 10
        rows.append(row)
        print(
            f"{row['synapses']:7d} synapses {row['unknowns']:7d} unknowns "
            f"{1e3 * row['cpu_s_per_presentation']:8.2f} ms per presentation",
            flush=True,
        )
    return rows


def plot(rows: list[dict[str, Any]], path: Path) -> float:
    """Draws cost against synapses; returns the slope on log axes (1 is linear)."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    synapses = np.array([row["synapses"] for row in rows], float)
    cost = np.array([row["cpu_s_per_presentation"] for row in rows])
    slope = float(np.polyfit(np.log(synapses), np.log(cost), 1)[0])
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.loglog(synapses, 1e3 * cost, "o-", label=f"measured, slope {slope:.2f}")
    axes.loglog(synapses, 1e3 * cost[0] * synapses / synapses[0], ":", color="grey", label="linear")
    axes.set(xlabel="synapses", ylabel="CPU time per presentation (ms)", title="Phase fidelity, one thread")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=130)
    return slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="leave the large networks out")
    quick = parser.parse_args().quick
    RESULTS.mkdir(exist_ok=True)
    found: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "samples": SAMPLES}
    cases = {"3-32-4": (3, 32, 4)} | ({} if quick else {"64-64-10": (64, 64, 10)})
    for name, widths in cases.items():
        for fidelity, repeats in (("phase", 7), ("transient", 3)):
            bench = trainer.prepare(experiment(widths, fidelity))
            row = epochs(bench, repeats if name == "3-32-4" else 1)
            row["profile"] = profile(bench, row)
            found[f"{name} {fidelity}"] = row
            print(
                f"{name:9s} {fidelity:9s} {row['cpu_s_per_epoch']:7.3f} s CPU per {SAMPLES} samples, "
                f"{row['time_steps']} steps, {row['newton_iterations']} Newton iterations, "
                f"{row['us_per_iteration']:.1f} us each: "
                + ", ".join(f"{k} {100 * v:.0f} %" for k, v in row["profile"].items() if "ns" not in k)
                + f"; {row['profile']['ns_per_fet_evaluation']:.0f} ns per FET evaluation",
                flush=True,
            )
    if not quick:
        found["scaling"] = scaling()
        found["scaling_slope"] = plot(found["scaling"], RESULTS / "engine_scaling.png")
        print(f"slope of cost against synapses on log axes: {found['scaling_slope']:.2f}")
    (RESULTS / "engine.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
