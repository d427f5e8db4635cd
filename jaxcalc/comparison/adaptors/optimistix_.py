"""optimistix's solvers in a comparison."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcalc.comparison.adaptors._courses import Course, as_runs, measure
from jaxcalc.comparison.adaptors._evaluations import EvaluationCounter
from jaxcalc.comparison.adaptors._flat import flat_point, flatten, warm
from jaxcalc.comparison.adaptors.external import (
    External,
    needs_batches,
    package,
    titled,
)
from jaxcalc.comparison.results import Runs
from jaxcalc.problems import Problem

_INSTALL = ("optimistix", "optimistix")


def optimistix(solver: Any, *, name: str = "") -> External:
    """One of optimistix's solvers, as an entry of a comparison.

    A minimiser gets the loss, a least-squares solver the `residual` of problems that
    have one. Their own `init`, `step` and `terminate` are called as in their own loop,
    but the loop ends at the first point whose gradient's infinity norm is within the
    comparison's tolerance, or where the solver itself stops. Its own criterion looks at
    the changes of points and values, and what it says of its success does not count.

    A step is one of the solver's. A trial that it rejects is a step of length zero; a
    first one that only looks at the start is none. A minimiser's evaluations are
    counted where they happen, those that a transformation of optax makes included. A
    least-squares solver linearizes the residual at each trial; a Jacobian is counted
    for each trial that it accepts.

    Args:
        solver: A solver such as `optimistix.BFGS(rtol=1e-8, atol=1e-8)`; or a function
            of `rtol` and `atol` that makes one, such as `optimistix.BFGS` itself: it
            gets machine epsilon, so that the comparison's tolerance decides.
        name: What to call it; by default the name of its class.

    Returns:
        The entry.

    Raises:
        ImportError: optimistix is not installed.
        TypeError: It is neither a minimiser nor a least-squares solver of optimistix,
            nor makes one. A root finder is not: where a gradient vanishes need not be
            a minimum.
        ValueError: It solves its linear systems by iteration, inside which products
            can't be counted.
    """
    optx = package(*_INSTALL)
    made = solver
    if not isinstance(solver, optx.AbstractIterativeSolver) and callable(solver):
        eps = float(jnp.finfo(jnp.result_type(float)).eps)
        made = solver(rtol=eps, atol=eps)
    if not isinstance(made, optx.AbstractMinimiser | optx.AbstractLeastSquaresSolver):
        raise TypeError(
            "`solver` must be a minimiser or a least-squares solver of optimistix, or "
            f"a function of `rtol` and `atol` that makes one, got {made!r}"
        )
    _refuse_uncounted(made)
    label = titled("optimistix", name or type(made).__name__, "optimistix")
    return External(
        label=label,
        digest=f"{label} {_digest(made)}",
        run=partial(_run, made, label),
        supports=partial(_supports, made),
    )


def _fits(solver: Any) -> bool:
    return isinstance(solver, package(*_INSTALL).AbstractLeastSquaresSolver)


def _refuse_uncounted(solver: Any) -> None:
    """Raise for solvers whose evaluations can't be counted where they happen."""
    lx = package("lineax", "optimistix")
    names = ("BiCGStab", "CG", "GMRES", "LSMR", "Normal")
    found = (getattr(lx, name, None) for name in names)
    iterative = tuple(kind for kind in found if isinstance(kind, type))

    def is_iterative(part: Any) -> bool:
        return isinstance(part, iterative)

    for part in jax.tree.leaves(solver, is_leaf=is_iterative):
        if is_iterative(part):
            raise ValueError(
                f"`solver` solves its linear systems by {type(part).__name__}, inside "
                "which products with the Jacobian can't be counted: use a direct one"
            )
    try:
        _lowered(solver, EvaluationCounter(_fits(solver)).watched(_bowl(solver)))
    except NotImplementedError as error:
        raise ValueError(
            f"`solver` differentiates the loss twice, which can't be counted: {error}"
        ) from error


def _supports(solver: Any, problem: Problem) -> str:
    if _fits(solver) and problem.residual is None:
        return (
            f"optimistix's {type(solver).__name__} is for sums of squares, and "
            f"{problem.name} has no `residual`"
        )
    return needs_batches(problem)


class _Programs(NamedTuple):
    """A solver on a problem.

    Attributes:
        init: `(point, args) -> state`.
        step: `(point, state, args) -> (point, state, ended)`.
        end: `(point, state, args) -> point`, what the solver returns at the end.
        run: `(point, args, count) -> point`, that many steps in one program.
    """

    init: Callable[..., Any]
    step: Callable[..., Any]
    end: Callable[..., Any]
    run: Any  # which can be lowered, too


