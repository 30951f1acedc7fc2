// One saga: its picture with times, and each step in words.

import { sagaButtons } from "./actions.js";
import { nowMs } from "./clock.js";
import { fillIfChanged, h } from "./dom.js";
import { card, facts, heading, momentOfMs, note, waiting } from "./parts.js";
import { address } from "./route.js";
import { sagaPicture } from "./saga_picture.js";
import { badge } from "./states.js";
import { counted, duration } from "./words.js";

export const stream = (place) => ({ view: "saga", name: place.name });

const REDRAW_MS = 1000; // bars of open steps grow

export function open(place, app) {
  const body = h("div", { class: "stack" }, waiting());
  const head = heading(place.name);
  const title = head.querySelector("h1");
  let saga = null;
  const draw = () => {
    if (!saga) return;
    const open = saga.ended ? null : Math.floor(nowMs() / REDRAW_MS);
    fillIfChanged(body, [saga, app.writes(), open], () => shown(saga, app));
  };
  const timer = setInterval(draw, REDRAW_MS);
  return {
    element: h("div", { class: "stack" }, h("p", { class: "crumb" }, h("a", { href: address("sagas") }, "Sagas")), head, body),
    title: `Saga ${place.name}`,
    receive(kind, data) {
      if (kind !== "saga") return;
      saga = data.saga && typeof data.saga === "object" ? data.saga : data;
      title.textContent = saga.name || place.name;
      draw();
    },
    close: () => clearInterval(timer),
  };
}

function shown(saga, app) {
  const stuck = (saga.steps ?? []).filter((step) => step.stuck);
  return [
    h("div", { class: "summary" }, stuck.length > 0 && badge("stuck", `stuck at ${stuck.map(({ name }) => name).join(", ")}`), badge(saga.state), saga.decision && saga.state === "ended" && badge(saga.decision)),
    saga.reason && note("plain", saga.reason),
    app.writes() && !saga.ended && h("div", { class: "actions" }, !saga.decision && sagaButtons.abort(saga.saga), sagaButtons.retry(saga.saga), stuck.length > 0 && sagaButtons.giveUp(saga.saga)),
    card("Steps in time", sagaPicture(saga)),
    h("ul", { class: "steps" }, (saga.steps ?? []).map((step) => stepCard(saga, step, app))),
    card(
      "The saga",
      facts([
        ["Id", h("code", null, saga.saga)],
        ["Kind", saga.kind === "declared" ? "declared: any sidecar goes on with it" : "by the code of its program"],
        ["Began", momentOfMs(saga.began)],
        ["Decided", momentOfMs(saga.decided) ?? `not yet; aborted after ${duration(saga.timeout_ms / 1000)}`],
        ["Ended", momentOfMs(saga.ended) ?? "not yet"],
        ["If its leader is lost", saga.takeover ? "another sidecar goes on" : "it waits until the leader is back"],
        ["Input", saga.input === null || saga.input === undefined ? null : h("pre", null, typeof saga.input === "string" ? saga.input : JSON.stringify(saga.input, null, 1))],
      ]),
    ),
  ];
}

function stepCard(saga, step, app) {
  const open = !saga.ended && (step.stuck || ["intended", "undoing", "after"].includes(step.state));
  return h(
    "li",
    { class: "card step" },
    h("div", { class: "instance-head" }, badge(step.state), step.stuck && badge("stuck"), h("h3", null, step.name), step.optional && h("span", { class: "tag" }, "optional"), step.after && step.state !== "after" && h("span", { class: "tag" }, "after the commit")),
    attemptOf(step.service, step),
    step.undo && saga.decision !== "commit" && h("div", null, h("p", { class: "soft" }, "Undo"), attemptOf(step.service, step.undo)),
    (step.by_hand ?? []).map((one) => h("p", null, h("strong", null, `${one.decision} by ${one.who}`), one.why && `: ${one.why}`, h("span", { class: "soft" }, " ", momentOfMs(one.at)))),
    open && app.writes() && h("div", { class: "actions" }, sagaButtons.retryStep(saga.saga, step.name), step.stuck && sagaButtons.skipStep(saga.saga, step.name)),
  );
}

function attemptOf(service, { method, path, status, attempts, text, instance, body }) {
  const outcome = [status ? `status ${status}` : null, attempts ? counted(attempts, "attempt") : "not tried yet", instance ? `at ${instance}` : null];
  return h(
    "div",
    { class: "attempt" },
    h("p", null, h("code", null, `${method} ${service}${path}`), h("span", { class: "soft" }, ` ${outcome.filter(Boolean).join(", ")}`)),
    text && h("p", null, text),
    typeof body === "string" && body && h("pre", null, body),
  );
}
