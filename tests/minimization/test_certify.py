"""A certificate tells the truth about planted minima, saddles, plateaus and kinks."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import sympy
from closeness import close

from jaxcalc.minimization import Solution, Status, certify, minimize
from jaxcalc.minimization.certify import Verdict
from jaxcalc.optimizers import newton, trust_region

slow = pytest.mark.slow
DTYPES = ["float64", pytest.param("float32", marks=slow)]


def plain_square(x):
    return x**2


def offset_square(x):
    return 1e8 + x**2


def tiny_square(x):
    return 1e-12 * x**2


def product(x):
    return x[0] * x[1]


def cap(x):
    return -jnp.sum(x**2)


def sizes(x):
    """Three parameters whose natural sizes are 1e-6, 1e6 and 1."""
    return (1e6 * x[0] - 1) ** 2 + (1e-6 * x[1] - 1) ** 2 + (x[2] - 1) ** 2


def cubic(x):
    return x**3


def quartic(x):
    return x**4


def monkey(x):
    return x[0] ** 3 - 3 * x[0] * x[1] ** 2


def peano(x):
    """A minimum along every line through 0, and yet none."""
    return (x[0] - x[1] ** 2) * (x[0] - 2 * x[1] ** 2)


def bent(x):
    return (x[0] - x[1] ** 2) ** 2 + x[1] ** 4


def valley(x):
    return (x[0] * x[1] - 1) ** 2


def half_flat(x):
    return -(x[0] ** 2) + 0 * x[1]


def decay(x):
    return jnp.exp(-x)


def raised_decay(x):
    return 1 + jnp.exp(-x)


def slanted(x):
    """Its slope lies along the one direction without curvature."""
    return (x[0] + x[1]) ** 2 + 1e-3 * (x[0] - x[1])


def peak(x):
    return x**2 - jnp.maximum(x, -x)


def wall(x):
    return jnp.where(x <= 1, (x - 1) ** 2, jnp.nan)


def half_parabolas(x):
    return jnp.where(x >= 0, x**2, -(x**2))


def step_down(x):
    return jnp.where(x > 0, x**2 - 1, x**2)


def cubed_size(x):
    return jnp.abs(x) ** 3


def two_powers(x):
    return jnp.where(x >= 0, x**4, x**3)


def redundant(x):
    """Adding a number to all entries changes nothing."""
    return jax.nn.logsumexp(x) - jnp.mean(x)


def of(loss, at, verdict, is_minimum, *marks):
    name = f"{loss.__name__} at {at}"
    return pytest.param(loss, at, verdict, is_minimum, marks=marks, id=name)


CASES = [
    of(plain_square, 0.0, "minimum", True),
    of(plain_square, 1.0, "not critical", False),
    of(plain_square, 1e-2, "not critical", False),
    of(offset_square, 1.0, "not critical", False, slow),
    of(tiny_square, 1.0, "not critical", False, slow),
    of(sizes, [1e-6, 1e6, 1.0], "minimum", True),
    of(sizes, [2e-6, 1e6, 1.0], "not critical", False),
    of(product, [0.0, 0.0], "saddle", False),
    of(cap, [0.0, 0.0], "maximum", False, slow),
    of(cap, [1e10, 1.0], "not critical", False, slow),
    of(half_flat, [0.0, 0.0], "flat", False, slow),
    # Degenerate points, and others a little beside them.
    of(quartic, 0.0, "flat", True),
    of(quartic, 1e-9, "flat", True),
    of(cubic, 0.0, "flat", False),
    of(cubic, 1e-9, "flat", False),
    of(monkey, [0.0, 0.0], "flat", False, slow),
    of(bent, [0.0, 0.0], "flat", True, slow),
    of(peano, [0.0, 0.0], "flat", False),
    of(valley, [2.0, 0.5], "flat", None, slow),
    of(valley, [3.0, 1 / 3], "flat", None, slow),
    of(redundant, [0.0, 0.0, 0.0], "flat", None, slow),
    # Plateaus and tails.
    of(jnp.tanh, -10.0, "not critical", False, slow),
    of(jnp.tanh, 40.0, "flat", None, slow),
    of(jax.nn.softplus, -50.0, "not critical", False, slow),
    of(decay, 40.0, "not critical", False),
    of(decay, 800.0, "flat", None),
    of(raised_decay, 40.0, "undecided", None, slow),
    of(slanted, [0.0, 0.0], "not critical", False, slow),
    # Derivatives that jump, and losses that end.
    of(jnp.abs, 0.0, "undecided", None, slow),
    of(jnp.abs, 1e-9, "undecided", None, slow),
    of(jnp.abs, 1.0, "not critical", False, slow),
    of(peak, 0.0, "undecided", False),
    of(jax.nn.relu, 0.0, "undecided", None, slow),
    of(jax.nn.relu, -3.0, "flat", None, slow),
    of(half_parabolas, 0.0, "undecided", None, slow),
    of(step_down, 0.0, "undecided", False),
    of(cubed_size, 0.0, "flat", None),  # JAX differentiates one side of it
    of(two_powers, 0.0, "flat", None, slow),
    of(wall, 1.0, "undecided", None),
    of(jnp.sqrt, 0.0, "undecided", None, slow),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("loss", "at", "verdict", "is_minimum"), CASES)
def test_planted_points_are_told_apart(loss, at, verdict, is_minimum, dtype):
    if (loss, at, dtype) == (jnp.tanh, -10.0, "float32"):
        verdict, is_minimum = "flat", None  # 1 - tanh(10)**2 is zero there
    certificate = certify(loss, jnp.asarray(at, dtype))
    assert certificate.verdict is Verdict(verdict)
    assert certificate.is_minimum is is_minimum
    assert certificate.verdict.describe in str(certificate)
    if is_minimum and certificate.verdict is Verdict.MINIMUM:
        assert certificate.direction is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "at"),
    [
        (product, [0.0, 0.0]),
        (peano, [0.0, 0.0]),  # lower along parabolas, not along lines
        (peak, 0.0),
        pytest.param(cap, [0.0, 0.0], marks=slow),
        pytest.param(monkey, [0.0, 0.0], marks=slow),
        (cubic, 0.0),
    ],
)
def test_the_direction_leads_to_a_lower_point(loss, at, dtype):
    point = jnp.asarray(at, dtype)
    certificate = certify(loss, point)
    assert "Add `direction`" in certificate.remedy
    assert certificate.direction.dtype == dtype
    assert loss(point + certificate.direction) < loss(point)


def test_eigenvalues_are_those_of_the_exact_hessian():
    x, y = sympy.symbols("x y")
    wavy = sympy.cosh(x - 1) + y**4 / 4 - y**2 / 2
    hessian = sympy.hessian(wavy, (x, y)).subs({x: 1, y: 1})
    wanted = sorted(map(float, hessian.eigenvals()))
    certificate = certify(
        lambda p: jnp.cosh(p["x"] - 1) + p["y"] ** 4 / 4 - p["y"] ** 2 / 2,
        {"x": 1.0, "y": jnp.ones(())},
    )
    assert certificate.verdict is Verdict.MINIMUM
    close(certificate.eigenvalues, wanted, atol=certificate.error)
    assert 0 < certificate.error < 1e-13
    assert certificate.complete


@slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_signs_of_random_quadratics_are_found_at_any_scale(dtype):
    rng = np.random.default_rng(0)

    def quadratic(x, H, z):
        return (x - z) @ H @ (x - z) / 2

    found = set()
    for trial in range(30):
        basis, _ = np.linalg.qr(rng.normal(size=(4, 4)))
        signs = rng.choice([-1.0, 1.0], 4) if trial % 3 else np.ones(4)
        H = basis * (signs * rng.uniform(0.3, 3.0, 4)) @ basis.T
        scales = 10.0 ** rng.uniform(-3, 3, 4)
        H = np.asarray(H / scales / scales[:, None], dtype)
        z = np.asarray(rng.normal(size=4) * scales, dtype)
        values = np.linalg.eigvalsh(H * scales * scales[:, None])
        wanted = Verdict.SADDLE
        wanted = Verdict.MINIMUM if values[0] > 0 else wanted
        wanted = Verdict.MAXIMUM if values[-1] < 0 else wanted
        assert certify(quadratic, z, (H + H.T) / 2, z).verdict is wanted
        found.add(wanted)
    assert len(found) >= 2


RNG = np.random.default_rng(1)
X = RNG.normal(size=(60, 3))
LABELS = np.sign(X[:, 0] + RNG.normal(size=60))


def logistic(params, X, labels):
    logits = X @ params["w"] + params["b"]
    ridge = 1e-4 * jnp.sum(params["w"] ** 2)
    return jnp.mean(jax.nn.softplus(-labels * logits)) + ridge


@slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    "optimizer",
    [
        pytest.param(newton(), id="newton"),
        pytest.param(trust_region(), id="trust region"),
        pytest.param(optax.adam(0.05), id="adam"),
        pytest.param(optax.lbfgs(), id="lbfgs"),
    ],
)
@pytest.mark.parametrize("size", [1.0, 1e-3])
def test_where_a_run_converges_the_certificate_agrees(optimizer, size, dtype):
    start = {"w": jnp.zeros(3, dtype), "b": jnp.zeros((), dtype)}
    args = ((X * [1.0, size, 1.0]).astype(dtype), LABELS.astype(dtype))
    solution = minimize(logistic, start, optimizer, args=args, max_steps=5000)
    assert solution.converged
    certificate = certify(logistic, solution.params, *args)
    # The gradient says little of parameters that have next to no curvature: there a
    # run stops early, with something left to gain, and the certificate says so.
    early = size < 1 and certificate.distance > 1e-3
    assert certificate.is_minimum or early
    said = solution.describe(certificate)
    assert certificate.verdict.describe in said
    assert "To tell a minimum from a saddle" not in said


def ended(status, params=0.0):
    solution = minimize(plain_square, params, optax.sgd(0.25), max_steps=1)
    return solution._replace(status=jnp.asarray(int(status)))


def test_a_solution_is_described_with_its_certificate():
    minimum, far = certify(plain_square, 0.0), certify(plain_square, 1.0)
    said = ended(Status.MAX_STEPS).describe(minimum)
    assert "strict local minimum" in said
    assert "Raise `max_steps`" not in said
    assert "smaller `tol`" in ended(Status.CONVERGED).describe(far)
    unbounded = ended(Status.UNBOUNDED).describe(far)
    assert unbounded.endswith(Status.UNBOUNDED.remedy)
    alone = ended(Status.CONVERGED).describe()
    assert alone.endswith(Status.CONVERGED.remedy)


def test_a_batch_has_no_single_certificate():
    solution = ended(Status.CONVERGED)
    batch = Solution(*jax.tree.map(lambda leaf: jnp.stack([leaf, leaf]), solution))
    assert batch.describe() == "2 runs: 2 CONVERGED"
    with pytest.raises(ValueError, match="batch of shape"):
        batch.describe(certify(plain_square, 0.0))


def many(x, c):
    return jnp.sum(c * jnp.sin(x) ** 2) / 2 + jnp.mean(x) ** 2


@slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("spread", [1.0, 1e4])
def test_thousands_of_parameters_are_judged_by_their_extreme_curvature(spread, dtype):
    n = 2000
    zeros = jnp.zeros(n, dtype)
    c = jnp.geomspace(1, spread, n).astype(dtype)
    found = certify(many, zeros, c)
    assert found.verdict is Verdict.MINIMUM
    assert not found.complete
    assert "no proof" in found.reason
    saddle = certify(many, zeros, c.at[7].set(-0.5))
    assert saddle.verdict is Verdict.SADDLE
    assert many(zeros + saddle.direction, c.at[7].set(-0.5)) < 0
    mean = 2 / n**2  # the most that the mean adds to an eigenvalue
    close(saddle.eigenvalues[0], -0.5, atol=saddle.error + mean)
    # The mean curves one of the two directions, and only one.
    assert certify(many, zeros, c.at[7:9].set(0.0)).verdict is Verdict.FLAT
    assert certify(many, zeros + 1, c).verdict is Verdict.NOT_CRITICAL


def test_points_and_losses_that_can_not_be_judged_raise():
    with pytest.raises(TypeError, match="floating"):
        certify(plain_square, 1)
    with pytest.raises(TypeError, match="scalar"):
        certify(lambda x: x, jnp.ones(2))
    with pytest.raises(ValueError, match="finite"):
        certify(plain_square, jnp.nan)
    with pytest.raises(TypeError, match="can't be traced"):
        jax.jit(lambda x: certify(plain_square, x).value)(1.0)


def test_a_second_certificate_compiles_nothing():
    certify(plain_square, 0.0)
    with jax.no_tracing():
        assert certify(plain_square, 2.0).verdict is Verdict.NOT_CRITICAL


def test_where_the_loss_is_not_defined_nothing_is_claimed():
    certificate = certify(jnp.log, -1.0)
    assert certificate.verdict is Verdict.UNDECIDED
    assert "NaN" in certificate.reason
