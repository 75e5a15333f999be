"""Engineering notation where text is read or written. Inside, every number is a float in SI units."""

from __future__ import annotations

import math
import re

from eqspice.errors import InputError

_PREFIXES = {
    "a": 1e-18,
    "f": 1e-15,
    "p": 1e-12,
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
}
_ALIASES = {"µ": "u", "μ": "u", "K": "k"}
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S*)\s*\Z")


def format_si(value: float, unit: str = "", digits: int = 3) -> str:
    """Returns a number in engineering notation: `format_si(2.5e-13, "F")` is "250 fF".

    Args:
        value: in the SI unit.
        unit: its symbol.
        digits: significant digits, at least 1.

    Raises:
        InputError: fewer digits than 1.
    """
    if digits < 1:
        raise InputError(f"digits: {digits} is not allowed, at least 1 is needed.")
    if not math.isfinite(value):
        return f"{value} {unit}".rstrip()
    if value == 0.0:
        return f"0 {unit}".rstrip()
    rounded = float(f"{value:.{digits - 1}e}")  # 999.96 with 3 digits is 1.00 k, not 1000
    exponent = min(12, max(-18, 3 * math.floor(math.log10(abs(rounded)) / 3 + 1e-12)))
    prefix = next(name for name, scale in _PREFIXES.items() if round(math.log10(scale)) == exponent)
    mantissa = float(f"{rounded / _PREFIXES[prefix]:.{digits - 1}e}")
    return f"{mantissa:.{max(digits, 3)}g} {prefix}{unit}".rstrip()


def parse_si(text: str, unit: str = "") -> float:
    """Returns the value of a number with an SI prefix: `parse_si("0.42u")` is 4.2e-7.

    Prefixes are those of SI, where case matters: m is milli, M is mega (SPICE reads both as milli).
    A bare unit wins over a prefix: `parse_si("5m", "m")` is five metres.

    Args:
        text: number, optional prefix, optional unit; "250 fF", "1e-6", "0.42u".
        unit: symbol that may follow.

    Raises:
        InputError: the text is not such a number.
    """
    match = _NUMBER.match(text)
    if match is not None:
        number, suffix = match.groups()
        if unit and suffix.endswith(unit):
            suffix = suffix[: -len(unit)]
        suffix = _ALIASES.get(suffix, suffix)
        if suffix in _PREFIXES:
            return _scaled(number, suffix)
    expected = f" and the unit {unit}" if unit else ""
    raise InputError(
        f"{text!r} is not a number with an SI prefix. Allowed: a number, then optionally one of "
        f"{', '.join(name for name in _PREFIXES if name)}{expected}; for example 0.42u."
    )


def _scaled(number: str, prefix: str) -> float:
    """Rounds once: "0.42u" is the float nearest to 0.42e-6, not 0.42 times the float 1e-6."""
    mantissa, _, exponent = number.lower().partition("e")
    return float(f"{mantissa}e{int(exponent or 0) + round(math.log10(_PREFIXES[prefix]))}")
