// The page: one view is open at a time, with one stream from the sidecar.

import { resumeAges, setSidecarTime, stopAges } from "./clock.js";
import { askForToken } from "./dialog.js";
import { fill, h, visible } from "./dom.js";
import { heading, note } from "./parts.js";
import { address, parse } from "./route.js";
import { Session } from "./session.js";
import { Shell } from "./shell.js";
import { keepToken } from "./token.js";
import * as events from "./view_events.js";
import * as history from "./view_history.js";
import * as member from "./view_member.js";
import * as members from "./view_members.js";
import * as overview from "./view_overview.js";
import * as saga from "./view_saga.js";
import * as sagas from "./view_sagas.js";
import * as service from "./view_service.js";
import * as services from "./view_services.js";

const nowhere = {
  stream: overview.stream,
  open: (place) => ({
    element: h("div", { class: "stack" }, heading("Nothing is here"), note("empty", `This page has no place ${place.name}. `, h("a", { href: address("overview") }, "Go to the overview"))),
    title: "Nothing is here",
  }),
};
// A view: `stream(place)` is what it asks the sidecar for; `open(place, app)` returns its `element` and `title`, and may
// have `receive(kind, data)`, `overview(data)`, `refine(place)` (its filter changed), `restart()` (a stream begins anew)
// and `close()`. With `streamsByQuery` another filter is another stream.
const VIEWS = { events, history, member, members, nowhere, overview, saga, sagas, service, services };

class App {
  constructor() {
    this.hello = null;
    this.overview = null;
    this.view = null;
    this.place = null;
    this.waiting = new Set();
    this.session = new Session((kind, data) => this.receive(kind, data), (state) => this.connection(state));
    this.shell = new Shell({ retry: () => this.session.retryNow() });
    this.errorPlace = h("div", { class: "error" });
    window.addEventListener("hashchange", () => this.goTo(parse(location.hash)));
    window.addEventListener("refined", () => this.refined(parse(location.hash)));
    document.querySelector(".skip").addEventListener("click", (event) => {
      event.preventDefault(); // what stands behind the # is the place
      this.shell.main.focus();
    });
    this.goTo(parse(location.hash), { first: true });
  }

  /** Whether this page may change anything. */
  writes() {
    return this.hello?.writes === true;
  }

  /** Call `draw` once before the next frame, however often it is asked for. */
  soon(draw) {
    if (this.waiting.has(draw)) return;
    this.waiting.add(draw);
    const run = () => {
      this.waiting.delete(draw);
      draw();
    };
    if (document.hidden) setTimeout(run, 250); // no frames are drawn there
    else requestAnimationFrame(run);
  }

  goTo(place, { first = false } = {}) {
    this.view?.close?.();
    this.place = place;
    const { stream, open } = VIEWS[place.view];
    this.view = open(place, this);
    fill(this.errorPlace);
    fill(this.shell.main, this.errorPlace, this.view.element);
    this.titled();
    this.shell.at(place.view);
    if (!first) {
      window.scrollTo(0, 0);
      this.view.element.querySelector("h1")?.focus({ preventScroll: true });
    }
    this.session.follow(stream(place));
  }

  refined(place) {
    if (VIEWS[place.view].streamsByQuery) {
      const focused = document.activeElement?.id;
      this.goTo(place, { first: true });
      if (focused) document.getElementById(focused)?.focus();
      return;
    }
    this.place = place;
    this.view.refine?.(place);
  }

  titled() {
    document.title = visible([this.view.title, this.hello?.cluster, "gossipreg"].filter(Boolean).join(" · "));
  }

  receive(kind, data) {
    if (kind === "hello") {
      this.hello = data;
      setSidecarTime(data.now);
      this.shell.hello(data);
      this.titled();
      this.view.restart?.();
    } else if (kind === "overview") {
      this.overview = data;
      this.shell.overview(data);
      this.view.overview?.(data);
    } else if (kind === "error") {
      fill(this.errorPlace, note("trouble", data.message));
    } else {
      fill(this.errorPlace);
      this.view.receive?.(kind, data);
    }
  }

  connection(state) {
    if (state.is === "live") resumeAges();
    else if (state.is !== "token") stopAges();
    this.shell.connection(state);
    if (state.is === "token") {
      const keep = (text) => {
        keepToken(text);
        this.session.open();
      };
      askForToken({ ...state, keep });
    }
  }
}

new App();
