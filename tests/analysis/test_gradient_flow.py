"""Gradient flow: norms by layer, the rate through depth, verdicts, along a run."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from closeness import close

from jaxcalc import minimize
from jaxcalc.analysis.gradient_flow import (
    LayerNorms,
    flow_history,
    gradient_flow,
    growth,
    layer_names,
    layer_norms,
    observe_flow,
)

WIDTH, DEPTH = 6, 9
X = jax.random.normal(jax.random.key(0), (20, WIDTH))


def hidden(params, X, perturbations=None, activation=None):
    """Outputs of all layers but the last, and of the last."""
    found = []
    for k, w in enumerate(params):
        X = X @ w
        if k < len(params) - 1:
            X = activation(X) if activation else X
            X = X if perturbations is None else X + perturbations[k]
            found.append(X)
    return found, X


def loss(params, X):
    return jnp.sum(hidden(params, X)[1])


def activations(params, X):
    return hidden(params, X)[0]


def perturbed(params, perturbations, X):
    return jnp.sum(hidden(params, X, perturbations)[1])


def orthogonal(scale, dtype=np.float64):
    """A deep linear network whose every singular value is `scale`."""
    rng = np.random.default_rng(0)
    draws = rng.normal(size=(DEPTH, WIDTH, WIDTH))
    return [jnp.asarray(scale * np.linalg.qr(w)[0], dtype) for w in draws]


@pytest.mark.parametrize(
    ("scale", "verdict"), [(0.3, "vanishing"), (1.0, "healthy"), (4.0, "exploding")]
)
def test_the_rate_of_a_linear_network_is_its_singular_value(scale, verdict):
    params = orthogonal(scale)
    flow = gradient_flow(loss, params, X, activations=activations, perturbed=perturbed)
    close(flow.rate, scale)
    assert flow.rate_error < 1e-6
    close(flow.change, scale ** (DEPTH - 2))  # from the last hidden layer to the first
    assert flow.verdict == verdict
    assert str(flow).startswith(verdict)
    size = np.sqrt(np.mean(np.asarray(X) ** 2)) * scale ** np.arange(1, DEPTH)
    close(flow.activations, size)
    # The slow way: products of the weights behind each hidden layer.
    back, signals = np.ones((20, WIDTH)), []
    for w in params[:0:-1]:
        back = back @ np.asarray(w).T
        signals.append(np.sqrt(np.mean(back**2)))
    close(flow.signals, signals[::-1])


def test_norms_are_those_of_numpy_for_a_list_of_layers():
    rng = np.random.default_rng(1)
    shapes = [{"w": (3, 4), "b": (4,)}, {"w": (4, 2), "b": (2,)}]
    params, grads = (
        [{name: rng.normal(size=s) for name, s in one.items()} for one in shapes]
        for _ in range(2)
    )
    found = jax.jit(layer_norms)(params, grads)
    for k, (p, g) in enumerate(zip(params, grads)):
        p, g = (np.concatenate([a[n].ravel() for n in "bw"]) for a in (p, g))
        close(found.norm[k], np.linalg.norm(g))
        close(found.rms[k], np.sqrt(np.mean(g**2)))
        close(found.parameters[k], np.sqrt(np.mean(p**2)))


def test_stacked_layers_have_the_norms_of_a_list():
    rng = np.random.default_rng(2)
    layers = [{"w": rng.normal(size=(3, 3)), "b": rng.normal(size=3)} for _ in range(4)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *layers)
    twice = jax.tree.map(lambda a: 2 * a, (layers, stacked))
    a = jax.jit(layer_norms)(layers, twice[0])
    b = jax.jit(functools.partial(layer_norms, stacked=True))(stacked, twice[1])
    jax.tree.map(close, a, b)
    assert layer_names(stacked, stacked=True) == ("0", "1", "2", "3")
    close(a.norm, 2 * a.parameters * np.sqrt(12))


def test_layers_of_a_dict_are_counted_by_their_numbers():
    layers = {f"layer{k}": {"w": jnp.full(2, float(k + 1))} for k in range(11)}
    names = tuple(f"layer{k}" for k in range(11))
    for tree in (layers, {"params": layers}, {"params": {"net": layers}}):
        assert layer_names(tree) == names
    close(jax.jit(layer_norms)(tree, tree).rms, np.arange(1.0, 12))
    assert layer_names(jnp.ones(3)) == ("params",)
    assert layer_names([{"w": jnp.ones(2), "b": jnp.ones(1)}]) == ("0",)


@pytest.mark.parametrize("size", [1e-36, 1e36])
def test_squares_neither_vanish_nor_overflow(size):
    grads = [jnp.full((3, 3), size, jnp.float32), jnp.full(4, 1.0, jnp.float32)]
    found = jax.jit(layer_norms)(grads, grads)
    close(found.rms / np.float32([size, 1]), np.ones(2, np.float32))
    close(found.norm / np.float32([size, 1]), np.float32([3, 2]))


def test_growth_is_the_least_squares_fit_with_its_standard_error():
    rng = np.random.default_rng(3)
    sizes = np.exp(-0.5 * np.arange(8) + 0.1 * rng.normal(size=(4, 8)))
    fit = jax.jit(growth)
    found = fit(sizes)
    for k, row in enumerate(sizes):
        slope, covariance = np.polyfit(np.arange(8), np.log(row), 1, cov=True)
        close(found.rate[k], np.exp(slope[0]))
        close(found.error[k], np.exp(slope[0]) * np.sqrt(covariance[0, 0]))
    few = np.zeros((4, 8))  # zeros, and what is not finite, are left out
    few[0, :2] = [1.0, 3.0]
    few[1, 0] = 1.0
    few[2, :4] = [1.0, np.inf, 4.0, 8.0]
    few = fit(few)
    close(few.rate, [3.0, np.nan, 2.0, np.nan])
    close(few.error, [np.nan, np.nan, 0.0, np.nan])


def test_dead_units_are_counted():
    activation = jax.nn.relu
    params = orthogonal(1.0)[:4]
    params[0] = params[0].at[:, 2].set(0.0)

    def value(params, X):
        return jnp.sum(hidden(params, X, activation=activation)[1] ** 2)

    def outputs(params, X):
        return tuple(hidden(params, X, activation=activation)[0])

    flow = gradient_flow(value, params, X, activations=outputs)
    assert flow.dead[0] == 1 / 6
    assert "17%" in str(flow)
    assert flow.signals is None
    assert len(flow.activations) == 3


def test_a_layer_cut_off_vanishes_whatever_the_fit_says():
    def value(params):
        cut = jax.lax.stop_gradient(params[0])
        return jnp.sum(cut * params[1] * params[2])

    flow = gradient_flow(value, [jnp.ones(2), jnp.ones(2), jnp.ones(2)])
    assert flow.verdict == "vanishing"
    assert "exactly zero in layer 0" in flow.sentence


def test_what_is_not_finite_is_said_with_its_layer():
    flow = gradient_flow(
        lambda p: jnp.sum(p[0]) + jnp.sum(jnp.sqrt(p[1])), [jnp.ones(2), jnp.zeros(2)]
    )
    assert flow.verdict == "not finite"
    assert "layer 1" in flow.sentence


@pytest.mark.parametrize(
    ("value", "params", "why"),
    [
        (lambda p: jnp.sum(p[0] ** 2 + p[1] ** 2), [jnp.zeros(2)] * 2, "is zero"),
        (lambda p: jnp.sum(p**2), jnp.ones(3), "two layers"),
        (lambda p: p**2, 1.5, "two layers"),
    ],
)
def test_what_can_not_be_told_is_not_called_healthy(value, params, why):
    flow = gradient_flow(value, params)
    assert flow.verdict == "cannot tell"
    assert why in flow.sentence


@pytest.mark.slow
def test_layers_below_the_rounding_of_their_parameters_are_named():
    scale = [jnp.float32(1e-9), jnp.float32(1.0), jnp.float32(1.0)]
    flow = gradient_flow(
        lambda p: sum(jnp.sum(s * a) for s, a in zip(scale, p)),
        [jnp.ones(2, jnp.float32)] * 3,
    )
    assert flow.frozen == ("0",)
    assert "In 1 of 3 layers" in flow.sentence


@pytest.mark.slow
def test_a_run_records_its_flow_and_the_verdicts_follow():
    # Gradient descent on Σ (w₀ w₁ w₂ - 1)²/2, once from small weights.
    def value(params, target):
        return 0.5 * jnp.sum((params[0] * params[1] * params[2] - target) ** 2)

    start = [jnp.full(2, s) for s in (1.0, 0.01, 1e-5)]
    solution = minimize(
        value,
        start,
        optax.sgd(0.1),
        args=(1.0,),
        max_steps=300,
        observe=observe_flow(value),
    )
    observed = solution.trace.observed
    length = int(solution.trace.length)
    assert observed.rms.shape == (301, 3)
    at_start = layer_norms(start, jax.grad(value)(start, 1.0))
    close(observed.rms[0], at_start.rms)
    history = flow_history(observed, length=length)
    assert len(history.verdicts) == length
    assert history.verdicts[0] == "vanishing"  # ∂w₀ is 1e-7, ∂w₂ is 1e-2
    assert history.verdicts[-1] == "healthy"
    flow = gradient_flow(value, start, 1.0)
    close(history.rate[0], flow.rate)
    close(history.change[0], flow.change)
    assert str(history).startswith("from point 0: vanishing")
    assert flow_history(observed).verdicts == history.verdicts


def test_a_history_is_judged_point_by_point_up_to_its_end():
    rms = np.array(
        [
            [1e-9, 1e-5, 1e-1],
            [1.0, 1.0, 1.0],
            [1e9, 1e5, 10.0],
            [0.0, 1.0, 1.0],
            [np.nan, 1.0, 1.0],
            [np.nan, np.nan, np.nan],
            [np.nan, np.nan, np.nan],
        ]
    )
    parameters = np.where(np.arange(7)[:, None] < 6, 1.0, np.nan * rms)
    observed = LayerNorms(*(jnp.asarray(a) for a in (rms, rms, parameters)))
    history = flow_history(observed)
    assert history.verdicts == (
        "vanishing",
        "healthy",
        "exploding",
        "vanishing",
        "not finite",
        "not finite",
    )
    close(history.rate[:3], [1e-4, 1.0, 1e4])
    close(history.change[:3], [1e-8, 1.0, 1e8])
    assert flow_history(observed, length=2).verdicts == ("vanishing", "healthy")
    lines = str(history).splitlines()
    assert len(lines) == 5
    assert lines[0] == "from point 0: vanishing, 0.0001 per layer"


def test_what_is_observed_is_the_gradient_of_the_loss():
    params = orthogonal(0.5)[:2]
    found = jax.jit(observe_flow(loss))(params, X)
    grads = jax.grad(loss)(params, X)
    close(found.norm, [np.linalg.norm(g) for g in grads])


@pytest.mark.slow
def test_a_run_that_diverged_is_not_finite_at_its_end():
    def steep(params):
        return jnp.sum(jnp.exp(params[0] ** 2 + params[1] ** 2))

    solution = minimize(
        steep,
        [jnp.ones(2), jnp.full(2, 2.0)],
        optax.sgd(1.0),
        max_steps=5,
        observe=observe_flow(steep),
    )
    history = flow_history(solution.trace.observed, length=solution.trace.length)
    assert history.verdicts[-1] == "not finite"


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        ({"threshold": 2.0}, ValueError, "`threshold`"),
        ({"threshold": 0.0}, ValueError, "`threshold`"),
        ({"perturbed": perturbed}, ValueError, "`perturbed` needs `activations`"),
        ({"activations": lambda *_: []}, TypeError, "`activations`"),
        ({"activations": lambda p, _: [p[0] > 0]}, TypeError, "`activations`"),
        (
            {"activations": activations, "perturbed": lambda p, _, X: loss(p, X) + 1},
            ValueError,
            "`perturbed` must be the loss",
        ),
        ({"params": [jnp.arange(3)]}, TypeError, "`params"),
        ({"params": []}, ValueError, "`params`"),
        ({"loss": lambda p, X: hidden(p, X)[1]}, TypeError, "`loss`"),
    ],
)
def test_bad_input_is_named(wrong, error, match):
    given = {"loss": loss, "params": orthogonal(1.0)[:2]} | wrong
    call = functools.partial(
        gradient_flow, given.pop("loss"), given.pop("params"), X, **given
    )
    with pytest.raises(error, match=match):
        call()


def test_trees_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match="`grads`"):
        layer_norms([jnp.ones(2)], [jnp.ones(3)])
    with pytest.raises(ValueError, match="first axis"):
        layer_norms(
            [jnp.ones(2), jnp.ones(3)], [jnp.ones(2), jnp.ones(3)], stacked=True
        )
    empty = LayerNorms(*(jnp.ones((0, 3)),) * 3)
    with pytest.raises(ValueError, match="`observed`"):
        flow_history(empty)
    with pytest.raises(ValueError, match="`observed`"):
        flow_history(LayerNorms(*(jnp.ones(3),) * 3))
