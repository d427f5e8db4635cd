// Profiles of the optimizers that are shown, by the definitions of
// jaxcalc.comparison.profiles: costs are [problem][seed][optimizer], NaN where there
// was no run and Infinity where it failed.

// What each run spent in a measure: steps and work were stored, the rest are multiples.
function spent(costs, measure, accuracy) {
  const counted = measure === "steps" || measure === "seconds" ? costs.steps : costs.work;
  const unit = measure === "seconds" ? costs.seconds : measure === "flops" ? costs.flops : null;
  return counted[accuracy].map((seeds, p) =>
    seeds.map((row) =>
      row.map((cost, o) => {
        const factor = unit === null ? 1 : unit[p][o];
        if (cost === null || factor === null) return NaN;
        return cost === -1 ? Infinity : cost * factor;
      }),
    ),
  );
}

// Rows of the chosen optimizers that all of them ran, and how many were left out.
function common(values, chosen) {
  const all = values.flat().map((row) => chosen.map((o) => row[o]));
  const whole = all.filter((row) => !row.some(Number.isNaN));
  const any = all.filter((row) => !row.every(Number.isNaN));
  return { rows: whole, leftOut: any.length - whole.length };
}

// Costs as multiples of the least of their row.
function ratios(rows) {
  return rows.map((row) => {
    const least = Math.min(...row);
    return row.map((cost) => {
      if (!Number.isFinite(cost)) return Infinity;
      if (cost === least) return 1;
      return least > 0 ? cost / least : Infinity;
    });
  });
}

function ascending(values) {
  return [...new Set(values)].sort((a, b) => a - b);
}

// The share of a sorted column at or below a limit.
function shareAt(column, limit) {
  if (!column.length) return NaN;
  let [low, high] = [0, column.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (column[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low / column.length;
}

// A profile: where shares jump, and each chosen optimizer's share there.
function profile(kind, values, chosen) {
  const { rows, leftOut } = common(values, chosen);
  const limits = kind === "performance" ? ratios(rows) : rows;
  const columns = chosen.map((_, k) => limits.map((row) => row[k]).sort((a, b) => a - b));
  const first = kind === "performance" ? 1 : 0;
  const x = ascending([first, ...limits.flat().filter(Number.isFinite)]);
  const share = columns.map((column) => x.map((limit) => shareAt(column, limit)));
  return { kind, x, share, columns, chosen, pairs: rows.length, leftOut };
}

// Pairs whose order in the profile of the chosen is not that in the profile of all: by
// more than the margin in both, somewhere (Gould and Scott 2016).
function turned(values, all, chosen, margin = 0.05) {
  if (chosen.length < 2 || chosen.length === all.length) return [];
  const [whole, part] = [all, chosen].map((set) => profile("performance", values, set));
  const x = ascending([...whole.x, ...part.x]);
  const at = (one, o, limit) => shareAt(one.columns[one.chosen.indexOf(o)], limit);
  const found = [];
  chosen.forEach((a, k) =>
    chosen.slice(k + 1).forEach((b) => {
      let worst = { size: margin };
      for (const limit of x) {
        const before = at(whole, a, limit) - at(whole, b, limit);
        const after = at(part, a, limit) - at(part, b, limit);
        const size = before * after < 0 ? Math.min(Math.abs(before), Math.abs(after)) : 0;
        if (size > worst.size + 1e-12) worst = { size, limit, before, after, a, b };
      }
      if (worst.limit !== undefined) found.push(worst);
    }),
  );
  return found.sort((one, other) => other.size - one.size);
}
