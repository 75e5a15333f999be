"""Newton's iteration for one time step: I(v) + alpha Q(v) + history = 0."""

from __future__ import annotations

import numpy as np

from eqspice.engines.native.devices import behavioural, diode, linear, mosfet, product, switch
from eqspice.engines.native.sparse import factorise, solve
from eqspice.jit import kernel

CONVERGED = 0
NOT_CONVERGED = 1
SINGULAR = 2
NOT_FINITE = 3

ITERATIONS = 0  # places in Work.counters
FACTORISATIONS = 1
EVALUATIONS = 2
GMIN_STEPS = 3
WORST = 4
STEPS = 5
REJECTED = 6


@kernel()
def evaluate(program, work, bypass):  # type: ignore[no-untyped-def]
    """Fills current and charge at work.voltage. Returns (derivatives changed, limited junctions)."""
    voltage, current, charge = work.voltage, work.current, work.charge
    current[:] = 0.0
    charge[:] = 0.0
    linear.evaluate_linear(program.linear, program.first_unknown, voltage, current, charge)
    linear.evaluate_sources(program.sources, work.signal, current)
    changed = switch.evaluate_switches(
        program.switches, voltage, current, work.switch_control, work.switch_conductance, work.switch_slope
    )
    new, limited = diode.evaluate_diodes(program.diodes, voltage, current, work.diode, bypass)
    changed |= new
    changed |= diode.evaluate_limiters(program.limiters, voltage, current, work.limiter, bypass)
    changed |= product.evaluate_products(program.products, voltage, current, work.product, bypass)
    changed |= behavioural.evaluate_behavioural(program.behavioural, voltage, current, work.behavioural)
    count = mosfet.evaluate_table_fets(program.table_fets, voltage, current, charge, work.table_fet, bypass)
    count += mosfet.evaluate_bulk_fets(program.bulk_fets, voltage, current, charge, work.bulk_fet, bypass)
    count += mosfet.evaluate_compact_fets(
        program.compact_fets, voltage, current, charge, work.compact_fet, bypass
    )
    count += mosfet.evaluate_square_fets(
        program.square_fets, voltage, current, charge, work.square_fet, bypass
    )
    work.counters[EVALUATIONS] += count
    return changed or count > 0, limited


@kernel()
def assemble(program, work, alpha, gmin):  # type: ignore[no-untyped-def]
    """Fills the matrix G + alpha C + gmin at the devices' last evaluation."""
    values = work.values
    matrix_g, matrix_c = program.linear.matrix_g, program.linear.matrix_c
    for p in range(len(values)):
        values[p] = matrix_g[p] + alpha * matrix_c[p]
    if gmin > 0.0:
        for i in range(program.unknowns):
            values[program.diagonal[i]] += gmin
    switch.assemble_switches(
        program.switches, work.voltage, values, work.switch_conductance, work.switch_slope
    )
    diode.assemble_two_terminal(program.diodes.positions, values, work.diode)
    diode.assemble_two_terminal(program.limiters.positions, values, work.limiter)
    product.assemble_products(program.products, values, work.product)
    behavioural.assemble_behavioural(program.behavioural, values, work.behavioural)
    mosfet.assemble_three_terminal(program.table_fets.positions, values, work.table_fet, alpha)
    mosfet.assemble_three_terminal(program.square_fets.positions, values, work.square_fet, alpha)
    mosfet.assemble_bulk_fets(program.bulk_fets, values, work.bulk_fet, alpha)
    mosfet.assemble_four_terminal(program.compact_fets.positions, values, work.compact_fet, alpha)


@kernel()
def book_charge(program, work):  # type: ignore[no-untyped-def]
    """Moves charge by C delta, so that the linear solution's charges enter the history.

    With these, current + alpha charge + history vanishes to rounding: no charge is lost to the
    iteration's remaining error, however many steps follow.
    """
    first, delta, charge = program.first_unknown, work.delta, work.charge
    linear.book_linear(program.linear, first, delta, charge)
    mosfet.book_three_terminal(program.table_fets.nodes, delta, charge, work.table_fet)
    mosfet.book_three_terminal(program.square_fets.nodes, delta, charge, work.square_fet)
    mosfet.book_bulk_fets(program.bulk_fets.nodes, delta, charge, work.bulk_fet)
    mosfet.book_four_terminal(program.compact_fets.nodes, delta, charge, work.compact_fet)


@kernel()
def newton(program, work, alpha, gmin, limit, bypass, max_change):  # type: ignore[no-untyped-def]
    """Iterates from work.voltage (inputs and signals already at the new time).

    Converged when a step moves no node by more than its tolerance: with quadratic convergence the
    error left is about step^2 / (2 n kT/q), below 1 uV.

    Args:
        program: compiled circuit.
        work: its work arrays.
        alpha: factor of the charges, 1/s; 0 is the operating point.
        gmin: conductance from every unknown to ground, S.
        limit: most iterations.
        bypass: voltage below whose change a device is linearised, V.
        max_change: largest step of a node in one iteration, V.

    Returns:
        one of CONVERGED, NOT_CONVERGED, SINGULAR, NOT_FINITE.
    """
    first = program.first_unknown
    size = first + program.unknowns
    voltage, delta = work.voltage, work.delta
    for _ in range(limit):
        work.counters[ITERATIONS] += 1
        changed, limited = evaluate(program, work, bypass)
        if changed or work.factored_alpha[0] != alpha or work.factored_alpha[1] != gmin:
            assemble(program, work, alpha, gmin)
            work.counters[FACTORISATIONS] += 1
            row = factorise(
                program.start, program.column, program.diagonal, work.values, work.inverse_pivot, work.scratch
            )
            work.factored_alpha[0] = alpha
            work.factored_alpha[1] = gmin
            if row >= 0:
                work.factored_alpha[0] = np.nan
                work.counters[WORST] = first + row
                return SINGULAR if np.isfinite(work.values[program.diagonal[row]]) else NOT_FINITE
        for place in range(first, size):
            delta[place] = -(
                work.current[place] + alpha * work.charge[place] + work.history[place] + gmin * voltage[place]
            )
            if not abs(delta[place]) < np.inf:  # also true for not-a-number
                work.factored_alpha[0] = np.nan
                work.counters[WORST] = place
                return NOT_FINITE
        solve(program.start, program.column, program.diagonal, work.values, work.inverse_pivot, delta[first:])
        worst, ratio = 0, 0.0
        for place in range(first, size):
            step = abs(delta[place])
            if not step < np.inf:
                work.factored_alpha[0] = np.nan
                work.counters[WORST] = place
                return NOT_FINITE
            if step * program.per_tolerance[place] > ratio:
                ratio = step * program.per_tolerance[place]
                worst = place
        work.counters[WORST] = worst
        if ratio <= 1.0 and limited == 0:
            book_charge(program, work)
            for place in range(first, size):
                voltage[place] += delta[place]
            return CONVERGED
        for place in range(first, size):
            voltage[place] += min(max_change, max(-max_change, delta[place]))
    return NOT_CONVERGED
