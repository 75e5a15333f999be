"""What a report says in numbers: key figures, circuit, cost, settings. Text only, no layout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eqspice.design.families import architecture_of
from eqspice.report.history import History
from eqspice.report.style import si
from eqspice.training.build import learning_of

KINDS: dict[str, tuple[str, str]] = {
    "mosfet": ("transistors", "Field-effect transistors of the process, with the compact model's charges."),
    "capacitor": ("capacitors", "Hold the weights and the voltages that the optimisers sampled."),
    "resistor": ("resistors", "Loads, nudge conductances, series resistances of the neurons."),
    "diode": ("diodes", "Clamp the hidden neurons: the network's nonlinearity."),
    "voltage_source": ("voltage sources", "Drive inputs, targets and control lines with the schedule."),
    "current_source": ("current sources", "Feed given currents."),
    "switch": ("switches", "Write, select and sample, driven by the control lines."),
    "vcvs": ("voltage amplifiers", "Buffers that sense a node without loading it."),
    "vccs": ("transconductances", "Currents set by a voltage."),
    "product": ("multipliers", "Form column change times row voltage, and programmable conductances."),
    "bidirectional_amplifier": ("neuron amplifiers", "Voltage forward, current backward."),
    "soft_limiter": ("limiters", "Clamp a voltage to a range."),
}
"""Of each device kind: its name in the plural and what it does here."""

IDEAL: dict[str, str] = {
    "switch": "A smooth conductance without threshold loss, charge injection or clock feed-through; silicon "
    "needs a transmission gate.",
    "vcvs": "No offset, noise, input capacitance or bandwidth limit.",
    "vccs": "Linear at any voltage, without offset or noise.",
    "product": "Exact at any voltage, without offset or noise; silicon needs a multiplier cell.",
    "bidirectional_amplifier": "No supply, offset, noise or bandwidth limit.",
    "soft_limiter": "A law as drawn instead of devices with mismatch.",
    "diode": "An emission coefficient below that of any junction.",
    "mosfet": "A square law instead of a process.",
}
"""Of each kind: what is idealised in it."""

STATUS: dict[str, str] = {
    "created": "This run has been set up but has not started.",
    "running": "This run is not finished: it is going on, or it was stopped from outside. What follows is "
    "what it had written until then.",
    "interrupted": "This run was interrupted before its last epoch. What follows is what it had done.",
    "failed": "The simulation stopped before the last epoch. What follows is what it had done until then.",
}
"""What a status other than finished means for the reader."""


@dataclass(frozen=True)
class Fact:
    """One number with its name and, if needed, what it is."""

    value: str
    name: str
    note: str = ""


def title(history: History) -> str:
    """Returns the headline."""
    widths = "-".join(str(width) for width in history.design.widths)
    return f"{history.task.name} on {history.experiment.preset}, {widths}"


def key_figures(history: History) -> list[Fact]:
    """Returns the numbers at the head of the report, as far as they are known."""
    results = history.manifest.get("results") or {}
    facts = []
    if results.get("test_accuracy") is not None:
        facts.append(Fact(f"{100 * results['test_accuracy']:.1f} %", "test accuracy"))
    if results.get("test_nrmse") is not None:
        facts.append(Fact(f"{results['test_nrmse']:.3f}", "test NRMSE", "RMS error over RMS of the target"))
    if history.baseline is not None:
        score, text = history.baseline
        of = "NRMSE" if history.task.kind == "regression" else "accuracy"
        value = f"{score:.3f}" if of == "NRMSE" else f"{100 * score:.1f} %"
        facts.append(Fact(value, f"test {of} by backpropagation", text))
    if history.presentations:
        numbers = history.epoch_numbers()
        last = int(numbers[-1])
        facts.append(Fact(f"{history.nrmse(last):.3f}", "training NRMSE", f"free phase, epoch {last + 1}"))
        first = int(numbers[0])
        if first != last:
            facts.append(Fact(f"{history.nrmse(first):.2f}", "NRMSE at the start", f"epoch {first + 1}"))
        planned = history.experiment.learning.epochs
        facts.append(Fact(f"{history.presentations:,}", "presentations", f"{last + 1} of {planned} epochs"))
    facts.append(Fact(f"{history.design.synapses:,}", "synapses"))
    if history.work.get("cpu_s"):
        facts.append(Fact(f"{history.work['cpu_s']:.3g} s", "CPU time", "one thread, without compilation"))
    return facts


def circuit_rows(history: History) -> list[tuple[str, str, str, str]]:
    """Returns (count, kind, what it does, what is ideal about it) per device kind, most first."""
    circuit = history.manifest.get("circuit") or {}
    ideal = circuit.get("ideal_parts", {})
    rows = []
    for kind, count in sorted(circuit.get("devices", {}).items(), key=lambda item: -item[1]):
        name, purpose = KINDS.get(kind, (kind.replace("_", " "), ""))
        idealised = ""
        if ideal.get(kind):
            part = "" if ideal[kind] == count else f"{ideal[kind]:,} of them: "
            idealised = part + IDEAL.get(kind, "Silicon could not build it as drawn.")
        rows.append((f"{count:,}", name, purpose, idealised))
    return rows


def circuit_sentence(history: History) -> str:
    """Returns size and idealisation of the circuit in words."""
    circuit = history.manifest.get("circuit")
    if not circuit:
        return "The circuit was not built."
    devices = sum(circuit["devices"].values())
    ideal = sum(circuit["ideal_parts"].values())
    return (
        f"{devices:,} devices, {circuit['unknowns']:,} unknown node voltages. {ideal:,} parts "
        f"({ideal / devices:.0%}) are ideal: silicon could not build them as drawn, so the figures of this "
        "report hold for the circuit as simulated, not yet for a chip."
    )


def design_rows(history: History) -> list[tuple[str, str]]:
    """Returns the numbers of the design."""
    d = history.design
    gains = ", ".join(f"{gain:g}" for gain in d.update_gains)
    return [
        *architecture_of(d).facts(d),
        ("output load", si(d.output_load, "Ω")),
        ("nudge conductance", si(d.nudge_conductance, "S")),
        ("update gain", f"{gains} per volt (by layer)"),
        ("process", f"{d.process.kit}, corner {d.process.corner}, {d.process.temperature:g} °C"),
        ("model set, junctions", f"{d.process.model_set}, {d.process.junctions}"),
        ("one presentation", si(_presentation_time(history), "s")),
    ]


def _presentation_time(history: History) -> float:
    """Seconds of one presentation."""
    cycles = history.design.most_word_lines if learning_of(history.experiment).rows == "all" else 1
    return architecture_of(history.design).sample_period(history.design, cycles)


def cost_rows(history: History) -> list[tuple[str, str]]:
    """Returns what the run cost, as far as it is known."""
    work = history.work
    rows: list[tuple[str, str]] = []
    names = {"cpu_s": "CPU time", "wall_s": "wall time", "compile_s": "compilation and device tables"}
    rows += [(text, f"{work[name]:.3g} s") for name, text in names.items() if name in work]
    counts = {
        "time_steps": "time steps",
        "rejected_steps": "rejected steps",
        "newton_iterations": "Newton iterations",
        "factorisations": "matrix factorisations",
        "device_evaluations": "transistor evaluations",
    }
    rows += [(text, f"{work[name]:,.0f}") for name, text in counts.items() if name in work]
    cpu, iterations = work.get("cpu_s", 0.0), work.get("newton_iterations", 0.0)
    if cpu and iterations:
        rows.append(("CPU time per Newton iteration", si(cpu / iterations, "s")))
    if iterations and work.get("time_steps"):
        rows.append(("Newton iterations per time step", f"{iterations / work['time_steps']:.2f}"))
    if cpu and history.presentations:
        rows.append(("presentations per CPU second", f"{history.presentations / cpu:.3g}"))
        simulated = history.presentations * _presentation_time(history)
        rows.append(("simulated time", si(simulated, "s")))
    return rows


def setting_rows(history: History) -> list[tuple[str, str]]:
    """Returns every setting of the experiment; what was not set is the preset's."""
    return list(_flat(history.manifest["experiment"], ""))


def version_rows(history: History) -> list[tuple[str, str]]:
    """Returns what computed the run."""
    rows = [(name, str(value)) for name, value in (history.manifest.get("versions") or {}).items()]
    engine = history.manifest.get("engine") or {}
    rows += [(f"engine {name}", str(value)) for name, value in engine.items()]
    circuit = history.manifest.get("circuit") or {}
    return rows + ([("circuit SHA-256", str(circuit["hash"]))] if "hash" in circuit else [])


def _flat(values: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in values.items():
        if isinstance(value, dict):
            rows += _flat(value, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, "preset's or none" if value is None else str(value)))
    return rows
