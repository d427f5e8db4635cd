"""Conjugate gradients, their lookout, and models over Krylov spaces, on quadratics."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from closeness import close

from jaxcalc.optimizers import _lanczos
from jaxcalc.optimizers._krylov import Limits, descend
from jaxcalc.optimizers._matrix_free import Place
from jaxcalc.optimizers._operators import scattered_like
from jaxcalc.optimizers._subproblem import solve_ball, solve_cubic
from jaxcalc.optimizers.cubic import first_weight, next_weight

N = 6
rng = np.random.default_rng(3)
ROTATION = np.linalg.qr(rng.normal(size=(N, N)))[0]
CONVEX = np.array([0.1, 0.5, 1.0, 2.0, 5.0, 10.0])
INDEFINITE = np.array([-2.0, -0.5, 0.3, 1.0, 4.0, 9.0])
SINGULAR = np.array([0.0, 0.0, 1.0, 2.0, 5.0, 10.0])
GRADIENT = rng.normal(size=N)
WEIGHTS = np.array([1.0, 4.0, 0.25, 2.0, 1.0, 0.5])
SEED = jnp.asarray(7)
BEST = {"ball": jax.jit(solve_ball), "cubic": jax.jit(solve_cubic)}


def planted(values, rotation=ROTATION):
    return rotation * values @ rotation.T


@jax.jit
def compiled(A, g, M, radius, tolerance, damping, least, looks):
    limits = Limits(radius, tolerance, 2 * N, damping, least)
    lookout = (looks, N, SEED)
    on, size = jnp.asarray(True), jnp.asarray(1.0)
    return descend(lambda v: A @ v, g, lambda r: r / M, limits, size, lookout, on)


def conjugate(A, g, M, radius, tolerance, damping=0.0, least=0.0, looks=False):
    return compiled(A, g, M, radius, tolerance, damping, least, looks)


def ones(values, g=GRADIENT, radius=1e9, tolerance=1e-12, **options):
    return conjugate(planted(values), g, np.ones(N), radius, tolerance, **options)


def model(A, g, s):
    return g @ s + 0.5 * s @ A @ s


@pytest.mark.parametrize("M", [np.ones(N), WEIGHTS])
def test_within_a_wide_ball_they_solve_the_system(M):
    A = planted(CONVEX)
    found = conjugate(A, GRADIENT, M, 1e9, 1e-12)
    step = np.asarray(found.step)
    close(step, -np.linalg.solve(A, GRADIENT))
    close(found.decrease, -model(A, GRADIENT, step))
    close(found.length, np.sqrt(step @ (M * step)))
    assert not found.negative
    assert not found.bounded


@pytest.mark.parametrize("radius", [0.01, 0.1, 0.5, 2.0])
@pytest.mark.parametrize("M", [np.ones(N), WEIGHTS])
def test_at_the_boundary_half_of_what_is_possible_is_gained(M, radius):
    """Yuan (2000), On the truncated conjugate gradient method, theorem 1."""
    A = planted(CONVEX)
    found = conjugate(A, GRADIENT, M, radius, 1e-12)
    step = np.asarray(found.step)
    close(np.sqrt(step @ (M * step)), radius)
    close(found.length, radius)
    close(found.decrease, -model(A, GRADIENT, step))
    scales = np.sqrt(M)
    values, vectors = np.linalg.eigh(A / scales / scales[:, None])
    best = BEST["ball"](values, (GRADIENT / scales) @ vectors, radius)
    assert found.decrease >= 0.5 * best.decrease
    assert found.decrease <= best.decrease * (1 + 1e-9)


def test_negative_curvature_is_followed_to_the_boundary():
    A = planted(INDEFINITE)
    found = ones(INDEFINITE, radius=50.0)
    p = np.asarray(found.direction)
    assert found.negative
    assert p @ A @ p < 0
    close(found.curvature, p @ A @ p / (p @ p))
    close(np.linalg.norm(found.step), 50.0)
    close(found.decrease, -model(A, GRADIENT, np.asarray(found.step)))


def test_the_first_radius_is_the_step_to_the_minimum_along_the_gradient():
    A = planted(CONVEX)
    found = ones(CONVEX, radius=np.nan)
    cauchy = np.linalg.norm(GRADIENT) ** 3 / (GRADIENT @ A @ GRADIENT)
    close(found.radius, max(cauchy, 0.1))


@pytest.mark.parametrize("g", [ROTATION[:, 5], np.zeros(N)], ids=["blind", "zero"])
def test_the_lookout_sees_what_the_gradient_is_blind_to(g):
    A = planted(INDEFINITE)
    assert not ones(INDEFINITE, g).negative
    found = ones(INDEFINITE, g, looks=True)
    p = np.asarray(found.direction)
    assert found.negative
    assert p @ A @ p < 0
    close(found.curvature, p @ A @ p / (p @ p))
    close(found.step, -np.linalg.pinv(A) @ g)


@pytest.mark.parametrize("values", [CONVEX, SINGULAR, np.zeros(N)])
@pytest.mark.parametrize("sign", [1.0, 1e-30, 1e30])
def test_the_lookout_raises_no_false_alarm(values, sign):
    assert not ones(sign * values, np.zeros(N), looks=True).negative
    assert not ones(sign * values, ROTATION[:, 5], looks=True).negative


@pytest.mark.parametrize("epsilon", [1e-3, 0.1, 0.6])
def test_damped_they_return_a_solution_or_weak_curvature(epsilon):
    """Royer, O'Neill and Wright (2020), lemma 1."""
    A = planted(INDEFINITE)
    found = ones(INDEFINITE, radius=np.inf, damping=2 * epsilon, least=epsilon)
    p = np.asarray(found.direction)
    assert found.weak
    assert p @ A @ p <= -epsilon * (p @ p)
    shifted = CONVEX - 0.05
    found = ones(shifted, radius=np.inf, damping=0.2, least=0.1)
    assert not found.weak
    close(found.step, -np.linalg.solve(planted(shifted + 0.2), GRADIENT))


