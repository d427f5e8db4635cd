"""What `gradient_flow` hands out, and how it is put in words."""

import dataclasses
import html
from typing import Literal

import jax.numpy as jnp
import numpy as np

from jaxcalc.analysis import _sensitivity_text as _text

Verdict = Literal["vanishing", "exploding", "healthy", "not finite", "cannot tell"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientFlow:
    """Sizes through depth, and what they amount to; `str` gives a table.

    Attributes:
        names: The layers, from the input to the output.
        loss: The loss.
        norm: Norm of each layer's gradient.
        rms: Its root mean square entry.
        parameters: Root mean square entry of each layer's parameters.
        activations: Root mean square of what each hidden layer puts out, if known.
        signals: Root mean square of the loss's derivative by these, if known.
        dead: Share of units that put out zero for every example, if known.
        rate: By what the gradient is multiplied per layer on its way back: fitted to
            `signals` where they are known, else to `rms`.
        rate_error: Standard error of the rate; NaN with fewer than three layers.
        change: What that makes of the gradient from the last layer to the first,
            `rate**(layers - 1)`.
        threshold: Below it the gradient vanishes, above its inverse it explodes.
        verdict: "vanishing", "exploding", "healthy", "not finite" or "cannot tell".
    """

    names: tuple[str, ...]
    loss: float
    norm: np.ndarray
    rms: np.ndarray
    parameters: np.ndarray
    activations: np.ndarray | None
    signals: np.ndarray | None
    dead: np.ndarray | None
    rate: float
    rate_error: float
    change: float
    threshold: float
    verdict: Verdict

    @property
    def frozen(self) -> tuple[str, ...]:
        """Layers whose gradient is below the rounding of their parameters.

        A step of plain gradient descent with a learning rate of 1 or less changes
        none of their typical numbers.
        """
        eps = float(jnp.finfo(self.rms.dtype).eps)
        small = self.rms < eps * self.parameters
        return tuple(name for name, one in zip(self.names, small, strict=True) if one)

    @property
    def sentence(self) -> str:
        """The verdict in words, with its numbers."""
        basis = self.rms if self.signals is None else self.signals
        return _in_words(self, basis)

    def table(self) -> tuple[list[str], list[list[str]]]:
        """The table of layers; hidden layers are mostly one fewer.

        Returns:
            The head and the rows, as text.
        """
        head = ["layer", "gradient norm", "root mean square", "parameters"]
        columns = [self.norm, self.rms, self.parameters]
        for name, extra in (
            ("activations", self.activations),
            ("dL/dh", self.signals),
            ("dead units", self.dead),
        ):
            if extra is not None:
                head.append(name)
                columns.append(extra)
        rows = []
        for k in range(max(map(len, columns))):
            name = self.names[k] if k < len(self.names) else f"hidden {k}"
            cells = [_text.number(c[k], 3) if k < len(c) else "" for c in columns]
            if self.dead is not None and k < len(self.dead):
                cells[-1] = f"{self.dead[k]:.0%}"
            rows.append([name, *cells])
        return head, rows

    def __str__(self) -> str:
        return f"{self.sentence}\n{_text.text(*self.table())}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.sentence)}</p>{_text.as_html(*self.table())}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class FlowHistory:
    """The flow at every point of a run.

    Attributes:
        rate: Rate on the way back, one for each point.
        rate_error: Its standard error.
        change: `rate**(layers - 1)`.
        verdicts: A verdict for each point.
        threshold: What they are judged by.
    """

    rate: np.ndarray
    rate_error: np.ndarray
    change: np.ndarray
    verdicts: tuple[Verdict, ...]
    threshold: float

    def __str__(self) -> str:
        begins = [
            k
            for k, verdict in enumerate(self.verdicts)
            if k == 0 or verdict != self.verdicts[k - 1]
        ]
        shown = [
            f"from point {k}: {self.verdicts[k]}, {self.rate[k]:.3g} per layer"
            for k in begins[: _text.MOST_ROWS]
        ]
        left = len(begins) - len(shown)
        return "\n".join(shown + [f"… and {left} more changes"] * (left > 0))


def change_over(rate: float, layers: int) -> float:
    """What a rate makes of a gradient from the last layer to the first.

    Args:
        rate: The factor per layer.
        layers: How many layers.

    Returns:
        A power of the rate; infinite where it overflows.
    """
    with np.errstate(all="ignore"):
        return float(np.float64(rate) ** (layers - 1))


def verdict_of(sizes: np.ndarray, change: float, threshold: float) -> Verdict:
    """The verdict by sizes and by their fitted change.

    Args:
        sizes: One for each layer.
        change: The fitted change from the last layer to the first.
        threshold: Below it the gradient vanishes.

    Returns:
        One of five words.
    """
    if not np.all(np.isfinite(sizes)):
        return "not finite"
    if len(sizes) < 2 or not np.any(sizes):
        return "cannot tell"
    if np.any(sizes == 0) or change < threshold:
        return "vanishing"
    return "exploding" if change > 1 / threshold else "healthy"


def _in_words(flow: GradientFlow, sizes: np.ndarray) -> str:
    bad = [k for k, size in enumerate(sizes) if not np.isfinite(size)]
    zero = [k for k, size in enumerate(sizes) if size == 0]
    name = flow.names if flow.signals is None else [str(k) for k in range(len(sizes))]
    if bad:
        return (
            f"not finite: the gradient is NaN or infinite in layer {name[bad[-1]]}, "
            f"with a loss of {flow.loss:.4g}."
        )
    if len(zero) == len(sizes):
        return "cannot tell: every gradient is zero, at a critical point or a dead end."
    if len(sizes) < 2:
        return "cannot tell: it takes two layers to see a gradient grow or shrink."
    factor = f"{flow.rate:.3g}"
    if np.isfinite(flow.rate_error):
        factor += f" ± {flow.rate_error:.2g}"
    said = (
        f"{flow.verdict}: on the way back the gradient is multiplied by {factor} per "
        f"layer, {flow.change:.2g} from the last to the first "
        f"(healthy is {flow.threshold:g} to {1 / flow.threshold:g})."
    )
    if zero:
        said += f" It is exactly zero in layer {name[zero[-1]]}"
        said += f" and {len(zero) - 1} more." if len(zero) > 1 else "."
    if flow.frozen:
        said += (
            f" In {len(flow.frozen)} of {len(flow.names)} layers it is below the "
            "rounding of the parameters."
        )
    return said
