/* What a page does by itself: dark mode, tables that sort, and figures that open. Without it, all is readable. */
"use strict";

function remember(value) {
  try {
    if (value === undefined) return localStorage.getItem("theme");
    if (value) localStorage.setItem("theme", value);
    else localStorage.removeItem("theme");
  } catch (_) { /* a page from disk may have no storage */ }
  return null;
}

function theme() {
  const button = document.getElementById("theme");
  const order = ["", "dark", "light"];
  const said = {"": "Colours: as the system", dark: "Colours: dark", light: "Colours: light"};
  function set(choice) {
    if (choice) document.documentElement.dataset.theme = choice;
    else delete document.documentElement.dataset.theme;
    button.textContent = said[choice];
    document.dispatchEvent(new Event("theme"));
  }
  button.hidden = false;
  set(order.includes(remember()) ? remember() : "");
  button.addEventListener("click", () => {
    const next = order[(order.indexOf(document.documentElement.dataset.theme || "") + 1) % order.length];
    remember(next);
    set(next);
  });
}

function sortable(table) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const number = (text) => {
    const match = text.replace(/,/g, "").match(/^v?([-+\u2212]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)/);
    return match ? parseFloat(match[1].replace("\u2212", "-")) : NaN;
  };
  function compare(a, b) {
    if (!a || !b) return (a ? 0 : 1) - (b ? 0 : 1);
    const [x, y] = [number(a), number(b)];
    if (isNaN(x) || isNaN(y)) return isNaN(x) && isNaN(y) ? a.localeCompare(b) : isNaN(x) ? 1 : -1;
    return x - y;
  }
  heads.forEach((head, column) => {
    if (!head.textContent.trim()) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].map((row) => [row.cells[column].textContent.trim(), row]);
      rows.sort(([a], [b]) => (!a || !b ? compare(a, b) : (down ? -1 : 1) * compare(a, b)));
      body.append(...rows.map(([, row]) => row));
    });
  });
}

theme();
document.querySelectorAll("table.sortable").forEach((table) => { if (table.tBodies[0].rows.length > 1) sortable(table); });
