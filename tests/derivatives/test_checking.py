"""A check finds what is wrong with a derivative, and nothing where nothing is."""

import json
import time
from collections import Counter
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from derivatives.correct_functions import (
    CORRECT,
    Right,
    logistic,
    network,
    network_data,
    network_params,
    normal,
)
from derivatives.planted_faults import FAULTS, Fault, ruled, sines

from jaxcalc.derivatives import DerivativeError, check_derivatives

# Compilation makes these slow, not the check.
HEAVY = {
    "matrix exponential",
    "gaussian process",
    "determinant",
    "solve",
    "cholesky",
    "eigenvalue",
    "singular values",
    "ill conditioned solve",
    "network",
    "recurrent",
    "float32 network",
    "Python branch",
    "layer with a late relu",
    "accuracy",
    "entropy",
    "relu network",
    "float32 only, network",
    "eigenvectors",
    "high polynomial",
    "attention",
    "fft",
    "lgamma",
    "matrix product",
    "fori loop",
    "many entries",
    "float16",
    "mean of many",
    "Wilkinson",
    "logsumexp",
}


def cases(collection):
    assert len({case.name for case in collection}) == len(collection) >= 40
    return [
        pytest.param(
            case,
            id=case.name,
            # Half of the others stand for all of them by default.
            marks=[pytest.mark.slow] if i % 2 or case.name in HEAVY else [],
        )
        for i, case in enumerate(collection)
    ]


@pytest.mark.parametrize("case", cases(CORRECT))
def test_a_right_derivative_raises_no_alarm(case: Right):
    report = check_derivatives(case.f, case.x, *case.args)
    assert report.ok, str(report)
    assert report.verdict == "agree"


@pytest.mark.parametrize("case", cases(FAULTS))
def test_a_planted_fault_is_found_located_and_named(case: Fault):
    report = check_derivatives(case.f, case.x, *case.args)
    assert not report.ok
    assert report.verdict == "disagree"
    found = [f for f in report.findings if (f.cause, f.leaf) == (case.cause, case.leaf)]
    assert found, str(report)
    if case.index is not None:
        assert case.index in found[0].indices
    if case.factor is not None:
        assert found[0].factor == pytest.approx(case.factor, rel=1e-4, abs=1e-6)
    assert case.source in found[0].source


@pytest.mark.slow
def test_the_verdicts_do_not_depend_on_the_directions_drawn():
    wrong = []
    for case in (*CORRECT, *FAULTS):  # all seeds of a case share its programs
        for seed in range(1, 6):
            report = check_derivatives(case.f, case.x, *case.args, seed=seed)
            if report.ok != isinstance(case, Right):
                wrong.append((case.name, seed))
    assert wrong == []


@pytest.mark.parametrize("n", [1, 10_000])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_a_passing_check_costs_at_most_40_values_and_6_gradients(n, dtype):
    seen = Counter()

    @jax.custom_vjp
    def f(x):
        jax.debug.callback(lambda: seen.update(["values"]))
        return jnp.sum(jnp.sin(x))

    def backward(x, c):
        jax.debug.callback(lambda: seen.update(["gradients"]))
        return (c * jnp.cos(x),)

    f.defvjp(lambda x: (jnp.sum(jnp.sin(x)), x), backward)
    report = check_derivatives(f, normal(0, n, dtype=dtype))
    jax.effects_barrier()
    assert report.ok
    assert 30 <= seen["values"] <= 40
    assert 5 <= seen["gradients"] <= 6


def test_forward_mode_included_a_passing_check_runs_the_function_46_times():
    seen = Counter()

    def f(x):
        jax.debug.callback(lambda: seen.update(["runs"]))
        return jnp.sum(jnp.sin(x))

    report = check_derivatives(f, normal(0, 5, dtype=jnp.float32))
    jax.effects_barrier()
    assert report.ok
    assert 40 <= seen["runs"] <= 46
    assert sum(report.cost.values()) == seen["runs"]


def test_a_second_check_of_the_same_function_compiles_nothing():
    seen = SimpleNamespace(traces=0)

    def f(x):
        seen.traces += 1
        return jnp.sum(jnp.sin(x))

    check_derivatives(f, jnp.arange(3.0))
    before = seen.traces
    check_derivatives(f, jnp.arange(3.0) + 1)
    assert seen.traces == before + 2  # the two plain calls


@pytest.mark.slow
def test_a_network_of_5000_parameters_takes_less_than_a_second():
    params, data = network_params(width=64), network_data()
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) > 4500
    assert check_derivatives(network, params, *data).ok
    start = time.perf_counter()
    check_derivatives(network, params, *data)
    assert time.perf_counter() - start < 1


def test_entries_state_the_true_derivative_and_an_error_that_holds():
    x = normal(0, 6)
    f = ruled(sines, lambda x: jnp.cos(x).at[2].add(1))
    (finding,) = check_derivatives(f, x).findings
    (entry,) = finding.entries
    truth = np.cos(np.asarray(x)[2])
    assert entry.index == (2,)
    assert abs(entry.difference - truth) <= entry.error < 1e-8
    assert entry.automatic == pytest.approx(truth + 1)


