// Above a list: a field for words to look for, and one switch for each state. Both are kept in the address.

import { fill, h } from "./dom.js";
import { refine } from "./route.js";
import { glyph, word } from "./states.js";
import { number } from "./words.js";

export class FilterBar {
  /** `states`: those that can be chosen; `hint` says which fields are searched. */
  constructor({ states, hint, query }) {
    this.states = states;
    this.field = h("input", {
      type: "search",
      value: query.q ?? "",
      placeholder: hint,
      "aria-label": hint,
      autocomplete: "off",
      spellcheck: "false",
      on: { input: () => refine({ q: this.field.value }) },
    });
    this.switches = h("div", { class: "switches", role: "group", "aria-label": "state" });
    this.status = h("p", { class: "found", role: "status" });
    this.element = h("div", { class: "filter-bar" }, this.field, this.switches, this.status);
  }

  /** `counts` by state, of all items; `shown` of `total` match; `counted`: those of them that `noun` counts; `complete`:
   * no further items are on their way; `known`: nobody who has items left out an answer. */
  update({ query, counts, shown, total, counted = total, complete, noun, known = true }) {
    if (document.activeElement !== this.field) this.field.value = query.q ?? "";
    const chosen = query.state ?? "";
    const key = JSON.stringify([chosen, counts, known]);
    if (key !== this.key) {
      this.key = key;
      const focused = this.switches.contains(document.activeElement) ? document.activeElement.dataset.state : null;
      fill(this.switches, this.states.map((state) => this.choice(state, `${number(counts[state] ?? 0)}${known ? "" : "+"}`, chosen)));
      if (focused) this.switches.querySelector(`[data-state="${focused}"]`)?.focus();
    }
    const all = `${number(counted)} ${noun}`;
    const text = shown === total ? all : `${number(shown)} of ${all}`;
    const said = !known ? `at least ${text}` : complete ? text : `${text} so far, more are on their way`;
    if (this.status.textContent !== said) this.status.textContent = said;
  }

  choice(state, count, chosen) {
    const on = { click: () => refine({ state: chosen === state ? "" : state }) };
    return h(
      "button",
      { type: "button", class: "switch", "aria-pressed": String(chosen === state), data: { state }, on },
      glyph(state),
      h("span", null, `${word(state)} ${count}`),
    );
  }
}

/** Whether all words of `text` are in one of `fields`. */
export function matches(text, fields) {
  const wanted = (text ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  if (!wanted.length) return true;
  const within = fields.filter((field) => field !== null && field !== undefined).join("\n").toLowerCase();
  return wanted.every((one) => within.includes(one));
}
