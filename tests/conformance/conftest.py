"""Which simulators are here."""

from __future__ import annotations

import pytest

from eqspice.engines.spice import process
from eqspice.errors import SimulatorError

PROGRAMS = {"vacask": process.VACASK, "ngspice": process.NGSPICE, "xyce": process.XYCE}


@pytest.fixture(params=["native", "vacask", "ngspice", "xyce"])
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn; one whose simulator is not installed is skipped and says so."""
    name: str = request.param
    if name in PROGRAMS:
        try:
            process.find(PROGRAMS[name])
        except SimulatorError as error:
            pytest.skip(str(error))
    return name
