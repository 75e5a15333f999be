"""The text of a SPICE netlist: logical lines, the fields of a line, and numbers, each with its place.

Comments (a line that begins with *, the rest of a line behind ; or a lone $) are taken away, continuation
lines (+) are joined, letters become lower case. Every limit is checked before work is done, so that a
hostile text is refused soon.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from eqspice.errors import InputError, NetlistError

MOST_BYTES = 1 << 18
MOST_LINES = 10_000
MOST_FIELDS = 400
LONGEST_NUMBER = 60
_LONGEST_MESSAGE = 400
_COMMENT = re.compile(r";|(?:^|(?<=\s))\$(?=\s|$)")
_FORBIDDEN = re.compile(r"[^\t -~]")
_FIELD = re.compile(r"\s*(?:(?P<group>[{'])|(?P<mark>[=(),])|(?P<word>[^\s={}'(),]+)|(?P<bad>\S))")
_NUMBER = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)([a-z]*)")
_SCALES = {"meg": 6, "t": 12, "g": 9, "k": 3, "m": -3, "u": -6, "n": -9, "p": -12, "f": -15, "": 0}
_UNITS = ("ohm", "ohms", "hz", "v", "s", "h", "f")
_MIL = 25.4e-6


@dataclass(frozen=True)
class Line:
    """A logical line: physical lines joined.

    Attributes:
        file: name of the file, for messages.
        text: without comments and continuation signs, in lower case.
        starts: index in text at which each physical line begins.
        places: (line, column) of each of these, from 1.
    """

    file: str
    text: str
    starts: tuple[int, ...] = field(repr=False)
    places: tuple[tuple[int, int], ...] = field(repr=False)

    def fail(self, at: int, message: str) -> NoReturn:
        """Raises the error for what stands at an index of the text."""
        line, column = self.place(at)
        short = message if len(message) <= _LONGEST_MESSAGE else f"{message[:_LONGEST_MESSAGE]}…"
        raise NetlistError(short, self.file, line, column)

    def place(self, at: int) -> tuple[int, int]:
        """Returns (line, column) of an index of the text."""
        part = max(0, bisect_right(self.starts, at) - 1)
        line, column = self.places[part]
        return line, column + at - self.starts[part]


@dataclass(frozen=True)
class Field:
    """A piece of a logical line.

    Attributes:
        line: where it stands.
        kind: "word", "group" (in braces or quotes), or one of = ( ) , for itself.
        text: of a group, what is inside.
        at: index of the text in the line.
    """

    line: Line
    kind: str
    text: str
    at: int

    def fail(self, message: str) -> NoReturn:
        """Raises the error for this field."""
        self.line.fail(self.at, message)


def read_file(path: str | Path, what: str = "netlist") -> str:
    """Returns the text of a file, "netlist" or what else it is.

    Raises:
        InputError: it is no file, is too large, or is not text.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise InputError(f"{what}: {str(path)!r} is not a file.")
        with path.open("rb") as stream:
            data = stream.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{what}: {str(path)!r} cannot be read ({error}).") from None
    if len(data) > MOST_BYTES:
        raise InputError(f"{what}: {str(path)!r} is too large, at most {MOST_BYTES} bytes are read.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{what}: {str(path)!r} is not text (UTF-8): byte {error.start}.") from None


def logical_lines(text: str, file: str) -> Iterator[Line]:
    """Yields the logical lines that hold something.

    Raises:
        NetlistError: the text is too large, has a character that is not printable ASCII outside of
            comments, or begins with a continuation.
    """
    if len(text) > MOST_BYTES:
        raise NetlistError(f"the text is too large, at most {MOST_BYTES} bytes are read", file, 1, 1)
    physical = text.split("\n", MOST_LINES)
    if len(physical) > MOST_LINES:
        raise NetlistError(f"there are too many lines, at most {MOST_LINES}", file, MOST_LINES, 1)
    parts: list[tuple[str, int, int]] = []
    for number, raw in enumerate(physical, 1):
        content = raw.removesuffix("\r")
        if content.lstrip().startswith("*"):
            continue
        comment = _COMMENT.search(content)
        content = content[: comment.start()] if comment else content
        bad = _FORBIDDEN.search(content)
        if bad:
            message = f"character {bad.group()!r} is not allowed, expected printable ASCII"
            raise NetlistError(message, file, number, bad.start() + 1)
        stripped = content.strip()
        if not stripped:
            continue
        column = len(content) - len(content.lstrip()) + 1
        if stripped[0] != "+":
            if parts:
                yield _join(parts, file)
            parts = [(stripped, number, column)]
        elif not parts:
            raise NetlistError("a continuation (+) continues nothing", file, number, column)
        else:
            parts.append((stripped[1:], number, column + 1))
    if parts:
        yield _join(parts, file)


