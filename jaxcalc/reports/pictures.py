"""Figures as files and as parts of a page; the same bytes for the same figure."""

import io
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure

from jaxcalc.reports import _files, palette


def save(figure: Figure, stem: Path, *, as_svg: bool = False) -> None:
    """Write a figure as PNG of 200 dots per inch and as PDF.

    Args:
        figure: A figure of the light theme.
        stem: The path of the files, without their suffix.
        as_svg: Whether to write an SVG too.
    """
    for suffix, data in (
        ("png", {"Software": None}),
        ("pdf", {"CreationDate": None, "Creator": None, "Producer": None}),
    ):
        with palette.drawing("light"), io.BytesIO() as out:
            figure.savefig(out, format=suffix, dpi=200, metadata=data)
            figure.set_layout_engine("none")  # what the first drawing found stays
            _files.write(stem.with_name(f"{stem.name}.{suffix}"), out.getvalue())
    if as_svg:
        _files.write(stem.with_name(f"{stem.name}.svg"), svg(figure))


def image(figure: Figure, alt: str) -> dict[str, Any]:
    """A figure as a data address, of a drawing that follows its reader's theme.

    Args:
        figure: A figure of the light theme.
        alt: What it shows, for those who can't see it.

    Returns:
        `source`, `width` and `height` in CSS pixels, and `alt`.
    """
    drawing = palette.adaptive(svg(figure))
    width, height = figure.get_size_inches() * 96
    return {
        "source": address(drawing),
        "width": round(width),
        "height": round(height),
        "alt": alt,
    }


def linked(figure: Figure, stem: str, alt: str) -> dict[str, Any]:
    """A figure as a link to the SVG beside the page, where the page would be too large.

    Args:
        figure: The figure that was saved.
        stem: The file's name without its suffix.
        alt: What it shows, for those who can't see it.

    Returns:
        What `image` returns.
    """
    width, height = figure.get_size_inches() * 96
    return {
        "source": f"{stem}.svg",
        "width": round(width),
        "height": round(height),
        "alt": alt,
    }


def svg(figure: Figure) -> str:
    """A figure as a small SVG drawing without comments, which would hold names.

    Args:
        figure: Any figure.

    Returns:
        The drawing.
    """
    with palette.drawing("light"), io.StringIO() as out:
        keys = ("Date", "Creator", "Format", "Type")
        figure.savefig(out, format="svg", metadata=dict.fromkeys(keys))
        text = out.getvalue()
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = text[text.index("<svg") :]
    text = re.sub(r">\s+<", "><", text).strip()
    text = re.sub(r"(?<=[:;]) (?=[#\w])", "", text)
    return re.sub(r' d="[^"]*"', _shorter, text)


def _shorter(path: re.Match[str]) -> str:
    """A path without digits that no screen can show, and without spaces."""
    # A tenth of a point is fine for a curve; markers are small, and drawn many times.
    digits = r"(\.\d)\d+" if len(path[0]) > 1000 else r"(\.\d\d)\d+"
    data = re.sub(digits, r"\1", path[0][4:-1])
    data = re.sub(r"\s*([A-Za-z])\s*", r"\1", data).strip()
    return f' d="{",".join(data.split())}"'


def address(drawing: str) -> str:
    """A drawing as a data address; readable, so that it compresses well.

    Args:
        drawing: SVG.

    Returns:
        An address without spaces, quotes and angle brackets.
    """
    return "data:image/svg+xml," + quote(drawing, safe="/:;=,()!*$@+")
