"use strict";
// Without this script all tables and figures are there; with it they sort, and each number tells where it comes from.
const root = document.documentElement;
const data = JSON.parse(document.getElementById("data").textContent);
const panel = document.getElementById("panel");
root.dataset.script = "";

function element(name, content = "", properties = {}) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...[content].flat());
  return made;
}

// Colours: the system's, unless chosen here.

function offerTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const other = (root.dataset.theme || system) === "dark" ? "light" : "dark";
  const button = document.getElementById("theme");
  button.hidden = false;
  button.textContent = other === "dark" ? "Dark colours" : "Light colours";
  button.onclick = () => {
    root.dataset.theme = other;
    try {
      localStorage.setItem("theme", other);
    } catch {
      // Some browsers keep nothing for files; the choice then lasts as long as the page.
    }
    offerTheme();
  };
}

// Sorting: each heading cycles through both directions and back to the order of the table.

function prepareSorting(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  for (const heading of table.querySelectorAll("th[data-column]")) {
    const button = element("button", heading.textContent, { type: "button" });
    heading.replaceChildren(button);
    button.onclick = () => {
      const column = Number(heading.dataset.column);
      const numeric = original.some((row) => row.cells[column].dataset.value !== undefined);
      const cycle = numeric ? ["descending", "ascending", null] : ["ascending", "descending", null];
      const direction = cycle[(cycle.indexOf(heading.getAttribute("aria-sort")) + 1) % 3];
      table.querySelectorAll("[aria-sort]").forEach((other) => other.removeAttribute("aria-sort"));
      if (direction) heading.setAttribute("aria-sort", direction);
      table.toggleAttribute("data-sorted", Boolean(direction));
      body.append(...(direction ? sorted(original, column, numeric, direction) : original));
    };
  }
}

function sorted(rows, column, numeric, direction) {
  const sign = direction === "ascending" ? 1 : -1;
  const number = (row) => Number(row.cells[column].dataset.value ?? sign * Infinity);
  const text = (row) => row.cells[column].textContent;
  const order = numeric ? (a, b) => number(a) - number(b) || 0 : (a, b) => text(a).localeCompare(text(b), "en", { numeric: true });
  return [...rows].sort((a, b) => sign * order(a, b));
}

// Numbers: one stop of the Tab key for each table, arrow keys within it.

function prepareNumbers(table) {
  for (const cell of table.querySelectorAll("td[id]")) {
    const button = element("button", "", { type: "button", tabIndex: -1 });
    button.append(...cell.childNodes);
    cell.append(button);
    cell.onclick = () => {
      focusOn(table, button);
      tell(cell);
    };
  }
  const first = table.querySelector("td button");
  if (first) first.tabIndex = 0;
  table.addEventListener("keydown", (event) => {
    const steps = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
    const cell = event.target.closest("td");
    if (!steps || !cell) return;
    event.preventDefault();
    const rows = [...table.querySelectorAll("tbody tr, tfoot tr")];
    const row = rows[rows.indexOf(cell.parentElement) + steps[0]];
    focusOn(table, row?.cells[cell.cellIndex + steps[1]]?.querySelector("button"));
  });
}

function focusOn(table, button) {
  if (!button) return;
  table.querySelectorAll("td button").forEach((other) => (other.tabIndex = -1));
  button.tabIndex = 0;
  button.focus();
}

// The panel: what stands behind one number.

const slot = (name) => panel.querySelector(`[data-slot="${name}"]`);

function tell(cell) {
  const table = cell.closest("table");
  const behind = (cell.dataset.cells?.split(" ") ?? []).map((position) => data.cells[position]);
  const heading = table.querySelector(`th[data-column="${cell.cellIndex}"]`);
  const column = [heading.dataset.group, heading.textContent].filter(Boolean).join(" ");
  panel.querySelector("h2").textContent = `${cell.parentElement.cells[0].textContent}, ${column}`;
  history.replaceState(null, "", `#${cell.id}`);
  slot("table").textContent = table.caption.textContent.trim();
  slot("value").textContent = [...cell.querySelectorAll("button, strong, u, .spread")].reduce(printed, "");
  slot("mark").textContent = cell.title;
  slot("published").textContent = cell.dataset.published ?? "";
  Object.assign(slot("link").querySelector("a"), { href: `#${cell.id}`, textContent: `#${cell.id}` });
  if (!panel.open) panel.showModal();
  panel.scrollTop = 0;
  slot("several").hidden = behind.length < 2;
  slot("behind").hidden = behind.length !== 1;
  if (behind.length === 1) tellBehind(behind[0]);
  else slot("cells").replaceChildren(...behind.map(source));
  for (const box of panel.querySelectorAll(".scroller")) box.tabIndex = box.scrollWidth > box.clientWidth ? 0 : -1;
}

// The value with its deviation, without marks and what only screen readers are told.
function printed(text, part) {
  const own = [...part.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE).map((node) => node.data).join("");
  return text + own;
}

