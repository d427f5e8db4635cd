"""The long table: a row for each point of each run, in plain types."""

import numpy as np
import optax
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from closeness import close

from jaxcalc.comparison import compare
from jaxcalc.minimization import Status, Work


@pytest.fixture(scope="module")
def table(compared):
    return compared.table()


def test_a_row_for_each_point(compared, table):
    assert table.num_rows == sum(int(np.sum(r.steps + 1)) for r in compared.runs)
    runs = compared.select("bowl", "sgd", "tuning")[0]
    lane = 4
    chosen = (
        (pc.field("problem") == "bowl")
        & (pc.field("optimizer") == "sgd")
        & (pc.field("phase") == "tuning")
        & (pc.field("seed") == int(runs.seeds[lane]))
        & (pc.field("learning_rate") == float(runs.rates[lane]))
    )
    rows = table.filter(chosen)
    until = int(runs.steps[lane]) + 1
    assert rows["step"].to_pylist() == list(range(until))
    for name in ("value", "grad_norm", "step_norm"):
        close(rows[name].to_numpy(), getattr(runs, name)[:until, lane], rtol=0, atol=0)
    close(rows["gradients"].to_numpy(), np.arange(1, until + 1))
    close(rows["gradient_equivalents"].to_numpy(), np.arange(1, until + 1))
    assert set(rows["status"].to_pylist()) == {Status(runs.status[lane]).name}


def test_columns_and_their_types(compared, table):
    types = {field.name: field.type for field in table.schema}
    text = pa.dictionary(pa.int32(), pa.string())
    counts = dict.fromkeys(Work._fields, pa.int32())
    floats = ("learning_rate", "value", "grad_norm", "step_norm", "seconds")
    environment = dict.fromkeys(compared.environment, text)
    assert types == {
        **dict.fromkeys(("problem", "optimizer", "phase", "status"), text),
        **dict.fromkeys((*floats, "gradient_equivalents"), pa.float64()),
        **dict.fromkeys(("seed", "step"), pa.int64()),
        **counts,
        **environment,
    }
    for name, value in compared.environment.items():
        assert set(table[name].to_pylist()) == {value}
    assert {"jaxcalc", "jax", "optax", "python", "device"} <= set(environment)


def test_seconds_grow_with_the_steps_of_judged_runs_only(table):
    judged = table.filter(pc.field("phase") == "evaluation")
    seconds, steps = judged["seconds"].to_numpy(), judged["step"].to_numpy()
    assert np.isfinite(seconds).all()
    assert (seconds[steps == 0] == 0).all()
    tuned = table.filter(pc.field("phase") == "tuning")
    assert np.isnan(tuned["seconds"].to_numpy()).all()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_coarser_floats_have_columns_too(valley, dtype, tmp_path):
    narrow = valley.astype(dtype)
    comparison = compare(narrow, {"sgd": optax.sgd(0.05)}, seeds=1, max_steps=2)
    assert comparison.table()["value"].type == pa.float32()
    comparison.save(tmp_path)
