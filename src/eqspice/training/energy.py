"""Energy, speed and silicon area of a network: what a presentation costs, by source, part and phase."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from eqspice.analysis import energy as en
from eqspice.circuit import Capacitor, Mosfet
from eqspice.design import schedule as sc
from eqspice.engines.base import State
from eqspice.errors import InputError
from eqspice.pdk.sky130 import DIFFUSION_LENGTH
from eqspice.training.bench import Bench
from eqspice.training.build import learning_of
from eqspice.training.ledger import Ledger, exact_session, keep_ledger
from eqspice.units import format_si

FloatArray = NDArray[np.float64]
_STEPS_PER_BREAKPOINT = 4  # longest time step: a part of the shortest time between two breakpoints
_STREAM = 5  # key of the random stream of word lines


@dataclass(frozen=True)
class PhaseEnergy:
    """Energies of one phase, mean over the samples, J.

    Attributes:
        name: free, nudged, update.
        duration: s.
        supplied: delivered by sources: supplies, signals (data), drivers.
        ideal: delivered by ideal active parts; on silicon their supply would have to.
        dissipated: turned into heat, by kind of part.
        stored: taken in by capacitors and transistor charges.
    """

    name: str
    duration: float
    supplied: dict[str, float]
    ideal: dict[str, float]
    dissipated: dict[str, float]
    stored: dict[str, float]

    @property
    def heat(self) -> float:
        """All that turned into heat, J."""
        return sum(self.dissipated.values())

    @property
    def from_sources(self) -> float:
        """All that sources delivered, J."""
        return sum(self.supplied.values())

    @property
    def from_ideal_parts(self) -> float:
        """All that ideal parts delivered, J."""
        return sum(self.ideal.values())


@dataclass(frozen=True)
class EnergyReport:
    """What presentations cost. Quadrature and settling: see `eqspice.analysis.energy`.

    Attributes:
        samples: presentations measured.
        phases: per phase.
        imbalance: largest |delivered - dissipated - stored| of a sample over its energy turned over.
        synapses: weights of the network.
        written: weights that one presentation writes.
        settling: largest time from the last signal edge of the free phase until every output stays within
            1 % or 1 mV of where it ends, s; 0 if it follows the edge.
        edge: shortest signal edge of the schedule, s.
        transistors, capacitors: how many.
        transistor_area: W (L + 2 diffusion) summed, m^2; no wells, no wires, no ideal parts.
        capacitor_area: at 2 fF/um^2, m^2.
        ideal_parts: ideal parts by kind, whose own consumption and area nothing here contains.
    """

    samples: int
    phases: tuple[PhaseEnergy, ...]
    imbalance: float
    synapses: int
    written: int
    settling: float
    edge: float
    transistors: int
    capacitors: int
    transistor_area: float
    capacitor_area: float
    ideal_parts: dict[str, int]

    @property
    def duration(self) -> float:
        """Time of one presentation, s."""
        return sum(phase.duration for phase in self.phases)

    @property
    def per_sample(self) -> float:
        """Energy that one presentation turns into heat, J."""
        return sum(phase.heat for phase in self.phases)

    @property
    def per_update(self) -> float:
        """The same per weight that it writes, J; NaN if none is written."""
        return self.per_sample / self.written if self.written else math.nan

    @property
    def per_mac(self) -> float:
        """The same per synapse and phase, J: forward pass, backward pass and outer product."""
        return self.per_sample / (self.synapses * len(self.phases))

    @property
    def per_inference_mac(self) -> float:
        """Heat of the free phase per synapse, J."""
        return self.phases[0].heat / self.synapses

    def summary(self) -> dict[str, object]:
        """Returns all figures as plain values, fit for JSON; what is not defined is None."""
        per_update = self.per_update
        return asdict(self) | {
            "duration": self.duration,
            "per_sample": self.per_sample,
            "per_update": None if math.isnan(per_update) else per_update,
            "per_mac": self.per_mac,
            "per_inference_mac": self.per_inference_mac,
        }

    def __str__(self) -> str:
        lines = [f"energy of a presentation, mean over {self.samples}, {format_si(self.duration, 's')} each"]
        for phase in self.phases:
            lines.append(f"{phase.name} phase, {format_si(phase.duration, 's')}")
            for title, book in (
                ("from sources", phase.supplied),
                ("from ideal parts", phase.ideal),
                ("heat", phase.dissipated),
                ("stored", phase.stored),
            ):
                if book:
                    parts = ", ".join(f"{name} {format_si(value, 'J')}" for name, value in book.items())
                    lines.append(f"  {title}: {format_si(sum(book.values()), 'J')} ({parts})")
        ideal = ", ".join(f"{count} {kind}" for kind, count in self.ideal_parts.items()) or "none"
        return "\n".join(
            [
                *lines,
                f"heat per presentation: {format_si(self.per_sample, 'J')}",
                f"per weight written ({self.written}): {format_si(self.per_update, 'J')}",
                f"per synapse and phase: {format_si(self.per_mac, 'J')}",
                f"per synapse, free phase alone: {format_si(self.per_inference_mac, 'J')}",
                f"balance closes within {self.imbalance:.1e}",
                f"outputs settle within {format_si(self.settling, 's')} after the last edge"
                f" (edges {format_si(self.edge, 's')})",
                f"area: {self.transistors} transistors {1e12 * self.transistor_area:.4g} um^2, "
                f"{self.capacitors} capacitors {1e12 * self.capacitor_area:.4g} um^2",
                f"ideal parts, whose own consumption and area are not in these figures: {ideal}",
            ]
        )


def measure_energy(bench: Bench, state: State, samples: int = 3) -> EnergyReport:
    """Presents samples, spread evenly over the training set, and books the energy of every step.

    The run is of transient fidelity whatever the experiment's is: phase steps do not resolve waveforms.

    Args:
        bench: prepared set-up.
        state: of the circuit, at rest between two presentations. It is kept.
        samples: how many.

    Raises:
        InputError: samples is not between one and the number of data points.
        ConvergenceError: the simulation stopped.
    """
    if not 1 <= samples <= len(bench.task.x):
        raise InputError(f"samples: {samples} is not allowed, it must be 1 … {len(bench.task.x)}.")
    design, rest = bench.design, sc.settle_time(bench.design)
    points = np.unique(np.linspace(0, len(bench.task.x) - 1, samples).astype(np.int64))
    rng = np.random.default_rng(np.random.SeedSequence(bench.experiment.seed, spawn_key=(_STREAM,)))
    rows = sc.random_rows(design, len(points), learning_of(bench.experiment).rows, rng)
    ledgers, settling, edge = [], 0.0, math.inf
    for k, point in enumerate(points):
        data = sc.Presentations(bench.task.x[[point]], bench.task.y[[point]], rows[[k]])
        plan = sc.presentation_schedule(design, data, state.time - rest)
        edge = min(edge, float(np.min(np.diff(plan.stimulus.times))))
        session = exact_session(bench.session, edge / _STEPS_PER_BREAKPOINT)
        ledgers.append(keep_ledger(session, plan.stimulus, state, _bounds(bench, plan, rows.shape[1])))
        settling = max(settling, _settling(bench, plan, ledgers[-1]))
    return _report(bench, ledgers, rows, settling, edge)


def _bounds(bench: Bench, plan: sc.Schedule, cycles: int) -> FloatArray:
    """Ends of free, nudged, update, free … of all cycles, s, but for the last one."""
    one, whole = sc.sample_period(bench.design, 1), sc.sample_period(bench.design, cycles)
    count = cycles if math.isclose(whole, cycles * one) else 1
    last_end = float(plan.stimulus.times[-1])
    of_last = np.array([plan.free_ends[-1], plan.update_starts[-1], last_end])
    return np.concatenate([of_last - one * k for k in reversed(range(count))])[:-1]


def _settling(bench: Bench, plan: sc.Schedule, ledger: Ledger) -> float:
    """Seconds from the last breakpoint of the free phase at which a signal has moved."""
    start, end = float(plan.stimulus.times[0]), float(plan.free_ends[-1])
    marks = plan.stimulus.times
    moved = np.any(np.diff(plan.stimulus.values, axis=0) != 0.0, axis=1) & (marks[1:] < end)
    first = float(marks[1:][moved][-1]) if moved.any() else start
    times, nodes = ledger.waveforms.times + start, ledger.waveforms.select(bench.outputs)
    slack = 1e-9 * (end - start)
    inside = (times >= first - slack) & (times <= end + slack)
    return en.settling_time(times[inside], bench.output_readout.of(nodes.values[inside]))


def _report(
    bench: Bench, ledgers: list[Ledger], rows: NDArray[np.int64], settling: float, edge: float
) -> EnergyReport:
    def mean(book: str, phase: int) -> dict[str, float]:
        books = [getattr(ledger, book) for ledger in ledgers]
        return {name: float(np.mean([one[name][phase::3].sum() for one in books])) for name in books[0]}

    phases = tuple(
        PhaseEnergy(
            name,
            float(np.mean([ledger.durations[k::3].sum() for ledger in ledgers])),
            *(mean(book, k) for book in ("supplied", "ideal", "dissipated", "stored")),
        )
        for k, name in enumerate(sc.PHASES)
    )
    design, devices = bench.design, [flat.device for flat in bench.circuit.devices]
    fets = [device for device in devices if isinstance(device, Mosfet)]
    capacitors = [device for device in devices if isinstance(device, Capacitor)]
    return EnergyReport(
        samples=len(ledgers),
        phases=phases,
        imbalance=max(ledger.imbalance for ledger in ledgers),
        synapses=design.synapses,
        written=_written(bench, rows[0]),
        settling=settling,
        edge=edge,
        transistors=len(fets),
        capacitors=len(capacitors),
        transistor_area=sum(
            en.fet_area(fet.width, fet.length, fet.multiplier, DIFFUSION_LENGTH) for fet in fets
        ),
        capacitor_area=sum(en.capacitor_area(one.capacitance) for one in capacitors),
        ideal_parts=bench.circuit.ideal_parts(),
    )


def _written(bench: Bench, rows: NDArray[np.int64]) -> int:
    """Weights that a presentation with these word lines, shape (cycles, layers), writes."""
    if learning_of(bench.experiment).rows == "parallel":
        return bench.design.synapses
    addressed = (rows != sc.NO_ROW).sum(axis=0)
    return int(sum(n * bench.design.bit_lines(layer) for layer, n in enumerate(addressed)))
