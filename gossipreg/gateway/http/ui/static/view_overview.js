// The overview: what is wrong comes first, in words and with what to do; then counts that lead on.

import { age, nowMs } from "./clock.js";
import { fillIfChanged, h } from "./dom.js";
import { card, figure, heading, note, waiting } from "./parts.js";
import { address } from "./route.js";
import { badge, glyph, HEALTHS, MEMBER_STATES, memberCount, shareBar, tone } from "./states.js";
import { counted, duration, number } from "./words.js";

export const stream = () => ({ view: "overview" });

const SHOWN = 8; // the others are behind a button

export function open(_place, app) {
  const verdict = h("section", { class: "verdict", "aria-label": "what is wrong" }, waiting());
  const tiles = h("div", { class: "tiles" });
  const details = h("div");
  const element = h("div", { class: "stack" }, heading("Overview"), verdict, tiles, details);
  const show = (overview) => {
    const receivedMs = nowMs();
    fillIfChanged(verdict, [without(overview), app.hello?.name], () => verdictOf(overview, receivedMs));
    fillIfChanged(tiles, [overview.members, overview.services, overview.events, overview.sagas, overview.knowledge], () => tilesOf(overview, app.hello));
    fillIfChanged(details, overview.maintenance, () => maintenanceOf(overview));
  };
  if (app.overview) show(app.overview);
  return { element, title: "Overview", overview: show };
}

/** What makes a difference to a reader: not the seconds, which go on by themselves. */
function without(overview) {
  return JSON.parse(JSON.stringify(overview, (key, value) => (/_s$/.test(key) ? undefined : value)));
}

/** All troubles of an overview, the gravest first: {`state`, `message`, `todo`, `since_s`, `href`}. */
export function troublesOf(overview) {
  const found = [];
  if (overview.alone) {
    found.push({
      state: "critical",
      message: "This sidecar is isolated: nothing arrives from any other member. All that is shown is what it knew last.",
      todo: "Look at the network of this host, and at the troubles below.",
    });
  }
  if (overview.synced === false) {
    const known = overview.knowledge === "last_known" ? "What is shown is what it knew before its restart." : "It knows only what is registered here.";
    found.push({
      state: "critical",
      message: `This sidecar does not know the cluster yet: ${overview.not_synced_because || "it is not synced"}. ${known}`,
      todo: "Do not take what is missing below for gone.",
    });
  }
  for (const one of overview.troubles ?? []) {
    found.push({ state: "warning", message: one.message, todo: one.todo ?? one.what_to_do, since_s: one.since_s });
  }
  for (const one of overview.not_alive ?? []) {
    found.push({
      state: one.state,
      ...lasting(`${one.name} is ${one.state}`, one.since_s, one.reason),
      href: one.id ? address("member", one.id) : address("members", null, { q: one.name }),
    });
  }
  for (const one of overview.services?.down ?? []) {
    const instances = [one.instances && `${counted(one.instances, "instance")} not passing`, one.dead && `${counted(one.dead, "instance")} of dead members`].filter(Boolean);
    found.push({ state: "critical", message: `Lookups of ${one.name} find no instance: ${instances.join(", ")}`, href: address("service", one.name) });
  }
  const further = (overview.services?.down_count ?? 0) - (overview.services?.down?.length ?? 0);
  if (further > 0) found.push({ state: "critical", message: `Lookups of ${counted(further, "further service")} find no instance`, href: address("services") });
  for (const one of overview.failing_checks ?? []) {
    found.push({
      state: one.health,
      ...lasting(`${one.service || "this sidecar"} is ${one.health}`, one.since_s, `${one.check}${one.output ? `: ${one.output}` : ""}`),
      href: one.service ? address("history", null, { service: one.service }) : null,
    });
  }
  if (overview.sagas?.stuck) {
    found.push({
      state: "stuck",
      message: `${counted(overview.sagas.stuck, "saga")} cannot go on without help.`,
      todo: "Retry, skip or give up their open steps.",
      href: address("sagas", null, { state: "stuck" }),
    });
  }
  if (overview.events?.dead) {
    found.push({
      state: "warning",
      message: `${counted(overview.events.dead, "event")} could not be delivered.`,
      todo: "Mend what refuses them, then retry them, or drop them.",
      href: address("events"),
    });
  }
  return found.map((one, index) => [GRAVITY.indexOf(tone(one.state)), index, one]).sort((a, b) => a[0] - b[0] || a[1] - b[1]).map(([, , one]) => one);
}

/** A state, how long it lasts, and why, in this order: "web-3 is dead for 5 s: reported by web-2". */
function lasting(message, since_s, why) {
  return { message, since_s, why };
}

const GRAVITY = ["bad", "warn", "info", "quiet", "good"];

