// What stands around every view: whose page this is, how fresh it is, and the navigation with its counts.

import { fill, h } from "./dom.js";
import { address, section } from "./route.js";
import { glyph, memberCount } from "./states.js";
import { troublesOf } from "./view_overview.js";
import { counted, duration, number, timeOfDay } from "./words.js";

const SECTIONS = [
  ["overview", "Overview"],
  ["members", "Members"],
  ["services", "Services"],
  ["events", "Events"],
  ["sagas", "Sagas"],
  ["history", "History"],
];

/** `1 of 5`, with what is wrong with the one: the mark belongs to the number right of it. */
function part(state, count, all) {
  return h("span", { class: "part", title: `${number(count)} ${state}` }, glyph(state), h("span", { class: "unseen" }, `${state}: `), `${number(count)} of ${number(all)}`);
}

export class Shell {
  /** `retry` is called when a person does not want to wait for the next attempt. */
  constructor({ retry }) {
    this.retry = retry;
    this.owner = document.getElementById("owner");
    this.pulse = document.getElementById("pulse");
    this.banner = document.getElementById("banner");
    this.main = document.getElementById("main");
    this.links = new Map();
    const items = SECTIONS.map(([view, text]) => {
      const beside = h("span", { class: "beside" });
      const link = h("a", { href: address(view) }, h("span", { class: "nav-name" }, text), beside);
      this.links.set(view, { link, beside });
      return h("li", null, link);
    });
    fill(document.getElementById("nav"), h("ul", null, items));
  }

  /** The place that is open. */
  at(view) {
    for (const [name, { link }] of this.links) {
      if (name === section(view)) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  hello(hello) {
    fill(this.owner, h("strong", null, hello.cluster), h("span", { class: "soft" }, " seen from "), h("a", { href: address("member", hello.id) }, hello.name));
    this.owner.title = `gossipreg ${hello.version}`;
  }

  overview(overview) {
    const troubles = troublesOf(overview).length;
    this.beside("overview", troubles ? [glyph("warning"), h("span", { class: "unseen" }, `${counted(troubles, "trouble")}: `), number(troubles)] : "");
    const { members, services, events, sagas } = overview;
    const all = memberCount(members);
    this.beside("members", members && (members.dead ? part("dead", members.dead, all) : members.suspect ? part("suspect", members.suspect, all) : number(all)));
    this.beside("services", services && (services.down_count ? part("critical", services.down_count, services.names) : number(services.names)));
    // of events and sagas the overview knows those that are led at its own sidecar: no sum that stands for all
    this.beside("events", events?.dead && [glyph("warning"), h("span", { class: "unseen" }, "dead letters: "), number(events.dead)]);
    this.beside("sagas", sagas?.stuck && [glyph("stuck"), h("span", { class: "unseen" }, "stuck: "), number(sagas.stuck)]);
  }

  beside(view, content) {
    fill(this.links.get(view).beside, content || null);
  }

  /** The state of the connection (`session.js`). */
  connection(state) {
    clearInterval(this.counting);
    document.body.dataset.connection = state.is;
    this.main.setAttribute("aria-busy", String(state.is === "connecting"));
    if (state.is === "lost") {
      this.lost(state);
      return;
    }
    this.banner.hidden = true;
    fill(this.banner);
    const words = { live: ["alive", "live"], connecting: ["running", "connecting"], paused: ["maintenance", "paused while hidden"], token: ["dash", "token needed"] };
    const [mark, text] = words[state.is];
    fill(this.pulse, glyph(mark), text);
  }

  lost({ message, heardMs, retryAtMs }) {
    fill(this.pulse, glyph("dead"), "no connection");
    const since = heardMs === null ? null : Date.now() - (performance.now() - heardMs);
    const old = h("span");
    const wait = h("span", { "aria-hidden": "true" });
    fill(
      this.banner,
      glyph("warning"),
      h(
        "p",
        null,
        h("strong", null, `No connection to the sidecar: ${message}. `),
        since === null ? "Nothing is known yet. " : [`What is shown is of ${timeOfDay(since / 1000)}, `, old, " old. "],
        wait,
      ),
      h("button", { type: "button", on: { click: this.retry } }, "Try now"),
    );
    this.banner.hidden = false;
    const count = () => {
      const now = performance.now();
      if (heardMs !== null) old.textContent = duration(Math.floor((now - heardMs) / 1000));
      const left = Math.ceil((retryAtMs - now) / 1000);
      wait.textContent = left > 0 ? `Next attempt in ${left} s.` : "Trying again …";
    };
    count();
    this.counting = setInterval(count, 1000);
  }
}
