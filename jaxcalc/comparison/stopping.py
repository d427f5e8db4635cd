"""When to stop: at the end of a time budget, or when Ctrl-C is pressed.

Whoever computes asks between two chunks. So what was begun is finished and written
before anything ends; a second Ctrl-C ends it at once.
"""

import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any


class Stopped(Exception):  # noqa: N818 - it is no error
    """Between two chunks it was asked to stop; everything so far is in the store."""


class Stop:
    """Listens for Ctrl-C, and watches the clock.

    Args:
        budget: Seconds after which to stop, None for any time.
        agree: Makes one answer of those of several processes.
    """

    def __init__(
        self, budget: float | None = None, agree: Callable[[bool], bool] = bool
    ):
        self._agree = agree
        self._end = None if budget is None else time.monotonic() + budget
        self._handler: Any = None
        self.interrupted = False

    @property
    def asked(self) -> bool:
        """Whether to stop now."""
        late = self._end is not None and time.monotonic() >= self._end
        return self._agree(self.interrupted or late)

    @property
    def interrupted_anywhere(self) -> bool:
        """Whether Ctrl-C was pressed, in this process or in one that works with it."""
        return self._agree(self.interrupted)

    def check(self) -> None:
        """Stop if that was asked for.

        Raises:
            Stopped: It was.
        """
        if self.asked:
            raise Stopped

    def _listen(self, signum: int, frame: FrameType | None) -> None:
        del signum, frame
        self.interrupted = True
        signal.signal(signal.SIGINT, self._handler)
        text = "\nFinishing what is under way; Ctrl-C again stops at once."
        print(text, file=sys.stderr)

    def __enter__(self) -> "Stop":
        # Only Python's own reaction is replaced: a caller's handler has its reasons.
        held = signal.getsignal(signal.SIGINT)
        in_main = threading.current_thread() is threading.main_thread()
        if in_main and held is signal.default_int_handler:
            self._handler = held
            signal.signal(signal.SIGINT, self._listen)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
