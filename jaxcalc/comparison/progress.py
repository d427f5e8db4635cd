"""A progress bar that counts points measured."""

from types import TracebackType
from typing import Any


class Progress:
    """Shows how far a comparison is; silent unless asked.

    Args:
        total: Points that will be measured if no run ends early.
        shown: Whether to show a bar.
    """

    def __init__(self, total: int, *, shown: bool):
        self._bar: Any = None
        if shown:
            try:
                from tqdm import tqdm
            except ImportError as error:
                raise ImportError(
                    "a progress bar needs tqdm: pip install 'jaxcalc[experiments]', or "
                    "pass progress=False"
                ) from error
            self._bar = tqdm(total=total, unit="step", unit_scale=True, leave=False)

    def describe(self, text: str) -> None:
        """Say what is being run.

        Args:
            text: A few words.
        """
        if self._bar is not None:
            self._bar.set_description(text)

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
