// Time as the page shows it: the sidecar's clock, and ages that go on while the stream does.
//
// An age counts from what the sidecar said. When the stream is lost, nothing is known of the time since: the ages stop.

import { h } from "./dom.js";
import { dateOf, duration, machineTime, timeOfDay } from "./words.js";

let offsetMs = 0; // the sidecar's clock minus ours
let stoppedAtMs = null;

export function setSidecarTime(wallS) {
  offsetMs = wallS * 1000 - Date.now();
}

/** The sidecar's time in seconds since 1970. */
export function sidecarNow() {
  return (Date.now() + offsetMs) / 1000;
}

/** Milliseconds of our own clock that never goes back. */
export function nowMs() {
  return stoppedAtMs ?? performance.now();
}

export function stopAges() {
  stoppedAtMs ??= performance.now();
}

export function resumeAges() {
  stoppedAtMs = null;
}

/** A text that says for how long something lasts, known as `sinceS` seconds at `receivedMs` (of `nowMs`). */
export function age(sinceS, receivedMs = nowMs()) {
  if (typeof sinceS !== "number") return "unknown";
  const beganMs = receivedMs - sinceS * 1000;
  return h("span", { class: "age", data: { began: beganMs } }, duration((nowMs() - beganMs) / 1000));
}

/** A moment in seconds since 1970: the time of day, with the date where it is not today. */
export function moment(wallS, withMs = false) {
  const today = dateOf(wallS) === dateOf(sidecarNow());
  const text = (today ? "" : `${dateOf(wallS)}, `) + timeOfDay(wallS, withMs);
  return h("time", { datetime: machineTime(wallS), title: `${dateOf(wallS)} ${timeOfDay(wallS, true)}` }, text);
}

function tick() {
  if (stoppedAtMs !== null || document.hidden) return;
  const now = nowMs();
  for (const element of document.querySelectorAll("[data-began]")) {
    const text = duration((now - Number(element.dataset.began)) / 1000);
    if (element.textContent !== text) element.textContent = text;
  }
}

setInterval(tick, 1000);
