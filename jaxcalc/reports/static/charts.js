// Figures to zoom in, drawn by Plotly when they come into view; until then, and without
// Plotly, the pictures stay.

const figures = [...document.querySelectorAll("figure[data-chart]")].map((figure) => ({
  figure,
  kind: figure.dataset.chart,
  place: Number(figure.dataset.problem),
  near: false,
  drawn: false,
}));

function ink() {
  return getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
}

function paint(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis(title, type, more = {}) {
  return {
    title: { text: plain(title), standoff: 8 }, type, gridcolor: paint("--line"), linecolor: paint("--muted"),
    zeroline: false, ticks: "outside", tickcolor: paint("--muted"), automargin: true,
    exponentformat: "power", ...(type === "log" ? { dtick: undefined, minor: { ticks: "outside", ticklen: 2 } } : {}), ...more,
  };
}

function quantity(place) {
  if (state.y === "gap") return data.problems[place].gap;
  return state.y === "value" ? "loss" : "largest gradient entry";
}

// Traces and axes of one figure.
function described(one) {
  const scale = (log) => (log ? "log" : "linear");
  if (one.kind === "convergence") {
    return {
      traces: convergence(one.place),
      xaxis: axis(MEASURES[state.x], scale(state.logX), state.logX ? {} : { rangemode: "tozero" }),
      yaxis: axis(quantity(one.place), scale(state.logY && state.y !== "value")),
    };
  }
  if (one.kind === "rates") {
    return { traces: rates(one.place), xaxis: axis("learning rate", "log"), yaxis: axis(`final ${data.problems[one.place].gap}`, "log") };
  }
  const found = profile(one.kind, spent(data.costs, state.x, state.accuracy), shown());
  const least = `${MEASURES[state.x]}, as a multiple of the least`;
  return {
    traces: found.pairs ? steps(found) : [],
    xaxis: one.kind === "performance" ? axis(least, "log") : axis(MEASURES[state.x], scale(state.logX)),
    yaxis: axis("share of runs solved", "linear", { range: [-0.02, 1.04], tickformat: ".0%" }),
  };
}

function layout({ xaxis, yaxis, traces }, one) {
  const touch = matchMedia("(pointer: coarse)").matches;
  return {
    xaxis, yaxis, showlegend: false, hovermode: "closest", dragmode: touch ? false : "zoom",
    margin: { l: 60, r: 12, t: 8, b: 48 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: paint("--ink") },
    hoverlabel: { bgcolor: paint("--raised"), bordercolor: paint("--muted"), font: { color: paint("--ink") }, align: "left", namelength: -1 },
    // Zoom stays while lines come and go, and goes when the axes are others.
    uirevision: `${one.kind}|${state.x}|${state.y}|${state.logX}|${state.logY}`,
    annotations: traces.length ? [] : [{ text: "There is nothing to show here.", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }],
  };
}

const CONFIG = { displaylogo: false, responsive: true, displayModeBar: false, scrollZoom: false, doubleClick: "reset" };

function scaled(one, factor, shift = 0) {
  const changes = {};
  for (const name of shift ? ["xaxis"] : ["xaxis", "yaxis"]) {
    const [low, high] = one.canvas.layout[name].range;
    const [middle, half] = [(low + high) / 2 + shift * (high - low), ((high - low) / 2) * factor];
    changes[`${name}.range`] = [middle - half, middle + half];
  }
  Plotly.relayout(one.canvas, changes);
}

const ACTIONS = {
  "+": (one) => scaled(one, 1 / 1.5),
  "-": (one) => scaled(one, 1.5),
  ArrowLeft: (one) => scaled(one, 1, -0.2),
  ArrowRight: (one) => scaled(one, 1, 0.2),
  0: (one) => Plotly.relayout(one.canvas, { "xaxis.autorange": true, ...(one.kind === "performance" || one.kind === "data" ? { "yaxis.range": [-0.02, 1.04] } : { "yaxis.autorange": true }) }),
};

function prepare(one) {
  const title = one.figure.dataset.title;
  const button = (text, label, key) => {
    const made = make("button", { type: "button", "aria-label": `${label}: ${title}` }, text);
    made.addEventListener("click", () => ACTIONS[key](one));
    return made;
  };
  one.canvas = make("div", {
    class: "canvas", tabindex: "0", role: "img",
    "aria-label": `${title}, to zoom: plus and minus, left and right, zero for all. The numbers are in the tables.`,
  });
  one.canvas.addEventListener("keydown", (event) => {
    const action = ACTIONS[event.key === "=" ? "+" : event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action(one);
  });
  const bar = make("div", { class: "zoom" }, button("+", "Zoom in", "+"), button("−", "Zoom out", "-"), button("All", "Show all", "0"));
  one.figure.querySelector(".live").append(bar, one.canvas);
}

function draw(one) {
  if (!window.Plotly) return;
  if (!one.canvas) {
    prepare(one);
    one.figure.classList.add("is-live");
  }
  const what = described(one);
  Plotly.react(one.canvas, what.traces, layout(what, one), CONFIG);
  one.drawn = true;
}

function redraw() {
  for (const one of figures) {
    one.drawn = false;
    if (one.near) draw(one);
  }
}

// The script is large: it is asked for when the page can be read already.
let asked = false;
function load() {
  if (asked || !element.dataset.bundle) return;
  asked = true;
  const script = make("script", { src: element.dataset.bundle });
  script.addEventListener("load", () => figures.filter((one) => one.near).forEach(draw));
  script.addEventListener("error", () => {
    document.getElementById("still").hidden = false;
    document.querySelectorAll(".only-live").forEach((part) => (part.hidden = true));
  });
  document.head.append(script);
}

function watch() {
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const one = figures.find((other) => other.figure === entry.target);
        one.near = entry.isIntersecting;
        if (!one.near) continue;
        load();
        if (!one.drawn) draw(one);
      }
    },
    { rootMargin: "300px" },
  );
  figures.forEach((one) => seen.observe(one.figure));
}
