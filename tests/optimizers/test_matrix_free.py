"""What all matrix-free methods have in common: honesty, economy, scale."""

import functools
import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.optimize
from closeness import close

from jaxcalc import Status, minimize
from jaxcalc.curvature import hvp
from jaxcalc.optimizers import cubic, newton_cg, trust_region_cg
from jaxcalc.problems import more_garbow_hillstrom

METHODS = {
    "trust region": trust_region_cg(),
    "gltr": trust_region_cg(boundary="gltr"),
    "newton": newton_cg(),
    "cubic": cubic(form="krylov"),
}
# Compilation dominates; two of them share with the others what matters by default.
QUICK = ("trust region", "newton")
every = pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=() if name in QUICK else pytest.mark.slow, id=name)
        for name, m in METHODS.items()
    ],
)
# And one where it is compiled for that test alone.
first = pytest.mark.parametrize(
    "method",
    [
        pytest.param(m, marks=() if name == QUICK[0] else pytest.mark.slow, id=name)
        for name, m in METHODS.items()
    ],
)
every_slowly = pytest.mark.parametrize(
    "method", [pytest.param(m, id=name) for name, m in METHODS.items()]
)


def waves(p, kind):
    """Six losses by number, so that one program serves them all."""
    x, y = p
    return jax.lax.switch(
        kind,
        [
            lambda: x**2 - y**2 + y**4 / 4,  # a saddle; minima at (0, ±√2)
            lambda: jnp.cos(x) + y**2,
            lambda: -(x**2) + y**2,
            lambda: jnp.exp(-x) + y**2,
            lambda: x - jnp.log(x) + y**2,
            lambda: 3.0 + 0 * x,
        ],
    )


SADDLE, COSINE, BOTTOMLESS, TAIL, WALL, CONSTANT = range(6)


def run(method, start, kind, **options):
    options = {"max_steps": 200, **options}
    start = jnp.asarray(start, options.pop("dtype", float))
    return minimize(waves, start, method, args=(jnp.asarray(kind),), **options)


@every
@pytest.mark.parametrize("start", [(0, 0), (1, 0), (0, 1e-12), (3, 1e-5)])
def test_a_saddle_point_is_left_also_from_where_its_gradient_leads(method, start):
    solution = run(method, start, SADDLE)
    assert solution.status == Status.CONVERGED
    close(jnp.abs(solution.params), [0.0, np.sqrt(2)])


@every
def test_a_maximum_is_left(method):
    solution = run(method, (0, 0), COSINE)
    assert solution.status == Status.CONVERGED
    close(jnp.abs(solution.params), [np.pi, 0.0])


@every
def test_what_falls_forever_is_unbounded(method):
    assert run(method, (0, 0), BOTTOMLESS).status == Status.UNBOUNDED
    assert run(method, (0.3, 1), BOTTOMLESS).status == Status.UNBOUNDED


@every
def test_a_tail_ends_where_its_gradient_does(method):
    solution = run(method, (0, 1), TAIL)
    assert solution.status == Status.CONVERGED
    close(solution.value, 0.0)


@every
def test_a_wall_of_nan_is_respected(method):
    solution = run(method, (1e-3, 1), WALL)
    assert solution.status == Status.CONVERGED
    close(solution.params, [1.0, 0.0])


@every
def test_where_nothing_changes_the_start_is_kept(method):
    solution = run(method, (1, 2), CONSTANT)
    assert solution.status == Status.CONVERGED
    close(solution.params, [1.0, 2.0])


@every
def test_a_start_outside_of_the_domain_is_not_finite(method):
    assert run(method, (-1, 0), WALL).status == Status.NONFINITE


@pytest.mark.slow
@every_slowly
def test_each_lane_of_a_batch_is_its_own_run(method):
    starts = jnp.array([[1.0, 0.0], [2.0, 1.0], [0.0, 0.0]])
    batch = jax.vmap(lambda x: run(method, x, SADDLE))(starts)
    for lane, start in enumerate(starts):
        alone = run(method, start, SADDLE)
        assert batch.status[lane] == alone.status
        assert batch.steps[lane] == alone.steps
        close(batch.params[lane], alone.params)


@pytest.mark.slow
@every_slowly
@pytest.mark.parametrize("kind", [SADDLE, COSINE, TAIL, WALL])
def test_in_32_bits_they_end_at_the_floor_of_rounding(method, kind):
    solution = run(method, (1, 0.5), kind, dtype=jnp.float32, tol=0.0)
    assert Status(int(solution.status)) in {Status.CONVERGED, Status.STALLED}
    assert solution.grad_norm <= 100 * np.finfo(np.float32).eps


def scaled_rosenbrock(x, scale):
    return scale * jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


