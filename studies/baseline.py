"""A multi-layer perceptron trained by backpropagation, as large as the circuit, on the same presentations.

    python studies/baseline.py --seeds 5
    python studies/baseline.py --run runs/sine      # for one run: its report shows the figure from then on

Stochastic gradient descent, one presentation at a time, without momentum, as the circuit does it; and Adam
for comparison. The learning rate is chosen per task on a fifth of the training set of seed 0, held out for
that. Data and splits are those of studies/tasks.py. Adds to studies/results/baseline.json.
"""

from __future__ import annotations

import argparse
import json
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor
from tasks import RECIPE, TASKS

from eqspice.training.build import task_of
from eqspice.training.checkpoint import RunFolder
from eqspice.training.experiment import Experiment, make_experiment

RESULT = Path(__file__).parent / "results" / "baseline.json"
RATES = {"sgd": (0.003, 0.01, 0.03, 0.1), "adam": (0.001, 0.003, 0.01)}
ACTIVATIONS = ("tanh", "relu")
FloatArray = NDArray[np.float64]


def data_of(experiment: Experiment) -> tuple[bool, FloatArray, FloatArray, FloatArray, FloatArray]:
    """Returns whether it is a classification, and x, y of both sets: of about unit size, or labels."""
    task = task_of(experiment)
    size, unit = float(np.abs(task.x).max()), float(np.abs(task.y).max())
    x, x_test = task.x / size, task.x_test / size
    if task.labels is not None and task.labels_test is not None:
        return True, x, task.labels, x_test, task.labels_test
    return False, x, task.y / unit, x_test, task.y_test / unit


def score(
    experiment: Experiment, solver: str, activation: str, rate: float, seed: int, validate: bool
) -> float:
    """Returns NRMSE (error) or accuracy on the test set, or on a part of the training set."""
    classify, x, y, x_test, y_test = data_of(experiment)
    if validate:
        kept = 4 * len(x) // 5
        order = np.random.default_rng(seed).permutation(len(x))
        x, y, x_test, y_test = x[order[:kept]], y[order[:kept]], x[order[kept:]], y[order[kept:]]
    kind = MLPClassifier if classify else MLPRegressor
    model = kind(
        hidden_layer_sizes=experiment.network.hidden,
        activation=activation,
        solver=solver,
        alpha=0.0,
        batch_size=1,
        learning_rate_init=rate,
        momentum=0.0,
        max_iter=experiment.learning.epochs,
        tol=0.0,
        n_iter_no_change=10**6,
        random_state=seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x, y if classify else y.squeeze())
    found = model.predict(x_test)
    if classify:
        return float(np.mean(found == y_test))
    return float(np.sqrt(np.mean((found.reshape(y_test.shape) - y_test) ** 2) / np.mean(y_test**2)))


def choose(experiment: Experiment, solver: str) -> tuple[str, float]:
    """Returns the activation and the learning rate that do best on a part of the training set."""
    classify = task_of(experiment).labels is not None
    best, chosen = -np.inf, (ACTIVATIONS[0], RATES[solver][0])
    for activation in ACTIVATIONS:
        for rate in RATES[solver]:
            try:
                found = score(experiment, solver, activation, rate, experiment.seed, validate=True)
            except ValueError:  # scikit-learn's word for weights that have run away
                continue
            merit = found if classify else -found
            if merit > best:
                best, chosen = merit, (activation, rate)
    return chosen


def measure(name: str, solver: str, seeds: int) -> dict[str, object]:
    """Chooses activation and learning rate on seed 0, then scores every seed."""
    task, settings = TASKS[name]
    runs = [
        make_experiment({"task": {"name": task}}, [*RECIPE, *settings, f"seed={seed}"])
        for seed in range(seeds)
    ]
    activation, rate = choose(runs[0], solver)
    scores = [score(run, solver, activation, rate, run.seed, validate=False) for run in runs]
    return {"activation": activation, "rate": rate, "test": scores}


def compare_run(path: str) -> None:
    """Trains a perceptron on the data of a run, and leaves its figure in the run's folder."""
    folder = RunFolder.open(path)
    experiment = folder.experiment()
    activation, rate = choose(experiment, "sgd")
    found = score(experiment, "sgd", activation, rate, experiment.seed, validate=False)
    text = f"perceptron of the same size, same presentations, SGD at {rate:g}, {activation}"
    folder.write_arrays("baseline", {"test": np.array(found), "text": np.array(text)})
    print(f"{found:.4f}: {text}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS))
    parser.add_argument("--solvers", nargs="+", default=["sgd", "adam"], choices=list(RATES))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--run", help="folder of a run to compare with")
    options = parser.parse_args()
    if options.run:
        compare_run(options.run)
        return
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    for name in options.tasks:
        for solver in options.solvers:
            if solver not in known.setdefault(name, {}):
                known[name][solver] = measure(name, solver, options.seeds)
                RESULT.write_text(json.dumps(known, indent=1) + "\n")
                print(name, solver, known[name][solver], flush=True)


if __name__ == "__main__":
    main()
