// Sagas: those that are open, stuck ones first, and those that ended.

import { fill, h } from "./dom.js";
import { FilterBar, matches } from "./filter_bar.js";
import { heading, missingAnswers, momentOfMs, note, waiting } from "./parts.js";
import { address, refine } from "./route.js";
import { badge, word } from "./states.js";
import { Table } from "./table.js";
import { duration, number } from "./words.js";

export const stream = () => ({ view: "sagas" });

const STATES = ["stuck", "running", "committed", "aborted", "ended"];
const COLUMNS = [
  { key: "name", label: "Saga", sort: (one) => one.name, cell: (one) => h("span", { class: "name" }, one.name), fit: "grow main" },
  { key: "state", label: "State", sort: (one) => STATES.indexOf(stateOf(one)), cell: (one) => badge(stateOf(one), said(one)), fit: "w-xxl side" },
  { key: "began", label: "Began", sort: (one) => one.began, cell: (one) => momentOfMs(one.began) ?? "–", fit: "w-xl far" },
  { key: "took", label: "Took", sort: took, cell: (one) => (took(one) === null ? "–" : duration(took(one))), fit: "w-m num roomy" },
  { key: "steps", label: "Steps", sort: (one) => one.steps, cell: (one) => number(one.steps ?? 0), fit: "w-s num roomy" },
  { key: "why", label: "Why", cell: whyCell, fit: "grow under" },
  { key: "id", label: "Id", cell: (one) => h("bdi", { title: one.saga }, one.saga), fit: "grow mono wide tail" },
];

/** A saga with a stuck step is `stuck` for people, whatever was decided. */
export function stateOf(one) {
  return one.stuck?.length ? "stuck" : one.state;
}

function said(one) {
  if (one.stuck?.length) return `stuck, ${one.state}`;
  return one.state === "ended" && one.decision ? `ended, ${word(one.decision)}` : undefined;
}

function took(one) {
  return one.began && one.ended ? (one.ended - one.began) / 1000 : null;
}

function whyCell(one) {
  const text = [one.stuck?.length ? `stuck at ${one.stuck.join(", ")}` : "", one.reason].filter(Boolean).join("; ");
  return h("span", { title: text }, text);
}

/** What is left out is older than what is listed. */
function leftOut({ more_open, more_ended }) {
  if (!more_open && !more_ended) return null;
  const which = [more_open && "open", more_ended && "ended"].filter(Boolean).join(" and ");
  return note(more_open ? "trouble" : "plain", `There are more ${which} sagas than are listed here, which are the newest. `, h("code", null, "gossipreg saga list --since 24h"), " has all.");
}

export function open(place, app) {
  let query = place.query;
  let found = null;
  const bar = new FilterBar({ states: STATES, hint: "Name, id, step, reason", query });
  const trouble = h("div");
  const lines = h("div", null, waiting());
  const table = new Table({
    caption: "Sagas of all journals that answer",
    columns: COLUMNS,
    idOf: (one) => one.saga,
    hrefOf: (one) => address("saga", one.saga),
    onSort: (order) => refine({ sort: order }),
  });

  function show() {
    if (!found) return;
    const unanswered = found.not_answered ?? found.unanswered ?? [];
    fill(trouble, missingAnswers(unanswered), leftOut(found));
    const all = [...(found.items ?? found.sagas ?? [])];
    all.sort((a, b) => (b.began ?? 0) - (a.began ?? 0)); // the newest first among equals
    const shown = all.filter((one) => (!query.state || stateOf(one) === query.state) && matches(query.q, [one.name, one.saga, one.reason, ...(one.stuck ?? [])]));
    const counts = Object.fromEntries(STATES.map((state) => [state, all.filter((one) => stateOf(one) === state).length]));
    bar.update({ query, counts, shown: shown.length, total: all.length, complete: true, noun: "sagas", known: !unanswered.length && !found.more_open && !found.more_ended });
    if (shown.length) {
      if (!table.element.isConnected) fill(lines, table.element);
      table.show(shown, query.sort ?? "state");
    } else if (all.length) {
      fill(lines, note("empty", "No saga matches this filter. ", h("a", { href: address("sagas") }, "Show all")));
    } else {
      fill(lines, unanswered.length ? note("waiting", "No saga is known so far.") : note("empty", "No saga is kept in any journal."));
    }
  }

  return {
    element: h("div", { class: "stack" }, heading("Sagas"), trouble, bar.element, lines),
    title: "Sagas",
    receive(kind, data) {
      if (kind !== "sagas") return;
      found = data;
      app.soon(show);
    },
    refine(place) {
      query = place.query;
      show();
    },
    close: () => table.close(),
  };
}