@pytest.mark.slow
@every_slowly
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_the_scale_of_the_loss_does_not_matter(method, dtype):
    start = jnp.asarray([-1.2, 1, -1.2, 1], dtype)
    # The default: the root of the rounding unit, times the first gradient.
    tolerance = 800 * float(jnp.finfo(dtype).eps) ** 0.5
    for scale in (1e-12, 1.0, 1e12):
        solution = minimize(
            scaled_rosenbrock, start, method, args=(jnp.asarray(scale, dtype),)
        )
        assert Status(int(solution.status)) in {Status.CONVERGED, Status.STALLED}
        gradient = jax.grad(scaled_rosenbrock)(solution.params, 1.0)
        close(gradient, np.zeros(4), atol=tolerance)


@pytest.mark.slow
@every_slowly
def test_a_saddle_among_many_directions_is_left(method):
    def loss(x):
        return jnp.sum(x[:-1] ** 2) - 0.1 * x[-1] ** 2 + x[-1] ** 4

    start = jnp.ones(200).at[-1].set(0.0)
    solution = minimize(loss, start, method)
    assert solution.status == Status.CONVERGED
    close(solution.value, -0.0025)


def stretched(x, sizes):
    y = x / sizes
    return jnp.sum((y - 1) ** 2) + jnp.sum((y[1:] - y[:-1] ** 2) ** 2)


SIZES = jnp.array([1e-4, 1e4, 1e-2, 1.0, 1e2])


def by_size(params):
    del params
    return lambda tangent: tangent * SIZES**2


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        trust_region_cg,
        functools.partial(trust_region_cg, boundary="gltr"),
        newton_cg,
        functools.partial(cubic, form="krylov"),
    ],
)
def test_a_diagonal_preconditioner_makes_up_for_different_sizes(make):
    solution = minimize(
        stretched, jnp.zeros(5), make(preconditioner=by_size), args=(SIZES,), tol=1e-6
    )
    plain = minimize(stretched, jnp.zeros(5), make(), args=(jnp.ones(5),), tol=1e-6)
    assert solution.status == Status.CONVERGED
    close(solution.params / SIZES, np.ones(5))
    # It is the same run, in other units.
    assert abs(int(solution.steps) - int(plain.steps)) <= 2


def quartic(p):
    return jnp.sum((p["a"] - 1) ** 2) + jnp.sum((p["b"] ** 2 - p["a"][:2]) ** 2)


@pytest.mark.slow
@every_slowly
def test_a_curvature_may_be_a_product_a_matrix_or_a_tree(method):
    start = {"a": jnp.array([3.0, 2.0, 1.0]), "b": jnp.array([1.0, -2.0])}
    _, unravel = jax.flatten_util.ravel_pytree(start)
    forms = {
        "product": lambda p: hvp(quartic, p),
        "tree": jax.hessian(quartic),
        "matrix": lambda p: jax.hessian(lambda x: quartic(unravel(x)))(
            jax.flatten_util.ravel_pytree(p)[0]
        ),
    }
    plain = minimize(quartic, start, method)
    for form in forms.values():
        solution = minimize(quartic, start, method, hessian_fn=form)
        assert solution.steps == plain.steps
        close(solution.value, plain.value)
        assert solution.work.hvps == plain.work.hvps


# A gradient of 1e-8 is far from the minimum where the loss is that flat.
TOLERANCES = {3: 1e-12}
# Curvatures of many orders of magnitude, where a penalty on the length of steps that
# are not scaled holds them back: the steps run out.
TOO_BADLY_SCALED = {"cubic": {3, 10, 17}}


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("number", range(1, 36))
def test_problems_of_more_garbow_and_hillstrom_are_solved_from_their_start(
    number, name
):
    problem = more_garbow_hillstrom(number)
    solution = minimize(
        problem.loss,
        problem.standard_start,
        METHODS[name],
        args=problem.args,
        max_steps=1500,
        tol=TOLERANCES.get(number, 1e-8),
    )
    status = Status(int(solution.status))
    value = float(solution.value)
    published = (problem.minimum, *problem.local_minima)
    solved = any(abs(value - m) <= 1e-5 * abs(m) + 1e-10 for m in published)
    if number in TOO_BADLY_SCALED.get(name, ()):
        assert solved or status == Status.MAX_STEPS
    else:
        assert solved
        assert status in {Status.CONVERGED, Status.STALLED}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of SciPy, where its steps overflow
@pytest.mark.parametrize("name", ["trust-ncg", "trust-krylov"])
@pytest.mark.parametrize("number", range(1, 36))
def test_where_scipy_succeeds_they_do(number, name):
    problem = more_garbow_hillstrom(number)
    start = np.asarray(problem.standard_start)

    def loss(x):
        return problem.loss(x, *problem.args)

    value_and_grad = jax.jit(jax.value_and_grad(loss))
    product = jax.jit(lambda x, v: jax.jvp(jax.grad(loss), (x,), (v,))[1])
    published = (problem.minimum, *problem.local_minima)

    def solved(value):
        return any(abs(value - m) <= 1e-5 * abs(m) + 1e-10 for m in published)

    try:
        theirs = scipy.optimize.minimize(
            lambda x: tuple(map(np.asarray, value_and_grad(x))),
            start,
            jac=True,
            hessp=product,
            method=name,
            options={"gtol": TOLERANCES.get(number, 1e-8), "maxiter": 1500},
        )
    except (np.linalg.LinAlgError, ValueError):
        return
    boundary = "gltr" if name == "trust-krylov" else "steihaug"
    ours = minimize(
        problem.loss,
        start,
        trust_region_cg(boundary=boundary),
        args=problem.args,
        max_steps=1500,
        tol=TOLERANCES.get(number, 1e-8),
    )
    assert solved(float(ours.value)) or not solved(float(theirs.fun))


