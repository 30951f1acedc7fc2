// All members: a map (by zone, or the ring) and the list, both with the same filter.

import { age } from "./clock.js";
import { Collection } from "./collection.js";
import { fill, h } from "./dom.js";
import { FilterBar, matches } from "./filter_bar.js";
import { MemberMap, SHAPES, TINTS } from "./member_map.js";
import { heading, note, waiting } from "./parts.js";
import { address, refine } from "./route.js";
import { badge, MEMBER_STATES, memberCount } from "./states.js";
import { Table } from "./table.js";
import { number, roundTrip } from "./words.js";

export const stream = () => ({ view: "members" });

const STATE_ORDER = { dead: 0, suspect: 1, alive: 2, left: 3 };
const COLUMNS = [
  { key: "name", label: "Member", sort: (one) => one.name, cell: nameCell, fit: "w-name main" },
  { key: "state", label: "State", sort: (one) => STATE_ORDER[one.state] ?? 9, cell: stateCell, fit: "w-l side" },
  { key: "since", label: "For", sort: (one) => one.since_s, cell: (one) => age(one.since_s, one.receivedMs), fit: "w-m under named" },
  { key: "zone", label: "Zone", sort: (one) => one.zone || null, cell: (one) => one.zone || "–", fit: "w-m far" },
  { key: "rtt", label: "Round trip", sort: (one) => one.rtt_ms, cell: (one) => (one.me ? "here" : roundTrip(one.state === "alive" || one.state === "suspect" ? one.rtt_ms : null)), fit: "w-m num" },
  { key: "services", label: "Services", sort: (one) => one.services, cell: (one) => number(one.services ?? 0), fit: "w-s num roomy" },
  { key: "software", label: "Version", sort: (one) => one.software, cell: (one) => one.software ?? "does not say", fit: "w-s roomy" },
  { key: "address", label: "Address", sort: (one) => one.address, cell: (one) => one.address ?? "not known", fit: "w-l mono roomy" },
  { key: "why", label: "Why", cell: whyCell, fit: "grow wide" },
];

function nameCell(one) {
  return [h("span", { class: "name", title: one.name }, one.name), one.me && h("span", { class: "here" }, "this sidecar")];
}

function stateCell(one) {
  if (one.state === "alive" && typeof one.maintenance === "string") return badge("maintenance");
  return badge(one.state);
}

function whyCell(one) {
  const text = one.reason || (typeof one.maintenance === "string" && one.maintenance) || "";
  return h("span", { title: text }, text);
}

const byName = new Intl.Collator("en", { numeric: true });

export function open(place, app) {
  const members = new Collection((one) => one.id);
  let query = place.query;
  const bar = new FilterBar({ states: MEMBER_STATES, hint: "Name, zone, address, version, label", query });
  const map = new MemberMap();
  const choices = h("div", { class: "choices" });
  const lines = h("div", null, waiting());
  const table = new Table({
    caption: "Members, as seen from this sidecar",
    columns: COLUMNS,
    idOf: (one) => one.id,
    hrefOf: (one) => address("member", one.id),
    onSort: (order) => refine({ sort: order }),
  });
  const narrow = window.matchMedia("(max-width: 640px)").matches; // there the list is what people look for
  const picture = h("details", { class: "card map-card", open: !narrow }, h("summary", null, "Map"), choices, map.element);
  const element = h("div", { class: "stack" }, heading("Members"), picture, bar.element, lines);

  function wanted(one) {
    const inState = !query.state || one.state === query.state;
    return inState && matches(query.q, [one.name, one.id, one.zone, one.address, one.software, ...labels(one)]);
  }

  function show() {
    const all = members.values();
    if (!all.length && !members.complete) return;
    all.sort((a, b) => byName.compare(a.name, b.name)); // the order among equals
    const found = all.filter(wanted);
    const counts = Object.fromEntries(MEMBER_STATES.map((state) => [state, all.filter((one) => one.state === state).length]));
    const gone = counts.left ? ` and ${number(counts.left)} that left` : "";
    bar.update({ query, counts, shown: found.length, total: all.length, counted: memberCount(counts), complete: members.complete, noun: `members${gone}` });
    const [shape, tint] = [pick(query.map, SHAPES), pick(query.by, TINTS)];
    showChoices(shape, tint);
    if (members.complete) map.show(all, { shape, tint, wanted }); // it would be drawn anew with each piece
    const partial = all.some((one) => one.partial);
    const trouble = partial && note("trouble", "This sidecar is not synced: there may be more members than these.");
    if (found.length) {
      if (!table.element.isConnected) fill(lines, trouble, table.element);
      table.show(found, query.sort ?? "state");
    } else {
      fill(lines, trouble, note("empty", "No member matches this filter. ", h("a", { href: address("members") }, "Show all")));
    }
  }

  function showChoices(shape, tint) {
    const key = `${shape} ${tint}`;
    if (choices.dataset.key === key) return;
    const focused = choices.contains(document.activeElement) ? document.activeElement.value : null;
    choices.dataset.key = key;
    fill(choices, group("Order", "map", SHAPES, shape), group("Colour", "by", TINTS, tint));
    if (focused) choices.querySelector(`[value="${focused}"]`)?.focus();
  }

  function group(label, name, values, chosen) {
    const options = Object.entries(values).map(([value, text]) =>
      h(
        "button",
        { type: "button", class: "switch", value, "aria-pressed": String(value === chosen), on: { click: () => refine({ [name]: value }) } },
        text,
      ));
    return h("div", { class: "switches", role: "group", "aria-label": label }, h("span", { class: "soft" }, label), options);
  }

  return {
    element,
    title: "Members",
    restart: () => members.restart(),
    receive(kind, data) {
      if (kind !== "members") return;
      members.receive(data);
      app.soon(show);
    },
    refine(place) {
      query = place.query;
      show();
    },
    close: () => table.close(),
  };
}

function pick(value, choices) {
  return Object.hasOwn(choices, value ?? "") ? value : Object.keys(choices)[0];
}

function labels(one) {
  return Object.entries(one.labels ?? {}).map(([name, value]) => `${name}=${value}`);
}
