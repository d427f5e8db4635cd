"""How pictures look: colours that everybody can tell apart, the sizes of a paper.

Every optimizer has one look, a colour with a line pattern and a marker, and keeps it
through all figures. The colours are those of Okabe and Ito without their yellow, which
vanishes on white, and a few more; pattern and marker tell lines apart in grayscale.

References:
    Okabe and Ito (2008), Color Universal Design.
"""

import functools
import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes

from jaxcalc import _checks
from jaxcalc.reports import _text

ThemeName = Literal["light", "dark"]

SINGLE = 85 / 25.4
"""Width of one column of a paper, in inches."""
DOUBLE = 175 / 25.4
"""Width of a page of a paper, in inches."""


@dataclass(frozen=True)
class Theme:
    """Colours that belong to no optimizer; `ramp` runs from low to high ground."""

    surface: str
    ink: str
    muted: str
    grid: str
    star: str
    ramp: tuple[str, str]


THEMES = {
    "light": Theme(
        surface="#fefefe",
        ink="#1f2328",
        muted="#57606a",
        grid="#e4e7eb",
        star="#b8860b",
        ramp=("#fbfcfd", "#b3bcc8"),
    ),
    "dark": Theme(
        surface="#15181d",
        ink="#e6e8eb",
        muted="#9da5b0",
        grid="#2a2f37",
        star="#ffd75e",
        ramp=("#171b21", "#4b5563"),
    ),
}

SOLID, DASHED, DASHDOT = (0, ()), (0, (4.2, 1.6)), (0, (4.5, 1.4, 1.0, 1.4))
DOTTED, LONG = (0, (1.1, 1.3)), (0, (8.0, 1.8))


@dataclass(frozen=True)
class Look:
    """How one optimizer is drawn: a colour per theme, a line pattern, a marker."""

    light: str
    dark: str
    dash: tuple[int, tuple[float, ...]]
    marker: str

    def colour(self, theme: ThemeName) -> str:
        """The colour for a theme.

        Args:
            theme: "light" or "dark".

        Returns:
            A hexadecimal colour.
        """
        return self.dark if theme == "dark" else self.light


LOOKS = (
    Look("#0072b2", "#3f9fe0", SOLID, "o"),
    Look("#d55e00", "#f27d33", SOLID, "s"),
    Look("#009e73", "#25c497", DASHED, "^"),
    Look("#111418", "#f4f5f6", SOLID, "D"),
    Look("#56b4e9", "#a3dcfb", DASHED, "v"),
    Look("#cc79a7", "#eb9fc6", DASHDOT, "P"),
    Look("#e69f00", "#ffc247", DASHDOT, "<"),
    Look("#5b4da0", "#a79bf0", DOTTED, ">"),
    Look("#8a7a12", "#d0bf52", LONG, "X"),
    Look("#882255", "#df7199", DASHDOT, "p"),
    Look("#6d7681", "#aeb6c0", DASHED, "h"),
    Look("#44aa99", "#7ddccd", DOTTED, "d"),
)

# What everybody compares keeps its look from one comparison to the next.
KNOWN = {
    "gradientdescent": 0,
    "gd": 0,
    "sgd": 0,
    "adam": 1,
    "lbfgs": 2,
    "newton": 3,
    "momentum": 4,
    "heavyball": 4,
    "rmsprop": 5,
    "adamw": 6,
    "nesterov": 7,
    "lion": 8,
    "trustregion": 9,
    "newtoncg": 10,
    "cubic": 11,
}


def looks(optimizers: Iterable[str]) -> dict[str, Look]:
    """Give every optimizer its look: its own if it is well known, or a free one.

    Args:
        optimizers: Names in the order of the comparison, which decides the rest.

    Returns:
        A look for each name; colours repeat, with other patterns, after twelve names.
    """
    names = list(dict.fromkeys(optimizers))
    chosen: dict[str, int] = {}
    for name in names:
        slot = KNOWN.get(re.sub("[^a-z0-9]", "", name.lower()))
        if slot is not None and slot not in chosen.values():
            chosen[name] = slot
    free = [i for i in range(len(LOOKS)) if i not in chosen.values()]
    free += range(len(LOOKS), len(LOOKS) + len(names))
    rest = [name for name in names if name not in chosen]
    chosen.update(zip(rest, free, strict=False))
    return {name: _look(chosen[name]) for name in names}


def _look(slot: int) -> Look:
    """The look of a slot; past the last, the same colours with shifted patterns."""
    turn, place = divmod(slot, len(LOOKS))
    other = LOOKS[(place + 5 * turn) % len(LOOKS)]
    if not turn:
        return other
    dashes = [SOLID, DASHED, DASHDOT, DOTTED, LONG]
    shifted = dashes[(dashes.index(LOOKS[place].dash) + turn) % len(dashes)]
    return Look(LOOKS[place].light, LOOKS[place].dark, shifted, other.marker)