SHARDED = """
    import jax, jax.numpy as jnp, numpy as np
    from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
    jax.config.update("jax_enable_x64", True)
    from jaxcalc import minimize
    from jaxcalc.optimizers import cubic, newton_cg, trust_region_cg

    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    across = NamedSharding(mesh, P(None, "data"))
    start = {"w": jax.device_put(jnp.ones((3, 4096)), across)}
    A = jnp.asarray(np.random.default_rng(0).normal(size=(5, 3)))

    def loss(p, A):
        return jnp.mean(jnp.sum(jnp.log(jnp.cosh(A @ p["w"] - 1)), 0)) + 1e-3 * jnp.sum(
            p["w"] ** 2
        )

    for optimizer in (
        trust_region_cg(), trust_region_cg(boundary="gltr"), newton_cg(),
        cubic(form="krylov"),
    ):
        state = jax.jit(optimizer.init)(start)

        @jax.jit
        def update(params, state):
            value, grad = jax.value_and_grad(loss)(params, A)
            return optimizer.update(
                grad, state, params, value=value, grad=grad,
                value_fn=lambda p: loss(p, A),
            )

        text = update.lower(start, state).compile().as_text()
        updates, state = update(start, state)
        assert updates["w"].sharding.is_equivalent_to(across, 2), updates["w"].sharding
        assert state.grad["w"].sharding.is_equivalent_to(across, 2)
        gathers = [l for l in text.splitlines() if "all-gather(" in l]
        assert not gathers, gathers
        sharded = minimize(loss, start, optimizer, args=(A,), max_steps=30)
        whole = minimize(
            loss, jax.device_put(start, jax.devices()[0]), optimizer,
            args=(jax.device_put(A, jax.devices()[0]),), max_steps=30,
        )
        np.testing.assert_allclose(sharded.value, whole.value, rtol=1e-9)
        np.testing.assert_allclose(sharded.params["w"], whole.params["w"], rtol=1e-5)
"""


@pytest.mark.slow
def test_sharded_parameters_stay_where_they_are():
    environment = {**os.environ, "JAX_NUM_CPU_DEVICES": "8", "JAX_PLATFORMS": "cpu"}
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARDED)], check=True, env=environment
    )


@first
def test_a_rejected_step_costs_one_evaluation_and_no_products(method):
    def loss(x):
        return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    x = jnp.array([-1.2, 1.0])
    state = method.init(x)
    value, grad = jax.value_and_grad(loss)(x)
    update = jax.jit(functools.partial(method.update, value_fn=loss))
    rejected = 0
    for _ in range(25):
        before = state
        updates, state = update(grad, state, x, value=value, grad=grad)
        if float(jnp.max(jnp.abs(updates))) == 0:
            rejected += 1
            assert state.work.gradients == before.work.gradients + 1
            assert state.work.hvps == before.work.hvps
            close(state.value, value)
        else:
            x = optax.apply_updates(x, updates)
            assert float(loss(x)) < float(value)
            value, grad = state.value, state.grad
            close(grad, jax.grad(loss)(x))
    assert rejected > 0


def test_bad_arguments_are_named():
    optimizer, x = trust_region_cg(), jnp.ones(2)
    with pytest.raises(ValueError, match="value_fn"):
        optimizer.update(x, optimizer.init(x), x)
    for make in (trust_region_cg, newton_cg, functools.partial(cubic, form="krylov")):
        for forcing in (-0.1, 0.0, 1.0, 2.0, np.nan):
            with pytest.raises(ValueError, match="forcing"):
                make(forcing=forcing)
        with pytest.raises(ValueError, match="max_products"):
            make(max_products=0)
        with pytest.raises(TypeError, match="max_products"):
            make(max_products=2.5)
    with pytest.raises(ValueError, match="radius"):
        trust_region_cg(radius=-1.0)
    with pytest.raises(ValueError, match="boundary"):
        trust_region_cg(boundary="dogleg")
    with pytest.raises(ValueError, match="form"):
        cubic(form="sparse")


@pytest.mark.parametrize(
    ("preconditioner", "error", "what"),
    [
        (lambda _: lambda t: (t, t), ValueError, "structure"),
        (lambda _: lambda t: t[:1], ValueError, "shape"),
        (lambda p: p, TypeError, "function"),
    ],
)
def test_a_preconditioner_of_the_wrong_form_is_named(preconditioner, error, what):
    optimizer = trust_region_cg(preconditioner=preconditioner)
    x = jnp.ones(2)
    with pytest.raises(error, match=f"(?s)preconditioner.*{what}"):
        optimizer.update(
            x, optimizer.init(x), x, value=jnp.ones(()), value_fn=lambda x: x @ x
        )
