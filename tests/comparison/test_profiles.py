"""Profiles are what their definitions say, worked out by hand."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import scipy.stats
from closeness import close
from reports.synthetic_comparisons import SPEEDS, comparison, decay, runs

from jaxcalc.comparison import profiles
from jaxcalc.comparison.profiles import Costs
from jaxcalc.minimization import Status
from jaxcalc.reports import series, tables

INF, NAN = np.inf, np.nan
FAILED = Status.NONFINITE


def table(rows, optimizers="abc", seeds=1):
    """Costs with a row for each problem and seed, a column for each optimizer."""
    values = np.array(rows, float)
    values = values.reshape(-1, seeds, values.shape[1])
    return Costs(
        problems=tuple(f"p{k + 1}" for k in range(len(values))),
        seeds=tuple(range(seeds)),
        optimizers=tuple(optimizers)[: values.shape[2]],
        values=values,
        measure="steps",
        accuracy=1e-3,
    )


# Dolan and Moré's definition by hand: the least costs are 1, 2, 3 and none, so the
# ratios are (1, 2, 4), (2, 1, inf), (1, 1, 2) and no finite one.
BY_HAND = [[1, 2, 4], [4, 2, INF], [3, 3, 6], [INF, INF, INF]]

# Gould and Scott's effect at 2 times the least cost. With c taking part, a stands
# before b: it is within twice the least on three of five problems, b on two. Of the two
# alone b is within twice the least on all five, and a on three.
TURNING = [[1.9, 2.1, 1]] * 3 + [[3, 1, 0.9]] * 2


def race(lanes=8):
    """Optimizers that start from the same points, and one that blows up from some."""
    made = []
    for name, speed in SPEEDS.items():
        values = [decay(1.0 + k, speed ** (1 + k / 9), 120) for k in range(lanes)]
        status = [Status.MAX_STEPS] * lanes
        if name == "lion":
            values[1], status[1] = np.r_[values[1], INF], FAILED
        made.append(runs(values, optimizer=name, status=status))
    return comparison(*made)


# Costs


def test_the_cost_is_that_of_the_first_point_below_the_target():
    halves = runs([decay(8.0, 0.5, 10)], gradients=[10 * np.arange(11) + 3])
    made = comparison(halves, minimum={"bowl": 0.0})
    # A tenth of 8 is 0.8, which 8, 4, 2, 1, 0.5 passes at the fourth step.
    expected = {"steps": 4, "gradient_equivalents": 43, "seconds": 4e-5}
    for measure, cost in expected.items():
        found = profiles.costs(made, measure, 0.1)
        close(found.values, [[[cost]]])
    assert found.problems == ("bowl",)
    assert found.seeds == (0,)
    assert found.optimizers == ("sgd",)


def test_a_target_met_exactly_is_met():
    made = comparison(runs([[16.0, 8.0, 4.0]]))
    close(profiles.costs(made, "steps", 0.25).values, [[[2.0]]])


def test_flops_are_gradients_times_what_one_takes():
    run = replace(runs([decay(8.0, 0.5, 10)]), gradient_flops=1e3)
    spent = profiles.costs(comparison(run), "flops", 0.1).values
    close(spent, [[[5e3]]])
    close(profiles.costs(comparison(run), "gradient_equivalents", 0.1).values, 5.0)


def test_simplex_gradients_are_n_plus_one_values():
    run = runs([decay(8.0, 0.5, 10)])
    counted = replace(
        run,
        optimizer="search",
        work={**run.work, "values": run.work["gradients"]},
        cost={**run.cost, "values": 0.25},
    )
    found = profiles.costs(comparison(run, counted), "simplex_gradients", 0.1).values
    # Three values of a quarter gradient each, in two dimensions. Both optimizers pay
    # in the same coin: what a value was measured to cost.
    close(found, [[[5 / 0.75, 5 * 1.25 / 0.75]]])


def test_all_optimizers_are_held_to_one_reference_and_one_start():
    low = runs([decay(8.0, 0.5, 10)], optimizer="low")
    high = runs([8.0 * 0.5 ** np.minimum(np.arange(11), 2)], optimizer="high")
    made = comparison(low, high, minimum={})
    spent = profiles.costs(made, "steps", 0.1)
    # `high` never falls below 2, which by its own best would count as solved.
    close(spent.values, [[[4, INF]]])
    close(spent.subset(["high"]).values, [[[INF]]])


def test_runs_that_were_cut_off_or_failed_cost_infinitely_much():
    blown = np.r_[decay(8.0, 0.5, 5), 1e300, INF]
    risen = np.r_[decay(8.0, 0.5, 5), 9.0]
    cut = decay(8.0, 0.5, 2)
    lost = np.r_[8.0, NAN, NAN]
    made = comparison(
        runs(
            [blown, risen, cut, lost],
            status=[FAILED, Status.MAX_STEPS, Status.MAX_STEPS, FAILED],
        )
    )
    close(profiles.costs(made, "steps", 0.1).values, np.full((1, 4, 1), INF))


def test_a_start_without_a_value_has_no_target():
    made = comparison(runs([[NAN, NAN]], status=[FAILED]))
    for measure in ("steps", "gradient_equivalents"):
        close(profiles.costs(made, measure, 0.1).values, [[[INF]]])


def test_the_floor_of_rounding_counts_as_reached():
    values = (1.0 + np.array([1.0, 1e-3, 1e-7])).astype(np.float32)
    run = replace(runs([values]), value=values[:, None])
    made = comparison(run, minimum={"bowl": 1.0})
    # Seven digits is all that a 32-bit float has: 1 + 1e-7 lies one rounding above 1.
    smallest = profiles.rounding(made, "bowl")
    close(smallest, np.finfo(np.float32).eps)
    close(profiles.costs(made, "steps", 1e-12).values, [[[2.0]]])
    close(smallest, series.rounding(made, "bowl"))


def test_what_was_not_run_or_not_measured_is_neither_solved_nor_failed():
    a = runs([decay(8.0, 0.5, 9)] * 2, optimizer="a", seeds=[0, 1])
    b = runs([decay(8.0, 0.5, 9)], optimizer="b", seeds=[1], seconds=NAN)
    c = runs([decay(8.0, 0.5, 9)], optimizer="c", seeds=[0], problem="other")
    made = comparison(a, b, c, minimum={"bowl": 0.0, "other": 0.0})
    steps = profiles.costs(made, "steps", 0.1)
    close(steps.values, [[[4, NAN, NAN], [4, 4, NAN]], [[NAN, NAN, 4], [NAN] * 3]])
    seconds = profiles.costs(made, "seconds", 1e-9).values
    close(seconds[0], [[INF, NAN, NAN], [INF, NAN, NAN]])


def test_tuning_runs_do_not_count():
    tuning = runs([decay(8.0, 0.1, 9)], phase="tuning", seeds=[100])
    made = comparison(tuning, runs([decay(8.0, 0.5, 9)], seeds=[0]))
    assert profiles.costs(made, "steps", 0.1).seeds == (0,)


def test_costs_agree_with_the_tables_of_the_report():
    made = race()
    for accuracy in (1e-1, 1e-5):
        spent = profiles.costs(made, "gradient_equivalents", accuracy)
        times = profiles.time_to_target(made, accuracies=[accuracy])
        for place, row in enumerate(tables.summary(made, accuracy=accuracy)):
            assert np.isfinite(spent.values[0, :, place]).sum() == row.reached
            close(times.median[0, 0, place], row.work)


# Performance profiles


def test_a_performance_profile_by_hand():
    found = profiles.performance_profile(table(BY_HAND))
    close(found.x, [1, 2, 4])
    close(found.share, [[0.5, 0.75, 0.75], [0.5, 0.75, 0.75], [0, 0.25, 0.5]])
    assert found.pairs == 4
    assert found.left_out == 0


def test_a_profile_is_a_step_function_continuous_from_the_right():
    found = profiles.performance_profile(table(BY_HAND))
    close(
        found.at(np.array([0.9, 1.0, 1.99, 2.0, 3.9, 4.0, INF]))[2],
        [
            0,
            0,
            0,
            0.25,
            0.25,
            0.5,
            0.5,
        ],
    )
    assert found.at(2.0).shape == (3,)


def test_subsets_are_profiled_as_if_the_others_had_never_run():
    # Of b and c alone the least are 2, 2, 3: the ratios of c are 2, inf and 2.
    found = profiles.performance_profile(table(BY_HAND), subset=["c", "b"])
    assert found.optimizers == ("c", "b")
    close(found.x, [1, 2])
    close(found.share, [[0, 0.5], [0.75, 0.75]])


def test_profiles_follow_their_definition_on_random_costs():
    random = np.random.default_rng(0)
    values = np.where(
        random.random((20, 3, 4)) < 0.2, INF, random.integers(1, 30, (20, 3, 4))
    )
    made = table(values.reshape(60, 4), "abcd", seeds=3)
    performance = profiles.performance_profile(made)
    data = profiles.data_profile(made)
    for alpha in (1.0, 1.5, 2.0, 7.0, 1e9):
        for s in range(4):
            good = total = within = 0
            for row in values.reshape(60, 4):
                total += 1
                least = min(row)
                good += least < INF and row[s] <= alpha * least * (1 + 1e-12)
                within += row[s] <= alpha
            close(performance.at(alpha)[s], good / total)
            close(data.at(alpha)[s], within / total)


def test_a_single_optimizer_is_always_the_best_where_it_succeeds():
    found = profiles.performance_profile(table([[5], [9], [INF], [1]]))
    close(found.x, [1])
    close(found.share, [[0.75]])
    assert found.leaders(1.0) == ("a",)
    assert profiles.pairwise_profiles(table([[5], [9]])) == {}
    assert profiles.ranking_warnings(table([[5], [9]])) == ()


def test_ties_share_the_lead():
    found = profiles.performance_profile(table([[3, 3, 4], [2, 2, 2]]))
    close(found.at(1.0), [1, 1, 0.5])
    assert found.leaders(1.0) == ("a", "b")


def test_who_pays_nothing_is_the_best_and_who_pays_is_infinitely_worse():
    found = profiles.performance_profile(table([[0, 0, 5]]))
    close(found.share, [[1], [1], [0]])
    close(found.at(INF), [1, 1, 0])


def test_a_target_that_nothing_reaches_leaves_level_lines_at_zero():
    lost = table(np.full((4, 3), INF))
    for profile in (profiles.performance_profile, profiles.data_profile):
        found = profile(lost, resamples=50)
        close(found.share, np.zeros((3, 1)))
        close(found.high, np.zeros((3, 1)))
        assert found.leaders(10.0) == ()
    odds = profiles.wins(lost)
    assert np.isnan(odds.probability).all()
    assert odds.both_failed[0, 1] == 4
    assert odds.decided[0, 1] == 0
    assert profiles.ranking_warnings(lost) == ()


def test_pairs_that_somebody_did_not_run_count_for_nobody():
    rows = [[1, 2, 4], [NAN, 1, 5], [2, 1, NAN], [NAN, NAN, NAN]]
    found = profiles.performance_profile(table(rows))
    close(found.share, [[1, 1, 1], [0, 1, 1], [0, 0, 1]])
    assert (found.pairs, found.left_out) == (1, 2)
    two = profiles.performance_profile(table(rows), subset=["b", "c"])
    assert (two.pairs, two.left_out) == (2, 1)


def test_without_a_common_pair_there_is_no_share():
    found = profiles.performance_profile(table([[1, NAN], [NAN, 2]]), resamples=10)
    assert np.isnan(found.share).all()
    assert np.isnan(found.at(0.5)).all()
    assert np.isnan(found.low).all()
    assert found.leaders(1.0) == ()
    assert (found.pairs, found.left_out) == (0, 2)


def test_pairwise_profiles_are_those_of_two_alone():
    made = table(BY_HAND)
    found = profiles.pairwise_profiles(made)
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    # Of a and c alone the least are 1, 4 and 3.
    close(found["a", "c"].at(1.0), [0.75, 0])
    close(found["a", "c"].at(4.0), [0.75, 0.5])


# Data profiles


def test_a_data_profile_by_hand():
    found = profiles.data_profile(table(BY_HAND))
    close(found.x, [0, 1, 2, 3, 4, 6])
    close(found.share[0], [0, 0.25, 0.25, 0.5, 0.75, 0.75])
    close(found.share[1], [0, 0, 0.5, 0.75, 0.75, 0.75])
    close(found.share[2], [0, 0, 0, 0, 0.25, 0.5])


def test_a_data_profile_does_not_depend_on_who_else_takes_part():
    whole = profiles.data_profile(table(TURNING))
    alone = profiles.data_profile(table(TURNING), subset=["b"])
    x = np.linspace(0, 12, 50)
    close(whole.at(x)[1], alone.at(x)[0])


# Gould and Scott


def test_an_order_that_a_third_optimizer_turns_around_is_warned_of():
    made = table(TURNING)
    whole = profiles.performance_profile(made)
    alone = profiles.pairwise_profiles(made)["a", "b"]
    close(whole.at(2.0), [0.6, 0.4, 1.0])
    close(alone.at(2.0), [0.6, 1.0])
    said = profiles.ranking_warnings(made)
    assert said == (
        "The order of a and b depends on who else takes part: within 1.9 times the "
        "least cost of all, a solves 60% of the runs and b 40%; within 1.9 times the "
        "least of these two alone, a solves 60% and b 100%.",
        "Within 2 times the least cost a comes second, but without c b leads.",
    )
    assert profiles.ranking_warnings(made, subset=["a", "b"]) == ()


def test_every_reversal_is_found_and_nothing_else_is():
    random = np.random.default_rng(3)
    seen = set()
    for _ in range(40):
        made = table(random.integers(1, 9, (6, 3)))
        warned = {
            tuple(sorted((s.split()[3], s.split()[5])))
            for s in profiles.ranking_warnings(made, margin=0.0)
            if s.startswith("The order of")
        }
        whole = profiles.performance_profile(made)
        expected = set()
        for (a, b), alone in profiles.pairwise_profiles(made).items():
            x = np.linspace(1, 9, 500)
            x = np.concatenate([x, whole.x, alone.x])
            i, j = "abc".index(a), "abc".index(b)
            ahead = whole.at(x)[i] - whole.at(x)[j]
            apart = alone.at(x)[0] - alone.at(x)[1]
            if (ahead * apart < 0).any():
                expected.add((a, b))
        assert warned == expected
        seen.add(len(expected))
    assert {0, 1} <= seen


def test_an_order_that_holds_is_not_warned_of():
    made = table([[1, 2, 4], [1, 3, 9], [2, 3, 5], [1, 1.5, 8]])
    assert profiles.ranking_warnings(made) == ()


def test_a_leader_that_hangs_on_one_problem_is_warned_of():
    # Three runs against two, and all of the third problem's are lost: without p1 the
    # one run that a has left stands against two of b.
    rows = [[1, 9], [1, 9], [1, 9], [9, 1], [9, 1], [INF, INF]]
    (said,) = profiles.ranking_warnings(table(rows, seeds=2))
    assert said == (
        "Within 2 times the least cost a leads, but without the problem p1 b leads."
    )


def test_a_leader_that_falls_level_still_leads():
    made = table([[1, 9], [1, 9], [9, 1], [9, 1], [1, 9]])
    assert profiles.performance_profile(made).leaders(2.0) == ("a",)
    assert profiles.performance_profile(made.without("p1")).leaders(2.0) == ("a", "b")
    assert profiles.ranking_warnings(made) == ()


def test_whoever_leads_when_the_leader_goes_should_have_been_second():
    # b comes second with c in the race; without a, c is ahead of b.
    rows = [[1, 1.9, 3.5], [1, 1.9, 3.5], [1, 1.9, 2.1], [1, 9, 2], [1, 9, 2]]
    made = table(rows)
    close(profiles.performance_profile(made).at(2.0), [1, 0.6, 0.4])
    close(profiles.performance_profile(made, subset=["b", "c"]).at(2.0), [0.6, 1.0])
    said = profiles.ranking_warnings(made)
    assert (
        "Within 2 times the least cost b comes second, but without a c leads."
    ) in said


# Odds


def test_odds_by_hand():
    rows = [[1, 2], [2, 2], [3, INF], [INF, INF], [5, 4], [NAN, 1]]
    found = profiles.wins(table(rows))
    # Of four decided pairs a wins two, one is level, b wins one.
    close(found.probability, [[NAN, 2.5 / 4], [1.5 / 4, NAN]])
    assert found.decided[0, 1] == found.decided[1, 0] == 4
    assert found.both_failed[0, 1] == 1
    assert found.low[0, 1] <= 2.5 / 4 <= found.high[0, 1]
    close(found.low[1, 0], 1 - found.high[0, 1])


def test_odds_agree_with_the_mann_whitney_count_of_every_pair():
    random = np.random.default_rng(1)
    made = table(random.integers(1, 6, (30, 4)), "abcd")
    found = profiles.wins(made)
    for i, j in itertools.permutations(range(4), 2):
        x, y = made.values[:, 0, i], made.values[:, 0, j]
        score = sum(1.0 if a < b else 0.5 if a == b else 0.0 for a, b in zip(x, y))
        close(found.probability[i, j], score / 30)


# Bands


def test_bands_of_two_problems_are_those_of_all_their_resamples():
    # a solves one of two problems; drawn anew, none, one or both: 1/4, 1/2, 1/4.
    made = table([[1, INF], [INF, 1]])
    wide = profiles.performance_profile(made, resamples=4000, level=0.6)
    close(np.stack([wide.low[0], wide.high[0]]), [[0.0], [1.0]])
    narrow = profiles.performance_profile(made, resamples=4000, level=0.4)
    close(np.stack([narrow.low[0], narrow.high[0]]), [[0.5], [0.5]])


def test_resamples_are_paired():
    # Whatever is drawn, a and b solve the same, and c what they don't.
    made = table([[1, 1, INF], [2, 2, INF], [INF, INF, 1], [INF, INF, 3]])
    found = profiles.performance_profile(made, resamples=300)
    close(found.low[0], found.low[1])
    close(found.low[2], 1 - found.high[0])


def test_seeds_are_drawn_within_problems():
    # Every problem is solved from one of its two seeds: without a spread between
    # problems, the share still varies by the seeds.
    made = table([[1], [INF]] * 4, seeds=2)
    found = profiles.performance_profile(made, resamples=4000, level=0.9)
    # Eight draws of one half each: quantiles of a binomial distribution.
    ends = scipy.stats.binom.ppf([0.05, 0.95], 8, 0.5) / 8
    close(np.array([found.low[0, 0], found.high[0, 0]]), ends)
    # All seeds of a problem alike: then only the draw of problems matters.
    alike = table([[1], [1], [INF], [INF]], seeds=2)
    found = profiles.performance_profile(alike, resamples=4000, level=0.4)
    close(np.array([found.low[0, 0], found.high[0, 0]]), [0.5, 0.5])


def test_bands_hold_the_shares_and_repeat_with_their_key():
    made = profiles.costs(race(), accuracy=1e-3)
    first = profiles.performance_profile(made, resamples=200, key=7)
    again = profiles.performance_profile(made, resamples=200, key=7)
    other = profiles.performance_profile(made, resamples=200, key=8)
    assert np.array_equal(first.low, again.low)
    assert not np.array_equal(first.low, other.low)
    assert (first.low <= first.share + 1e-12).all()
    assert (first.share <= first.high + 1e-12).all()
    assert first.share.shape == first.low.shape == (len(SPEEDS), first.x.size)


def test_without_resamples_there_are_no_bands():
    found = profiles.performance_profile(table(BY_HAND))
    assert found.low is None
    assert found.high is None


# Success and times


@pytest.mark.parametrize(("k", "n"), [(0, 10), (8, 10), (10, 10), (1, 1), (3, 50)])
@pytest.mark.parametrize("level", [0.9, 0.95])
def test_wilsons_interval_is_that_of_scipy(k, n, level):
    low, high = profiles.wilson(np.array(k), np.array(n), level)
    test = scipy.stats.binomtest(k, n)
    expected = test.proportion_ci(level, method="wilson")
    close(np.array([low, high]), np.array([expected.low, expected.high]))


def test_success_counts_runs_at_each_target():
    a = runs(
        [decay(1.0, 0.5, 12), decay(1.0, 0.5, 4), [1.0, INF]],
        optimizer="a",
        status=[Status.CONVERGED, Status.MAX_STEPS, FAILED],
    )
    b = runs([decay(1.0, 0.5, 12)], optimizer="b", problem="other")
    made = comparison(a, b, minimum={"bowl": 0.0, "other": 0.0})
    found = profiles.success(made, [1e-1, 1e-3, 1e-7])
    assert found.reached.tolist() == [[2, 1], [1, 1], [0, 0]]
    assert found.runs.tolist() == [3, 1]
    close(found.rate, [[2 / 3, 1], [1 / 3, 1], [0, 0]])
    assert (found.low <= found.rate).all()
    assert (found.rate <= found.high).all()
    only = profiles.success(made, [1e-1], subset=["b"])
    assert only.optimizers == ("b",)
    assert only.reached.tolist() == [[1]]


def test_times_are_medians_in_which_failures_are_infinite():
    values = [decay(1.0, rate, 9) for rate in (0.1, 0.3, 0.999)]
    a = runs(values, optimizer="a", status=[Status.MAX_STEPS] * 3)
    b = runs(values[1:], optimizer="b", status=[Status.MAX_STEPS] * 2, seeds=[1, 2])
    found = profiles.time_to_target(comparison(a, b), "steps", [0.5, 1e-30])
    close(found.median[0], [[1.0, INF]])
    close(found.low[0], [[1.0, INF]])
    close(found.high[0], [[INF, INF]])
    assert found.reached[0].tolist() == [[2, 1]]
    assert found.runs[0].tolist() == [[3, 2]]
    close(found.median[1], [[INF, INF]])


def test_times_of_what_did_not_run_are_missing():
    a = runs([decay(1.0, 0.1, 9)], optimizer="a")
    b = runs([decay(1.0, 0.1, 9)], optimizer="b", problem="other")
    found = profiles.time_to_target(comparison(a, b), "steps", [0.5])
    close(found.median[0], [[1.0, NAN], [NAN, 1.0]])
    assert found.runs[0].tolist() == [[1, 0], [0, 1]]


# Bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: profiles.costs(c, "hours"), "unknown measure 'hours'; there are 's"),
        (lambda c: profiles.costs(c, "steps", 0.0), "`accuracy` must be finite and p"),
        (lambda c: profiles.costs(c, "steps", NAN), "`accuracy` must be finite and p"),
        (lambda c: profiles.success(c, []), "`accuracies` is empty"),
        (lambda c: profiles.success(c, [-1.0]), "`accuracy` must be finite and posit"),
        (lambda c: profiles.success(c, level=1.0), "`level` must be between 0 and 1"),
        (lambda c: profiles.success(c, subset=["sdg"]), "'sdg'; there are 'sgd'"),
    ],
)
def test_bad_questions_of_a_comparison_are_refused(call, message, unchecked):
    made = comparison(runs([decay(8.0, 0.5, 9)]))
    with pytest.raises(ValueError, match=message):
        call(made)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"subset": ["a", "z"]}, "unknown optimizer in `subset` 'z'; there are 'a', "),
        ({"subset": []}, "`subset` is empty"),
        ({"subset": ["a", "a"]}, "`optimizers` holds an entry twice"),
        ({"level": 0.0}, "`level` must be finite and positive"),
        ({"level": 1.5}, "`level` must be between 0 and 1"),
        ({"resamples": -1}, "`resamples` must be at least 0"),
        ({"resamples": 5, "key": -1}, "`key` must be at least 0"),
    ],
)
@pytest.mark.parametrize(
    "function", ["performance_profile", "data_profile", "pairwise_profiles", "wins"]
)
def test_bad_options_are_refused(function, options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        getattr(profiles, function)(table(BY_HAND), **options)


def test_one_text_is_not_several_names(unchecked):
    with pytest.raises(TypeError, match=r"write \['abc'\]"):
        profiles.performance_profile(table(BY_HAND), subset="abc")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"alpha": 0.5}, "`alpha` must be at least 1"),
        ({"margin": -0.1}, "`margin` must be finite and zero or more"),
        ({"subset": ["q"]}, "there are 'a', 'b', 'c'"),
    ],
)
def test_bad_options_of_the_warnings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        profiles.ranking_warnings(table(BY_HAND), **options)


def test_costs_put_together_wrongly_are_refused():
    with pytest.raises(ValueError, match=r"must have shape \(4, 1, 3\)"):
        replace(table(BY_HAND), values=np.ones((3, 4)))
    with pytest.raises(ValueError, match="zero or more"):
        table([[1, -2, 3]])
    with pytest.raises(ValueError, match="`optimizers` holds an entry twice"):
        table([[1, 2]], optimizers="aa")
    with pytest.raises(ValueError, match="unknown problem 'p9'"):
        table(BY_HAND).without("p9")


def test_two_runs_from_one_seed_are_refused():
    once = runs([decay(8.0, 0.5, 9)])
    for records in (
        (once, once),
        (runs([decay(8.0, 0.5, 9)] * 2, seeds=[3, 3]),),
    ):
        with pytest.raises(ValueError, match="sgd has two evaluation runs from one"):
            profiles.costs(comparison(*records), "steps", 0.1)
