"""The suite: small circuits that every engine must agree on."""

from __future__ import annotations

from conformance.cases import Case
from conformance.cells import cell_cases
from conformance.devices import device_cases
from conformance.transistors import transistor_cases

CASES: dict[str, Case] = {case.name: case for case in (*device_cases(), *transistor_cases(), *cell_cases())}
