// The filter of the history: how long a time, up to when, about which member, service and kind. All of it is in the address.

import { h } from "./dom.js";
import { address, refine } from "./route.js";

const LENGTHS = { "15m": ["15 minutes", 900], "1h": ["hour", 3600], "8h": ["8 hours", 28800], "24h": ["24 hours", 86400], "7d": ["7 days", 604800], all: ["", null] };
const DEFAULT_LENGTH = "8h";

function lengthOf(query) {
  return Object.hasOwn(LENGTHS, query.since ?? "") ? query.since : DEFAULT_LENGTH;
}

/** The parameters of the method `history`. With `until`, a local time, both ends are fixed, so that the address of a
 * night shows that night to everyone; else the time moves on. */
export function filters(query) {
  const [, lengthS] = LENGTHS[lengthOf(query)];
  const until = Date.parse(query.until ?? "") / 1000;
  const about = Object.fromEntries(["member", "service", "kind"].filter((name) => query[name]).map((name) => [name, query[name]]));
  if (Number.isFinite(until)) return { ...about, until, ...(lengthS === null ? {} : { since: until - lengthS }) };
  return { ...about, ...(lengthS === null ? {} : { since_s: lengthS }) };
}

export function filterForm(query) {
  const chosen = lengthOf(query);
  const ends = Number.isFinite(Date.parse(query.until ?? ""));
  const select = h(
    "select",
    { id: "since", on: { change: () => change({ since: select.value }) } },
    Object.entries(LENGTHS).map(([value, [text]]) => h("option", { value, selected: value === chosen }, value === "all" ? "all that is kept" : `the ${ends ? "" : "last "}${text}`)),
  );
  const until = h("input", { id: "until", type: "datetime-local", value: ends ? localTime(Date.parse(query.until)) : "", on: { change: () => change({ until: until.value && new Date(until.value).toISOString() }) } });
  const field = (name, label, hint) =>
    labelled(`by-${name}`, label, h("input", { id: `by-${name}`, type: "search", value: query[name] ?? "", placeholder: hint, autocomplete: "off", spellcheck: "false", on: { change: (event) => change({ [name]: event.target.value.trim() }) } }));
  return h(
    "form",
    { class: "history-filter", on: { submit: (event) => event.preventDefault() } },
    labelled("since", "Time", select),
    labelled("until", "Until (now)", until),
    field("member", "Member", "name or id"),
    field("service", "Service", "name or id"),
    field("kind", "Kind", "member_*"),
    h("button", { type: "submit" }, "Show"),
    Object.keys(query).length > 0 && h("a", { href: address("history") }, "Show everything"),
  );
}

/** Another filter is no longer about the line that was linked to. */
function change(values) {
  refine({ ...values, at: "" });
}

function labelled(id, label, input) {
  return h("div", null, h("label", { for: id }, label), input);
}

/** As a field of type `datetime-local` has it: the reader's zone, to the minute. */
function localTime(wallMs) {
  const date = new Date(wallMs);
  const two = (value) => String(value).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
