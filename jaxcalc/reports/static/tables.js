// Tables that sort by their headings, and hide rows.

function sortable(table) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((cell, column) => {
    const button = make("button", { type: "button", class: "sort" }, ...cell.childNodes);
    button.addEventListener("click", () => sort(table, headings, column));
    cell.append(button);
  });
}

function key(row, column) {
  const cell = row.cells[column];
  if (!("sort" in cell.dataset)) return cell.textContent.trim().toLowerCase();
  return cell.dataset.sort === "" ? null : Number(cell.dataset.sort);
}

// What is missing comes last, whichever way it is sorted.
function sort(table, headings, column) {
  const down = headings[column].getAttribute("aria-sort") === "ascending";
  headings.forEach((cell) => cell.removeAttribute("aria-sort"));
  headings[column].setAttribute("aria-sort", down ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row, order) => ({ row, order, key: key(row, column) }));
  rows.sort((one, other) => {
    if (one.key === null || other.key === null) return (one.key === null) - (other.key === null) || one.order - other.order;
    const [a, b] = down ? [other.key, one.key] : [one.key, other.key];
    const sign = typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
    return sign || one.order - other.order;
  });
  table.tBodies[0].append(...rows.map((one) => one.row));
}

const filters = new Map();

function filterable(table) {
  const title = table.closest(".scroll").getAttribute("aria-label");
  const input = make("input", { type: "search", "aria-label": `Filter rows. ${title}`, placeholder: "Filter rows" });
  const count = make("span", { role: "status", class: "muted" });
  input.addEventListener("input", hideRows);
  table.closest(".scroll").before(make("div", { class: "filter" }, input, count));
  filters.set(table, { input, count });
}

function hideRows() {
  const names = new Set([...state.hidden].map((o) => data.optimizers[o].name));
  for (const table of document.querySelectorAll("table.sortable")) {
    const filter = filters.get(table);
    const words = (filter?.input.value ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let left = 0;
    for (const row of table.tBodies[0].rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = names.has(row.dataset.optimizer) || !words.every((word) => text.includes(word));
      left += !row.hidden;
    }
    if (filter) {
      const all = table.tBodies[0].rows.length;
      filter.count.textContent = left < all ? `${left} of ${all} rows` : "";
    }
  }
}
