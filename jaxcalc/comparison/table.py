"""The one long table: a row for each point of each run."""

from typing import Any

import numpy as np

from jaxcalc.comparison.results import Comparison, Runs
from jaxcalc.minimization import Status


def long_table(comparison: Comparison) -> Any:
    """A row for each point of each run, see `Comparison.table`.

    Args:
        comparison: What was found.

    Returns:
        A `pyarrow.Table`; names, statuses and versions are dictionary-encoded.

    Raises:
        ImportError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
    except ImportError as error:
        raise ImportError(
            "tables need pyarrow: pip install 'jaxcalc[reports]'"
        ) from error
    pieces = [_columns(run) for run in comparison.runs]
    rows = sum(len(piece["step"]) for piece in pieces)
    columns = {
        name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]
    }
    texts = {}
    for name, get in _TEXTS.items():
        codes = [np.full(len(p["step"]), i) for i, p in enumerate(pieces)]
        values = [get(run) for run in comparison.runs]
        texts[name] = _encoded(np.concatenate(codes), values)
    status = _encoded(columns.pop("status"), [status.name for status in Status])
    constant = {
        name: _encoded(np.zeros(rows, np.int32), [value])
        for name, value in comparison.environment.items()
    }
    return pa.table({**texts, **columns, "status": status, **constant})


_TRACES = ("value", "grad_norm", "step_norm")
_TEXTS = {
    "problem": lambda run: run.problem,
    "optimizer": lambda run: run.optimizer,
    "phase": lambda run: run.phase,
}


def _columns(run: Runs) -> dict[str, np.ndarray]:
    reached = np.arange(len(run.value))[:, None] <= run.steps
    lane, step = np.nonzero(reached.T)
    at = (step, lane)
    return {
        "learning_rate": run.rates[lane],
        "seed": run.seeds[lane].astype(np.int64),
        "step": step,
        **{name: _plain(getattr(run, name)[at]) for name in _TRACES},
        **{kind: counts[at] for kind, counts in run.work.items()},
        "gradient_equivalents": run.gradient_equivalents[at],
        "seconds": step * run.seconds_per_step,
        "status": run.status[lane].astype(np.int32),
    }


def _plain(column: np.ndarray) -> np.ndarray:
    # Tables know no bfloat16.
    return column.astype(np.result_type(np.float32, column.dtype))


def _encoded(codes: np.ndarray, values: list[str]) -> Any:
    import pyarrow as pa

    unique = list(dict.fromkeys(values))
    positions = np.asarray([unique.index(value) for value in values], np.int32)
    return pa.DictionaryArray.from_arrays(positions[codes], unique)
