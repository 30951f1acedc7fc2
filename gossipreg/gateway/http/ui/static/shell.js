// What stands around every view: whose page this is, how fresh it is, and the navigation with its counts.

import { fill, h } from "./dom.js";
import { address, section } from "./route.js";
import { glyph } from "./states.js";
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
    const away = members ? members.suspect + members.dead : 0;
    this.beside("members", members && [away > 0 && glyph(members.dead ? "dead" : "suspect"), number(members.alive + members.suspect)]);
    this.beside("services", services && [services.critical > 0 && glyph("warning"), number(services.names)]);
    this.beside("events", events && [events.dead > 0 && glyph("warning"), number(events.pending)]);
    this.beside("sagas", sagas && [sagas.stuck > 0 && glyph("stuck"), number(sagas.running + (sagas.stuck ?? 0))]);
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
