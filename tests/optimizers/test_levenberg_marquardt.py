"""Levenberg-Marquardt: what a step is, what it costs, and how a run ends."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc import Status, minimize
from jaxcalc.optimizers import levenberg_marquardt
from jaxcalc.optimizers._geodesic import correction
from jaxcalc.optimizers._residuals import decompose

OPTIMIZER = levenberg_marquardt()
BOTH = [OPTIMIZER, levenberg_marquardt(damping="nielsen")]
SLOW = pytest.mark.slow
# Converged, or at the floor of rounding.
SOLVED = (Status.CONVERGED, Status.STALLED)
RNG = np.random.default_rng(0)


def rosenbrock(x):
    return jnp.stack([10 * (x[1] - x[0] ** 2), 1 - x[0]])


def decay(b, x, y):
    return b[0] * jnp.exp(-b[1] * x) + b[2] - y


X = jnp.linspace(0, 4, 20)
Y = 2 * jnp.exp(-1.3 * X) + 0.5 + 0.02 * jnp.sin(40 * X)


def of(residual, constant=1.0):
    return lambda x, *args: constant * jnp.sum(residual(x, *args) ** 2)


def fit(residual, start, optimizer=OPTIMIZER, *, constant=1.0, args=(), **options):
    return minimize(
        of(residual, constant),
        start,
        optimizer,
        args=args,
        residual_fn=residual,
        **options,
    )


@pytest.mark.parametrize("shape", [(40, 3), (3, 3), (2, 3), (1, 1)])
def test_the_decomposition_is_that_of_the_whole_jacobian(shape):
    matrix, residual = RNG.normal(size=shape), RNG.normal(size=shape[0])
    found = jax.jit(decompose)(matrix, residual)
    rank = min(shape)
    _, singular, _ = np.linalg.svd(matrix)
    close(found.singular[-rank:][::-1], singular)
    close(
        found.vectors @ (found.singular * found.along),
        matrix.T @ residual,
    )
    close(found.vectors @ (found.singular**2 * found.vectors).T, matrix.T @ matrix)
    assert bool(found.deficient) == (shape[0] < shape[1])


def test_a_condition_of_1e12_is_not_squared():
    # Normal equations would have lost all digits beyond a condition of 1e8.
    left, _ = np.linalg.qr(RNG.normal(size=(30, 3)))
    right, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    matrix = left * [1.0, 1e-6, 1e-12] @ right.T
    truth = np.array([1.0, -2.0, 3.0])
    found = jax.jit(decompose)(matrix, matrix @ truth)
    assert not found.deficient
    # The smallest singular value is known to eps / 1e-12 of itself.
    close(found.vectors @ (found.along / found.singular), truth, rtol=1e-2)


@SLOW
def test_a_wide_first_radius_solves_a_linear_problem_in_one_step():
    matrix, y = RNG.normal(size=(20, 4)), RNG.normal(size=20)

    def residual(x, a, y):
        return a @ x - y

    solution = fit(
        residual, jnp.zeros(4), levenberg_marquardt(radius=1e6), args=(matrix, y)
    )
    assert solution.status == Status.CONVERGED
    assert solution.steps == 1
    close(solution.params, np.linalg.lstsq(matrix, y)[0])


def test_a_rejected_step_costs_one_residual():
    loss, x = of(rosenbrock), jnp.array([-1.2, 1.0])
    optimizer = levenberg_marquardt(radius=1e3)
    state = optimizer.init(x)
    value, grad = jax.value_and_grad(loss)(x)
    update = jax.jit(
        functools.partial(optimizer.update, value_fn=loss, residual_fn=rosenbrock)
    )
    accepted = trials = 0
    while accepted < 4:
        before, trials = state, trials + 1
        updates, state = update(grad, state, x, value=value, grad=grad)
        if float(jnp.max(jnp.abs(updates))) == 0:
            assert float(state.hold.bound) < float(before.hold.bound)
            close(state.value, value)
        else:
            accepted += 1
            x = optax.apply_updates(x, updates)
            assert float(loss(x)) < float(value)
            value, grad = state.value, state.grad
            close(grad, jax.grad(loss)(x))
    assert trials > 4
    assert int(state.work.residuals) == trials + 1  # and the start
    assert int(state.work.jacobians) == int(state.work.gradients) == 5


def test_loss_and_residual_are_each_traced_once():
    traced = {"loss": 0, "residual": 0}

    def loss(x):
        traced["loss"] += 1
        return jnp.sum(rosenbrock(x) ** 2)

    def residual(x):
        traced["residual"] += 1
        return rosenbrock(x)

    x = jnp.array([-1.2, 1.0])
    state = OPTIMIZER.init(x)
    jax.jit(functools.partial(OPTIMIZER.update, value_fn=loss, residual_fn=residual))(
        x, state, x, value=1.0
    )
    assert traced == {"loss": 1, "residual": 1}


@SLOW
@pytest.mark.parametrize("optimizer", BOTH, ids=["more", "nielsen"])
@pytest.mark.parametrize("constant", [1.0, 0.5, 1e-3])
def test_the_constant_of_the_loss_is_found(constant, optimizer):
    start = jnp.array([1.0, 0.1, 0.0])
    solution = fit(decay, start, optimizer, constant=constant, args=(X, Y))
    assert solution.status == Status.CONVERGED
    scipy = pytest.importorskip("scipy.optimize")
    best = scipy.least_squares(
        lambda b: np.asarray(decay(b, X, Y)), start, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    close(solution.params, best.x)
    close(solution.value / constant, 2 * best.cost)


@SLOW
def test_a_start_without_misfit_is_the_end():
    solution = fit(rosenbrock, jnp.ones(2))
    assert solution.status == Status.CONVERGED
    assert solution.steps == 0


def test_another_loss_than_that_of_the_residual_is_minimized_itself():
    # The penalty has neither value nor slope where the first look could see it.
    def loss(x):
        return jnp.sum(rosenbrock(x) ** 2) + 3 * jnp.sum(x**4)

    solution = minimize(loss, jnp.zeros(2), OPTIMIZER, residual_fn=rosenbrock)
    assert solution.status == Status.CONVERGED
    close(jax.grad(loss)(solution.params), jnp.zeros(2), atol=1e-7)
    assert float(solution.params[0]) < 0.9  # where the residual's own minimum is 1


@SLOW
@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
@pytest.mark.parametrize("optimizer", BOTH, ids=["more", "nielsen"])
def test_a_maximum_where_the_jacobian_vanishes_is_left(optimizer, dtype):
    start = jnp.zeros(2, dtype)
    solution = fit(lambda x: x**2 - 1, start, optimizer)
    assert solution.status == Status.CONVERGED
    close(jnp.abs(solution.params), jnp.ones(2, dtype))


@SLOW
@pytest.mark.parametrize("optimizer", BOTH, ids=["more", "nielsen"])
def test_a_saddle_point_between_two_minima_is_left(optimizer):
    # Orthogonal residual at the start: (0, 1) and (x1, (x2 - 1) (x2 + 1)).
    def residual(x):
        return jnp.stack([x[0] + 0.0 * x[1], x[1] ** 2 - 1])

    solution = fit(residual, jnp.array([0.7, 0.0]), optimizer)
    assert solution.status == Status.CONVERGED
    close(jnp.abs(solution.params), jnp.array([0.0, 1.0]), atol=1e-7)


@SLOW
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
@pytest.mark.parametrize("optimizer", BOTH, ids=["more", "nielsen"])
def test_parameters_a_million_times_apart_need_no_rescaling(optimizer, dtype):
    sizes = jnp.asarray([1e-6, 1.0, 1e6], dtype)

    def residual(x, sizes):
        return decay(x / sizes, X.astype(x.dtype), Y.astype(x.dtype))

    start = jnp.asarray([1.0, 0.1, 0.1], dtype)
    plain = fit(residual, start, optimizer, args=(jnp.ones(3, dtype),))
    spread = fit(residual, start * sizes, optimizer, args=(sizes,), max_steps=200)
    assert Status(int(spread.status)) in SOLVED
    # In float32 the residual is known to three digits.
    tolerance = 1e-6 if dtype == jnp.float64 else 1e-2
    close(spread.params / sizes, plain.params, rtol=tolerance)


@SLOW
def test_it_ends_where_the_residual_is_orthogonal_to_the_jacobian():
    # Scaled so that no gradient is ever below the tolerance.
    def residual(b, x, y):
        return 1e6 * decay(b, x, y)

    start = jnp.array([1.0, 0.1, 0.0])
    solution = fit(residual, start, args=(X, Y))
    assert solution.status == Status.CONVERGED
    assert float(solution.grad_norm) > 1.5e-8
    r = residual(solution.params, X, Y)
    jacobian = jax.jacfwd(residual)(solution.params, X, Y)
    cosines = (r @ jacobian) / jnp.linalg.norm(jacobian, axis=0) / jnp.linalg.norm(r)
    assert float(jnp.max(jnp.abs(cosines))) <= 1.5e-8


@SLOW
def test_the_wall_of_nan_is_respected():
    def residual(x):
        return jnp.stack([jnp.log(x[0]) + 3.0, x[0] - 0.05])

    solution = fit(residual, jnp.array([5.0]), levenberg_marquardt(radius=1e3))
    assert solution.status == Status.CONVERGED
    close(jax.grad(of(residual))(solution.params), jnp.zeros(1), atol=1e-6)


@SLOW
@pytest.mark.parametrize("optimizer", BOTH, ids=["more", "nielsen"])
def test_an_infimum_at_infinity_ends_at_a_small_gradient_or_goes_on(optimizer):
    solution = fit(lambda x: jnp.exp(-x), jnp.zeros(1), optimizer, max_steps=200)
    if solution.status == Status.CONVERGED:
        assert float(solution.grad_norm) <= 1.5e-8
    else:
        assert Status(int(solution.status)) in (Status.STALLED, Status.MAX_STEPS)


@SLOW
def test_a_plateau_is_where_it_ends():
    solution = fit(lambda x: jnp.maximum(x, 0.0) + 1.0, jnp.array([-1.0]))
    assert solution.status == Status.CONVERGED  # no slope, no curvature
    assert solution.steps == 0


@SLOW
def test_a_start_that_is_not_defined_is_said_to_be_so():
    solution = fit(lambda x: jnp.log(x), jnp.array([-1.0]))
    assert solution.status == Status.NONFINITE


@SLOW
@pytest.mark.parametrize("optimizer", BOTH, ids=["more", "nielsen"])
def test_float32_ends_at_what_rounding_allows(optimizer):
    start = jnp.asarray([1.0, 0.1, 0.0], jnp.float32)
    args = (X.astype(jnp.float32), Y.astype(jnp.float32))
    solution = fit(decay, start, optimizer, args=args, tol=0.0, max_steps=300)
    assert solution.status in SOLVED
    # A residual of 0.07, slopes of 1 and data of 2, each with a rounding of 6e-8.
    assert float(solution.grad_norm) <= 100 * 2**-24 * 4


@SLOW
def test_each_lane_of_a_batch_is_its_own_run():
    starts = jnp.array([[-1.2, 1.0], [3.0, -2.0]])
    batch = jax.jit(jax.vmap(lambda x: fit(rosenbrock, x, max_steps=60)))(starts)
    for lane in range(2):
        alone = fit(rosenbrock, starts[lane], max_steps=60)
        assert batch.steps[lane] == alone.steps
        close(batch.params[lane], alone.params)


@SLOW
def test_trees_of_parameters_and_residuals_are_their_flat_forms():
    def tree(p):
        flat = rosenbrock(jnp.stack([p["a"], p["b"][0]]))
        return {"one": flat[0], "two": flat[1:]}

    def loss(p):
        return optax.tree.norm(tree(p), squared=True)

    flat = fit(rosenbrock, jnp.array([-1.2, 1.0]))
    start = {"a": -1.2, "b": jnp.array([1.0])}
    other = minimize(loss, start, OPTIMIZER, residual_fn=tree)
    assert flat.steps == other.steps
    close([other.params["a"], other.params["b"][0]], flat.params)


@SLOW
def test_fewer_residuals_than_parameters_are_brought_to_zero():
    def residual(x):
        return jnp.stack([x[0] * x[1] - 2, x[1] + x[2] ** 2 - 3])

    solution = fit(residual, jnp.array([1.0, 0.5, 0.2]))
    assert solution.status == Status.CONVERGED
    close(residual(solution.params), jnp.zeros(2))


def test_the_correction_is_the_second_derivative_of_the_residual():
    at, step = jnp.array([0.3, -0.7]), jnp.array([1.5, 0.4])
    bend = jnp.einsum("kij,i,j->k", jax.hessian(rosenbrock)(at), step, step)
    close(correction(rosenbrock, at, step), bend @ jax.jacfwd(rosenbrock)(at))


@SLOW
def test_geodesic_acceleration_saves_steps_in_a_curved_valley():
    start = jnp.array([-1.2, 1.0])
    plain = fit(rosenbrock, start)
    bent = fit(rosenbrock, start, levenberg_marquardt(geodesic=True))
    assert bent.status == plain.status == Status.CONVERGED
    close(bent.params, jnp.ones(2))
    assert bent.steps < plain.steps


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="damping"):
        levenberg_marquardt(damping="none")
    with pytest.raises(ValueError, match="radius"):
        levenberg_marquardt(radius=-1.0)
    with pytest.raises(ValueError, match="penalty"):
        levenberg_marquardt(damping="nielsen", penalty=0.0)
    with pytest.raises(ValueError, match="penalty"):
        levenberg_marquardt(penalty=1.0)
    for cosine in (0.0, 1.0, -0.1, 2.0):
        with pytest.raises(ValueError, match="cosine"):
            levenberg_marquardt(cosine=cosine)
    with pytest.raises(TypeError, match="residual_fn"):
        levenberg_marquardt(np.ones(2))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="residual_fn"):
        minimize(of(rosenbrock), jnp.zeros(2), OPTIMIZER)


@pytest.mark.parametrize(
    "residual",
    [
        lambda x: jnp.sum(x),
        lambda x: jnp.round(x).astype(int),
        lambda x: x[:0],
        lambda x: x + 1j,
        lambda _: "text",
    ],
    ids=["scalar", "integer", "empty", "complex", "text"],
)
def test_a_residual_of_the_wrong_kind_is_named(residual):
    with pytest.raises(ValueError, match="residual_fn"):
        minimize(of(rosenbrock), jnp.zeros(2), OPTIMIZER, residual_fn=residual)
