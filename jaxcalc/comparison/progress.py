"""A progress bar that counts points measured."""

from types import TracebackType
from typing import Any

import numpy as np


class Progress:
    """Shows how far a comparison is; silent unless asked.

    Args:
        total: Points that will be measured if no run ends early.
        shown: Whether to show a bar.
    """

    def __init__(self, total: int, *, shown: bool):
        self._bar: Any = None
        self._best = np.inf
        if shown:
            try:
                from tqdm import tqdm
            except ImportError as error:
                raise ImportError(
                    "a progress bar needs tqdm: pip install 'jaxcalc[experiments]', or "
                    "pass progress=False"
                ) from error
            self._bar = tqdm(total=total, unit="step", unit_scale=True, leave=False)

    def begin(self, text: str) -> None:
        """Say what is being run next, of which nothing has been seen yet.

        Args:
            text: A few words.
        """
        self._best = np.inf
        if self._bar is not None:
            self._bar.set_postfix_str("", refresh=False)
            self._bar.set_description(text)

    def note(self, values: np.ndarray) -> None:
        """Remember and show the lowest value seen.

        Args:
            values: Losses, NaN where nothing was measured.
        """
        finite = values[np.isfinite(values)]
        if self._bar is None or not finite.size or finite.min() >= self._best:
            return
        self._best = float(finite.min())
        self._bar.set_postfix_str(f"lowest {self._best:.4g}", refresh=False)

    def advance(self, points: int) -> None:
        """Count points that were measured, or need not be.

        Args:
            points: How many.
        """
        if self._bar is not None:
            self._bar.update(points)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
