"""Derivatives of a minimum, against closed forms and fits repeated nearby."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from closeness import close
from jax import lax

from jaxcalc.minimization import Status, implicit, minimize
from jaxcalc.optimizers import gauss_newton, newton, trust_region

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(20, 3)), RNG.normal(size=20)
NEWTON = newton()
SGD = optax.sgd(0.5)  # compiles fastest


def ridge(w, X, y, weight):
    return jnp.mean((X @ w - y) ** 2) / 2 + weight * jnp.sum(w**2) / 2


def fitted(X, y, weight, optimizer=SGD, **options):
    return minimize(ridge, jnp.zeros(3), optimizer, args=(X, y, weight), **options)


def closed_form(X, y, weight):
    identity = jnp.eye(X.shape[1])
    return jnp.linalg.solve(X.T @ X / len(y) + weight * identity, X.T @ y / len(y))


def weights(X, y, weight):
    return fitted(X, y, weight, tol=1e-12).params


@pytest.mark.parametrize(
    "mode", [jax.jacrev, pytest.param(jax.jacfwd, marks=pytest.mark.slow)]
)
def test_ridge_regression_moves_as_its_closed_form_does(mode):
    found = jax.jit(mode(weights, (0, 1, 2)))(X, Y, 0.3)
    wanted = mode(closed_form, (0, 1, 2))(X, Y, 0.3)
    for ours, theirs in zip(found, wanted):
        close(ours, theirs, atol=1e-12)


@pytest.mark.slow
def test_eager_and_compiled_derivatives_agree():
    compiled = jax.jit(jax.jacrev(weights, 2))(X, Y, 0.3)
    close(jax.jacrev(weights, 2)(X, Y, 0.3), compiled, rtol=1e-12)
    close(jax.jvp(lambda r: weights(X, Y, r), (0.3,), (1.0,))[1], compiled)


@pytest.mark.slow
def test_a_second_derivative_is_that_of_the_closed_form():
    second = jax.jit(jax.hessian(lambda r: weights(X, Y, r)[0]))(0.3)
    close(second, jax.hessian(lambda r: closed_form(X, Y, r)[0])(0.3), rtol=1e-10)


@pytest.mark.slow
def test_the_value_has_the_derivative_at_fixed_parameters():
    slope = jax.grad(lambda r: fitted(X, Y, r, tol=1e-12).value)(0.3)
    close(slope, jnp.sum(closed_form(X, Y, 0.3) ** 2) / 2, rtol=1e-10)


@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(optax.adam(0.05), marks=pytest.mark.slow, id="adam"),
        pytest.param(optax.lbfgs(), marks=pytest.mark.slow, id="lbfgs"),
        pytest.param(trust_region(), marks=pytest.mark.slow, id="trust region"),
        pytest.param(NEWTON, marks=pytest.mark.slow, id="newton"),
    ],
)
def test_whatever_found_the_minimum_its_derivative_is_the_same(optimizer):
    def norm(r):
        return jnp.sum(fitted(X, Y, r, optimizer, tol=1e-9, max_steps=9000).params)

    wanted = jax.grad(lambda r: jnp.sum(closed_form(X, Y, r)))(0.3)
    close(jax.grad(norm)(0.3), wanted)


def logistic(params, X, labels, ridge):
    logits = X @ params["w"] + params["b"]
    penalty = ridge["w"] * jnp.sum(params["w"] ** 2) + ridge["b"] * params["b"] ** 2
    return jnp.mean(jax.nn.softplus(-labels * logits)) + penalty


@pytest.mark.slow
def test_trees_of_parameters_and_data_agree_with_fits_repeated_nearby():
    start = {"w": jnp.zeros(3), "b": jnp.zeros(())}
    labels = np.where(Y > 0, 1, -1)  # integers, not differentiated

    def validation(ridge):
        # A nested optimization: how the loss on other data changes with the penalty.
        args = (X[:12], labels[:12], ridge)
        params = minimize(logistic, start, NEWTON, args=args, tol=1e-13).params
        nothing = {"w": 0.0, "b": 0.0}
        return logistic(params, X[12:], labels[12:], nothing)

    value = jax.jit(validation)
    penalty = {"w": 0.1, "b": 0.02}
    slopes = jax.jit(jax.grad(validation))(penalty)
    for name in penalty:
        up, down = ({**penalty, name: penalty[name] + h} for h in (1e-4, -1e-4))
        # Central differences of fits to 1e-13 are good to the square of the step.
        close(slopes[name], (value(up) - value(down)) / 2e-4, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("outer", [NEWTON, optax.lbfgs()], ids=["newton", "lbfgs"])
def test_a_minimization_within_another_finds_the_penalty_that_scipy_finds(outer):
    truth = np.array([1.0, -0.5, 0.2])
    y = X @ truth + 1.5 * np.random.default_rng(1).normal(size=len(X))
    seen, held = slice(0, 8), slice(8, None)

    def validation(log_weight):
        args = (X[seen], y[seen], jnp.exp(log_weight))
        w = minimize(ridge, jnp.zeros(3), NEWTON, args=args, tol=1e-13).params
        return jnp.mean((X[held] @ w - y[held]) ** 2)

    def by_closed_form(log_weight):
        w = closed_form(X[seen], y[seen], np.exp(log_weight))
        return float(np.mean((X[held] @ w - y[held]) ** 2))

    wanted = scipy.optimize.minimize_scalar(
        by_closed_form, bounds=(-6, 4), options={"xatol": 1e-10}
    )
    assert -5 < wanted.x < 3, "the best penalty lies within"
    found = minimize(validation, 0.0, outer)
    assert found.converged
    # SciPy's search by values alone is good to the square root of the rounding unit.
    close(found.params, wanted.x, rtol=1e-5)


@pytest.mark.slow
def test_least_squares_have_the_same_derivative():
    def residual(w, X, y, weight):
        fit = (X @ w - y) / np.sqrt(len(y))
        return jnp.concatenate([fit, jnp.sqrt(weight) * w])

    def loss(w, *data):
        return jnp.sum(residual(w, *data) ** 2) / 2

    def found(weight):
        options = {"args": (X, Y, weight), "residual_fn": residual}
        return minimize(loss, jnp.zeros(3), gauss_newton(), **options).params

    wanted = jax.jacrev(closed_form, 2)(X, Y, 0.3)
    close(jax.jacrev(found)(0.3), wanted, rtol=1e-9)


@pytest.mark.slow
def test_derivatives_pass_through_loops_and_checkpoints():
    def total(r):
        def add(sum_, factor):
            return sum_ + jnp.sum(fitted(X, Y, factor * r).params), None

        return lax.scan(add, 0.0, jnp.arange(1.0, 4.0))[0]

    def by_closed_form(r):
        return sum(jnp.sum(closed_form(X, Y, k * r)) for k in range(1, 4))

    found = jax.grad(jax.checkpoint(total))(0.3)
    close(found, jax.grad(by_closed_form)(0.3), rtol=1e-7)


@pytest.mark.slow
def test_keys_masks_and_what_is_observed_are_no_hindrance():
    def loss(w, a, key, mask, nothing):
        assert nothing is None
        noise = 1e-300 * jax.random.uniform(key)
        return jnp.sum(jnp.where(mask, (w - a) ** 2, w**2)) + noise

    def total(a):
        mask = jnp.array([True, False, True])
        found = minimize(
            loss,
            jnp.ones(3),
            SGD,
            args=(a, jax.random.key(0), mask, None),
            observe=lambda w, *_: (w, jnp.int32(1)),
        )
        return jnp.sum(found.params)

    close(jax.grad(total)(jnp.ones(3)), [1.0, 0.0, 1.0])


@pytest.mark.slow
def test_start_and_tolerance_have_no_derivative():
    def found(start, tol):
        return minimize(
            ridge, start, SGD, args=(X, Y, 0.3), tol=tol, max_steps=50
        ).params[0]

    slopes = jax.grad(found, (0, 1))(jnp.ones(3), 1e-9)
    assert (slopes[0] == 0).all()
    assert slopes[1] == 0


@pytest.mark.slow
def test_the_trace_and_the_gradient_norm_have_no_derivative():
    def summed(r):
        solution = fitted(X, Y, r)
        return solution.trace.value[0] + solution.grad_norm

    assert jax.grad(summed)(0.3) == 0


@pytest.mark.slow
def test_data_that_are_not_differentiated_cost_nothing(monkeypatch):
    def never(*_):
        raise AssertionError("something was differentiated")

    monkeypatch.setattr(implicit, "_derivatives", never)
    jax.grad(lambda s: minimize(ridge, s, SGD, args=(X, Y, 0.7)).value)(jnp.ones(3))


@pytest.mark.slow
def test_a_batch_of_fits_has_a_batch_of_derivatives():
    rates = jnp.array([0.1, 0.3, 1.0])
    found = jax.jit(jax.vmap(jax.jacrev(lambda r: weights(X, Y, r))))(rates)
    close(found, jax.vmap(jax.jacrev(lambda r: closed_form(X, Y, r)))(rates))


@pytest.mark.parametrize(
    "wrap",
    [pytest.param(lambda f: f, marks=pytest.mark.slow, id="eager"), jax.jit],
)
def test_what_a_loss_closes_over_is_differentiated_too(wrap):
    def closing(y, rate):
        return minimize(
            lambda w: ridge(w, X, y, 0.3), jnp.zeros(3), optax.sgd(rate), tol=1e-12
        ).params

    slopes = jax.jacrev(wrap(closing), (0, 1))(Y, 0.5)
    close(slopes[0], jax.jacrev(closed_form, 1)(X, Y, 0.3))
    assert (slopes[1] == 0).all()  # the optimizer closes over the rate


def test_a_run_that_did_not_converge_has_no_derivative():
    def stopped(r):
        return fitted(X, Y, r, optax.sgd(0.01), max_steps=3)

    assert stopped(0.3).status == Status.MAX_STEPS
    slopes = jax.jit(jax.jacfwd(lambda r: stopped(r)[:2]))(0.3)
    assert all(jnp.isnan(slope).all() for slope in slopes)


def uneven(x, a):
    return jnp.sum(jnp.cosh(x - a) * jnp.array([1.0, 3.0, 7.0])) + jnp.sum(x**2)


@pytest.mark.slow
def test_a_run_that_stalled_at_the_floor_of_rounding_has_a_derivative():
    def ended(a):
        return minimize(uneven, jnp.zeros(3), trust_region(), args=(a,), tol=0.0)

    assert ended(0.3).status == Status.STALLED
    x = ended(0.3).params
    weights = np.array([1.0, 3.0, 7.0]) * np.cosh(x - 0.3)
    close(jax.jacfwd(lambda a: ended(a).params)(0.3), weights / (weights + 2))


@pytest.mark.slow
def test_a_run_that_stalled_far_from_any_minimum_has_none():
    def ended(a):
        return minimize(uneven, jnp.ones(3), optax.sgd(1e-20), args=(a,))

    assert ended(0.3).status == Status.STALLED
    assert jnp.isnan(jax.jacfwd(lambda a: ended(a).params)(0.3)).all()


def noisy(x, key, times, shifted, a):
    target = a * jax.random.normal(key, (3,))
    return jnp.sum((x - target) ** 2) * times + jnp.where(shifted, 0.0, 1.0)


@pytest.mark.slow
def test_keys_counts_and_flags_may_be_among_the_data():
    def found(key, a):
        args = (key, 2, True, a)
        return minimize(noisy, jnp.zeros(3), NEWTON, args=args).params

    keys = jax.random.split(jax.random.key(0), 3)
    slopes = jax.vmap(jax.jacrev(found, 1), (0, None))(keys, 3.0)
    close(slopes, jax.vmap(lambda key: jax.random.normal(key, (3,)))(keys))


def pair(x, a):
    return jnp.sum((x[0] + 1e3 * x[1] - a) ** 2)


@pytest.mark.slow
def test_along_a_flat_direction_the_shortest_change_is_taken():
    moved = jax.jacrev(
        lambda a: minimize(pair, 1e-3 * jnp.ones(2), NEWTON, args=(a,)).params
    )
    # Scaled to curvature one both parameters count the same.
    close(moved(2.0), [0.5, 0.5e-3], rtol=1e-9)


def pushed(x, a):
    return (x[0] - 1) ** 2 + a * x[1]


@pytest.mark.slow
@pytest.mark.parametrize("mode", [jax.jacrev, jax.jacfwd])
def test_data_that_push_along_a_flat_direction_leave_no_derivative(mode):
    # At a = 0 any x[1] is a minimum, beside it none is.
    moved = mode(lambda a: minimize(pushed, jnp.zeros(2), SGD, args=(a,)).params)
    assert jnp.isnan(moved(0.0)).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.slow
def test_conjugate_gradients_agree_with_the_dense_solution(dtype, monkeypatch):
    monkeypatch.setattr(implicit, "_DENSE", 0)
    data = (X.astype(dtype), Y.astype(dtype), dtype(0.3))

    def moved(*data):
        def loss(w, *rest):  # another function: its program is compiled anew
            return ridge(w["w"], *rest)

        start = {"w": jnp.zeros(3, dtype)}
        return minimize(loss, start, SGD, args=data).params["w"]

    found = jax.jit(jax.jacrev(moved, (1, 2)))(*data)
    for ours, theirs in zip(found, jax.jacrev(closed_form, (1, 2))(*data)):
        assert ours.dtype == dtype
        close(ours, theirs)


@pytest.mark.slow
def test_conjugate_gradients_that_find_nothing_say_so(monkeypatch):
    monkeypatch.setattr(implicit, "_DENSE", 0)
    slope = jax.grad(
        lambda a: minimize(
            lambda x, a: pushed(x, a), jnp.zeros(2), SGD, args=(a,)
        ).params[1]
    )
    assert jnp.isnan(slope(0.0))


@pytest.mark.slow
def test_thousands_of_parameters_never_form_a_matrix():
    n = 20_000
    curvatures = jnp.linspace(1.0, 10.0, n)

    def loss(x, c, b):
        return jnp.sum(c * x**2) / 2 - b @ x

    def total(b):
        tol, rate = 1e-10, optax.sgd(0.15)
        found = minimize(loss, jnp.zeros(n), rate, args=(curvatures, b), tol=tol)
        return jnp.sum(found.params)

    close(jax.grad(total)(jnp.ones(n)), 1 / curvatures, rtol=1e-7)


@pytest.mark.slow
def test_parameters_of_mixed_dtypes_keep_them():
    def loss(x, a):
        return jnp.sum((x["a"] - a) ** 2) + jnp.sum((x["b"] - a**2) ** 2)

    start = {"a": jnp.zeros(2, np.float32), "b": jnp.zeros(2)}
    tangent = jax.jvp(
        lambda a: minimize(loss, start, optax.sgd(0.25), args=(a,)).params,
        (2.0,),
        (1.0,),
    )[1]
    assert tangent["a"].dtype == np.float32
    close(tangent["a"], np.ones(2, np.float32))
    close(tangent["b"], 4 * np.ones(2), rtol=1e-5)
