// What is shown: one state for the whole page, and what draws from it.

const element = document.getElementById("data");
const data = JSON.parse(element.textContent);
const everybody = data.optimizers.map((_, k) => k);

const MEASURES = {
  work: "work (gradient evaluations)",
  steps: "steps",
  flops: "floating-point operations",
  seconds: "seconds of one run",
};

const state = {
  x: "work",
  y: "gap",
  logX: false,
  logY: true,
  runs: false,
  accuracy: data.accuracy,
  hidden: new Set(),
};

const listeners = [];

function onChange(listener) {
  listeners.push(listener);
}

function change(changes) {
  Object.assign(state, changes);
  listeners.forEach((listener) => listener());
}

function shown() {
  return everybody.filter((o) => !state.hidden.has(o));
}

function measured(measure) {
  if (measure !== "seconds" && measure !== "flops") return true;
  return data.curves.some((curve) => curve[measure] !== null);
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function colour(o) {
  return data.optimizers[o][isDark() ? "dark" : "light"];
}

function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name in made && typeof value !== "string") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