@pytest.mark.slow
def test_lanes_are_runs_of_their_own():
    spectra = [CONVEX, INDEFINITE, SINGULAR]
    matrices = jnp.stack([planted(v) for v in spectra])
    batch = jax.vmap(lambda A: conjugate(A, GRADIENT, WEIGHTS, 3.0, 1e-9))(matrices)
    for lane, A in enumerate(matrices):
        alone = conjugate(A, GRADIENT, WEIGHTS, 3.0, 1e-9)
        close(batch.step[lane], alone.step)
        assert batch.negative[lane] == alone.negative


METHODS = {
    "ball": (solve_ball, lambda length, _: length),
    "cubic": (solve_cubic, first_weight),
}


@functools.partial(jax.jit, static_argnums=0)
def over_krylov_space(kind, A, g, M, bound, looks):
    solve, first = METHODS[kind]
    method = _lanczos.method(
        name=kind,
        solve=solve,
        first=first,
        adapt=next_weight,
        bound=None,
        forcing=1e-9,
        most=None,
        hessian_fn=None,
        preconditioner=None,
    )
    place = Place(
        params=jnp.ones(N),
        grad=g,
        product=lambda v: A @ v,
        precondition=lambda r: r / M,
        active=jnp.asarray(True),
        lookout=looks,
        seed=SEED,
    )
    plan = method.init(place.params)._replace(bound=bound)
    planned = method.replan(plan, place)
    return method.propose(planned.plan), planned


CASES = {
    "convex": (CONVEX, GRADIENT),
    "indefinite": (INDEFINITE, GRADIENT),
    "singular": (SINGULAR, GRADIENT),
    "hard case": (INDEFINITE, ROTATION[:, 3] + ROTATION[:, 5]),
    "saddle point": (INDEFINITE, np.zeros(N)),
    "one dimension": (CONVEX, ROTATION[:, 2]),
}


@pytest.mark.parametrize(
    "kind", ["ball", pytest.param("cubic", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("bound", [0.1, 1.0, 20.0])
def test_over_krylov_spaces_models_are_minimized_as_with_a_matrix(case, kind, bound):
    values, g = CASES[case]
    A = planted(values)
    for M in (np.ones(N), WEIGHTS):
        trial, planned = over_krylov_space(kind, A, g, M, bound, True)
        scales = np.sqrt(M)
        spectrum, vectors = np.linalg.eigh(A / scales / scales[:, None])
        best = BEST[kind](spectrum, (g / scales) @ vectors, bound)
        close(trial.predicted, best.decrease, rtol=1e-6)
        step = np.asarray(trial.step)
        length = np.sqrt(step @ (M * step))
        close(length, np.linalg.norm(best.coefficients), rtol=1e-5)
        penalty = bound / 3 * length**3 if kind == "cubic" else 0.0
        close(-model(A, g, step) - penalty, trial.predicted)
        assert planned.negative == (values[0] < 0)
        assert planned.products <= N


def test_what_is_scattered_looks_random():
    like = {"a": jnp.zeros((50, 40)), "b": jnp.zeros(3000, jnp.float32)}
    drawn = [scattered_like(jnp.asarray(seed), like) for seed in (0, 1)]
    flat = [np.concatenate([d["a"].ravel(), d["b"]]) for d in drawn]
    for x in flat:
        # Uniform in (-1, 1): within four standard errors.
        assert abs(x.mean()) < 4 / np.sqrt(3 * x.size)
        close(np.var(x), 1 / 3, rtol=0.05)
        assert abs(np.corrcoef(x[1:], x[:-1])[0, 1]) < 4 / np.sqrt(x.size)
    assert abs(np.corrcoef(*flat)[0, 1]) < 4 / np.sqrt(5000)
    a = np.asarray(drawn[0]["a"])
    assert np.linalg.matrix_rank(a) == 40
    assert np.linalg.svd(a)[1].max() < 2 * (np.sqrt(50) + np.sqrt(40)) / np.sqrt(3)
