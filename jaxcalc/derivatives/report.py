"""What a derivative check found, for people, for tests and for machines."""

import html
import json
import math
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

Verdict = Literal["agree", "disagree", "cannot tell", "not available", "not checked"]
Cause = Literal[
    "wrong derivative",
    "wrong second derivative",
    "asymmetric Hessian",
    "not finite",
    "kink",
    "jump",
    "gradient cut to zero",
    "not deterministic",
    "differs under jit",
    "value not finite",
    "value differs under differentiation",
    "no derivative",
    "cannot tell",
]
MODES = ("reverse", "forward", "second")


class DerivativeError(AssertionError):
    """A derivative check that failed; the message is the report."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One coordinate in which derivative and differences disagree.

    Attributes:
        index: Index in its leaf.
        automatic: What automatic differentiation answers.
        difference: What the differences of values say.
        error: How far the differences may be off.
        left: Slope from the left, at a kink.
        right: Slope from the right, at a kink.
    """

    index: tuple[int, ...]
    automatic: float
    difference: float
    error: float
    left: float | None = None
    right: float | None = None


@dataclass(frozen=True, kw_only=True)
class DerivativeFinding:
    """One thing that is wrong, where it is, and what to do.

    Attributes:
        cause: What kind of fault it is.
        sentence: The fault in words, with its numbers.
        remedy: What to do about it.
        mode: "reverse", "forward" or "both"; empty where no mode is concerned.
        leaf: Path of the leaf; empty where the whole function is concerned.
        entries: Coordinates that show it, with the evidence; not always all of them.
        factor: Automatic divided by true derivative, where it is the same everywhere.
        source: The operation and source line that is responsible, where known.
    """

    cause: Cause
    sentence: str
    remedy: str
    mode: str = ""
    leaf: str = ""
    entries: tuple[Entry, ...] = ()
    factor: float | None = None
    source: str = ""

    @property
    def indices(self) -> tuple[tuple[int, ...], ...]:
        """Indices, in the leaf, of the entries that show the fault."""
        return tuple(entry.index for entry in self.entries)


@dataclass(frozen=True, kw_only=True)
class LeafCheck:
    """What was found for one leaf of the parameters.

    Attributes:
        path: The leaf's path.
        shape: Its shape.
        dtype: Its dtype.
        gradient: Largest absolute entry of the reverse-mode gradient.
        verdicts: A verdict for each mode.
        visible: An error above this in any single entry would have been seen.
    """

    path: str
    shape: tuple[int, ...]
    dtype: str
    gradient: float
    verdicts: dict[str, Verdict]
    visible: float


@dataclass(frozen=True, kw_only=True)
class DirectionCheck:
    """The evidence along one random direction.

    Attributes:
        steps: Steps of the differences, largest first.
        quotients: Central difference quotients at these steps.
        difference: The slope they lead to.
        error: How far it may be off.
        reverse: The slope by the reverse-mode gradient; NaN if not available.
        forward: The slope by forward mode; NaN if not available.
    """

    steps: tuple[float, ...]
    quotients: tuple[float, ...]
    difference: float
    error: float
    reverse: float
    forward: float