def test_a_kink_states_both_slopes():
    report = check_derivatives(
        lambda x: jnp.sum(jnp.where(x > 0, 3 * x, -0.5 * x)), jnp.array([1.0, 0.0])
    )
    (entry,) = report.findings[0].entries
    assert entry.left == pytest.approx(-0.5, abs=1e-6)
    assert entry.right == pytest.approx(3.0, abs=1e-6)


def test_a_where_trap_is_called_by_its_name():
    def trap(x):
        return jnp.sum(jnp.where(x > 0, jnp.sqrt(x), 0.0))

    (finding,) = check_derivatives(trap, jnp.array([1.0, 0.0])).findings
    assert "jnp.where" in finding.sentence
    assert f"line {trap.__code__.co_firstlineno + 1}" in finding.source

    def no_trap(x):
        return jnp.sum(jnp.sqrt(x))

    (finding,) = check_derivatives(no_trap, jnp.array([1.0, 0.0])).findings
    assert "jnp.where" not in finding.sentence


def test_the_other_entries_are_still_checked_beside_a_nan():
    f = ruled(sines, lambda x: jnp.cos(x).at[0].set(jnp.nan).at[3].multiply(2))
    report = check_derivatives(f, normal(0, 6))
    assert {f.cause for f in report.findings} == {"not finite", "wrong derivative"}


def test_a_mode_that_does_not_exist_is_no_fault():
    f = ruled(sines, jnp.cos)
    report = check_derivatives(f, normal(0, 3))
    assert report.ok
    assert report.verdicts["forward"] == "not available"
    assert any("Forward mode" in note for note in report.notes)


def test_order_one_leaves_the_second_derivative_alone():
    report = check_derivatives(jnp.sum, normal(0, 3), order=1)
    assert report.ok
    assert "second" not in report.verdicts
    assert report.cost["gradients"] == 1


def test_noise_beyond_the_dtype_cannot_be_told():
    # Deterministic, but nothing that differences could settle on.
    def rough(x):
        return x + 1e-3 * jnp.sin(1e15 * x)

    report = check_derivatives(rough, 0.7)
    assert report.verdict == "cannot tell"
    assert not report.ok
    with pytest.raises(DerivativeError, match="cannot be told"):
        report.raise_if_failed()


def test_float32_parameters_are_examined_without_64_bits_being_on():
    jax.config.update("jax_enable_x64", False)
    try:
        X, y = network_data(jnp.float32)
        w = normal(6, 5, dtype=jnp.float32)
        report = check_derivatives(logistic, w, X, jnp.sign(y))
        assert report.ok
        assert report.precision == "float64"
        assert jnp.zeros(1).dtype == jnp.float32
    finally:
        jax.config.update("jax_enable_x64", True)


def test_the_report_reads_as_text_html_markdown_and_json():
    f = ruled(sines, lambda x: 1.1 * jnp.cos(x))
    report = check_derivatives(lambda p: f(p["<w>"]), {"<w>": normal(0, 3)})
    content = json.loads(report.to_json())
    assert content["ok"] is False
    assert content["findings"][0]["factor"] == pytest.approx(1.1)
    page = report._repr_html_()
    assert "x[&#x27;&lt;w&gt;&#x27;]" in page
    assert "<w>" not in page
    for text in (str(report), report.to_markdown(), page):
        assert "1.1 times the true derivative" in text
    with pytest.raises(DerivativeError, match=r"1\.1 times"):
        report.raise_if_failed()


def test_json_of_a_report_with_nan_is_valid():
    report = check_derivatives(lambda x: jnp.sqrt(x), 0.0)
    assert not report.ok
    json.loads(report.to_json(), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("f", "x", "options", "error", "message"),
    [
        (lambda x: x, jnp.ones(3), {}, TypeError, r"`f` must return a scalar.*\(3,\)"),
        (lambda x: (x, x), 1.0, {}, TypeError, "`f` must return a scalar"),
        (lambda x: x > 0, 1.0, {}, TypeError, "`f` must return a floating scalar"),
        (jnp.sum, 1, {}, TypeError, "`x` must be floating"),
        (jnp.sum, jnp.arange(3), {}, TypeError, "`x` must be floating"),
        (jnp.sum, jnp.zeros(0), {}, ValueError, "`x` holds no numbers"),
        (lambda _: 1.0, {}, {}, ValueError, "`x` holds no numbers"),
        (
            lambda x: x[0].sum(),
            (jnp.array([1.0, jnp.nan]),),
            {},
            ValueError,
            r"`x\[0\]`",
        ),
        (jnp.sum, jnp.array([jnp.inf]), {}, ValueError, "NaN or infinite"),
        (jnp.sum, 1.0, {"order": 3}, ValueError, "unknown order 3"),
        (jnp.sum, 1.0, {"seed": -1}, ValueError, "`seed`"),
    ],
)
def test_bad_input_is_named_at_once(f, x, options, error, message):
    with pytest.raises(error, match=message):
        check_derivatives(f, x, **options)
