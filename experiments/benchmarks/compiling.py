"""Does a second call compile anything, and what does importing cost?"""

import subprocess
import sys

import jax
import numpy as np
import optax

from experiments.benchmarks.timing import report
from jaxcalc import compare, minimize, problems

IMPORTS = """
import time
begin = time.perf_counter()
import jax, optax
middle = time.perf_counter()
import jaxcalc
print(middle - begin, time.perf_counter() - middle)
"""


def compilations(call) -> int:
    """How many programs XLA compiles during a call."""
    count = 0

    def listen(event: str, *_: object, **__: object) -> None:
        nonlocal count
        count += event == "/jax/core/compile/backend_compile_duration"

    jax.monitoring.register_event_duration_secs_listener(listen)
    call()
    jax.monitoring.unregister_event_duration_listener(listen)
    return count


def second_calls() -> None:
    """Count what is compiled by calls with equal optimizers that are made anew."""
    problem = problems.rosenbrock()

    def fit() -> None:
        start = problem.start(0)
        minimize(problem.loss, start, optax.adam(0.1), args=problem.args)

    def study() -> None:
        compare(problem, {"adam": optax.adam, "lbfgs": optax.lbfgs()}, max_steps=50)

    for name, call in (("minimize", fit), ("compare", study)):
        first, second = compilations(call), compilations(call)
        print(f"{name}: {first} programs at the first call, {second} at the second")
        assert second == 0


def importing() -> None:
    """What `import jaxcalc` adds to `import jax, optax`, in seconds."""
    rows = [
        subprocess.run(
            [sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(9)
    ]
    base, added = np.asarray(rows, float).T
    seconds = {"jaxcalc": added.tolist(), "jax, optax": base.tolist()}
    report("import jaxcalc / import jax, optax", seconds, "jaxcalc", "jax, optax", 0.3)
    limit = "within" if np.median(added) <= 0.15 else "ABOVE"
    print(f"import jaxcalc adds {np.median(added):.2f} s, {limit} the limit of 0.15 s")


if __name__ == "__main__":
    second_calls()
    importing()
