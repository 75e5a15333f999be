"""The tasks that come with the package. Each is drawn from a seed and its options alone."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eqspice.errors import InputError, unknown
from eqspice.training.checks import TEST, TRAIN, amount, count, data_rng, positive
from eqspice.training.dataset import Task, arrays, classification, regression
from eqspice.training.encoding import Encoding, Scaling
from eqspice.training.tables import breast_cancer, csv, digits, iris, wine

FloatArray = NDArray[np.float64]
Drawn = tuple[FloatArray, NDArray[Any]]


def _drawn(
    make: Callable[..., Task],
    name: str,
    description: str,
    draw: Callable[[np.random.Generator, int], Drawn],
    seed: int,
    counts: tuple[int, int],
    volts: tuple[float, float],
) -> Task:
    """A task whose sets have a stream of the seed each. counts: train, test; volts: inputs, targets."""
    train = draw(data_rng(seed, TRAIN), count("samples", counts[0], 2))
    held_out = count("test_samples", counts[1], 0)
    test = draw(data_rng(seed, TEST), held_out) if held_out else None
    return make(name, description, train, test, *volts)


def sine(
    seed: int = 0,
    outputs: int = 4,
    samples: int = 50,
    test_samples: int = 64,
    amplitude: float = 0.02,
    frequency: float = 8.0,
    input_volts: float | None = None,
) -> Task:
    """The reference circuit's task: y = amplitude sin(frequency x) on identical outputs.

    x is uniform in [0, 1); the rows carry x, 1 - x and 1, in volts, as in the reference circuit; or, with
    v = input_volts (2x - 1), v, -v and input_volts.

    Args:
        seed: of both sets; each has a stream of its own.
        outputs: identical outputs.
        samples: points of the training set.
        test_samples: points of the test set.
        amplitude: V.
        frequency: radians per unit of x.
        input_volts: amplitude of inputs around zero, V; None for the reference circuit's rows.
    """
    outputs = count("outputs", outputs)
    frequency = positive("frequency", frequency)
    scaling = Scaling(np.zeros(outputs), np.full(outputs, positive("amplitude", amplitude)))
    if input_volts is None:
        encoding = Encoding(Scaling.identity(1), complement=1.0, bias=1.0)
    else:
        volts = positive("input_volts", input_volts)
        encoding = Encoding(Scaling(np.full(1, 0.5), np.full(1, 2 * volts)), complement=0.0, bias=volts)
    x = data_rng(seed, TRAIN).random((count("samples", samples), 1))
    x_test = data_rng(seed, TEST).random((count("test_samples", test_samples, 0), 1))

    def target(points: FloatArray) -> FloatArray:
        return scaling.to_volts(np.repeat(np.sin(frequency * points), outputs, axis=1))

    return Task(
        "sine",
        "regression",
        encoding.to_volts(x),
        target(x),
        encoding.to_volts(x_test),
        target(x_test),
        encoding,
        scaling,
        description=f"y = {amplitude:g} V sin({frequency:g} x) for x in [0, 1) on {outputs} outputs",
    )


def surface(
    seed: int = 0,
    samples: int = 200,
    test_samples: int = 200,
    input_volts: float = 0.4,
    target_volts: float = 0.1,
) -> Task:
    """A surface over the square [-1, 1)²: sin(πx) cos(πy)."""

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        x = rng.uniform(-1.0, 1.0, (n, 2))
        return x, np.sin(np.pi * x[:, :1]) * np.cos(np.pi * x[:, 1:])

    text = "sin(pi x) cos(pi y) over the square from -1 to 1"
    return _drawn(
        regression, "surface", text, draw, seed, (samples, test_samples), (input_volts, target_volts)
    )


def friedman1(
    seed: int = 0,
    samples: int = 300,
    test_samples: int = 300,
    features: int = 10,
    noise: float = 0.0,
    input_volts: float = 0.25,
    target_volts: float = 0.1,
) -> Task:
    """Friedman's first function: 10 sin(πx₀x₁) + 20(x₂ - ½)² + 10x₃ + 5x₄; further features are idle."""
    features, noise = count("features", features, 5), amount("noise", noise)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        x = rng.random((n, features))
        y = 10 * np.sin(np.pi * x[:, 0] * x[:, 1]) + 20 * (x[:, 2] - 0.5) ** 2 + 10 * x[:, 3] + 5 * x[:, 4]
        return x, (y + noise * rng.standard_normal(n))[:, None]

    text = f"Friedman's first function, {features} features of which 5 matter, noise {noise:g}"
    return _drawn(
        regression, "friedman1", text, draw, seed, (samples, test_samples), (input_volts, target_volts)
    )


