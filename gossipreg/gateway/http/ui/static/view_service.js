// One service: every instance, in the answers or out of them and why, and the answer to "why is it not there?".

import { deregisterButton, maintenanceButtons } from "./actions.js";
import { age, nowMs } from "./clock.js";
import { fill, fillIfChanged, h } from "./dom.js";
import { card, checkList, facts, heading, memberLink, note, pairs, tags, waiting } from "./parts.js";
import { address, refine } from "./route.js";
import { call } from "./rpc.js";
import { badge, HEALTHS, shareBar } from "./states.js";
import { counted, number } from "./words.js";

export const stream = (place) => ({ view: "service", name: place.name });

export function open(place, app) {
  const body = h("div", { class: "stack" }, waiting());
  const asked = new Map(); // what other members said of their checks, by instance
  const answer = h("div", { role: "status" });
  const why = whyForm(place, answer);
  const element = h("div", { class: "stack" }, h("p", { class: "crumb" }, h("a", { href: address("services") }, "Services")), heading(place.name), body, why);
  if (place.query.tags || place.query.zone) ask(place.name, place.query, answer);
  return {
    element,
    title: `Service ${place.name}`,
    receive(kind, data) {
      if (kind !== "service") return;
      const receivedMs = nowMs();
      fillIfChanged(body, [data, app.writes(), app.hello?.id], () => shown(data, { receivedMs, app, asked }));
    },
    refine(place) {
      if (place.query.tags || place.query.zone) ask(place.name, place.query, answer);
      else fill(answer);
    },
  };
}

function shown({ name, instances = [], explain = {}, partial: isPartial = false }, here) {
  const inAnswers = instances.filter((one) => !one.out_because);
  const out = instances.filter((one) => one.out_because);
  const partial = isPartial && note("trouble", "This sidecar is not synced: there may be more instances than these.");
  if (!instances.length) {
    return [partial, note(isPartial ? "waiting" : "empty", isPartial ? "No instance is known yet." : `No member has registered a service ${name}. A name is found in any case, but not by a part of it.`)];
  }
  return [
    partial,
    h("div", { class: "summary" }, h("strong", null, `${number(inAnswers.length)} of ${counted(instances.length, "instance")} in the answers here`), shareBar(byHealth(instances), HEALTHS)),
    group("In the answers", inAnswers, here, "No instance is in the answers: who looks this service up here gets none."),
    out.length > 0 && group("Out of the answers, and why", out, here),
    h("p", null, h("a", { href: address("history", null, { service: name }) }, "What happened to it: history")),
  ];
}

function byHealth(instances) {
  return Object.fromEntries(HEALTHS.map((health) => [health, instances.filter((one) => one.health === health).length]));
}

function group(title, instances, here, none) {
  const content = instances.length ? h("ul", { class: "instances" }, instances.map((one) => instance(one, here))) : note("trouble", none);
  return card(`${title} (${number(instances.length)})`, content);
}

function instance(one, { receivedMs, app, asked }) {
  const own = one.node === app.hello?.id;
  return h(
    "li",
    null,
    h("div", { class: "instance-head" }, badge(one.health), one.stale && badge("stale", "known last"), h("strong", null, one.id), h("code", null, `${one.address}:${one.port}`), h("span", { class: "soft" }, "at "), memberLink(one.node, one.node_name), one.zone && h("span", { class: "soft" }, `zone ${one.zone}`), h("span", { class: "soft" }, `weight ${number(one.weight ?? 1)}`), tags(one.tags), pairs(one.meta)),
    one.out_because && h("p", { class: "because" }, h("strong", null, "Out", typeof one.since_s === "number" && [" for ", age(one.since_s, receivedMs)], ": "), one.out_because),
    one.reason && one.reason !== one.out_because && !one.out_because?.includes(one.reason) && h("p", { class: "soft" }, one.reason),
    checksOf(one, receivedMs, asked),
    own && app.writes() && h("div", { class: "actions" }, maintenanceButtons(one.id, app.hello, one.health === "maintenance"), deregisterButton(one.id, one.service)),
  );
}

