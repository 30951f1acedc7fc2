// One member: what the registry says of it, and what it says of itself when this sidecar asks it.

import { maintenanceButtons } from "./actions.js";
import { age, nowMs } from "./clock.js";
import { fillIfChanged, h } from "./dom.js";
import { card, checkList, facts, heading, note, pairs, waiting } from "./parts.js";
import { address } from "./route.js";
import { badge } from "./states.js";
import { bytes, number, percent, roundTrip, shortId } from "./words.js";

export const stream = (place) => ({ view: "member", name: place.name });

export function open(place, app) {
  const body = h("div", { class: "stack" }, waiting());
  const head = heading(shortId(place.name));
  const title = head.querySelector("h1");
  const element = h("div", { class: "stack" }, h("p", { class: "crumb" }, h("a", { href: address("members") }, "Members")), head, body);
  return {
    element,
    title: `Member ${shortId(place.name)}`,
    receive(kind, data) {
      if (kind !== "member") return;
      const receivedMs = nowMs();
      if (data.member) title.textContent = data.member.name;
      fillIfChanged(body, [data, app.writes()], () => shown(data, receivedMs, app));
    },
  };
}

function shown(data, receivedMs, app) {
  const { member, services = [], services_left_out: leftOut = 0 } = data;
  if (!member) return note("empty", "This sidecar knows no member of this id. A member that is gone for days is forgotten.");
  const inMaintenance = typeof member.maintenance === "string";
  return [
    h("div", { class: "summary" }, badge(member.state), inMaintenance && badge("maintenance"), h("span", { class: "soft" }, "for ", age(member.since_s, receivedMs)), member.me && h("span", { class: "here" }, "this sidecar")),
    member.reason && note("plain", member.reason),
    inMaintenance && note("plain", `All its services are in maintenance${member.maintenance ? `: ${member.maintenance}` : ""}.`),
    member.me && app.writes() && h("div", { class: "actions" }, maintenanceButtons(null, app.hello, inMaintenance)),
    h(
      "div",
      { class: "columns" },
      card(
        "As the registry has it",
        facts([
          ["Id", h("code", null, member.id)],
          ["Address", member.address ?? "not known"],
          ["Zone", member.zone || "none"],
          ["Round trip", member.me ? "this sidecar itself" : member.rtt_ms === null ? "not measured from here" : roundTrip(member.rtt_ms)],
          ["Version", member.software ?? "it does not say"],
          ["Keys", member.keys === null ? "it does not say" : member.keys?.length ? member.keys.map((key) => h("code", null, `${key} `)) : "none: its gossip is not sealed"],
          ["Labels", Object.keys(member.labels ?? {}).length ? pairs(member.labels) : "none"],
        ]),
      ),
      card("As it says itself", ofItself(data, receivedMs)),
    ),
    card(`Services (${number(services.length + leftOut)})`, servicesOf(services), leftOut > 0 && note("plain", `${number(leftOut)} more are not shown.`)),
    h("p", null, h("a", { href: address("history", null, { member: member.id }) }, "What happened to it: history")),
  ];
}

function ofItself({ member, load, troubles = [], failing_checks: failing = [], not_answered: notAnswered }, receivedMs) {
  if (notAnswered) return note("trouble", `It was asked, and did not say: ${notAnswered}`);
  if (!load) return member.state === "alive" || member.state === "suspect" ? note("waiting", "Asking it …") : note("empty", `It is ${member.state}, so it is not asked.`);
  return [
    troubles.length > 0 && h("ul", { class: "rows" }, troubles.map((one) => h("li", null, badge("warning"), h("div", null, one.message, h("span", { class: "soft" }, " for ", age(one.since_s, receivedMs)))))),
    failing.length > 0 && checkList(failing, receivedMs),
    facts([
      ["Running for", typeof load.uptime_s === "number" ? age(load.uptime_s, receivedMs) : null],
      ["CPU", typeof load.cpu === "number" ? `${percent(load.cpu)} of a core` : null],
      ["Loop lag", typeof load.loop_lag_ms === "number" ? roundTrip(load.loop_lag_ms) : null],
      ["Memory", typeof load.memory_bytes === "number" ? bytes(load.memory_bytes) : null],
      ["Journals led", typeof load.journals_led === "number" ? number(load.journals_led) : null],
      ["Local health", typeof load.health_score === "number" ? localHealth(load.health_score) : null],
      ["Living members known", typeof load.members === "number" ? number(load.members) : null],
      ["Services there", typeof load.services === "number" ? number(load.services) : null],
      ...furtherFigures(load),
    ]),
  ];
}

const NAMED = new Set(["uptime_s", "cpu", "loop_lag_ms", "memory_bytes", "journals_led", "health_score", "members", "services"]);

/** Figures of a newer release than this page: shown by the names that they have. */
function furtherFigures(load) {
  return Object.entries(load)
    .filter(([name, value]) => !NAMED.has(name) && ["number", "string", "boolean"].includes(typeof value))
    .map(([name, value]) => [name, typeof value === "number" ? number(value) : String(value)]);
}

function localHealth(score) {
  return score === 0 ? "0: its own link is well" : `${number(score)}: it is slow itself, and waits longer before it suspects others`;
}

function servicesOf(services) {
  if (!services.length) return note("empty", "It has no services in the registry.");
  return h(
    "ul",
    { class: "rows" },
    services.map((one) =>
      h(
        "li",
        null,
        badge(one.health),
        one.stale && badge("stale", "known last"),
        h("div", null, h("a", { href: address("service", one.service) }, one.service), " ", h("span", { class: "soft" }, `${one.id}, ${one.address}:${one.port}`), one.reason && h("p", null, one.reason)),
      )),
  );
}