def _alternating(n: int) -> NDArray[np.int64]:
    return np.arange(n) % 2


def xor(
    seed: int = 0,
    samples: int = 100,
    test_samples: int = 200,
    noise: float = 0.15,
    input_volts: float = 0.4,
    target_volts: float = 0.1,
) -> Task:
    """Exclusive or of two signs: four clouds around (±1, ±1), noise is their standard deviation."""
    noise = amount("noise", noise)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        corner = np.arange(n) % 4
        signs = np.stack([2 * (corner // 2) - 1, 2 * (corner % 2) - 1], axis=1)
        return signs + noise * rng.standard_normal((n, 2)), (signs[:, 0] != signs[:, 1]).astype(np.int64)

    text = f"exclusive or of two signs, noise {noise:g}"
    return _drawn(
        classification, "xor", text, draw, seed, (samples, test_samples), (input_volts, target_volts)
    )


def moons(
    seed: int = 0,
    samples: int = 200,
    test_samples: int = 200,
    noise: float = 0.1,
    input_volts: float = 0.4,
    target_volts: float = 0.1,
) -> Task:
    """Two interleaved half circles of radius 1, noise is a standard deviation."""
    noise = amount("noise", noise)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        label, angle = _alternating(n), np.pi * rng.random(n)
        upper = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        x = np.where(label[:, None] == 0, upper, np.array([1.0, 0.5]) - upper)
        return x + noise * rng.standard_normal((n, 2)), label

    text = f"two interleaved half circles, noise {noise:g}"
    return _drawn(
        classification, "moons", text, draw, seed, (samples, test_samples), (input_volts, target_volts)
    )


def spirals(
    seed: int = 0,
    samples: int = 300,
    test_samples: int = 300,
    turns: float = 1.0,
    noise: float = 0.02,
    input_volts: float = 0.4,
    target_volts: float = 0.1,
) -> Task:
    """Two intertwined spirals of radius 0.1 to 1, noise is a standard deviation."""
    turns, noise = positive("turns", turns), amount("noise", noise)

    def draw(rng: np.random.Generator, n: int) -> Drawn:
        label, along = _alternating(n), np.sqrt(rng.random(n))
        angle, radius = 2 * np.pi * turns * along + np.pi * label, 0.1 + 0.9 * along
        x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return x + noise * rng.standard_normal((n, 2)), label

    text = f"two intertwined spirals of {turns:g} turns, noise {noise:g}"
    return _drawn(
        classification, "spirals", text, draw, seed, (samples, test_samples), (input_volts, target_volts)
    )


Factory = Callable[..., Task]
TASKS: dict[str, Factory] = {
    "sine": sine,
    "surface": surface,
    "friedman1": friedman1,
    "xor": xor,
    "moons": moons,
    "spirals": spirals,
    "iris": iris,
    "wine": wine,
    "breast_cancer": breast_cancer,
    "digits": digits,
    "csv": csv,
}


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Checks the name of a task and the names of its options.

    Raises:
        InputError: one is not known, lists those that are; or an option without default is missing.
    """
    if name not in TASKS:
        raise unknown("task", name, tuple(TASKS))
    parameters = dict(inspect.signature(TASKS[name]).parameters)
    del parameters["seed"]
    for option in options:
        if option not in parameters:
            raise unknown(f"task.options (of {name})", option, tuple(parameters))
    for option, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty and option not in options:
            raise InputError(f"task.options.{option}: is missing, task {name} needs it.")


def get_task(name: str, seed: int = 0, **options: Any) -> Task:
    """Returns a task of the package.

    Args:
        name: one of TASKS.
        seed: of its data.
        **options: of its factory.

    Raises:
        InputError: name, option or value is not allowed.
    """
    check_options(name, options)
    return TASKS[name](seed=seed, **options)


__all__ = ["TASKS", "Factory", "Task", "arrays", "check_options", "get_task", *TASKS]