function verdictOf(overview, receivedMs) {
  const troubles = troublesOf(overview);
  const basis = overview.alone ? "As this sidecar knew it last" : `${overview.synced ? "Synced" : "Not synced"}, as seen from this sidecar`;
  if (!troubles.length) {
    return [
      h("h2", { class: "all-well" }, glyph("passing"), "Nothing is wrong"),
      h("p", { class: "soft" }, `${basis}. It has run for `, age(overview.uptime_s, receivedMs), "."),
    ];
  }
  const hidden = troubles.length - SHOWN;
  const list = h("ol", { class: "troubles" }, troubles.slice(0, SHOWN).map((one) => troubleOf(one, receivedMs)));
  const showAll = (event) => {
    event.target.remove();
    list.append(...troubles.slice(SHOWN).map((one) => troubleOf(one, receivedMs)));
  };
  return [
    h("h2", null, `${counted(troubles.length, "thing")} ${troubles.length === 1 ? "needs" : "need"} a look`),
    list,
    hidden > 0 && h("p", null, h("button", { type: "button", data: { focus: "all" }, on: { click: showAll } }, `Show ${number(hidden)} more`)),
    h("p", { class: "soft" }, `${basis}.`),
  ];
}

function troubleOf({ state, message, todo, since_s, href, why }, receivedMs) {
  return h(
    "li",
    null,
    glyph(state),
    h(
      "div",
      null,
      h("p", null, href ? h("a", { href }, message) : message, typeof since_s === "number" && h("span", { class: "soft" }, " for ", age(since_s, receivedMs)), why && `: ${why}`),
      todo && h("p", { class: "todo" }, todo),
    ),
  );
}

function tilesOf(overview, hello) {
  const noDisk = hello?.data_dir === false && "This sidecar has no data directory, so no journal is kept here.";
  return [
    tile("Members", "members", memberCount(overview.members), overview.members, MEMBER_STATES),
    tile("Services", "services", overview.services?.names, overview.services, HEALTHS, overview.services && counted(overview.services.instances, "instance")),
    eventsTile(overview.events, noDisk),
    sagasTile(overview.sagas, noDisk),
  ];
}

function tile(title, view, total, counts, states, beside = null) {
  if (!counts) return h("section", { class: "card tile" }, h("h2", null, title), note("waiting", "Not known yet."));
  return h(
    "section",
    { class: "card tile" },
    h("h2", null, h("a", { href: address(view), data: { focus: view } }, title)),
    h("p", { class: "big" }, number(total), beside && h("span", { class: "soft" }, beside)),
    shareBar(counts, states.filter((state) => state !== "left")),
    h(
      "ul",
      { class: "counts" },
      [...states, "stale"].filter((state) => counts[state] || state === states[0]).map((state) =>
        h("li", null, figure({ value: number(counts[state] ?? 0), label: state === "stale" ? "known last" : state, href: address(view, null, state === "stale" ? {} : { state }), state }))),
    ),
  );
}

function eventsTile(events, noDisk) {
  if (!events) return ledElsewhere("Events", noDisk);
  return h(
    "section",
    { class: "card tile" },
    h("h2", null, h("a", { href: address("events"), data: { focus: "events" } }, "Events")),
    h("p", { class: "big" }, number(events.pending), h("span", { class: "soft" }, " waiting")),
    ledHere("events"),
    h(
      "ul",
      { class: "counts" },
      h("li", null, figure({ value: number(events.groups), label: events.groups === 1 ? "group" : "groups", href: address("events") })),
      h("li", null, figure({ value: events.oldest_s ? duration(events.oldest_s) : "–", label: "the oldest", href: address("events") })),
      h("li", null, figure({ value: number(events.dead), label: events.dead === 1 ? "dead letter" : "dead letters", href: address("events"), state: events.dead ? "warning" : null })),
    ),
  );
}

function sagasTile(sagas, noDisk) {
  if (!sagas) return ledElsewhere("Sagas", noDisk);
  return h(
    "section",
    { class: "card tile" },
    h("h2", null, h("a", { href: address("sagas"), data: { focus: "sagas" } }, "Sagas")),
    h("p", { class: "big" }, number(sagas.running), h("span", { class: "soft" }, " running")),
    ledHere("sagas"),
    h(
      "ul",
      { class: "counts" },
      h("li", null, figure({ value: number(sagas.stuck), label: "stuck", href: address("sagas", null, { state: "stuck" }), state: sagas.stuck ? "stuck" : null })),
      sagas.undoing > 0 && h("li", null, figure({ value: number(sagas.undoing), label: "being undone", href: address("sagas", null, { state: "aborted" }), state: "undoing" })),
    ),
  );
}

/** The overview asks nobody: what it counts is a part. */
function ledHere(view) {
  return h("p", { class: "soft" }, "In the journals led here. ", h("a", { href: address(view), data: { focus: `ask ${view}` } }, "Ask all members"));
}

function ledElsewhere(title, noDisk) {
  const view = title.toLowerCase();
  return h(
    "section",
    { class: "card tile" },
    h("h2", null, h("a", { href: address(view), data: { focus: view } }, title)),
    note("waiting", `${noDisk || "This sidecar leads no journal, so it counts none."} `, h("a", { href: address(view), data: { focus: `ask ${view}` } }, "Ask all members")),
  );
}

/** What is out of the answers on purpose is no trouble, but easy to forget. */
function maintenanceOf(overview) {
  if (!overview.maintenance?.length) return null;
  return card(
    "In maintenance at this sidecar",
    h("ul", { class: "rows" }, overview.maintenance.map((one) => h("li", null, badge("maintenance"), h("div", null, h("strong", null, one.service ?? "all services"), one.reason && ` ${one.reason}`)))),
  );
}
