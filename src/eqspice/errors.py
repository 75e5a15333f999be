"""Exceptions of the package. Each also derives from the built-in that fits."""

from __future__ import annotations


class EqspiceError(Exception):
    """Base of every error that eqspice raises on purpose."""


class InputError(EqspiceError, ValueError):
    """A value given by the user is not allowed. Names the field, the value and what is allowed."""


class CircuitError(EqspiceError, ValueError):
    """A circuit is not well formed. Names the instance (hierarchical name) at fault."""


class NetlistError(InputError):
    """A text is not a netlist that eqspice reads. Names file, line, column and what was expected.

    Attributes:
        file, line, column: the place; lines and columns count from 1.
    """

    def __init__(self, message: str, file: str, line: int, column: int) -> None:
        super().__init__(f"{file}:{line}:{column}: {message}")
        self.file, self.line, self.column = file, line, column


class ModelError(EqspiceError, RuntimeError):
    """A device model could not be built or evaluated."""


class ConvergenceError(EqspiceError, RuntimeError):
    """A simulation did not converge. Names the node, device, time and the next thing to try."""


class StorageError(EqspiceError, OSError):
    """A run folder could not be read or written."""


class SimulatorError(EqspiceError, RuntimeError):
    """An external simulator is missing, too old, timed out or failed."""


def unknown(field: str, value: object, allowed: list[str] | tuple[str, ...]) -> InputError:
    """Returns the error for a name that is not in a list of names.

    Args:
        field: what was being chosen, for example "preset".
        value: what was given.
        allowed: the names that can be chosen.
    """
    return InputError(f"{field}: {value!r} is not known. Choose one of: {', '.join(allowed)}.")
