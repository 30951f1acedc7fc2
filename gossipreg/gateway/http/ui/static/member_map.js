// The map of the members: each is one mark, of the shape of its state.
//
// `zones` puts them into a block for each zone; `ring` in the order of their ids around a circle, as the protocol does:
// each probes and gossips with its neighbours there. The list below the map has the same in words, so a screen reader
// gets a summary of it. By keyboard it is one stop of Tab: the line below names the mark that the arrows lead to.

import { fill, h, place, s } from "./dom.js";
import { nextMark } from "./map_keys.js";
import { address } from "./route.js";
import { glyph, MEMBER_STATES, outline, tone } from "./states.js";
import { counted, number, roundTrip } from "./words.js";

const TICKS_FROM = 120; // members of a ring beyond which each is a line, since marks would cover one another
const CENTRE = 280;
const RADIUS = 240;
const RTT_STEPS_MS = [1, 5, 20, 50, 100]; // a step darker for each

export const SHAPES = { zones: "by zone", ring: "ring" };
export const TINTS = { state: "state", rtt: "round trip", software: "version", services: "services" };

export class MemberMap {
  constructor() {
    this.element = h("div", {
      class: "map",
      tabindex: "0",
      role: "application",
      "aria-label": "Map of the members: arrows, Home and End lead to a member, Enter opens it",
      on: { click: (event) => this.onClick(event), keydown: (event) => this.onKey(event), focus: () => this.moveTo(this.at) },
    });
    this.said = h("p", { class: "map-said", role: "status" });
    this.marks = new Map();
    this.members = new Map();
    this.at = null; // the id of the member to which the arrows led
  }

  /** `members`, of which those for which `wanted(member)` is false are faint. */
  show(members, { shape, tint, wanted }) {
    const versions = tint === "software" ? [...new Set(members.map((one) => one.software ?? ""))].sort() : [];
    this.members = new Map(members.map((one) => [one.id, one]));
    this.wanted = wanted;
    this.paint = (member) =>
      `mark ${paintOf(member, tint, versions)}${member.me ? " me" : ""}${wanted(member) ? "" : " faint"}${member.id === this.at ? " at" : ""}`;
    const layout = `${shape} ${tint} ${members.map(({ id, zone, name }) => `${id} ${zone} ${name}`).join("\n")}`;
    if (layout !== this.layout) {
      this.layout = layout;
      this.isRing = shape === "ring";
      this.marks.clear();
      fill(this.element, shape === "ring" ? this.ring(members) : this.zones(members));
      this.legend = h("div", { class: "legend" });
      this.element.append(h("div", { class: "map-foot" }, this.legend, this.said));
    }
    for (const member of members) this.update(member);
    fill(this.legend, legendOf(tint, versions));
    for (const [zone, { count, picture }] of this.counts ?? []) {
      const text = summary(members.filter((one) => one.zone === zone));
      if (count.textContent !== text) count.textContent = text;
      picture.setAttribute("aria-label", `zone ${zone || "without a name"}: ${text}`);
    }
  }

  update(member) {
    const mark = this.marks.get(member.id);
    if (!mark) return;
    const painted = this.paint(member);
    const key = `${painted} ${member.state} ${member.maintenance} ${member.rtt_ms}`;
    if (mark.key === key) return;
    mark.key = key;
    mark.node.setAttribute("class", painted);
    mark.path.setAttribute("d", mark.isTick ? tick(member, member.id === this.at) : outline(shownState(member)));
    mark.title.textContent = inWords(member);
    if (member.id === this.at) fill(this.said, inWords(member));
  }

  mark(member, transform, isTick = false) {
    const path = s("path", { "fill-rule": "evenodd" });
    const title = s("title");
    const node = s("g", { transform, "data-member": member.id }, title, !isTick && s("rect", { class: "hit", x: -1, y: -1, width: 18, height: 18 }), path);
    this.marks.set(member.id, { node, path, title, isTick });
    return node;
  }

  // -- by zone -----------------------------------------------------------------------------------------------------------

