// Numbers as people write them, as in the tables: 0.03, 1,200, 3.2×10⁻⁹.

const RAISED = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };

function raised(exponent) {
  return [...String(exponent)].map((sign) => RAISED[sign]).join("");
}

function grouped(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ",");
}

function number(value, digits = 3) {
  if (value === null || !Number.isFinite(value)) return "—";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return grouped(value);
  if (size >= 1e-3 && size < 1e5) {
    return size >= 1000 ? grouped(Math.round(value)) : String(Number(value.toPrecision(digits)));
  }
  const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
  const short = mantissa.replace(/\.?0+$/, "");
  return `${short === "1" ? "" : `${short}×`}10${raised(Number(exponent))}`;
}

function duration(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "—";
  const [unit, size] = [["s", 1], ["ms", 1e-3], ["µs", 1e-6]].find((one) => seconds >= one[1]) ?? ["µs", 1e-6];
  return `${number(seconds / size)} ${unit}`;
}

function percent(share) {
  return Number.isFinite(share) ? `${(100 * share).toFixed(0)}%` : "—";
}

function listed(words) {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

// Plotly reads a few tags of HTML in its texts: names are shown as they are.
function plain(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}
