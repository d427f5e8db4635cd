"""Text in pictures: any name can be drawn, and it is known how wide it is."""

import functools

from matplotlib import font_manager

FONT = "DejaVu Sans"  # it comes with matplotlib: the same picture everywhere


def label(text: str, most: int = 34) -> str:
    """Make any text safe to draw: no mathematics, no missing letters, not too long.

    Args:
        text: What a user called something.
        most: Letters that there is room for; the middle of a longer text is left out.

    Returns:
        One line of text.
    """
    line = " ".join(str(text).split()) or "unnamed"
    known = _letters()
    line = "".join(c if ord(c) in known else "\N{WHITE SQUARE}" for c in line)
    if len(line) > most:
        tail = most // 3
        line = f"{line[: most - tail - 1].rstrip()}…{line[-tail:].lstrip()}"
    return line.replace("$", r"\$")


def width(text: str, size: float) -> float:
    """How wide a line of text is.

    Args:
        text: What `label` returned.
        size: Size of the font in points.

    Returns:
        Points.
    """
    font = font_manager.get_font(font_manager.findfont(FONT))
    font.set_size(size, 72)
    font.set_text(text, 0)
    return font.get_width_height()[0] / 64


@functools.cache
def _letters() -> frozenset[int]:
    """Code points that the font can draw."""
    font = font_manager.get_font(font_manager.findfont(FONT))
    return frozenset(font.get_charmap())
