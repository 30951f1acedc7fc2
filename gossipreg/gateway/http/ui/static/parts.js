// Small pieces that several views use.

import { age, moment } from "./clock.js";
import { h } from "./dom.js";
import { address } from "./route.js";
import { badge, glyph } from "./states.js";

/** The head of a view; it takes the focus when the view is opened. */
export function heading(text, ...beside) {
  return h("header", { class: "view-head" }, h("h1", { tabindex: "-1" }, text), beside);
}

export function card(title, ...content) {
  return h("section", { class: "card" }, title && h("h2", null, title), content);
}

/** Names and values. A value that is null is not shown. */
export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.filter(([, value]) => value !== null && value !== undefined).map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}

/** What is said in place of a list: that nothing is there, or that it is not known. `kind`: `empty`, `waiting`, `trouble`. */
export function note(kind, ...text) {
  const mark = kind === "trouble" ? glyph("warning") : null;
  return h("p", { class: `note note-${kind}`, role: kind === "trouble" ? "alert" : null }, mark, h("span", null, text));
}

export const waiting = () => note("waiting", "Waiting for the sidecar's answer …");

/** That answers of some members are missing, so that what they lead is not in what is shown. */
export function missingAnswers(unanswered) {
  if (!unanswered?.length) return null;
  return note("trouble", `Not all is known. No answer from: ${unanswered.join(", ")}. What they lead is missing below.`);
}

/** What checks say, each with its last output. */
export function checkList(checks, receivedMs) {
  return h(
    "ul",
    { class: "checks" },
    checks.map((check) =>
      h(
        "li",
        null,
        badge(check.health),
        h(
          "div",
          null,
          check.service && h("strong", null, check.service, " "),
          h("span", null, check.check),
          h("span", { class: "soft" }, typeof check.checked_s === "number" ? [" ", age(check.checked_s, receivedMs), " ago"] : " it has not run yet"),
          check.output && h("pre", null, check.output),
        ),
      )),
  );
}

export function memberLink(id, name) {
  return h("a", { href: address("member", id) }, name || id);
}

export function tags(list = []) {
  return list.map((tag) => h("span", { class: "tag" }, tag));
}

/** A map of texts, such as labels. */
export function pairs(map) {
  return Object.entries(map ?? {}).map(([name, value]) => h("span", { class: "tag" }, `${name}=${value}`));
}

export function momentOfMs(wallMs) {
  return wallMs ? moment(wallMs / 1000) : null;
}

/** A number that leads somewhere. */
export function figure({ value, label, href, state = null }) {
  return h("a", { class: "figure", href }, state && glyph(state), h("strong", null, value), " ", h("span", null, label));
}
