"""Sign-off: samples of a run, or a whole experiment, in another simulator."""

from eqspice.verify.netlist import experiment_deck
from eqspice.verify.samples import Tolerances, Verification, verify

__all__ = ["Tolerances", "Verification", "experiment_deck", "verify"]
