"""Comparisons made up by formula, so that every number in a figure is known."""

import jax.numpy as jnp
import numpy as np

from jaxcalc.comparison import Comparison, Runs
from jaxcalc.minimization import Status
from jaxcalc.problems import Problem

RATES = np.logspace(-4, 1, 6)


def runs(
    values,
    *,
    problem="bowl",
    optimizer="sgd",
    phase="evaluation",
    rates=None,
    seeds=None,
    status=None,
    gradients=None,
    path=None,
    seconds=1e-5,
):
    """Runs from one list of values per lane; a lane ends where its list ends."""
    steps = np.array([len(v) - 1 for v in values])
    lanes, top = len(values), int(steps.max()) + 1

    def trace(columns, missing, dtype):
        out = np.full((top, lanes), missing, dtype)
        for lane, column in enumerate(columns):
            out[: len(column), lane] = column
        return out

    value = trace(values, np.nan, float)
    counts = [np.arange(1, n + 2) for n in steps] if gradients is None else gradients
    zeros = [np.zeros(n + 1) for n in steps]
    if path is not None:
        full = np.full((top, lanes, 2), np.nan)
        for lane, points in enumerate(path):
            full[: len(points), lane] = points
        path = full
    return Runs(
        problem=problem,
        optimizer=optimizer,
        phase=phase,
        rates=np.full(lanes, 0.1) if rates is None else np.asarray(rates, float),
        seeds=np.arange(lanes) if seeds is None else np.asarray(seeds),
        status=np.full(lanes, Status.CONVERGED) if status is None else np.array(status),
        steps=steps,
        value=value,
        grad_norm=np.sqrt(np.abs(value)),
        step_norm=value,
        work={
            "gradients": trace(counts, -1, np.int32),
            "hvps": trace(zeros, -1, np.int32),
        },
        cost={"gradients": 1.0, "hvps": 2.0},
        path=path,
        params=np.zeros((lanes, 2)),
        compile_seconds=0.4,
        run_seconds=0.02,
        seconds_per_step=seconds,
    )


def decay(start, rate, steps):
    """A loss that falls by a constant factor."""
    return start * rate ** np.arange(steps + 1)


def comparison(*records, **fields):
    """A comparison of records, with the bowl's minimum at zero."""
    given = {
        "protocol": {
            "max_steps": 200,
            "tol": 1e-8,
            "dtype": "float64",
            "seeds": [0, 1, 2],
        },
        "environment": {"jax": "0.10.2", "device": "cpu"},
        "titles": {"bowl": "A bowl"},
        "minimum": {"bowl": 0.0},
        "sources": {"bowl": "Made up."},
    }
    return Comparison(runs=records, **given | fields)


SPEEDS = {
    "sgd": 0.97,
    "momentum": 0.94,
    "nesterov": 0.93,
    "rmsprop": 0.92,
    "adam": 0.88,
    "adamw": 0.9,
    "lion": 0.955,
    "lbfgs": 0.5,
    "newton": 0.02,
    "trust_region": 0.1,
    "newton_cg": 0.05,
    "my own optimizer with a name that goes on and on": 0.985,
}


def study(names=tuple(SPEEDS), problem="bowl", steps=200, lanes=8, seed=0):
    """A whole comparison of optimizers, each with tuning runs and evaluation runs."""
    random = np.random.default_rng(seed)
    made = []
    for name in names:
        speed = SPEEDS[name]
        own = speed <= 0.5  # needs no learning rate
        scatter = random.lognormal(0, 0.4, lanes)
        values, status = [], []
        for k in range(lanes):
            path = decay(20 * scatter[k], speed ** scatter[k], steps)
            end = int(np.argmax(path < 1e-13)) or steps
            values.append(path[: end + 1])
            status.append(Status.CONVERGED if end < steps else Status.MAX_STEPS)
        if name == "lion":  # three lanes blow up on the way
            for k in range(3):
                values[k] = np.append(values[k][:40] * 1.3 ** np.arange(40), np.inf)
                status[k] = Status.NONFINITE
        hessians = [np.arange(len(v)) * (20 if own else 1) + 1 for v in values]
        made.append(
            runs(
                values,
                problem=problem,
                optimizer=name,
                status=status,
                gradients=hessians,
                rates=np.full(lanes, np.nan if own else 0.1),
                seconds=2e-4 if own else 8e-6,
            )
        )
        if own:
            continue
        values, status, rates, seeds = [], [], [], []
        for rate in RATES:
            for k in range(4):
                factor = 1 - (1 - speed) * min(rate / 0.1, 1.0)
                path = decay(20 * scatter[k], factor ** scatter[k], steps)
                bad = rate > 5 or (rate > 0.5 and k < 2 and name != "adam")
                values.append(decay(20, 1.5, 60) if bad else path)
                status.append(Status.NONFINITE if bad else Status.MAX_STEPS)
                rates.append(rate)
                seeds.append(100 + k)
        made.append(
            runs(
                values,
                problem=problem,
                optimizer=name,
                phase="tuning",
                status=status,
                rates=rates,
                seeds=seeds,
                seconds=float("nan"),
            )
        )
    return comparison(*made)


def valley():
    """Rosenbrock's valley, as a record."""
    return Problem(
        name="valley",
        loss=lambda p: (1 - p["x"]) ** 2 + 100 * (p["y"] - p["x"] ** 2) ** 2,
        init=lambda _: {"x": jnp.asarray(-1.2), "y": jnp.asarray(1.0)},
        minimum=0.0,
        minimizers=(np.array([1.0, 1.0]),),
        box=(np.array([-2.0, -1.0]), np.array([2.0, 3.0])),
        title="A valley",
    )


def wander(names=("sgd", "adam", "newton"), steps=400, start=(-1.2, 1.0)):
    """Paths along the valley, and one that flies off."""
    made = []
    for order, name in enumerate(names):
        t = np.linspace(0, 1, steps + 1) ** (1 + order / 3)
        x = start[0] + (1 - start[0]) * t * (0.6 + 0.4 * (order % 3) / 2)
        y = x**2 + 0.3 * np.exp(-6 * t) * np.cos((20 + 9 * order) * t)
        points = np.stack([x, y], axis=1)
        points[0] = start
        status = Status.MAX_STEPS
        if name == "lion":
            points = np.array(start) * (-2.0) ** np.arange(1000)[:, None]
            status = Status.NONFINITE
        with np.errstate(over="ignore", invalid="ignore"):
            value = (1 - points[:, 0]) ** 2
            value = value + 100 * (points[:, 1] - points[:, 0] ** 2) ** 2
        made.append(
            runs(
                [value],
                problem="valley",
                optimizer=name,
                status=[status],
                rates=[np.nan if name == "newton" else 0.1],
                path=[points],
            )
        )
    return comparison(*made, titles={"valley": "A valley"}, minimum={"valley": 0.0})