def drawing(theme: ThemeName) -> AbstractContextManager[None]:
    """The settings under which figures are drawn and saved; they end with the block.

    Args:
        theme: "light" or "dark".

    Returns:
        A context for a `with` statement.

    Raises:
        ValueError: There is no such theme.
    """
    paint = THEMES[_checks.known("theme", theme, THEMES)]
    settings: Any = {
        "font.family": ["sans-serif"],
        "font.sans-serif": [_text.FONT],
        "font.size": 8,
        "text.color": paint.ink,
        "text.usetex": False,
        "figure.facecolor": paint.surface,
        "figure.edgecolor": paint.surface,
        "axes.facecolor": paint.surface,
        "axes.edgecolor": paint.muted,
        "axes.labelcolor": paint.ink,
        "axes.labelsize": 8,
        "axes.titlesize": 8.5,
        "axes.titlelocation": "left",
        "axes.titlecolor": paint.ink,
        "axes.linewidth": 0.6,
        "axes.axisbelow": True,
        "axes.grid": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "lines.linewidth": 1.3,
        "lines.markersize": 3.6,
        "legend.fontsize": 7.5,
        "legend.frameon": False,
        "legend.labelcolor": paint.ink,
        "figure.constrained_layout.w_pad": 0.03,
        "figure.constrained_layout.h_pad": 0.03,
        # One drawing is one file: no dates, no random names (read when saving).
        "svg.hashsalt": "jaxcalc",
        "svg.fonttype": "path",
        "pdf.fonttype": 42,
    }
    return rc_context(settings)


def dress(ax: Axes, theme: ThemeName) -> None:
    """Set what matplotlib would read from its global settings only when drawing.

    Args:
        ax: Axes of a figure.
        theme: "light" or "dark".
    """
    paint = THEMES[theme]
    ax.tick_params(
        which="both", color=paint.muted, labelcolor=paint.ink, labelsize=7, width=0.6
    )
    ax.tick_params(which="major", length=3, pad=2.5)
    ax.tick_params(which="minor", length=1.6)
    ax.grid(visible=True, which="major", color=paint.grid, linewidth=0.6)


def recolour(svg: str) -> str:
    """Turn a drawing of the light theme into one of the dark theme.

    Every colour of a theme has its one counterpart in the other, so a page need not
    draw everything twice.

    Args:
        svg: An SVG drawing made with `theme="light"`.

    Returns:
        The drawing that `theme="dark"` makes.
    """
    pairs = _pairs()
    return re.sub("#[0-9a-f]{6}", lambda found: pairs.get(found[0], found[0]), svg)


def adaptive(svg: str) -> str:
    """Turn a drawing of the light theme into one that follows its reader's theme.

    Colours become variables, of which the drawing itself holds a light and a dark set.

    Args:
        svg: An SVG drawing made with `theme="light"`, as matplotlib writes it.

    Returns:
        A drawing that is light or dark as `prefers-color-scheme` is.
    """
    pairs = _pairs()
    used = [light for light in pairs if light in svg]
    names = {light: f"--c{place}" for place, light in enumerate(used)}
    body = re.sub(
        r"(?<=:) ?(#[0-9a-f]{6})",
        lambda found: f"var({names[found[1]]})" if found[1] in names else found[0],
        svg,
    )
    light = ";".join(f"{names[c]}:{c}" for c in used)
    dark = ";".join(f"{names[c]}:{pairs[c]}" for c in used)
    both = f"svg{{{light}}}@media(prefers-color-scheme:dark){{svg{{{dark}}}}}"
    return re.sub(r"(<svg[^>]*>)", rf"\1<style>{both}</style>", body, count=1)


def ramp(theme: ThemeName, count: int) -> list[str]:
    """Colours of the ground from low to high.

    Args:
        theme: "light" or "dark".
        count: How many.

    Returns:
        Hexadecimal colours.
    """
    low, high = (
        [int(end[i : i + 2], 16) for i in (1, 3, 5)] for end in THEMES[theme].ramp
    )
    mixed = (
        [a + (b - a) * k / max(count - 1, 1) for a, b in zip(low, high, strict=True)]
        for k in range(count)
    )
    return ["#" + "".join(f"{round(part):02x}" for part in mix) for mix in mixed]


RAMP = 14
"""How many shades of ground a contour has; fixed, so that each has a counterpart."""


@functools.cache
def _pairs() -> dict[str, str]:
    """Colours of the light theme with their counterparts in the dark one."""
    light, dark = THEMES["light"], THEMES["dark"]
    pairs = {
        getattr(light, name): getattr(dark, name)
        for name in ("surface", "ink", "muted", "grid", "star")
    }
    pairs |= {look.light: look.dark for look in LOOKS}
    return pairs | dict(zip(ramp("light", RAMP), ramp("dark", RAMP), strict=True))