def _programs(solver: Any, function: Callable[..., Any]) -> _Programs:
    """Compiled pieces of a solver's own loop.

    Args:
        solver: One of optimistix's solvers.
        function: `function(point, args)`, a loss or a residual.

    Returns:
        The pieces; none is compiled before it is called.
    """
    eqx, optx = package("equinox", "optimistix"), package(*_INSTALL)
    successful = optx.RESULTS.successful
    static: Any = None

    def fn(y: Any, args: Any) -> tuple[Any, None]:
        return function(y, args), None

    def join(state: Any) -> Any:
        return eqx.combine(state, static)

    def init(y: Any, args: Any) -> Any:
        nonlocal static
        out = jax.eval_shape(function, y, args)
        state = solver.init(fn, y, args, {}, out, None, frozenset())
        state, static = eqx.partition(state, eqx.is_array)
        return state

    def step(y: Any, state: Any, args: Any) -> Any:
        new, after, _ = solver.step(fn, y, args, {}, join(state), frozenset())
        stop, result = solver.terminate(fn, y, args, {}, after, frozenset())
        ended = stop | (result != successful)
        return new, eqx.partition(after, eqx.is_array)[0], ended

    def end(y: Any, state: Any, args: Any) -> Any:
        whole = (y, None, args, {}, join(state), frozenset(), successful)
        return solver.postprocess(fn, *whole)[0]

    def run(y: Any, args: Any, count: Any) -> Any:
        def body(_: Any, carry: Any) -> Any:
            y, state = carry
            return step(y, state, args)[:2]

        return lax.fori_loop(0, count, body, (y, init(y, args)))[0]

    return _Programs(jax.jit(init), jax.jit(step), jax.jit(end), jax.jit(run))


def _function(solver: Any, problem: Problem) -> Callable[..., Any]:
    chosen = problem.residual if _fits(solver) else problem.loss
    assert chosen is not None

    def function(y: Any, args: Any) -> Any:
        return chosen(y, *args)

    return function


def _run(
    solver: Any,
    label: str,
    problem: Problem,
    seeds: Sequence[int],
    max_steps: int,
    tol: float,
) -> Runs:
    reason = _supports(solver, problem)
    if reason:
        raise ValueError(reason)
    function, args = _function(solver, problem), problem.args
    starts = [problem.start(seed) for seed in seeds]
    flat = flatten(problem)
    warm(flat.value_and_grad, flat_point(starts[0]))
    counter = EvaluationCounter(_fits(solver))
    programs = _programs(solver, counter.watched(function))
    courses, taken = [], []
    for start in starts:
        course = Course(flat, flat_point(start), float(tol), max_steps)
        taken.append(_record(course, programs, counter, start, args))
        courses.append(course)
    timed = _programs(solver, function).run

    def seconds(lane: int, count: int) -> float:
        begin = time.perf_counter()
        jax.block_until_ready(timed(starts[lane], args, count))
        return time.perf_counter() - begin

    compiling = seconds(0, 0)
    idle = float(np.median([seconds(0, 0) for _ in range(5)]))
    timing = measure(
        max(0.0, compiling - idle),
        courses,
        lambda lane: seconds(lane, taken[lane]) - idle,
    )
    return as_runs(label, problem, seeds, max_steps, courses, timing)


def _record(
    course: Course,
    programs: _Programs,
    counter: EvaluationCounter,
    start: Any,
    args: Any,
) -> int:
    """Step a solver, and write down where it goes.

    Args:
        course: Where to write.
        programs: The solver on the problem.
        counter: Counts its evaluations.
        start: Where it starts.
        args: Data of the problem.

    Returns:
        How many steps the solver has taken, a look at the start included.
    """
    counter.clear()
    taken, looked, ended = 0, False, False
    y, state = start, programs.init(start, args)
    while not (course.is_over or ended):
        y, state, ended = programs.step(y, state, args)
        ended, taken, point = bool(ended), taken + 1, flat_point(y)
        counter.note(state)
        looked |= taken == 1 and np.array_equal(point, course.points[0])
        if taken == 1 and looked:
            course.work[0] = counter.work()
        else:
            course.add(point, counter.work())
    if taken and not course.is_over:
        returned = flat_point(programs.end(y, state, args))
        course.finish(returned, course.work[-1])
    if not looked:
        # It leaves its last point to be evaluated, as every optimizer of optax does;
        # where those count their evaluations, that one is among them.
        kinds = [kind for kind, count in counter.work().items() if count]
        for work in course.work:
            for kind in kinds:
                work[kind] = work.get(kind, 0) + 1
    return taken


def _digest(solver: Any) -> str:
    """Hash of the program that the solver makes of a problem of reference."""
    text = _lowered(solver, _bowl(solver)).as_text()
    return sha256(text.encode()).hexdigest()


def _bowl(solver: Any) -> Callable[..., Any]:
    def bowl(y: Any, args: Any) -> Any:
        del args
        return 1.5 * y if _fits(solver) else jnp.sum((1.5 * y) ** 2)

    return bowl


def _lowered(solver: Any, function: Callable[..., Any]) -> Any:
    point = jax.ShapeDtypeStruct((2,), jnp.result_type(float))
    count = jax.ShapeDtypeStruct((), jnp.int32)
    return _programs(solver, function).run.lower(point, (), count)
