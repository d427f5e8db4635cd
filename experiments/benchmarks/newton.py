"""Newton's method beside scikit-learn's `newton-cholesky`, on the same objective."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.benchmarks.timing import interleaved, report
from jaxcalc import minimize, newton, problems
from jaxcalc.problems import Problem


def scikit_learn(
    X: np.ndarray, labels: np.ndarray, ridge: float, *, intercept: bool, tol: float
) -> Callable[[], Any]:
    """A fit of mean logistic loss with a ridge: its C is 1 / (n · ridge)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=1 / (len(X) * ridge),
        fit_intercept=intercept,
        solver="newton-cholesky",
        tol=tol,
        max_iter=100,
    )
    return lambda: model.fit(X, labels)


def ours(problem: Problem, start: Any) -> Callable[[], Any]:
    """`minimize` to a gradient norm of 1e-8, with the problem's own Hessian."""
    optimizer = newton()
    return lambda: minimize(
        problem.loss,
        start,
        optimizer,
        args=problem.args,
        max_steps=100,
        tol=1e-8,
        hessian_fn=problem.hessian,
    )


def breast_cancer(limit: float) -> None:
    """Logistic regression, 31 parameters; the intercept is not penalized."""
    problem = problems.breast_cancer(ridge=1e-3)
    start = jax.tree.map(jnp.zeros_like, problem.start(0))
    X, labels = (np.asarray(a) for a in problem.args[:2])
    theirs = scikit_learn(X, labels, 1e-3, intercept=True, tol=1e-8)
    ways = {"jaxcalc": ours(problem, start), "scikit-learn": theirs}
    seconds, answers = interleaved(ways, repeats=21, calls=10)
    solution, model = answers["jaxcalc"], answers["scikit-learn"]
    assert solution.converged
    weights = jax.tree.leaves(solution.params)
    ours_sorted = np.sort(np.concatenate([np.ravel(w) for w in weights]))
    theirs_sorted = np.sort([*model.coef_.ravel(), *model.intercept_])
    np.testing.assert_allclose(ours_sorted, theirs_sorted, rtol=1e-5, atol=1e-6)
    what = "Newton on breast cancer / newton-cholesky"
    report(what, seconds, "jaxcalc", "scikit-learn", limit)


def digits(limit: float) -> None:
    """Softmax regression, 650 parameters, all of them penalized."""
    problem = problems.digits_softmax(ridge=1e-3)
    start = jax.tree.map(jnp.zeros_like, problem.start(0))
    X, labels = (np.asarray(a) for a in problem.args[:2])
    with_ones = np.c_[X, np.ones(len(X))]
    theirs = scikit_learn(with_ones, labels, 1e-3, intercept=False, tol=1e-8)
    ways = {"jaxcalc": ours(problem, start), "scikit-learn": theirs}
    seconds, answers = interleaved(ways, repeats=7)
    solution, model = answers["jaxcalc"], answers["scikit-learn"]
    assert solution.converged
    weights = jax.tree.leaves(solution.params)
    ours_sorted = np.sort(np.concatenate([np.ravel(w) for w in weights]))
    np.testing.assert_allclose(
        ours_sorted, np.sort(model.coef_.ravel()), rtol=1e-4, atol=1e-5
    )
    what = "Newton on digits / newton-cholesky"
    report(what, seconds, "jaxcalc", "scikit-learn", limit)


if __name__ == "__main__":
    breast_cancer(limit=0.35)
    digits(limit=0.9)