// One of several cells that a number is computed from: where it lies, and its means.
const source = ({ path, sheets }) =>
  element("section", [element("a", element("code", path), { href: `../../${path}` }), sheet(sheets[0])]);

function tellBehind(detail) {
  slot("sheets").replaceChildren(...detail.sheets.map(sheet));
  slot("legend").hidden = !panel.querySelector(".same");
  slot("path").replaceChildren(element("code", detail.path));
  slot("path").href = `../../${detail.path}`;
  slot("command").textContent = `snakemake -f ${detail.path}`;
  slot("short").textContent = detail.recipe.slice(0, 12);
  slot("recipe").textContent = detail.recipe;
  const settings = [["Cell", detail.own], ...detail.behind.map((position) => data.settings[position])];
  slot("settings").replaceChildren(...settings.flatMap(([title, lines]) => [element("h4", title), list(lines)]));
}

function list(lines) {
  const made = element("dl");
  for (const [key, value] of lines) made.append(element("dt", key), element("dd", value));
  return made;
}

function sheet({ caption, corner, columns, rows, percent }) {
  const table = element("table");
  table.createCaption().append(caption);
  const head = table.createTHead().insertRow();
  for (const label of [corner, ...columns]) head.append(element("th", label, { scope: "col" }));
  const body = table.createTBody();
  for (const [label, entries] of rows) {
    const row = body.insertRow();
    row.append(element("th", label, { scope: "row" }));
    for (const entry of entries) row.append(sheetCell(entry, percent, label));
  }
  return element("div", table, { className: "scroller", role: "region", ariaLabel: caption });
}

function sheetCell(entry, percent, label) {
  if (entry.picture) {
    const source = `data:image/png;base64,${entry.picture}`;
    return element("td", element("img", "", { src: source, alt: `coloured noise: the trigger of ${label}` }));
  }
  const made = element("td", entry.same ?? entry, { className: entry.same ? "same" : "" });
  if (percent) {
    made.dataset.share = "";
    made.style.setProperty("--share", Number(made.textContent) / 100);
  }
  return made;
}

async function copy(button) {
  const code = button.parentElement.querySelector("code:last-of-type");
  try {
    await navigator.clipboard.writeText(code.textContent);
  } catch {
    getSelection().selectAllChildren(code);
    document.execCommand("copy");
  }
  button.textContent = "Copied";
  setTimeout(() => (button.textContent = "Copy"), 2000);
}

offerTheme();
document.querySelectorAll("section.table table").forEach((table) => {
  prepareSorting(table);
  prepareNumbers(table);
  // The columns with the paper's own method stay in view side by side.
  const last = table.querySelector("td.ours:last-child");
  if (last) table.style.setProperty("--last", `${last.offsetWidth}px`);
});

// An address leads to a number and opens its panel; closing that leaves the address of the table.

function follow() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.matches("td[id]")) {
    target.scrollIntoView({ block: "center", inline: "center" });
    tell(target);
  } else {
    panel.close();
  }
}
addEventListener("hashchange", follow);
follow();
panel.addEventListener("close", () => {
  const name = decodeURIComponent(location.hash.slice(1)).split("/")[0];
  history.replaceState(null, "", `#${name}`);
});

// The ranking can be narrowed to a data set and to defenses by name.

function offerFilters(section) {
  const rows = [...section.querySelectorAll("tbody tr")];
  const [choice, search] = section.querySelectorAll("select, input");
  const names = new Set(rows.map((row) => row.cells[1].textContent));
  choice.append(...["all", ...names].map((name) => element("option", name)));
  choice.parentElement.hidden = names.size < 2;
  const narrow = () => {
    section.toggleAttribute("data-one", choice.value !== "all");
    for (const row of rows) {
      const [label, name] = [...row.cells].map((cell) => cell.textContent);
      row.hidden = !(["all", name].includes(choice.value) && label.toLowerCase().includes(search.value.toLowerCase()));
    }
  };
  choice.oninput = search.oninput = narrow;
  choice.value = rows[0].cells[1].textContent;
  narrow();
  section.querySelector(".filters").hidden = false;
}
const ranking = document.getElementById("leaders");
if (ranking) offerFilters(ranking);

// The table of contents marks the section that is being read.

function keepInView(link) {
  const menu = document.querySelector("nav");
  menu.scrollTop = link.offsetTop - menu.clientHeight / 2;
  menu.scrollLeft = link.offsetLeft - menu.clientWidth / 2;
}

const watcher = new IntersectionObserver(
  (seen) => {
    for (const { isIntersecting, target } of seen) {
      const link = document.querySelector(`nav a[href="#${target.id}"]`);
      link?.setAttribute("aria-current", isIntersecting);
      if (isIntersecting && link) keepInView(link);
    }
  },
  { rootMargin: "-20% 0px -70% 0px" },
);
document.querySelectorAll("section[id]").forEach((section) => watcher.observe(section));

panel.querySelector(".close").onclick = () => panel.close();
panel.addEventListener("click", (event) => event.target === panel && panel.close());
panel.querySelectorAll(".copy").forEach((button) => (button.onclick = () => copy(button)));
