// Lines for Plotly: convergence, learning rates, profiles.

// Where the points of a curve lie along the axis that is chosen.
function along(one, steps, work, line, measure) {
  if (measure === "steps") return steps;
  if (measure === "seconds") return steps.map((k) => k * one.seconds);
  const counted = work ?? steps.map((k) => line[0] + line[1] * k);
  return measure === "flops" ? counted.map((w) => w * one.flops) : counted;
}

// A logarithm has no place for zero: what is there moves half below the least of the rest.
function offZero(lists) {
  let least = Infinity;
  for (const list of lists) for (const x of list) if (x > 0 && x < least) least = x;
  const edge = Number.isFinite(least) ? least / 2 : 1;
  return (list) => list.map((x) => (x > 0 ? x : edge));
}

// Heights as they are drawn: never below the rounding, where a logarithm can't go.
function heights(values, problem) {
  if (state.y === "value") {
    return values.map((gap) => (gap === null ? null : gap + (problem.reference ?? 0)));
  }
  const floor = problem.floors[state.y === "gap" ? 0 : 1];
  return values.map((v) => (v === null ? null : state.logY ? Math.max(v, floor) : v));
}

function look(o) {
  const { dash, symbol } = data.optimizers[o];
  return {
    line: { color: colour(o), width: 2, dash: dash.length ? dash.map((d) => `${d}px`).join(",") : "solid" },
    marker: { color: colour(o), symbol, size: 7, maxdisplayed: 6 },
  };
}

function faded(hex, alpha) {
  const part = (at) => parseInt(hex.slice(at, at + 2), 16);
  return `rgba(${part(1)},${part(3)},${part(5)},${alpha})`;
}

function convergence(place) {
  const problem = data.problems[place];
  const curves = data.curves.filter((one) => one.p === place && !state.hidden.has(one.o));
  const found = [];
  for (const curve of curves) {
    const unmeasured = (state.x === "seconds" || state.x === "flops") && curve[state.x] === null;
    if (unmeasured) continue;
    const other = curve.by_work && (state.x === "work" || state.x === "flops");
    const source = other ? curve.by_work : curve.steps;
    if (!source) continue;
    const x = along(curve, source.x, other ? source.x : null, curve.work, state.x);
    found.push({ curve, x, bands: source[state.y === "grad" ? "grad" : "gap"] });
  }
  const place0 = state.logX ? offZero(found.map((one) => one.x)) : (x) => x;
  const traces = found.flatMap((one) =>
    state.runs ? single(one.curve, problem, place0) : [...band(one, problem, place0), median(one, problem, place0)],
  );
  const ends = found.map((one) => ending(one, problem, place0)).filter(Boolean);
  return [...traces, ...(state.runs ? [] : ends)];
}

const SHAPE = () => (state.x === "steps" ? "linear" : "hv");

function hover(o) {
  const unit = state.x === "seconds" ? "%{customdata}" : `%{customdata} ${state.x === "work" ? "gradients" : state.x === "flops" ? "operations" : "steps"}`;
  return `<b>${plain(data.optimizers[o].name)}</b><br>%{y:.3e} after ${unit}<extra></extra>`;
}

function said(x) {
  return x.map((one) => (state.x === "seconds" ? duration(one) : number(one)));
}

function median({ curve, x, bands }, problem, place0) {
  const y = heights(bands[0], problem);
  return {
    ...look(curve.o),
    type: "scatter", mode: "lines+markers", name: plain(data.optimizers[curve.o].name),
    x: place0(x), y, customdata: said(x), hovertemplate: hover(curve.o),
    line: { ...look(curve.o).line, shape: SHAPE() },
  };
}

function band({ curve, x, bands }, problem, place0) {
  if (bands.length < 3) return [];
  const [low, high] = [heights(bands[1], problem), heights(bands[2], problem)];
  // Where a quarter of the runs has diverged the band has no upper edge: it ends there.
  const cut = low.findIndex((v, k) => v === null || high[k] === null);
  const end = cut < 0 ? x.length : cut;
  if (end < 2) return [];
  const at = place0(x).slice(0, end);
  const steps = SHAPE() === "hv";
  const stairs = (xs, ys) => (steps ? [xs.flatMap((v, k) => (k ? [v, v] : [v])), ys.flatMap((v, k) => (k + 1 < ys.length ? [v, v] : [v]))] : [xs, ys]);
  const [xa, above] = stairs(at, high.slice(0, end));
  const [xb, below] = stairs(at, low.slice(0, end));
  return [{
    type: "scatter", mode: "lines", fill: "toself", hoverinfo: "skip", line: { width: 0 },
    x: [...xa, ...xb.reverse()], y: [...above, ...below.reverse()], fillcolor: faded(colour(curve.o), 0.15),
  }];
}

