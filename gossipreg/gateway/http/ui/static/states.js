// States of members, instances, sagas and steps: each has a shape, a word and a tone, so none is told by colour alone.

import { h, s } from "./dom.js";

const SHAPES = {
  disc: "M8 3a5 5 0 1 0 0 10A5 5 0 0 0 8 3z",
  ring: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zm0 2a3.5 3.5 0 1 1 0 7 3.5 3.5 0 0 1 0-7z",
  triangle: "M8 1.2 15.4 14.4H.6zM7.1 6v4.2h1.8V6zm0 5.2v1.8h1.8v-1.8z",
  cross: "M4.1 2 8 5.9 11.9 2 14 4.1 10.1 8l3.9 3.9-2.1 2.1L8 10.1 4.1 14 2 11.9 5.9 8 2 4.1z",
  bars: "M3.5 3h3.2v10H3.5zM9.3 3h3.2v10H9.3z",
  dash: "M3 6.8h10v2.4H3z",
  check: "m13.9 4.4-1.6-1.5-5.9 6.2-2.7-2.7-1.6 1.5L6.5 12z",
  arrow: "M2 7h7.4L6.6 4.2 8 2.8 13.2 8 8 13.2l-1.4-1.4L9.4 9H2z",
  back: "M7 3.2v2.6h2.6a4 4 0 0 1 0 8H6v-2h3.6a2 2 0 1 0 0-4H7v2.7L2 6.8z",
  half: "M8 2.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zm0 2v7a3.5 3.5 0 0 1 0-7z",
};

// word -> [shape, tone]
const STATES = {
  alive: ["disc", "good"],
  suspect: ["triangle", "warn"],
  dead: ["cross", "bad"],
  left: ["ring", "quiet"],
  passing: ["disc", "good"],
  warning: ["triangle", "warn"],
  critical: ["cross", "bad"],
  maintenance: ["bars", "info"],
  stale: ["half", "quiet"],
  running: ["half", "info"],
  committed: ["check", "good"],
  aborted: ["back", "warn"],
  commit: ["check", "good"],
  abort: ["back", "warn"],
  ended: ["check", "quiet"],
  stuck: ["triangle", "bad"],
  intended: ["half", "info"],
  done: ["check", "good"],
  refused: ["cross", "warn"],
  unknown: ["dash", "warn"],
  undoing: ["back", "info"],
  undone: ["back", "quiet"],
  not_undone: ["dash", "warn"],
  after: ["arrow", "info"],
  after_done: ["check", "good"],
  skipped: ["dash", "warn"],
  info: ["disc", "quiet"],
  error: ["cross", "bad"],
};
const WORDS = { commit: "committed", abort: "aborted", not_undone: "not undone", after_done: "done", after: "after the commit", intended: "under way" };

export const MEMBER_STATES = ["alive", "suspect", "dead", "left"];
/** How many members there are, from counts by state: those that left are none any more. null where they are not known. */
export function memberCount(counts) {
  return counts ? counts.alive + counts.suspect + counts.dead : null;
}

export const HEALTHS = ["passing", "warning", "critical", "maintenance"];

export function tone(state) {
  return (Object.hasOwn(STATES, state) ? STATES[state] : ["dash", "quiet"])[1];
}

export function word(state) {
  return Object.hasOwn(WORDS, state) ? WORDS[state] : String(state);
}

export function outline(state) {
  return SHAPES[(Object.hasOwn(STATES, state) ? STATES[state] : ["dash"])[0]];
}

/** The shape of a state in its tone; a word stands beside it, so a screen reader passes over it. */
export function glyph(state) {
  return s(
    "svg",
    { class: `glyph tone-${tone(state)}`, viewBox: "0 0 16 16", "aria-hidden": "true" },
    s("path", { d: outline(state), "fill-rule": "evenodd" }),
  );
}

/** Shape and word. */
export function badge(state, text = word(state)) {
  return h("span", { class: `badge tone-${tone(state)}` }, glyph(state), h("span", null, text));
}

/** A bar of parts: `counts` by state, in this order; the words of it stand beside it. */
export function shareBar(counts, states) {
  const total = states.reduce((sum, state) => sum + (counts[state] ?? 0), 0);
  const bar = s("svg", { class: "share", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" });
  let x = 0;
  for (const state of states) {
    const part = total ? counts[state] ?? 0 : 0;
    if (!part) continue;
    // a single one of 1,000 must be seen
    const width = Math.max((part / total) * 100, 1.5);
    bar.append(s("rect", { class: `tone-${tone(state)}`, x: Math.min(x, 98.5), y: 0, width, height: 6 }));
    x += width;
  }
  return bar;
}
