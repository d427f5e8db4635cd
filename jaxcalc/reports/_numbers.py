"""Numbers as people write them."""

import math


def number(value: float, digits: int = 2) -> str:
    """A number as people write it: 0.03, 1,200, 3.2×10⁻⁹.

    Args:
        value: Any number.
        digits: Significant digits, at least.

    Returns:
        Text; a dash for what is infinite or missing.
    """
    if not math.isfinite(value):
        return "—"
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    if abs(rounded) >= 1e-3 and abs(value) < 99_999.5:
        if abs(value) >= 10 ** (digits - 1):
            return f"{value:,.0f}"
        return f"{rounded:.{digits}g}"
    mantissa, exponent = f"{rounded:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    times = "" if mantissa == "1" else f"{mantissa}×"
    return f"{times}10{raised(int(exponent))}"


def raised(exponent: int) -> str:
    """An exponent in raised letters.

    Args:
        exponent: A whole number.

    Returns:
        Text such as "⁻⁹".
    """
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def count(value: float) -> str:
    """A count, or the half between two counts that a median may be.

    Args:
        value: Any number.

    Returns:
        Text; a dash for what is infinite or missing.
    """
    if not math.isfinite(value):
        return "—"
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it.

    Args:
        seconds: Any number.

    Returns:
        Text such as "3.4 ms"; a dash for what is infinite or missing.
    """
    if not math.isfinite(seconds):
        return "—"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            break
    return (
        f"{number(seconds / size)}\N{NO-BREAK SPACE}{unit}"
        if seconds
        else "0\N{NO-BREAK SPACE}s"
    )
