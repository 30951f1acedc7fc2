// Above the history: how much happened when, as bars over the time that is shown; a click, or Enter, leads to the newest
// line of one.

import { fill, h, place } from "./dom.js";
import { nextMark } from "./map_keys.js";
import { dateOf, number, timeOfDay } from "./words.js";

const BARS = 60;

export function historyStrip(lines, lead) {
  if (lines.length < 2) return null;
  const [first, last] = [lines.at(-1).at, lines[0].at];
  const span = Math.max(last - first, 1);
  const bars = Array.from({ length: BARS }, () => ({ info: 0, warning: 0, error: 0, newest: null }));
  for (const line of lines) {
    const bar = bars[Math.min(BARS - 1, Math.floor(((line.at - first) / span) * BARS))];
    bar[line.level === "error" ? "error" : line.level?.startsWith("warn") ? "warning" : "info"] += 1;
    bar.newest ??= line;
  }
  const most = Math.max(...bars.map(total));
  const columns = bars.map((bar) => column(bar, most, lead));
  const summary = `${number(lines.length)} lines between ${label(first)} and ${label(last)}`;
  const said = h("span", { class: "strip-said", role: "status" });
  const strip = h(
    "div",
    {
      class: "strip-bars",
      tabindex: "0",
      role: "application",
      "aria-label": `${summary}: arrows, Home and End lead to a bar, Enter to its newest line`,
      on: { keydown: onKey, focus: () => moveTo(at ?? full.at(-1)) },
    },
    columns,
  );
  const full = bars.flatMap((bar, index) => (bar.newest ? [index] : []));
  let at = null;

  function onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "Enter") lead(bars[at].newest);
    const next = nextMark(event.key, full.indexOf(at), full.length, null);
    if (next === null) return;
    event.preventDefault();
    moveTo(full[next]);
  }

  function moveTo(index) {
    columns[at]?.classList.remove("at");
    at = index;
    columns[at].classList.add("at");
    fill(said, inWords(bars[at]));
  }

  return h(
    "figure",
    { class: "strip" },
    strip,
    h("figcaption", { class: "soft" }, h("span", null, label(first)), said, h("span", null, label(last))),
  );
}

function inWords(bar) {
  return `${number(total(bar))} from ${label(bar.newest.at)} back`;
}

function column(bar, most, lead) {
  const part = (kind, name) => bar[name] > 0 && place(h("i", { class: `tone-${kind}` }), { height: `${Math.max(8, (bar[name] / most) * 100)}%` });
  return h(
    "span",
    { title: bar.newest && inWords(bar), on: { click: () => bar.newest && lead(bar.newest) } },
    part("bad", "error"),
    part("warn", "warning"),
    part("quiet", "info"),
  );
}

function total(bar) {
  return bar.info + bar.warning + bar.error;
}

function label(wallS) {
  return `${dateOf(wallS)}, ${timeOfDay(wallS)}`;
}
