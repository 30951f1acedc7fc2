// History: what this sidecar saw, the newest first, with a filter in the address, so that a night can be shared.

import { moment, sidecarNow } from "./clock.js";
import { fill, h } from "./dom.js";
import { filterForm, filters } from "./history_filter.js";
import { historyStrip } from "./history_strip.js";
import { heading, memberLink, note, waiting } from "./parts.js";
import { address, parse } from "./route.js";
import { CallFailed, call } from "./rpc.js";
import { badge, tone } from "./states.js";
import { dateOf, number, timeOfDay } from "./words.js";

const LINES_MAX = 5000; // in the document at a time
const PAGE = 500; // lines that are asked for at a time
const LEVELS = { info: "info", warning: "warning", warn: "warning", error: "error" };

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
  let around = false; // what is shown is not the newest

  const show = () => {
    const shown = [...lines.values()].sort((a, b) => b.seq - a.seq);
    status.textContent = `${number(shown.length)} lines${about?.more ? ", older ones below" : ""}. ${keptText(about)}`;
    const focused = strip.contains(document.activeElement);
    fill(strip, historyStrip(shown, (line) => scrollTo(line.seq)));
    if (focused) strip.querySelector(".strip-bars")?.focus({ preventScroll: true });
    if (!shown.length) fill(body, note("empty", "Nothing happened in this time that this filter lets through."));
    else fill(body, around && aroundNote(place.query), days(shown, marked), about?.more && olderButton(shown.at(-1)));
    if (sought) {
      scrollTo(sought);
      sought = null;
    }
  };

  /** The lines around the one that is linked to, where it is not among the newest. */
  async function lookAround() {
    around = true;
    try {
      const { since_s, since, until, ...wanted } = filters(place.query);
      const found = await call("history", { ...wanted, before: Number(marked) + PAGE / 5, limit: PAGE });
      about = { ...about, more: found.more };
      lines.clear();
      for (const line of found.lines) lines.set(line.seq, line);
      if (!lines.has(Number(marked))) status.before(note("trouble", "The line that is linked to is not kept any more, or is of another sidecar."));
    } catch (error) {
      if (!(error instanceof CallFailed)) throw error;
      status.before(note("trouble", error.message));
    }
    show();
  }

  function olderButton(last) {
    if (lines.size >= LINES_MAX) return note("plain", `No more than ${number(LINES_MAX)} lines are shown at a time: choose a time, a member or a service.`);
    const ask = async (event) => {
      event.target.disabled = true;
      try {
        const found = await call("history", { ...filters(place.query), before: last.seq, limit: PAGE });
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
      if (around) return;
      if (data.kind === "current") lines.clear();
      about = { ...about, ...data, more: data.more ?? about?.more ?? false };
      for (const line of data.lines ?? []) lines.set(line.seq, line);
      if (sought && !lines.has(Number(sought))) lookAround();
      else app.soon(show);
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

function aroundNote(query) {
  const { at, ...others } = query;
  return note("plain", "These are the lines around the one that is linked to. ", h("a", { href: address("history", null, others) }, "Show the newest"));
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
