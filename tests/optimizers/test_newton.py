"""Newton's method against linear algebra, and where the Hessian is no help."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close
from jax.flatten_util import ravel_pytree

from jaxcalc.minimization import Status, minimize
from jaxcalc.optimizers import newton, scale_by_newton

RNG = np.random.default_rng(0)
EIGENVALUES = np.array([0.01, 1.0, 3.0, 100.0])
BASIS = np.linalg.qr(RNG.normal(size=(4, 4)))[0]
A = BASIS * EIGENVALUES @ BASIS.T
B = RNG.normal(size=4)


def quadratic(x):
    return x @ A @ x / 2 - B @ x


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def saddle(x):
    return x[0] ** 2 - x[1] ** 2 + x[1] ** 4 / 4


def powell(x):
    a, b, c, d = x
    return (a + 10 * b) ** 2 + 5 * (c - d) ** 2 + (b - 2 * c) ** 4 + 10 * (a - d) ** 4


def ended(solution):
    return Status(int(solution.status))


@jax.jit
def direction(hessian, gradient):
    """What the gradient is replaced by, for a Hessian given as a matrix."""
    transformation = scale_by_newton(lambda _: hessian)
    x = jnp.zeros_like(gradient)
    return transformation.update(gradient, transformation.init(x), x)[0]


def test_one_step_reaches_the_minimum_of_a_quadratic():
    solution = minimize(quadratic, np.zeros(4), newton())
    assert (ended(solution), solution.steps) == (Status.CONVERGED, 1)
    close(solution.params, np.linalg.solve(A, B))


def test_the_direction_is_a_linear_solve_where_the_hessian_is_positive_definite():
    close(direction(A, B), np.linalg.solve(A, B))
    # Only the symmetric part of a matrix is a Hessian.
    skew = np.triu(np.ones((4, 4)), 1)
    close(direction(A + skew - skew.T, B), np.linalg.solve(A, B))


def test_eigenvalues_are_made_positive_where_it_is_indefinite():
    signs = np.array([1, -1, 1, -1])
    H = BASIS * (signs * EIGENVALUES) @ BASIS.T
    close(direction(H, B), np.linalg.solve(A, B))


def test_a_vanishing_eigenvalue_of_an_indefinite_hessian_sends_nobody_to_infinity():
    H = np.diag([1.0, -1.0, 1e-30])
    bound = 1 / np.sqrt(np.finfo(float).eps)
    found = direction(H, np.ones(3))
    close(found[:2], np.ones(2))
    assert 0 < found[2] <= 1.01 * bound


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 0.0])
def test_the_gradient_stands_where_the_hessian_says_nothing(bad):
    close(direction(np.full((3, 3), bad), np.arange(3.0)), np.arange(3.0))
    mixed = np.eye(3)
    if bad:
        mixed[1, 2] = bad
        close(direction(mixed, np.arange(3.0)), np.arange(3.0))


@pytest.mark.parametrize(
    ("n", "dtype"),
    [
        (2, np.float64),
        pytest.param(10, np.float32, marks=pytest.mark.slow),
        pytest.param(2, np.float32, marks=pytest.mark.slow),
        pytest.param(10, np.float64, marks=pytest.mark.slow),
    ],
)
def test_rosenbrock(n, dtype):
    start = np.tile([-1.2, 1.0], n // 2).astype(dtype)
    solution = minimize(rosenbrock, start, newton(), max_steps=100)
    assert ended(solution) == Status.CONVERGED
    assert solution.params.dtype == dtype
    assert solution.value < 1e-6 or n > 2  # further up there is one more minimum
    close(jax.grad(rosenbrock)(solution.params), np.zeros(n, dtype))
    assert (np.linalg.eigvalsh(jax.hessian(rosenbrock)(solution.params)) > 0).all()


def test_convergence_is_quadratic_near_a_minimum():
    solution = minimize(
        rosenbrock,
        np.array([1.1, 1.2]),
        newton(),
        observe=lambda x: jnp.linalg.norm(x - 1),
    )
    errors = np.asarray(solution.trace.observed[: int(solution.steps) + 1])
    late = errors[errors > 1e-12][-4:]
    assert len(late) >= 3
    assert (late[1:] <= 50 * late[:-1] ** 2).all()


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("nearby", [1.0, 1e-2, 1e-6])
def test_a_saddle_point_is_left_to_the_side_one_starts_on(side, nearby):
    solution = minimize(saddle, np.array([1.0, side * nearby]), newton())
    assert ended(solution) == Status.CONVERGED
    close(solution.params, [0.0, side * np.sqrt(2)], atol=1e-6)


@pytest.mark.slow
def test_a_start_where_the_hessian_is_indefinite_descends():
    def wavy(x):
        return jnp.sum(jnp.cos(x)) + jnp.sum(x**2) / 20

    start = np.array([0.5, -0.4, 3.0])
    assert np.linalg.eigvalsh(jax.hessian(wavy)(start))[0] < 0
    solution = minimize(wavy, start, newton())
    assert ended(solution) == Status.CONVERGED
    reached = int(solution.steps) + 1
    assert (np.diff(solution.trace.value[:reached]) <= 1e-12).all()
    assert (np.linalg.eigvalsh(jax.hessian(wavy)(solution.params)) > 0).all()


def test_a_flat_valley_is_reached_by_the_shortest_way():
    solution = minimize(
        lambda x: (x[0] + x[1] - 1) ** 2, np.array([3.0, 1.0]), newton()
    )
    assert ended(solution) == Status.CONVERGED
    close(solution.params, [1.5, -0.5])


def test_a_singular_minimum_is_approached_by_two_thirds_a_step():
    solution = minimize(powell, np.array([3.0, -1.0, 0.0, 1.0]), newton(), tol=1e-14)
    assert ended(solution) in {Status.CONVERGED, Status.STALLED}
    assert solution.value < 1e-15
    # The value is of fourth order, so it falls by (2/3)⁴.
    values = np.asarray(solution.trace.value[5:15])
    close(values[1:] / values[:-1], (2 / 3) ** 4, rtol=1e-2)


@pytest.mark.slow
def test_a_linear_loss_is_followed_down_for_ever():
    assert ended(minimize(lambda x: -x, 0.0, newton(), max_steps=50)) in {
        Status.MAX_STEPS,
        Status.UNBOUNDED,
    }


def tree_loss(params):
    a, b = params["a"], params["b"]
    return jnp.sum(jnp.cosh(a - 1)) + (b - 2) ** 2 * (1 + jnp.sum(a**2) / 9)


TREE = {"b": jnp.asarray(0.5), "a": jnp.array([[0.3], [0.7]])}


def tree_matrix(params):
    flat, unravel = ravel_pytree(params)
    return jax.hessian(lambda x: tree_loss(unravel(x)))(flat)


@pytest.mark.parametrize(
    ("by_constructor", "by_keyword"),
    [
        (None, tree_matrix),
        (None, jax.hessian(tree_loss)),
        (tree_matrix, None),
        (jax.hessian(tree_loss), None),
        (lambda params: jnp.nan * tree_matrix(params), tree_matrix),
    ],
    ids=["matrix", "tree", "own matrix", "own tree", "the keyword goes first"],
)
@pytest.mark.slow
def test_a_hessian_may_be_given_as_matrix_or_tree(by_constructor, by_keyword):
    _, unravel = ravel_pytree(TREE)
    gradient = jax.grad(tree_loss)(TREE)
    expected = unravel(
        jnp.asarray(np.linalg.solve(tree_matrix(TREE), ravel_pytree(gradient)[0]))
    )
    transformation = scale_by_newton(by_constructor)
    given = {} if by_keyword is None else {"hessian_fn": by_keyword}

    @jax.jit
    def update(params):
        return transformation.update(
            gradient, transformation.init(params), params, value_fn=tree_loss, **given
        )

    found, state = update(TREE)
    jax.tree.map(close, found, expected)
    assert jax.tree.structure(found) == jax.tree.structure(TREE)
    assert state.work.hessians == 1


@pytest.mark.parametrize(
    "wrong", [jnp.eye(2), jnp.ones(3), {"a": jnp.eye(2)}, (jnp.eye(3), jnp.eye(3))]
)
def test_a_hessian_of_the_wrong_shape_is_refused(wrong):
    with pytest.raises(ValueError, match=r"`hessian_fn` must return.*\(3, 3\)"):
        minimize(tree_loss, TREE, newton(), hessian_fn=lambda _: wrong)


def test_a_shifted_hessian_is_raised_by_twice_its_lowest_eigenvalue():
    hessian = BASIS * np.array([-2.0, 0.5, 1.0, 3.0]) @ BASIS.T
    transformation = scale_by_newton(lambda _: hessian, indefinite="shifted")
    x = jnp.zeros(4)
    updates, _ = transformation.update(jnp.asarray(B), transformation.init(x), x)
    close(updates, np.linalg.solve(hessian + 4 * np.eye(4), B))


@pytest.mark.slow
@pytest.mark.parametrize("indefinite", ["saddle_free", "shifted"])
@pytest.mark.parametrize(
    "linesearch", [None, optax.scale_by_zoom_linesearch(20)], ids=["armijo", "zoom"]
)
def test_each_line_search_and_each_remedy_reaches_the_minimum(indefinite, linesearch):
    search = {} if linesearch is None else {"linesearch": linesearch}
    optimizer = newton(indefinite=indefinite, **search)
    solution = minimize(rosenbrock, np.array([-1.2, 1.0, -1.0]), optimizer, tol=1e-8)
    assert ended(solution) == Status.CONVERGED
    close(solution.params, np.ones(3))


def test_unknown_remedies_are_refused():
    with pytest.raises(ValueError, match=r"indefinite 'ignored'.*saddle_free"):
        newton(indefinite="ignored")


def test_what_is_missing_is_said():
    transformation = newton()
    x = jnp.ones(2)
    state = transformation.init(x)
    with pytest.raises(ValueError, match=r"scale_by_newton needs .*value_fn=loss"):
        transformation.update(x, state, x)
    with pytest.raises(ValueError, match="`params`"):
        transformation.update(x, state, None, value_fn=rosenbrock)
    with pytest.raises(ValueError, match="scale_by_backtracking needs"):
        jax.eval_shape(
            lambda x: transformation.update(x, state, x, value_fn=rosenbrock), x
        )


def test_it_works_in_a_plain_optax_loop():
    optimizer = newton()
    evaluate = optax.value_and_grad_from_state(rosenbrock)

    @jax.jit
    def step(x, state):
        value, grad = evaluate(x, state=state)
        updates, state = optimizer.update(
            grad, state, x, value=value, grad=grad, value_fn=rosenbrock
        )
        return optax.apply_updates(x, updates), state

    x = jnp.array([-1.2, 1.0])
    state = optimizer.init(x)
    for _ in range(30):
        x, state = step(x, state)
    close(x, np.ones(2))


@pytest.mark.slow
def test_a_learning_rate_scales_the_first_trial():
    half = minimize(quadratic, np.zeros(4), newton(0.5, linesearch=None), max_steps=1)
    close(half.params, np.linalg.solve(A, B) / 2)
