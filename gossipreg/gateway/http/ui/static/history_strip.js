// Above the history: how much happened when, as bars over the time that is shown; a click leads to the newest line of one.

import { h, place } from "./dom.js";
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
  const summary = `${number(lines.length)} lines between ${label(first)} and ${label(last)}`;
  return h(
    "figure",
    { class: "strip" },
    h("div", { class: "strip-bars", role: "img", "aria-label": summary }, bars.map((bar) => column(bar, most, lead))),
    h("figcaption", { class: "soft" }, h("span", null, label(first)), h("span", null, label(last))),
  );
}

function column(bar, most, lead) {
  const part = (kind, name) => bar[name] > 0 && place(h("i", { class: `tone-${kind}` }), { height: `${Math.max(8, (bar[name] / most) * 100)}%` });
  return h(
    "span",
    { title: bar.newest && `${number(total(bar))} from ${label(bar.newest.at)} back`, on: { click: () => bar.newest && lead(bar.newest) } },
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