  zones(members) {
    const zones = Map.groupBy(members, (member) => member.zone ?? "");
    this.counts = new Map();
    this.cell = members.length <= 60 ? 18 : members.length <= 300 ? 15 : 12;
    const names = [...zones.keys()].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    const most = Math.max(0, ...[...zones.values()].map(({ length }) => length));
    this.columns = Math.max(4, Math.ceil(Math.sqrt(most * 2.6))); // of all zones, so that they stand in columns
    place(this.element, { "--zone": `${Math.min(this.columns, Math.max(most, 4)) * this.cell}px` });
    return names.map((zone) => this.zone(zone, zones.get(zone).sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }))));
  }

  zone(zone, members) {
    const { cell, columns } = this;
    const lines = Math.ceil(members.length / columns);
    const [width, height] = [Math.min(columns, Math.max(members.length, 4)) * cell, lines * cell];
    const scale = (cell - 2) / 16;
    const picture = s(
      "svg",
      { viewBox: `0 0 ${width} ${height}`, width, height, role: "img" },
      members.map((member, index) => this.mark(member, `translate(${(index % columns) * cell + 1} ${Math.floor(index / columns) * cell + 1}) scale(${scale})`)),
    );
    const count = h("span", { class: "soft" });
    this.counts.set(zone, { count, picture });
    return h("figure", { class: "zone" }, h("figcaption", null, h("strong", null, zone || "no zone"), " ", count), picture);
  }

  // -- the ring ----------------------------------------------------------------------------------------------------------

  ring(members) {
    this.counts = new Map();
    const living = members.filter(({ state }) => state === "alive" || state === "suspect").sort((a, b) => (a.id < b.id ? -1 : 1));
    const others = members.length - living.length;
    const own = Math.max(0, living.findIndex((one) => one.me));
    const turn = (index) => (((index - own) / living.length) * 360 + 360) % 360; // our own member stands on top
    const marks = living.map((member, index) =>
      living.length > TICKS_FROM ? this.tick(member, turn(index)) : this.bead(member, turn(index), living.length));
    const text = `${counted(living.length, "living member")} in the order of their ids`;
    const beyond = others ? `${number(others)} dead or left are not on the ring` : "each probes and gossips with its neighbours";
    return h(
      "figure",
      { class: "ring" },
      s(
        "svg",
        { viewBox: "-60 0 680 560", role: "img", "aria-label": `ring: ${text}; ${beyond}` },
        s("circle", { class: "rail", cx: CENTRE, cy: CENTRE, r: living.length > TICKS_FROM ? RADIUS + 10 : RADIUS }),
        marks,
        s("text", { class: "ring-total", x: CENTRE, y: 276, "text-anchor": "middle" }, number(living.length)),
        s("text", { class: "ring-note", x: CENTRE, y: 300, "text-anchor": "middle" }, text.replace(/^\S+ /, "")),
        s("text", { class: "ring-note", x: CENTRE, y: 320, "text-anchor": "middle" }, beyond),
      ),
    );
  }

  bead(member, degrees, count) {
    const angle = ((degrees - 90) * Math.PI) / 180;
    const size = Math.max(11, Math.min(20, (RADIUS * 6) / count));
    const [x, y] = [CENTRE + RADIUS * Math.cos(angle) - size / 2, CENTRE + RADIUS * Math.sin(angle) - size / 2];
    return [this.mark(member, `translate(${x} ${y}) scale(${size / 16})`), count <= 40 && labelOf(member, angle, RADIUS + 18)];
  }

  tick(member, degrees) {
    return this.mark(member, `rotate(${degrees} ${CENTRE} ${CENTRE}) translate(${CENTRE} ${CENTRE - RADIUS})`, true);
  }

  onClick(event) {
    const id = event.target.closest("[data-member]")?.dataset.member;
    if (id) location.hash = address("member", id);
  }

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    if (event.key === "Enter" && this.marks.has(this.at)) {
      location.hash = address("member", this.at);
      return;
    }
    const ids = this.reachable();
    const boxes = this.isRing ? null : () => ids.map((id) => this.marks.get(id).path.getBoundingClientRect());
    const index = nextMark(event.key, Math.max(0, ids.indexOf(this.at)), ids.length, boxes);
    if (index === null || !ids.length) return;
    event.preventDefault();
    this.moveTo(ids[index]);
  }

  /** The ids of the marks that the arrows reach: those that are not faint, where there are any. */
  reachable() {
    const ids = [...this.marks.keys()];
    const wanted = ids.filter((id) => this.wanted(this.members.get(id)));
    return wanted.length ? wanted : ids;
  }

  /** To the mark of this member; where there is none, to the first. */
  moveTo(id) {
    const before = this.at;
    this.at = this.marks.has(id) ? id : (this.reachable()[0] ?? null);
    for (const one of [before, this.at]) {
      const member = this.members.get(one);
      if (member) this.update(member);
    }
    const member = this.members.get(this.at);
    if (!member) return;
    fill(this.said, inWords(member));
    this.marks.get(this.at).node.scrollIntoView({ block: "nearest" });
  }
}

