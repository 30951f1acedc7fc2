// A saga as a picture: a line for each step, from when it was intended until it was settled, its undo in the same line,
// and the moments of its beginning, its decision and its end across all of them.

import { sidecarNow } from "./clock.js";
import { h, place } from "./dom.js";
import { glyph, tone, word } from "./states.js";
import { duration } from "./words.js";

export function sagaPicture(saga) {
  const steps = (saga.steps ?? []).filter((step) => step.intended);
  const began = saga.began ?? Math.min(...steps.map((step) => step.intended));
  if (!Number.isFinite(began)) return h("p", { class: "note" }, "Nothing of it is recorded yet.");
  const now = sidecarNow() * 1000;
  const end = Math.max(saga.ended ?? now, began + 1);
  const scale = { began, end, at: (wallMs) => Math.max(0, Math.min(100, ((wallMs - began) / (end - began)) * 100)) };
  return h(
    "div",
    { class: "saga" },
    h("div", { class: "saga-axis", "aria-hidden": "true" }, h("span"), h("div", { class: "track" }, ticks(scale))),
    h("ol", null, steps.map((step) => line(saga, step, scale))),
    h(
      "p",
      { class: "soft saga-moments" },
      saga.decided ? `${word(saga.decision ?? saga.state)} after ${duration((saga.decided - began) / 1000)}` : `under way for ${duration((now - began) / 1000)}, aborted after ${duration(saga.timeout_ms / 1000)}`,
      saga.ended ? `, ended after ${duration((saga.ended - began) / 1000)}` : "",
    ),
  );
}

function line(saga, step, scale) {
  const open = !step.settled && !saga.ended;
  const until = step.settled ?? (saga.ended ? step.intended : scale.end);
  const from = step.after ? Math.max(step.intended, saga.decided ?? 0) : step.intended; // it waits for the decision
  const undone = step.undo?.settled;
  const undoing = step.state === "undoing" || (undone && saga.decided);
  const own = step.undo && ["undone", "undoing"].includes(step.state) ? "done" : step.state;
  return h(
    "li",
    null,
    h("div", { class: "saga-name" }, glyph(step.stuck ? "stuck" : step.state), h("span", null, step.name), h("span", { class: "soft" }, said(step, from, until, undone, saga))),
    h(
      "div",
      { class: "track", "aria-hidden": "true" },
      saga.decided && place(h("i", { class: `moment tone-${tone(saga.decision ?? saga.state)}` }), { left: `${scale.at(saga.decided)}%` }),
      bar(`bar tone-${tone(own)}${open ? " open" : ""}`, from, until, scale),
      undoing && bar(`bar undo${undone ? "" : " open"}`, saga.decided, undone ?? scale.end, scale),
    ),
  );
}

function bar(kind, fromMs, untilMs, scale) {
  const [left, right] = [scale.at(fromMs), scale.at(untilMs)];
  return place(h("i", { class: kind }), { left: `${left}%`, width: `max(4px, ${right - left}%)` });
}

function said(step, from, until, undone, saga) {
  const took = step.settled ? duration((until - from) / 1000) : null;
  const undo = undone && saga.decided ? ` ${duration((undone - saga.decided) / 1000)} after the decision` : "";
  if (undo || step.state === "undoing") return `${took ? ` took ${took},` : ""} ${word(step.state)}${undo}`;
  return ` ${word(step.state)}${took ? ` in ${took}` : ""}`;
}

function ticks({ began, end }) {
  const [first, last] = [h("span", { class: "tick" }, "0 s"), h("span", { class: "tick last" }, duration((end - began) / 1000))];
  const middle = place(h("span", { class: "tick middle" }, duration((end - began) / 2000)), { left: "50%" });
  return [first, middle, last];
}
