"""Trains the sine with the cells of cells.sp, compares both fidelities and signs the run off in VACASK.

python examples/bring_your_own_cell/train.py
eqspice report runs/bring_your_own_cell
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eqspice.run import Run, train
from eqspice.training import trainer
from eqspice.training.experiment import Experiment, make_experiment
from eqspice.verify import Verification, verify

HERE = Path(__file__).parent
TASK = {"outputs": 1, "amplitude": 0.025, "input_volts": 0.1, "samples": 100}
HIDDEN = 16


@dataclass(frozen=True)
class Found:
    """What the example finds.

    Attributes:
        run: the trained network.
        apart: RMS difference of the weights between the fidelities after the same presentations, V.
        moved: RMS movement of the weights over these presentations, V.
        verification: the run's last checkpoint in VACASK.
    """

    run: Run
    apart: float
    moved: float
    verification: Verification


def experiment(fidelity: str, hidden: int = HIDDEN, seed: int = 0, **learning: int) -> Experiment:
    """Returns the sine on one output with the cells of this folder."""
    settings = {
        "task": {"name": "sine", "options": TASK},
        "preset": str(HERE / "preset.toml"),
        "network": {"hidden": [hidden]},
        "learning": learning,
        "engine": {"fidelity": fidelity},
        "seed": seed,
    }
    return make_experiment(settings)


def weights(fidelity: str, hidden: int, seed: int, presentations: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the storage voltages of all layers at the start and after some presentations, V."""
    chosen = experiment(fidelity, hidden, seed, epochs=1, samples=presentations)
    bench = trainer.prepare(chosen)
    start = trainer.write_weights(bench, trainer.initial_weights(bench.design, chosen)).state
    solution, _ = trainer.run_chunk(bench, trainer.epoch_chunks(bench, 0)[0], start)
    before, after = (
        np.concatenate([layer.ravel() for layer in bench.weights(state)]) for state in (start, solution.state)
    )
    return before, after


def main(
    epochs: int = 60, hidden: int = HIDDEN, seed: int = 1, out: str | Path = "runs/bring_your_own_cell"
) -> Found:
    """Trains, compares, verifies and prints the figures."""
    run = train(experiment("phase", hidden, seed, epochs=epochs), out=out, exist="overwrite")
    print(f"{epochs} epochs: NRMSE on held-out points {run.results['test_nrmse']:.2f}")
    start, transient = weights("transient", hidden, seed, 5)
    _, phase = weights("phase", hidden, seed, 5)
    apart, moved = (float(np.sqrt(np.mean(np.square(phase - other)))) for other in (transient, start))
    print(
        f"5 presentations move weights by {1e3 * moved:.2f} mV rms, fidelities differ by {1e3 * apart:.2f} mV"
    )
    found = verify(run.folder, "vacask", samples=2)
    print(f"VACASK {'agrees' if found.passed else 'differs'}: weights to {1e6 * found.weights:.1f} uV")
    return Found(run, apart, moved, found)


if __name__ == "__main__":
    main()
