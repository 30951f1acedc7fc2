// History: what this sidecar saw, the newest first, with a filter in the address, so that a night can be shared.

import { moment, sidecarNow } from "./clock.js";
import { fill, h } from "./dom.js";
import { historyStrip } from "./history_strip.js";
import { heading, memberLink, note, waiting } from "./parts.js";
import { address, parse, refine } from "./route.js";
import { CallFailed, call } from "./rpc.js";
import { badge, tone } from "./states.js";
import { dateOf, number, timeOfDay } from "./words.js";

const SINCE = { "15m": ["15 minutes", 900], "1h": ["hour", 3600], "8h": ["8 hours", 28800], "24h": ["24 hours", 86400], "7d": ["7 days", 604800], all: ["all", null] };
const DEFAULT_SINCE = "8h";
const LINES_MAX = 2000; // in the document; older ones are asked for
const PAGE = 500;
const LEVELS = { info: "info", warning: "warning", warn: "warning", error: "error" };

function filters(query) {
  const since = Object.hasOwn(SINCE, query.since ?? "") ? query.since : DEFAULT_SINCE;
  const [, sinceS] = SINCE[since];
  const wanted = { member: query.member, service: query.service, kind: query.kind };
  return { ...Object.fromEntries(Object.entries(wanted).filter(([, value]) => value)), ...(sinceS === null ? {} : { since_s: sinceS }) };
}

export const stream = (place) => ({ view: "history", ...filters(place.query) });
export const streamsByQuery = true;

export function open(place, app) {
  const lines = new Map(); // by seq
  let about = null;
  const body = h("div", null, waiting());
  const strip = h("div");
  const status = h("p", { class: "found", role: "status" });
  const marked = place.query.at ?? null;
  let sought = marked;

  const show = () => {
    const shown = [...lines.values()].sort((a, b) => b.seq - a.seq).slice(0, LINES_MAX);
    status.textContent = `${number(shown.length)} lines${about?.more ? ", older ones below" : ""}. ${keptText(about)}`;
    fill(strip, historyStrip(shown, (line) => scrollTo(line.seq)));
    if (!shown.length) fill(body, note("empty", "Nothing happened in this time that this filter lets through."));
    else fill(body, days(shown, marked), about?.more && olderButton(shown.at(-1)));
    if (sought) {
      scrollTo(sought);
      sought = null;
    }
  };

  function olderButton(last) {
    const ask = async (event) => {
      event.target.disabled = true;
      try {
        const found = await call("history", { ...filters(parse(location.hash).query), before: last.seq, limit: PAGE });
        for (const line of found.lines) lines.set(line.seq, line);
        about = { ...about, more: found.more };
        show();
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        event.target.after(note("trouble", error.message));
        event.target.disabled = false;
      }
    };
    return h("button", { type: "button", on: { click: ask } }, "Show older lines");
  }

  return {
    element: h("div", { class: "stack" }, heading("History"), filterForm(place.query), strip, status, body),
    title: "History",
    receive(kind, data) {
      if (kind !== "history") return;
      if (data.kind === "current") lines.clear();
      about = { ...about, ...data, more: data.more ?? about?.more ?? false };
      for (const line of data.lines ?? []) lines.set(line.seq, line);
      app.soon(show);
    },
  };
}

function scrollTo(seq) {
  const line = document.getElementById(`line-${seq}`);
  line?.scrollIntoView({ block: "center" });
  line?.querySelector("a")?.focus({ preventScroll: true });
}

function keptText(about) {
  if (!about?.kept_from) return "";
  const from = `Kept since ${dateOf(about.kept_from)} ${timeOfDay(about.kept_from)}`;
  return about.kept_in === "memory" ? `${from}, in memory: they are lost with the next restart.` : `${from}.`;
}

function filterForm(query) {
  const since = Object.hasOwn(SINCE, query.since ?? "") ? query.since : DEFAULT_SINCE;
  const select = h(
    "select",
    { id: "since", on: { change: () => refine({ since: select.value }) } },
    Object.entries(SINCE).map(([value, [text]]) => h("option", { value, selected: value === since }, value === "all" ? "all that is kept" : `the last ${text}`)),
  );
  const field = (name, label, hint) =>
    h("div", null, h("label", { for: `by-${name}` }, label), h("input", { id: `by-${name}`, type: "search", value: query[name] ?? "", placeholder: hint, autocomplete: "off", spellcheck: "false", on: { change: (event) => refine({ [name]: event.target.value.trim() }) } }));
  return h(
    "form",
    { class: "history-filter", on: { submit: (event) => event.preventDefault() } },
    h("div", null, h("label", { for: "since" }, "Time"), select),
    field("member", "Member", "name or id"),
    field("service", "Service", "name"),
    field("kind", "Kind", "such as member_dead"),
    h("button", { type: "submit" }, "Show"),
    Object.keys(query).length > 0 && h("a", { href: address("history") }, "Show everything"),
  );
}

function days(lines, marked) {
  const byDay = Map.groupBy(lines, (line) => dateOf(line.at));
  return [...byDay].map(([date, lines]) =>
    h("section", { class: "day" }, h("h2", null, date === dateOf(sidecarNow()) ? `Today, ${date}` : date), h("ol", { class: "time-line" }, lines.map((line) => lineOf(line, marked)))));
}

function lineOf(line, marked) {
  const level = Object.hasOwn(LEVELS, line.level ?? "") ? LEVELS[line.level] : "info";
  const here = parse(location.hash).query;
  return h(
    "li",
    { id: `line-${line.seq}`, class: `tone-${tone(level)}${String(line.seq) === marked ? " marked" : ""}` },
    h("a", { class: "when", href: address("history", null, { ...here, at: line.seq }), title: "link to this line" }, moment(line.at)),
    badge(level, (line.kind ?? "").replaceAll("_", " ")),
    h(
      "div",
      { class: "what" },
      h("p", null, line.message, line.left_out > 0 && h("span", { class: "soft" }, ` (and ${number(line.left_out)} more like it, which came too fast to be kept)`)),
      (line.member || line.service) &&
        h("p", { class: "soft" }, line.member && memberLink(line.member.id, line.member.name), line.member && line.service && ", ", line.service && h("a", { href: address("service", line.service) }, line.service), line.instance && ` ${line.instance}`),
    ),
  );
}
