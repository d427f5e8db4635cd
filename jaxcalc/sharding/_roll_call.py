"""Every process says who it is, before JAX's runtime starts.

JAX ends a process whose index is taken, or that waits for one that never comes, by an
abort and a stack trace. Here process 0 listens on the coordinator's port for as long as
it takes to hear from everybody, and tells all of them in words what is wrong.
"""

import contextlib
import json
import os
import socket
import time
from typing import Any

import jax

# What one process says to another fits into this.
_LONGEST = 65536
_PAUSE = 0.1
# A stranger may hold the line for so long.
_PATIENCE = 5.0

Card = dict[str, Any]
# What is wrong, in words, and whether it is that somebody did not come.
Verdict = tuple[str, bool]


def roll_call(coordinator: str, processes: int, index: int, timeout: float) -> None:
    """Wait until every process has said who it is, and compare what they say.

    Args:
        coordinator: Address and port of process 0.
        processes: How many there should be.
        index: Of this one.
        timeout: Seconds to wait for the others.

    Raises:
        ValueError: Two processes have the same index, or do not agree on how many there
            are, or run different versions of JAX; or the port is taken.
        TimeoutError: Not all of them came.
    """
    host, _, port = coordinator.rpartition(":")
    card = {
        "index": index,
        "processes": processes,
        "jax": jax.__version__,
        "who": f"process {os.getpid()} on {socket.gethostname()}",
    }
    deadline = time.monotonic() + timeout
    if index == 0:
        wrong, late = _lead(int(port), card, deadline)
    else:
        wrong, late = _follow((host.strip("[]"), int(port)), card, deadline)
    if wrong:
        raise (TimeoutError if late else ValueError)(wrong)


def _lead(port: int, card: Card, deadline: float) -> Verdict:
    """Hear everybody, then tell everybody."""
    callers: dict[int, tuple[Card, socket.socket | None]] = {0: (card, None)}
    lines = []
    wrong, late = "", False
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(_listening(port))
        while len(callers) < card["processes"] and not wrong:
            line = _next(server, deadline)
            if line is None:
                wrong, late = _missing(callers, card["processes"]), True
                continue
            stack.enter_context(line)
            said = _heard(line, time.monotonic() + _PATIENCE)
            if said is None or not {"index", "processes", "jax", "who"} <= set(said):
                continue  # a stranger
            callers = {i: c for i, c in callers.items() if not _has_left(c[1])}
            wrong = _objection(said, callers)
            callers[said["index"]] = (said, line)
            lines.append(line)
        for line in lines:
            with contextlib.suppress(OSError):
                _say(line, {"wrong": wrong, "late": late})
    return wrong, late


def _follow(address: tuple[str, int], card: Card, deadline: float) -> Verdict:
    """Call process 0 until it answers."""
    answered = False
    while (left := deadline - time.monotonic()) > 0:
        try:
            with socket.create_connection(address, timeout=left) as line:
                answered = True
                _say(line, card)
                # Process 0 gives up at its own time, which may be a little later.
                said = _heard(line, deadline + _PATIENCE)
        except OSError:
            said = None
        if said is not None and "wrong" in said:
            return said["wrong"], said["late"]
        time.sleep(_PAUSE)
    where = f"{address[0]}:{address[1]}"
    if answered:
        why = "something answers, but no process 0 of this run"
    else:
        why = "nobody answers"
    return (
        f"process {card['index']} of {card['processes']} can't reach process 0: {why} "
        f"at {where}. Was process 0 started, on that machine, with the same address?"
    ), True


def _listening(port: int) -> socket.socket:
    try:
        if socket.has_dualstack_ipv6():
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024
            )
        return socket.create_server(("", port), backlog=1024)
    except OSError as error:
        raise ValueError(
            f"process 0 can't listen on port {port} ({error}): another process has "
            "index 0 too, or another program has the port; choose another index or port"
        ) from error


def _next(server: socket.socket, deadline: float) -> socket.socket | None:
    """The next one who calls; None if nobody does in time."""
    left = deadline - time.monotonic()
    if left <= 0:
        return None
    server.settimeout(left)
    try:
        return server.accept()[0]
    except TimeoutError:
        return None


def _objection(said: Card, callers: dict[int, Any]) -> str:
    """What is wrong with a process beside those that came before it."""
    card = callers[0][0]
    if said["processes"] != card["processes"]:
        return (
            f"the processes do not agree on how many there are: {card['processes']} "
            f"says {card['who']}, {said['processes']} says {said['who']}"
        )
    if said["index"] in callers:
        other = callers[said["index"]][0]
        return (
            f"two processes have the index {said['index']}: {other['who']} and "
            f"{said['who']}; each needs its own, from 0 to {card['processes'] - 1}"
        )
    if said["jax"] != card["jax"]:
        return (
            f"the processes run different versions of JAX: {card['jax']} {card['who']},"
            f" {said['jax']} {said['who']}"
        )
    return ""


def _missing(callers: dict[int, Any], processes: int) -> str:
    missing = [index for index in range(processes) if index not in callers]
    shown = ", ".join(map(str, missing[:20])) + (", …" if len(missing) > 20 else "")
    return (
        f"{len(callers)} of {processes} processes came in time; there was none with "
        f"index {shown}. Were all of them started, each with its own index?"
    )


def _has_left(line: socket.socket | None) -> bool:
    """Whether the other side has closed the line: it ended, and may come again."""
    if line is None:
        return False
    line.settimeout(0)
    try:
        return line.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _say(line: socket.socket, what: Card) -> None:
    line.settimeout(_PATIENCE)
    line.sendall(json.dumps(what).encode() + b"\n")


def _heard(line: socket.socket, deadline: float) -> Card | None:
    """One line of what the other side says; None if it makes no sense."""
    said = b""
    try:
        while not said.endswith(b"\n"):
            line.settimeout(max(deadline - time.monotonic(), 1e-3))
            part = line.recv(_LONGEST)
            said += part
            if not part or len(said) > _LONGEST:
                return None
        what = json.loads(said)
    except (OSError, ValueError):
        return None
    return what if isinstance(what, dict) else None
