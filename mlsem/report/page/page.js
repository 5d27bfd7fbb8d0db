"use strict";
// Everything here adds to a page that reads without it.
(() => {
  const root = document.documentElement;
  const status = document.querySelector("[role=status]");
  const say = (words) => { status.textContent = ""; setTimeout(() => { status.textContent = words; }, 30); };
  const button = (words, action, label) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = words;
    if (label) made.setAttribute("aria-label", label);
    made.addEventListener("click", action);
    return made;
  };

  // --- colours ----------------------------------------------------------------------------------
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme || (prefersDark.matches ? "dark" : "light")) === "dark";
  const theme = button("", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
  const name = () => { theme.textContent = isDark() ? "Light colours" : "Dark colours"; };
  prefersDark.addEventListener("change", name);
  name();
  theme.id = "theme";
  document.querySelector("header .tools").append(theme, button("Print", () => window.print()));

  // --- tables -----------------------------------------------------------------------------------
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const value = (row, column) => {
    const cell = row.cells[column];
    return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
  };
  const isBlank = (found) => found === "";

  function sort(table, column, head) {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const order = next[head.getAttribute("aria-sort") || "none"];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    if (order !== "none") head.setAttribute("aria-sort", order);
    const sign = order === "descending" ? -1 : 1;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const place = a.dataset.place - b.dataset.place;
      if (order === "none") return place;
      const [x, y] = [value(a, column), value(b, column)];
      if (isBlank(x) || isBlank(y)) return isBlank(x) - isBlank(y) || place;
      const apart = typeof x === "number" && typeof y === "number" ? x - y : compare(x, y);
      return (sign * (apart || 0)) || place;
    });
    table.tBodies[0].append(...rows);
    say(`Sorted by ${head.textContent}: ${order === "none" ? "first order" : order}`);
  }

  // A text that a spreadsheet would take for a formula begins with an apostrophe.
  const plain = (text) => (/^[=+\-@\uFF1D\uFF0B\uFF0D\uFF20]/.test(text) ? `'${text}` : text);
  const cells = (table) => [...table.rows].map((row) => [...row.cells].map((cell) =>
    "value" in cell.dataset ? cell.dataset.value : plain(cell.textContent.trim().replace(/\s+/g, " "))));
  const tsv = (table) => cells(table).map((row) => row.join("\t")).join("\n") + "\n";
  const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const csv = (table) => cells(table).map((row) => row.map(quoted).join(",")).join("\r\n") + "\r\n";

  function copyByHand(text) {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "said";
    const before = document.activeElement;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (before) before.focus();
    return done;
  }

  async function copy(table) {
    const text = tsv(table);
    let done = false;
    try {
      await navigator.clipboard.writeText(text);
      done = true;
    } catch {
      done = copyByHand(text);
    }
    say(done ? "Table copied" : "The browser did not let the table be copied");
    return done;
  }

  function save(table, file) {
    const link = document.createElement("a");
    // a mark at the start tells spreadsheets that it is UTF-8
    link.href = URL.createObjectURL(new Blob(["\uFEFF", csv(table)], { type: "text/csv" }));
    link.download = file;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  document.querySelectorAll("figure.table").forEach((figure, number) => {
    const table = figure.querySelector("table");
    const caption = figure.querySelector("figcaption").textContent;
    [...table.tBodies[0].rows].forEach((row, place) => { row.dataset.place = place; });
    if (table.tBodies[0].rows.length > 1) {
      [...table.tHead.rows[0].cells].forEach((head, column) => {
        if (!head.textContent.trim()) return;
        const words = head.textContent;
        head.textContent = "";
        head.append(button(words, () => sort(table, column, head)));
      });
    }
    const copying = button("Copy", async () => {
      copying.textContent = (await copy(table)) ? "Copied" : "Not copied";
      setTimeout(() => { copying.textContent = "Copy"; }, 2000);
    }, `Copy the table: ${caption}`);
    const saving = button("CSV", () => save(table, `table-${number + 1}.csv`), `Save as CSV: ${caption}`);
    figure.querySelector(".tools").append(copying, saving);
  });

  // In a notebook's frame an address within the page would be one of the notebook.
  if (location.protocol === "about:") {
    document.querySelectorAll("a[href^='#']").forEach((link) => link.addEventListener("click", (event) => {
      event.preventDefault();
      const place = document.getElementById(link.getAttribute("href").slice(1));
      place.tabIndex = -1;
      place.focus();
      place.scrollIntoView();
    }));
  }

  // What is larger than its window can be scrolled by the keyboard.
  const reachable = () => document.querySelectorAll(".scroll, pre").forEach((box) => {
    if (box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  });
  addEventListener("resize", reachable);
  reachable();
})();