def _join(parts: list[tuple[str, int, int]], file: str) -> Line:
    starts, places, length = [], [], 0
    for text, line, column in parts:
        starts.append(length)
        places.append((line, column))
        length += len(text) + 1
    return Line(file, " ".join(text for text, _, _ in parts).lower(), tuple(starts), tuple(places))


def fields(line: Line, start: int = 0) -> list[Field]:
    """Returns the fields of a line from an index on.

    Raises:
        NetlistError: a brace or a quote is not closed, a character belongs to nothing, or there are more
            than MOST_FIELDS fields.
    """
    found: list[Field] = []
    at, text = start, line.text.rstrip()
    while at < len(text):
        match = _FIELD.match(text, at)
        if match is None:
            break
        kind, begin, at = str(match.lastgroup), match.start(str(match.lastgroup)), match.end()
        if len(found) >= MOST_FIELDS:
            line.fail(begin, f"the line is too long, at most {MOST_FIELDS} fields are read")
        if kind == "group":
            found.append(_group(line, begin))
            at = found[-1].at + len(found[-1].text) + 1
        elif kind == "bad":
            line.fail(begin, f"{match.group(kind)!r} is not expected here")
        else:
            found.append(Field(line, match.group(kind) if kind == "mark" else kind, match.group(kind), begin))
    return found


def _group(line: Line, begin: int) -> Field:
    opened, text = line.text[begin], line.text
    closing = "}" if opened == "{" else "'"
    end = text.find(closing, begin + 1)
    if end < 0:
        line.fail(begin, f"{opened} is not closed, expected {closing}")
    inner = text[begin + 1 : end]
    again = inner.find("{") if opened == "{" else -1
    if again >= 0:
        line.fail(begin + 1 + again, "braces inside braces are not expected, write brackets")
    return Field(line, "group", inner, begin + 1)


def number(line: Line, at: int) -> tuple[float, int] | None:
    """Returns (value, index behind it) of the number that stands at an index, or None.

    Scale letters are those on which all simulators agree: t g meg k m u n p f and mil, in SI; m is milli
    and f femto also without a unit behind. A unit may follow: ohm, Hz, V, s, H, F.

    Raises:
        NetlistError: the number is too long, not finite, or has letters that are not known.
    """
    match = _NUMBER.match(line.text, at)
    if match is None:
        return None
    digits, letters = match.groups()
    if len(digits) > LONGEST_NUMBER:
        line.fail(at, f"the number is too long, at most {LONGEST_NUMBER} characters are read")
    mantissa, _, exponent = digits.partition("e")
    if letters == "mil":
        value = float(digits) * _MIL
    else:
        # Rounds once: 0.42u is the float nearest to 0.42e-6.
        value = float(f"{mantissa}e{int(exponent or 0) + _scale(line, at, digits, letters)}")
    if not math.isfinite(value):
        line.fail(at, f"{digits}{letters} is not a finite number")
    if value == 0.0 and mantissa.strip("0."):
        line.fail(at, f"{digits}{letters} is too small to be a number")
    return value, match.end()


def _scale(line: Line, at: int, digits: str, letters: str) -> int:
    for prefix in _SCALES:
        rest = letters.removeprefix(prefix)
        if letters.startswith(prefix) and (rest == "" or rest in _UNITS):
            return _SCALES[prefix]
    line.fail(
        at + len(digits),
        f"{letters!r} behind a number is not a scale or unit, expected one of t, g, meg, k, m, u, n, p, f, "
        "mil and perhaps a unit (ohm, Hz, V, s, H, F)",
    )