@dataclass(frozen=True, kw_only=True)
class DerivativeReport:
    """The verdict on a function's derivatives at one point.

    Attributes:
        value: The function's value.
        order: 1, or 2 where Hessian-vector products were checked too.
        precision: Precision in which the differences were computed.
        verdicts: A verdict for each mode: "reverse", "forward", "second".
        leaves: One record for each leaf of the parameters.
        findings: What is wrong; empty if nothing is.
        directions: The evidence along each direction.
        notes: What is worth knowing but not wrong.
        cost: How many values, gradients and forward-mode passes were computed.
    """

    value: float
    order: int
    precision: str
    verdicts: dict[str, Verdict]
    leaves: tuple[LeafCheck, ...]
    findings: tuple[DerivativeFinding, ...]
    directions: tuple[DirectionCheck, ...] = ()
    notes: tuple[str, ...] = ()
    cost: dict[str, int]

    @property
    def ok(self) -> bool:
        """Whether every derivative that could be computed agrees."""
        return self.verdict == "agree"

    @property
    def verdict(self) -> Verdict:
        """What follows from the findings: agree, disagree, or cannot tell."""
        causes = {finding.cause for finding in self.findings}
        if causes - {"cannot tell"}:
            return "disagree"
        return "cannot tell" if causes else "agree"

    def raise_if_failed(self) -> None:
        """Raise unless every derivative agrees; for tests.

        Raises:
            DerivativeError: Something disagrees, or nothing could be told.
        """
        if not self.ok:
            raise DerivativeError(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The report as plain dictionaries, lists, strings and numbers."""
        content = asdict(self) | {"ok": self.ok, "verdict": self.verdict}
        return _plain(content)

    def to_json(self, indent: int | None = None) -> str:
        """The report as JSON; numbers that are not finite are strings.

        Args:
            indent: Spaces of indentation; None for a single line.

        Returns:
            A JSON object.
        """
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_markdown(self) -> str:
        """The report as Markdown: verdict, findings, a table of leaves."""
        lines = [f"**{self._headline()}**", ""]
        lines += [f"- **{_title(f)}** {f.sentence} *{f.remedy}*" for f in self.findings]
        lines += [""] if self.findings else []
        head, *rows = self._table()
        lines += [_row(head), _row(["---"] * len(head))]
        lines += [_row([cell.replace("|", "\\|") for cell in row]) for row in rows]
        lines += ["", self._footer(), *(f"\n{note}" for note in self.notes)]
        return "\n".join(lines)

    def __str__(self) -> str:
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [self._headline()]
        for f in self.findings:
            lines += ["", f"  {_title(f)}", f"    {f.sentence}", f"    {f.remedy}"]
        lines.append("")
        for row in table:
            cells = [cell.ljust(w) for cell, w in zip(row, widths, strict=True)]
            lines.append("  " + "  ".join(cells).rstrip())
        lines += ["", f"  {self._footer()}", *(f"  {note}" for note in self.notes)]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The report as an HTML fragment that needs nothing else."""
        color = {"agree": "#1a7f37", "disagree": "#b3261e"}.get(self.verdict, "#8a6100")
        parts = [
            '<div style="font-family:system-ui,sans-serif;font-size:14px;'
            'line-height:1.45;max-width:60em">',
            f'<p style="font-weight:600;color:{color};margin:0 0 .6em">'
            f"{html.escape(self._headline())}</p>",
        ]
        parts += [_finding_html(f, color) for f in self.findings]
        parts.append(_html_table(self._table()))
        parts += [
            f'<p style="color:#666;margin:.4em 0">{html.escape(line)}</p>'
            for line in (self._footer(), *self.notes)
        ]
        return "\n".join([*parts, "</div>"])

    def _headline(self) -> str:
        count = len(self.findings)
        found = f"{count} finding{'s' if count != 1 else ''}"
        if self.verdict == "agree":
            return "The derivatives agree with differences of the function."
        if self.verdict == "cannot tell":
            return "It cannot be told whether the derivatives are right."
        return f"The derivatives are not to be trusted here: {found}."

    def _table(self) -> list[list[str]]:
        modes = [m for m in MODES if m in self.verdicts]
        head = ["leaf", "shape", "dtype", "max |gradient|", *modes, "sees errors above"]
        rows = [
            [
                leaf.path,
                str(leaf.shape),
                leaf.dtype,
                _number(leaf.gradient),
                *(leaf.verdicts.get(m, "not checked") for m in modes),
                _number(leaf.visible),
            ]
            for leaf in self.leaves
        ]
        return [head, *rows]

    def _footer(self) -> str:
        cost = f"{self.cost['values']} values and {self.cost['gradients']} gradients"
        return f"Value {_number(self.value)}; differences in {self.precision}; {cost}."


def _finding_html(finding: DerivativeFinding, color: str) -> str:
    return (
        f'<div style="border-left:3px solid {color};padding:.1em .8em;'
        f'margin:0 0 .8em"><b>{_prose(_title(finding))}</b><br>'
        f"{_prose(finding.sentence)}<br><i>{_prose(finding.remedy)}</i>"
        f"{_entries_table(finding)}</div>"
    )


def _prose(text: str) -> str:
    """Escaped for HTML, with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text))


def _title(finding: DerivativeFinding) -> str:
    cause = finding.cause[0].upper() + finding.cause[1:]
    where = f" in {finding.leaf}" if finding.leaf else ""
    mode = f" ({finding.mode} mode)" if finding.mode in ("reverse", "forward") else ""
    return f"{cause}{where}{mode}."


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _entries_table(finding: DerivativeFinding) -> str:
    if not finding.entries:
        return ""
    head = ["index", "automatic", "differences", "± error"]
    rows = [
        [
            str(list(e.index)),
            _number(e.automatic),
            _number(e.difference),
            _number(e.error),
        ]
        for e in finding.entries[:8]
    ]
    return _html_table([head, *rows])


def _html_table(table: list[list[str]]) -> str:
    style = "padding:.15em .8em .15em 0;text-align:left;border-bottom:1px solid #ddd"
    head, *rows = table
    lines = ['<table style="border-collapse:collapse;margin:.5em 0">', "<tr>"]
    lines += [f'<th style="{style}">{html.escape(cell)}</th>' for cell in head]
    lines.append("</tr>")
    for row in rows:
        cells = [f'<td style="{style}">{html.escape(cell)}</td>' for cell in row]
        lines.append("<tr>" + "".join(cells) + "</tr>")
    return "\n".join([*lines, "</table>"])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
