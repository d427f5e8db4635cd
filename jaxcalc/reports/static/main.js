// The parts of the page that answer: controls, legends, tables of shares, the theme.

const controls = document.getElementById("controls");

function wireControls() {
  const field = (name) => controls.elements[name];
  for (const option of field("x").options) option.disabled = !measured(option.value);
  field("accuracy").value = String(state.accuracy);
  controls.addEventListener("submit", (event) => event.preventDefault());
  controls.addEventListener("change", () =>
    change({
      x: field("x").value,
      y: field("y").value,
      logX: field("log-x").checked,
      logY: field("log-y").checked,
      runs: field("runs").checked,
      accuracy: Number(field("accuracy").value),
    }),
  );
  field("all").addEventListener("click", () => change({ hidden: new Set() }));
  controls.hidden = false;
}

function wireLegends() {
  for (const entry of document.querySelectorAll(".legend li")) {
    const o = Number(entry.dataset.place);
    const button = make("button", { type: "button", "aria-pressed": "true" }, ...entry.childNodes);
    button.addEventListener("click", () => {
      const hidden = new Set(state.hidden);
      if (!hidden.delete(o)) hidden.add(o);
      change({ hidden });
    });
    entry.append(button);
  }
}

function markLegends() {
  for (const entry of document.querySelectorAll(".legend li")) {
    const on = !state.hidden.has(Number(entry.dataset.place));
    entry.firstElementChild.setAttribute("aria-pressed", String(on));
  }
  const field = controls.elements.all;
  field.disabled = state.hidden.size === 0;
  field.textContent = state.hidden.size ? `Show all (${state.hidden.size} hidden)` : "All are shown";
}

// Limits at which shares are told: round multiples, or round budgets.
function limits(found) {
  if (found.kind === "performance") return [1, 2, 5, 10, 100, Infinity];
  const last = found.x.at(-1);
  const first = found.x.find((x) => x > 0) ?? 1;
  const low = Math.floor(Math.log10(first)) + 1;
  const powers = [];
  for (let k = low; 10 ** k < last && powers.length < 6; k += 1) powers.push(10 ** k);
  return [...powers, Infinity];
}

function tellShares() {
  const values = spent(data.costs, state.x, state.accuracy);
  for (const kind of ["performance", "data"]) {
    const box = document.getElementById(`shares-${kind}`);
    if (!box) continue;
    const found = profile(kind, values, shown());
    const at = limits(found);
    const unit = (x) => (kind === "performance" ? `within ${number(x)}×` : state.x === "seconds" ? duration(x) : number(x));
    const head = make("tr", {}, make("th", { scope: "col" }, "optimizer"), ...at.map((x) => make("th", { scope: "col" }, x === Infinity ? "in the end" : unit(x))));
    const rows = found.chosen.map((o, k) => {
      const cells = at.map((x) => {
        const share = shareAt(found.columns[k], x === Infinity ? Number.MAX_VALUE : x);
        return make("td", {}, make("data", { value: String(share) }, percent(share)));
      });
      return make("tr", {}, make("th", { scope: "row" }, data.optimizers[o].name), ...cells);
    });
    const words = `Shares of ${found.pairs} runs, ${MEASURES[state.x]}, gap down to ${number(data.costs.accuracies[state.accuracy])} of its start` + (found.leftOut ? `; ${found.leftOut} that not all of these made are left out.` : ".");
    const table = make("table", {}, make("caption", {}, make("span", {}, words)), make("thead", {}, head), make("tbody", {}, ...rows));
    box.replaceChildren(table);
  }
  warn(values);
}

// Hiding one optimizer may turn the order of two others around: that is said.
function warn(values) {
  const line = document.getElementById("turned");
  if (!line) return;
  const found = turned(values, everybody, shown());
  const name = (o) => data.optimizers[o].name;
  const told = found.slice(0, 3).map(({ a, b, limit, before, after }) => {
    const [first, second] = after > 0 ? [a, b] : [b, a];
    return `${name(first)} is now ahead of ${name(second)} within ${number(limit)} times the least cost, by ${percent(Math.abs(after))}; with all optimizers it was behind by ${percent(Math.abs(before))}.`;
  });
  const more = found.length > 3 ? ` So it is with ${found.length - 3} more pairs.` : "";
  line.hidden = !found.length;
  line.textContent = found.length ? `Careful: hiding optimizers has changed the ranking of others. ${told.join(" ")}${more}` : "";
}

function describeState() {
  const box = document.getElementById("now");
  if (!box) return;
  const off = [...state.hidden].map((o) => data.optimizers[o].name);
  const target = (place) => number(data.costs.accuracies[place]);
  const same = !off.length && state.x === "work" && state.accuracy === data.accuracy;
  const words = same
    ? ""
    : `Drawn now: ${MEASURES[state.x]}, down to ${target(state.accuracy)} of the starting gap${off.length ? `, without ${listed(off)}` : ""}. The sentences under the figures are about all optimizers, in ${MEASURES.work}, down to ${target(data.accuracy)}.`;
  if (box.textContent !== words) box.textContent = words;
}

// Pictures know both themes and follow the system; a theme that was chosen goes first.
function themePictures() {
  const chosen = document.documentElement.dataset.theme;
  const query = { dark: "min-width:0", light: "not all" }[chosen];
  for (const image of document.querySelectorAll("img[src^='data:']")) {
    image.dataset.source ??= image.src;
    const query0 = "(prefers-color-scheme:dark)";
    const other = query === "not all" ? "(max-width:0)" : `(${query})`;
    const source = query ? image.dataset.source.replace(query0, other) : image.dataset.source;
    if (image.src !== source) image.src = source;
  }
}

function wireTheme() {
  const button = document.getElementById("theme");
  const label = () => (button.textContent = isDark() ? "Light theme" : "Dark theme");
  button.addEventListener("click", () => {
    const chosen = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    try {
      localStorage.setItem("jaxcalc-theme", chosen);
    } catch {
      // Without storage the theme lasts as long as the page.
    }
    label();
    themePictures();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    label();
    redraw();
  });
  button.hidden = false;
  label();
  if (document.documentElement.dataset.theme) themePictures();
}

wireTheme();
wireControls();
wireLegends();
document.querySelectorAll("table.sortable").forEach((table) => {
  sortable(table);
  if (table.tBodies[0].rows.length > 5) filterable(table);
});
onChange(markLegends);
onChange(hideRows);
onChange(tellShares);
onChange(describeState);
onChange(redraw);
markLegends();
tellShares();
describeState();
document.documentElement.dataset.ready = "yes";
watch();
// The script that draws comes when the page stands, or when a figure is in view.
addEventListener("load", () => setTimeout(load, 500));