function inWords(member) {
  const trip = typeof member.rtt_ms === "number" ? roundTrip(member.rtt_ms) : "not measured from here";
  const from = member.me ? "this sidecar" : `round trip ${trip}`;
  return `${member.name}: ${shownState(member)}, ${from}, ${counted(member.services ?? 0, "service")}`;
}

/** A line across the ring; one that is not alive is longer and wider, as is the one that the arrows led to (`at`), and
 * our own points inwards. */
function tick(member, at) {
  if (at) return "M-3-28h6v50h-6z";
  if (member.me) return "M-1.5-12h3v44h-3z";
  return shownState(member) === "alive" ? "M-.6-8h1.2v16h-1.2z" : "M-2.5-22h5v38h-5z";
}

function shownState(member) {
  return member.state === "alive" && typeof member.maintenance === "string" ? "maintenance" : member.state;
}

function labelOf(member, angle, radius) {
  const [x, y] = [CENTRE + radius * Math.cos(angle), CENTRE + radius * Math.sin(angle)];
  const anchor = Math.cos(angle) > 0.2 ? "start" : Math.cos(angle) < -0.2 ? "end" : "middle";
  const name = member.name.length > 16 ? `${member.name.slice(0, 15)}…` : member.name;
  return s("text", { class: "ring-label", x, y: y + 4 + 6 * Math.sin(angle), "text-anchor": anchor }, name);
}

function paintOf(member, tint, versions) {
  if (tint === "state" || member.state !== "alive") {
    return `tone-${tone(shownState(member))}`;
  }
  if (tint === "rtt") {
    if (member.me) return "step-0";
    if (typeof member.rtt_ms !== "number") return "step-none";
    return `step-${RTT_STEPS_MS.filter((step) => member.rtt_ms >= step).length}`;
  }
  if (tint === "services") return `step-${Math.min(5, Math.ceil(Math.log2((member.services ?? 0) + 1)))}`;
  return `kind-${versions.indexOf(member.software ?? "") % 6}`;
}

function legendOf(tint, versions) {
  const key = (paint, text) =>
    h("span", { class: "key" }, s("svg", { class: `glyph mark ${paint}`, viewBox: "0 0 16 16", "aria-hidden": "true" }, s("path", { d: outline("alive") })), text);
  if (tint === "rtt") {
    const bounds = ["below 1 ms", ...RTT_STEPS_MS.map((step) => `from ${step} ms`)];
    return [bounds.map((text, step) => key(`step-${step}`, text)), key("step-none", "not measured from here")];
  }
  if (tint === "services") return ["none", "1", "2–3", "4–7", "8–15", "16 or more"].map((text, step) => key(`step-${step}`, text));
  if (tint === "software") return versions.map((version, index) => key(`kind-${index % 6}`, version || "does not say"));
  return [...MEMBER_STATES, "maintenance"].map((state) => h("span", { class: "key" }, glyph(state), state));
}

function summary(members) {
  const counts = MEMBER_STATES.map((state) => [members.filter((one) => one.state === state).length, state]);
  return counts.filter(([count]) => count).map(([count, state]) => `${number(count)} ${state}`).join(", ");
}
