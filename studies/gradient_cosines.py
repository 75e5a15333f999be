"""How well does each preset's update follow its gradient? Before and after training, over seeds.

    python studies/gradient_cosines.py --epochs 20 --seeds 3

Writes studies/results/gradient_cosines.json and prints a table (Markdown).
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import eqspice as eq
from eqspice.design.presets import PRESETS

RESULT = Path(__file__).parent / "results" / "gradient_cosines.json"
FIELDS = ("cosine", "batch_cosine", "signal_fraction", "rule_cosine", "forward_backward", "correction")
LEARNING = {"reference": {"lr": 0.01}}


def measure(preset: str, seed: int, epochs: int, samples: int) -> dict[str, list[dict[str, float]]]:
    """Returns the figures of every layer before and after training on the sine, 32 hidden neurons."""
    experiment = eq.Experiment(
        task="sine",
        preset=preset,
        learning=LEARNING.get(preset, {}) | {"epochs": epochs},
        engine={"fidelity": "phase"},
        seed=seed,
    )
    with tempfile.TemporaryDirectory() as folder:
        run = eq.train(experiment, out=Path(folder) / "run")
        checks = {
            name: run.check_gradient(samples, initial=name == "initial") for name in ("initial", "trained")
        }
    return {name: [asdict(layer) for layer in check.layers] for name, check in checks.items()}


def _rounded(value: Any) -> Any:
    """Four digits; NaN becomes null."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return None if math.isnan(value) else float(f"{value:.4g}")
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=20)
    chosen = parser.parse_args()
    found = {
        preset: [measure(preset, seed, chosen.epochs, chosen.samples) for seed in range(chosen.seeds)]
        for preset in chosen.presets
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(_rounded(vars(chosen) | {"found": found}), indent=1) + "\n")
    print(f"| preset | weights | layer | {' | '.join(FIELDS)} |\n|{'---|' * (3 + len(FIELDS))}")
    for preset, runs in found.items():
        for name in ("initial", "trained"):
            for layer in range(len(runs[0][name])):
                means = [np.mean([run[name][layer][field] for run in runs]) for field in FIELDS]
                print(f"| {preset} | {name} | {layer} | {' | '.join(f'{mean:.3f}' for mean in means)} |")


if __name__ == "__main__":
    main()