function checksOf(one, receivedMs, asked) {
  if (!one.checks) return askForChecks(one, asked);
  if (!one.checks.length) return h("p", { class: "soft hint" }, "It has no checks: it passes as long as its member lives.");
  return checkList(one.checks, receivedMs);
}

/** What checks say is known where they run alone: that member is asked when somebody wants to know. */
function askForChecks(one, asked) {
  if (one.since_s !== undefined) return null; // its member is dead
  const place = h("div", { role: "status" });
  const show = ({ checks, receivedMs }) =>
    fill(place, checks?.length ? checkList(checks, receivedMs) : h("p", { class: "soft hint" }, `${one.node_name} runs no check of it.`));
  const ask = async () => {
    fill(place, h("p", { class: "soft hint" }, `Asking ${one.node_name} …`));
    try {
      const { checks } = await call("ask-member", { member: one.node, service: one.service });
      asked.set(`${one.node} ${one.id}`, { checks: checks?.[one.id], receivedMs: nowMs() });
      show(asked.get(`${one.node} ${one.id}`));
    } catch (error) {
      fill(place, note("trouble", error.message));
    }
  };
  const button = h("button", { type: "button", class: "small", on: { click: ask } }, `Ask ${one.node_name}`);
  const known = asked.get(`${one.node} ${one.id}`);
  if (known) show(known);
  else fill(place, h("p", { class: "soft hint" }, `What its checks say is known at ${one.node_name} alone. `, button));
  return place;
}

// -- why is it not in the answers? ---------------------------------------------------------------------------------------

function whyForm(place, answer) {
  const wantedTags = h("input", { id: "why-tags", value: place.query.tags ?? "", placeholder: "v2, primary", autocomplete: "off" });
  const zone = h("input", { id: "why-zone", value: place.query.zone ?? "", autocomplete: "off" });
  const submit = (event) => {
    event.preventDefault();
    refine({ tags: wantedTags.value.trim(), zone: zone.value.trim() });
    if (!wantedTags.value.trim() && !zone.value.trim()) ask(place.name, {}, answer);
  };
  return card(
    "Why is an instance not in an answer?",
    h("p", { class: "soft" }, "Say what the program asks for, besides the name, and see what that leaves out."),
    h(
      "form",
      { class: "why", on: { submit } },
      h("label", { for: "why-tags" }, "Tags"),
      wantedTags,
      h("label", { for: "why-zone" }, "Zone"),
      zone,
      h("button", { type: "submit" }, "Explain"),
    ),
    answer,
  );
}

async function ask(name, query, answer) {
  const wanted = (query.tags ?? "").split(",").map((tag) => tag.trim()).filter(Boolean);
  fill(answer, waiting());
  try {
    fill(answer, explained(await call("explain", { name, ...(wanted.length ? { tags: wanted } : {}), ...(query.zone ? { zone: query.zone } : {}) }), wanted, query.zone));
  } catch (error) {
    fill(answer, note("trouble", error.message));
  }
}

function explained(found, wanted, zone) {
  const passing = found.matching?.passing ?? 0;
  const unhealthy = Object.entries(found.matching ?? {}).filter(([health, count]) => health !== "passing" && count);
  return [
    found.synced === false && note("trouble", "This sidecar is not synced: there may be more."),
    h("p", null, h("strong", null, `${counted(passing, "instance")} of ${number(found.instances ?? 0)} would be answered.`)),
    facts([
      ["Not in zone", found.not_in_zone ? `${counted(found.not_in_zone, "instance")} not in ${zone}; passing ones are in ${listed(found.zones)}` : null],
      ["Without the tags", found.without_tags ? `${counted(found.without_tags, "instance")} without ${wanted.join(", ")}; passing ones have ${listed(found.tags)}` : null],
      ["Not passing", unhealthy.length ? unhealthy.map(([health, count]) => badge(health, `${number(count)} ${health}`)) : null],
      ["Member dead", found.dead ? counted(found.dead, "instance") : null],
    ]),
  ];
}

function listed(value) {
  const names = Array.isArray(value) ? value : Object.keys(value ?? {});
  return names.length ? names.map((name) => name || "no zone").join(", ") : "none";
}
