// A table of any length: only the rows near the window are in the document, and all have the height `--row`.
//
// By keyboard it is one stop of Tab; the arrows, Home, End and the Page keys move from row to row, Enter opens one.

import { fill, h, place } from "./dom.js";

const BEYOND = 10; // rows above and below the window, so that a scroll meets none that is missing

export class Table {
  /** `columns`: {`key`, `label`, `cell(item)`, `sort(item)`, `fit`}: a node for the cell, the value to sort by (left out:
   * the column cannot be sorted by), and the classes that say how wide it is and where it goes on a phone.
   * `idOf(item)` tells items apart, `hrefOf(item)` is where a row leads. `onSort(order)` is told a click on a head. */
  constructor({ caption, columns, idOf, hrefOf, onSort }) {
    Object.assign(this, { columns, idOf, hrefOf });
    this.items = [];
    this.rows = new Map();
    this.active = 0;
    this.above = h("tr", { class: "spacer", "aria-hidden": "true" });
    this.below = h("tr", { class: "spacer", "aria-hidden": "true" });
    this.body = h("tbody", { role: "rowgroup", on: { keydown: (event) => this.onKey(event), click: (event) => this.onClick(event) } });
    this.heads = columns.map((column) => this.head(column, onSort));
    this.element = h(
      "table",
      { class: "list", role: "table" },
      h("caption", { class: "unseen" }, caption),
      h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, this.heads)),
      this.body,
    );
    this.redraw = this.redraw.bind(this);
    this.onMove = () => {
      this.frame ??= requestAnimationFrame(this.redraw);
    };
    window.addEventListener("scroll", this.onMove, { passive: true });
    window.addEventListener("resize", this.onMove);
  }

  close() {
    window.removeEventListener("scroll", this.onMove);
    window.removeEventListener("resize", this.onMove);
    cancelAnimationFrame(this.frame);
  }

  head(column, onSort) {
    const label = column.sort
      ? h("button", { type: "button", on: { click: () => onSort(this.order === column.key ? `-${column.key}` : column.key) } }, column.label)
      : column.label;
    return h("th", { scope: "col", role: "columnheader", class: column.fit }, label);
  }

  /** Show these items, sorted by `order`: the key of a column, with a minus in front of it for descending. */
  show(items, order) {
    const focused = this.focusedId();
    this.order = order;
    this.items = sorted(items, this.columns, order);
    this.columns.forEach((column, index) => {
      const sort = order === column.key ? "ascending" : order === `-${column.key}` ? "descending" : null;
      if (sort) this.heads[index].setAttribute("aria-sort", sort);
      else this.heads[index].removeAttribute("aria-sort");
    });
    this.element.setAttribute("aria-rowcount", String(this.items.length + 1));
    if (focused !== null) {
      const index = this.items.findIndex((item) => this.idOf(item) === focused);
      if (index >= 0) this.active = index;
    }
    this.active = Math.max(0, Math.min(this.active, this.items.length - 1));
    this.redraw();
    if (focused !== null) this.link(this.active)?.focus({ preventScroll: true });
  }

  focusedId() {
    const row = this.body.contains(document.activeElement) ? document.activeElement.closest("tr") : null;
    return row?.item ? this.idOf(row.item) : null;
  }

  redraw() {
    this.frame = null;
    if (!this.element.isConnected) return;
    const height = this.rowHeight();
    const top = this.body.getBoundingClientRect().top;
    const first = Math.max(0, Math.min(this.items.length, Math.floor(-top / height)) - BEYOND);
    const last = Math.min(this.items.length, Math.max(Math.ceil((window.innerHeight - top) / height), 0) + BEYOND);
    const kept = new Map();
    const shown = [];
    for (let index = first; index < last; index += 1) {
      const item = this.items[index];
      const id = this.idOf(item);
      let row = this.rows.get(id);
      if (row?.item !== item) row = this.row(item);
      row.setAttribute("aria-rowindex", String(index + 2));
      row.index = index;
      row.querySelector("a").tabIndex = index === this.active ? 0 : -1;
      kept.set(id, row);
      shown.push(row);
    }
    place(this.above, { height: `${first * height}px` });
    place(this.below, { height: `${(this.items.length - last) * height}px` });
    this.rows = kept;
    const wanted = [this.above, ...shown, this.below];
    const present = this.body.children;
    if (present.length !== wanted.length || wanted.some((row, index) => present[index] !== row)) this.swap(wanted);
  }

  swap(wanted) {
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    fill(this.body, wanted);
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  rowHeight() {
    return parseFloat(getComputedStyle(this.element).getPropertyValue("--row")) || 32;
  }

  row(item) {
    const cells = this.columns.map((column, index) => {
      const content = column.cell(item);
      if (index === 0) return h("td", { role: "cell", class: column.fit }, h("a", { href: this.hrefOf(item) }, content));
      return h("td", { role: "cell", class: column.fit, data: { label: column.label } }, content);
    });
    const row = h("tr", { role: "row" }, cells);
    row.item = item;
    return row;
  }

  link(index) {
    return this.rows.get(this.items[index] && this.idOf(this.items[index]))?.querySelector("a");
  }

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(window.innerHeight / this.rowHeight()) - 4);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (!Object.hasOwn(steps, event.key)) return;
    event.preventDefault();
    this.moveTo(Math.max(0, Math.min(this.items.length - 1, this.active + steps[event.key])));
  }

  moveTo(index) {
    this.active = index;
    const height = this.rowHeight();
    const top = this.body.getBoundingClientRect().top + index * height;
    const margin = 3 * height;
    if (top < margin) window.scrollBy(0, top - margin);
    else if (top > window.innerHeight - margin) window.scrollBy(0, top - window.innerHeight + margin);
    this.redraw();
    this.link(index)?.focus({ preventScroll: true });
  }

  onClick(event) {
    if (event.target.closest("a, button, input") || String(getSelection()) !== "") return;
    event.target.closest("tr")?.querySelector("a")?.click();
  }
}

function sorted(items, columns, order = "") {
  const column = columns.find(({ key }) => key === order.replace(/^-/, ""));
  if (!column?.sort) return items;
  const direction = order.startsWith("-") ? -1 : 1;
  return items
    .map((item) => [column.sort(item), item])
    .sort(([a], [b]) => compare(a, b, direction))
    .map(([, item]) => item);
}

function compare(a, b, direction) {
  if (a === b) return 0;
  if (a === null || a === undefined) return 1; // what is not known comes last, in either direction
  if (b === null || b === undefined) return -1;
  return direction * (typeof a === "string" ? collator.compare(a, b) : a - b);
}

const collator = new Intl.Collator("en", { numeric: true });
