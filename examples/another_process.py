"""Trains the reference circuit in another process, IHP's 130 nm BiCMOS, and signs it off in VACASK.

The same cells draw their transistors from the other kit; its signals are smaller, its clock is faster (its
thin gates leak), see `eqspice.design.retarget`.

    python examples/another_process.py 300      (epochs; learning takes hundreds of them, a minute or so)
"""

import sys
import tempfile
from pathlib import Path

import eqspice as eq
from eqspice.training.checkpoint import RunFolder
from eqspice.verify import Verification, verify


def main(epochs: int = 2) -> Verification:
    experiment = eq.Experiment(
        task=eq.tasks.sine(outputs=2),
        network=eq.Network(hidden=(4,)),
        preset="reference",
        pdk="ihp_sg13g2",
        learning=eq.Learning(lr=0.01, epochs=epochs),
        engine=eq.EngineChoice(fidelity="phase"),
    )
    with tempfile.TemporaryDirectory() as folder:
        run = eq.train(experiment, out=Path(folder) / "run")
        print(f"{run.experiment.pdk.kit}: train NRMSE {run.results['train_nrmse']:.2f}")
        found = verify(RunFolder.open(run.path), "vacask", samples=2)
    weights = found.summary()["weights_max"]
    print(f"VACASK: {'agrees' if found.passed else 'differs'}, weights to {1e6 * weights:.2f} uV")
    return found


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
