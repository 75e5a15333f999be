"""Puts the weights, data and row order of a published run into the reference circuit and reads its nodes.

Whoever has a trace of that circuit, from its author's notebook or another simulator, can replace the three
arrays below by the trace's own and compare node by node in the middle of each phase.

    python examples/compare_with_published_run.py
"""

import numpy as np

import eqspice as eq
from eqspice.design.single_ended.network import column_node, output_node, weight_node
from eqspice.training import trainer


def main() -> np.ndarray:
    # What the other run used: initial weights per layer (inputs x outputs, V), points, addressed rows.
    rng = np.random.default_rng(7)
    weights = [(rng.random((3, 4)) - 0.5), (rng.random((4, 2)) - 0.5) / 2]
    x = rng.random(5)
    data = eq.tasks.arrays(
        np.stack([x, 1 - x, np.ones(5)], axis=1),  # voltages of the three input rows
        np.repeat(0.02 * np.sin(8 * x)[:, None], 2, axis=1),  # target voltages of the two outputs
        scale=False,
    )
    experiment = eq.Experiment(
        task=data,
        network=eq.Network(hidden=(4,)),
        preset="reference",
        weights=weights,
        order=np.array([[0, 1, 2, 3, 4]]),  # one epoch, in this order
        row_order=np.array([[[0, 1], [1, 0], [2, 1], [0, 0], [1, 1]]]),  # word line per layer
        learning=eq.Learning(epochs=1, lr=5e-4),
    )
    bench = trainer.prepare(experiment)
    state = trainer.write_weights(bench, weights).state
    nodes = (
        column_node(0, 0),
        output_node(bench.design, 0),
        weight_node(0, 0, 0),
        "layer0.optimizer_0.held_free",
    )
    (chunk,) = trainer.epoch_chunks(bench, 0)
    voltages, _ = trainer.phase_voltages(bench, chunk, state, nodes)
    print(f"{'point':>5} {'phase':>7} " + " ".join(f"{node:>28}" for node in nodes))
    for point, phases in zip(chunk.points, voltages, strict=True):
        for phase, row in zip(("free", "nudged", "update"), phases, strict=True):
            print(f"{point:5d} {phase:>7} " + " ".join(f"{1e3 * value:25.4f} mV" for value in row))
    return voltages


if __name__ == "__main__":
    main()
