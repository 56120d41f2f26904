"use strict";
// Columns sort by a press on their names; without scripts the table is in its first order.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
      const key = (row) => row.cells[column].dataset.sort;
      const order = (a, b) => a - b || a.localeCompare(b);
      body.append(...[...body.rows].sort((a, b) => sign * order(key(a), key(b))));
    });
  });
}
// Paper has no button to open what is folded.
const folded = () => document.querySelectorAll("details:not([open])");
let opened = [];
addEventListener("beforeprint", () => { opened = [...folded()]; opened.forEach((each) => { each.open = true; }); });
addEventListener("afterprint", () => opened.forEach((each) => { each.open = false; }));
