"""Which lanes go on: those that have ended need not be carried along.

Lanes side by side cost as much when most have ended as when none has. So from time to
time the others close ranks. Every width is a program of its own, whose compilation must
be worth it; when that is so is decided by counting operations, not by the clock, so
that the same comparison does the same arithmetic wherever and whenever it is run.
"""

import numpy as np

# Ranks close at these points of a run, and at each twice as far as the one before.
_FIRST = 64
# To compile a program takes about as long as so many operations.
_WORTH_OPERATIONS = 1e9


def next_gathering(rows: int) -> int:
    """The next point at which lanes may close ranks.

    Args:
        rows: Points measured so far.

    Returns:
        A number of points above `rows`.
    """
    at = _FIRST
    while at <= rows:
        at *= 2
    return at


def going_on(
    steps: np.ndarray, rows: int, max_steps: int, operations: float
) -> np.ndarray | None:
    """The lanes to advance, by what is known of them after `rows` points.

    Args:
        steps: Index of each lane's next point, or of its last one, shape `(lanes,)`.
        rows: Points measured so far.
        max_steps: Index of the last point of a run.
        operations: Floating-point operations of a lane's step; NaN if unknown.

    Returns:
        Indices in increasing order, some of ended lanes among them, as widths are
        halves of halves; None for all lanes.
    """
    everyone = width = len(steps)
    reached = 0
    at = _FIRST
    while at <= rows:
        active = int(np.sum(steps >= at))
        narrow = width
        while narrow > 1 and (narrow + 1) // 2 >= active:
            narrow = (narrow + 1) // 2
        saved = operations * (width - narrow) * (max_steps + 1 - at)
        if saved >= _WORTH_OPERATIONS:
            width, reached = narrow, at
        at *= 2
    if width == everyone:
        return None
    # Stable: those that went on from where the ranks closed first, then any others.
    order = np.argsort(steps < reached, kind="stable")
    return np.sort(order[:width])