// A cross where half of the runs have diverged.
function ending({ curve, x, bands }, problem, place0) {
  const last = bands[0].findLastIndex((v) => v !== null);
  if (last < 0 || last === bands[0].length - 1) return null;
  return {
    type: "scatter", mode: "markers", x: [place0(x)[last]], y: [heights(bands[0], problem)[last]],
    marker: { symbol: "x-thin", size: 11, line: { width: 2.5, color: colour(curve.o) } },
    hovertemplate: `<b>${plain(data.optimizers[curve.o].name)}</b><br>half of the runs have diverged<extra></extra>`,
  };
}

function single(curve, problem, place0) {
  const runs = data.runs.find((one) => one.p === curve.p && one.o === curve.o);
  return runs.lanes.map((lane) => {
    const x = along(curve, lane.k, lane.work ?? null, curve.work, state.x);
    return {
      type: "scatter", mode: "lines", x: place0(x), y: heights(lane[state.y === "grad" ? "grad" : "gap"], problem),
      line: { ...look(curve.o).line, width: 1, shape: SHAPE() }, opacity: 0.7, customdata: said(x),
      hovertemplate: hover(curve.o).replace("<br>", `, seed ${lane.seed}<br>`),
    };
  });
}

function rates(place) {
  const floor = data.problems[place].floors[0];
  const up = (list) => list.map((v) => (v === null ? null : Math.max(v, floor)));
  const mine = data.rates.filter((one) => one.p === place && !state.hidden.has(one.o));
  const tried = mine.flatMap((one) => one.tried);
  const tops = mine.flatMap((one) => up(one.gap[0])).filter((v) => v !== null);
  // A row for each optimizer with rates that diverge, above all that is drawn.
  const span = Math.max(floor, ...tops) / Math.min(floor, ...tops);
  const rows = mine.filter((one) => one.failed.some((share) => share > 0));
  const row = (one) => 4 * Math.max(floor, ...tops) * Math.max(span, 1e3) ** (0.03 * rows.indexOf(one));
  return mine.flatMap((one) => {
    const name = plain(data.optimizers[one.o].name);
    if (!one.tried.length) {
      const ends = [Math.min(...tried), Math.max(...tried)];
      const level = up(one.gap[0])[0];
      return [{ ...look(one.o), type: "scatter", mode: "lines", x: ends, y: [level, level], hovertemplate: `<b>${name}</b><br>%{y:.3e}, no learning rate<extra></extra>` }];
    }
    const bad = one.tried.filter((_, k) => one.failed[k] > 0);
    const marks = one.failed.filter((share) => share > 0).map((share) => (share >= 0.5 ? "x-thin" : "circle"));
    const chosen = one.tried.findIndex((r) => one.chosen !== null && Math.abs(r - one.chosen) < 1e-3 * r);
    const found = [
      { ...look(one.o), type: "scatter", mode: "lines+markers", x: one.tried, y: up(one.gap[0]), customdata: one.failed.map(percent), hovertemplate: `<b>${name}</b><br>%{y:.3e} at rate %{x:.3g}<br>%{customdata} diverged<extra></extra>` },
      { type: "scatter", mode: "markers", x: bad, y: bad.map(() => row(one)), marker: { symbol: marks, size: marks.map((m) => (m === "circle" ? 5 : 8)), color: colour(one.o), line: { width: 2, color: colour(one.o) } }, customdata: one.failed.filter((share) => share > 0).map(percent), hovertemplate: `<b>${name}</b><br>%{customdata} diverge at %{x:.3g}<extra></extra>` },
    ];
    if (chosen >= 0) found.push({ type: "scatter", mode: "markers", x: [one.tried[chosen]], y: [up(one.gap[0])[chosen]], hoverinfo: "skip", marker: { symbol: "circle-open", size: 15, color: ink(), line: { width: 1.5 } } });
    return found;
  });
}

// Each line has its own jumps only, and goes on to the end of the axis.
function steps(found) {
  const last = found.x.at(-1);
  const logX = found.kind === "performance" || state.logX;
  const end = Math.max(last * 1.1, found.kind === "performance" ? 2 : 0);
  const first = found.kind === "performance" ? 1 : logX ? Math.min(...found.x.filter((x) => x > 0), end) / 1.5 : 0;
  return found.chosen.map((o, k) => {
    const [x, y] = [[first], [shareAt(found.columns[k], first)]];
    for (const jump of ascending(found.columns[k].filter(Number.isFinite))) {
      if (jump > first) x.push(jump), y.push(shareAt(found.columns[k], jump));
    }
    x.push(end), y.push(y.at(-1));
    const unit = found.kind === "performance" ? " times the least" : ` ${MEASURES[state.x]}`;
    return {
      ...look(o), type: "scatter", mode: "lines+markers", x, y, name: plain(data.optimizers[o].name),
      line: { ...look(o).line, shape: "hv" }, customdata: x.map((v) => number(v)),
      hovertemplate: `<b>${plain(data.optimizers[o].name)}</b><br>%{y:.0%} of the runs within %{customdata}${unit}<extra></extra>`,
    };
  });
}
