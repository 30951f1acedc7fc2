// What can be changed from the page, and what is said before: only with `--ui-writes`, and only after a confirmation.

import { confirm } from "./dialog.js";
import { h } from "./dom.js";
import { counted } from "./words.js";

const WHY = { name: "reason", label: "Reason", hint: "Everyone who looks sees it, and the history keeps it." };

function button(text, ask, kind = "") {
  return h("button", { type: "button", class: `action ${kind}`, on: { click: ask }, data: { focus: text } }, text);
}

function durably(result) {
  if (result?.still_out) return { tone: "warn", text: `Done, but still out of the answers: ${result.still_out}.` };
  return result?.durable === false ? { tone: "warn", text: "Done. The disk has no room, so it is written later." } : "Done.";
}

// -- this sidecar and its services ---------------------------------------------------------------------------------------

/** Buttons for maintenance and drain of `service` (an id), or with null of all that is registered at this sidecar, which
 * said `hello`. */
export function maintenanceButtons(service, hello, inMaintenance) {
  const all = service === null;
  const what = all ? "all services of this sidecar" : `the service ${service}`;
  const [it, is, runs, stays] = all ? ["they", "are", "run", "stay"] : ["it", "is", "runs", "stays"];
  const It = it[0].toUpperCase() + it.slice(1);
  const lasts = hello.data_dir
    ? `${It} ${stays} so, also after a restart, until somebody ends the maintenance.`
    : `${It} ${stays} so until somebody ends the maintenance, or this sidecar restarts: it has no data directory to remember it in.`;
  const params = (values) => ({ ...(service === null ? {} : { service }), reason: values.reason });
  if (inMaintenance) {
    return [
      button("End maintenance", () =>
        confirm({
          title: `End the maintenance of ${what}?`,
          effects: [`${It} ${is} in the answers again at every member, as soon as the checks pass.`],
          verb: "End maintenance",
          method: "maint",
          params: () => ({ ...(service === null ? {} : { service }), off: true }),
          outcome: durably,
        }),
      ),
    ];
  }
  return [
    button("Maintenance", () =>
      confirm({
        title: `Take ${what} out of the answers?`,
        effects: [
          `Every member leaves ${all ? "them" : "it"} out of its answers as soon as it hears of it. Nobody waits for that.`,
          `${It} ${runs} on, and connections that are open stay open.`,
          lasts,
        ],
        verb: "Begin maintenance",
        fields: [WHY],
        method: "maint",
        params,
        outcome: durably,
      }),
    ),
    button("Drain", () =>
      confirm({
        title: `Drain ${what}?`,
        effects: [
          `${It} ${is} taken out of the answers, as with maintenance.`,
          "This dialog waits, up to 30 s, until every living member has acknowledged that.",
          lasts,
        ],
        verb: "Drain",
        fields: [WHY],
        method: "drain",
        params: (values) => ({ ...params(values), timeout: 30 }),
        outcome: drained,
      }),
    ),
  ];
}

function drained(result) {
  if (result.acked) return "Every living member has acknowledged it: no answer has it any more.";
  const why = result.not_synced_because ? ` ${result.not_synced_because}` : "";
  const who = result.members?.length ? ` Not acknowledged by: ${result.members.map((one) => one.name ?? one).join(", ")}.` : "";
  return { tone: "warn", text: `It is in maintenance, but not every member has acknowledged it in time: lookups may still find it.${who}${why}` };
}

export function deregisterButton(id, service) {
  return button(
    "Deregister",
    () =>
      confirm({
        title: `Take ${id} out of the registry?`,
        effects: [
          `The instance ${id} of ${service} is removed at every member, with its checks.`,
          "The process runs on. The instance comes back when somebody registers it again.",
          "One that the sidecar registers itself, by --service or --services, is back after its next restart or reload.",
        ],
        verb: "Deregister",
        danger: true,
        method: "deregister",
        params: () => ({ id }),
        outcome: durably,
      }),
    "danger",
  );
}

// -- events --------------------------------------------------------------------------------------------------------------

/** Buttons for one dead letter, or for all of a group where `letter` is null. */
export function deadLetterButtons(group, letter, howMany) {
  const where = letter === null ? { group } : { group, journal: letter.journal, index: letter.index };
  const what = letter === null ? `${counted(howMany, "dead letter")} of the group ${group}` : `the event ${letter.id} of ${letter.type}`;
  return [
    button(letter === null ? "Retry all" : "Retry", () =>
      confirm({
        title: `Deliver ${what} once more?`,
        effects: [
          "Each is given to a subscriber of the group again, with its attempts counted anew.",
          "What fails again becomes a dead letter again.",
        ],
        verb: "Retry",
        method: "events-retry",
        params: () => where,
        outcome: (result) => partly(`${counted(result.count, "event")} will be delivered again.`, result),
      }),
    ),
    button(
      letter === null ? "Drop all" : "Drop",
      () =>
        confirm({
          title: `Throw away ${what}?`,
          effects: ["The group never gets it. This cannot be undone.", "Other groups are not concerned."],
          verb: "Drop for good",
          danger: true,
          method: "events-drop",
          params: () => where,
          outcome: (result) => partly(`${counted(result.count, "event")} thrown away.`, result),
        }),
      "danger",
    ),
  ];
}

/** `subscribers`: how many handle its events now; they make the group anew with the next event. */
export function forgetGroupButton(group, pending, subscribers) {
  return button(
    "Forget",
    () =>
      confirm({
        title: `Forget the group ${group}?`,
        effects: [
          `The ${counted(pending, "event")} that wait for it are thrown away in all journals. This cannot be undone.`,
          subscribers
            ? `${counted(subscribers, "subscriber")} ${subscribers === 1 ? "handles" : "handle"} it now: the group goes on with what is published from then on, and stays in this list.`
            : "Where somebody subscribes to it again, it begins with what is published from then on.",
        ],
        verb: "Forget the group",
        danger: true,
        method: "events-forget",
        params: () => ({ group }),
        outcome: (result) => partly(result.count ? `${counted(result.count, "journal")} had it, and forgot it.` : "No journal had anything of it.", result),
      }),
    "danger",
  );
}

/** What was done, and where it may not be. */
function partly(text, { unanswered }) {
  return unanswered?.length ? { tone: "warn", text: `${text} No answer from ${unanswered.join(", ")}: there it may not be done.` } : text;
}

// -- sagas ---------------------------------------------------------------------------------------------------------------

export const sagaButtons = {
  abort: (saga) =>
    sagaButton("Abort", saga, "saga-abort", ["The saga is decided as aborted.", "What its steps have done is undone, the last one first where it is strict."], true, "reason"),
  retry: (saga) =>
    sagaButton("Retry what is open", saga, "saga-retry", ["Every step that is open is tried now, in place of waiting for its next attempt."], false, "why", { step: "" }),
  giveUp: (saga) =>
    sagaButton(
      "Give up",
      saga,
      "saga-give-up",
      ["Nothing more of this saga is undone or done.", "What is half done stays so: put it right by hand."],
      true,
      "why",
    ),
  retryStep: (saga, step) =>
    sagaButton("Retry", saga, "saga-retry", [`The step ${step} is tried now.`], false, "why", { step }),
  skipStep: (saga, step) =>
    sagaButton("Skip", saga, "saga-skip", [`The step ${step} is left as it is: it is not undone, or not done after the commit.`], true, "why", { step }),
};

function sagaButton(text, saga, method, effects, danger, field, more = {}) {
  return button(
    text,
    () =>
      confirm({
        title: `${text}: ${more.step ? `step ${more.step} of ` : ""}saga ${saga}?`,
        effects: [...effects, "The journal keeps who decided this, and why."],
        verb: text,
        danger,
        fields: [{ name: field, label: "Reason", hint: "It is kept in the story of the saga.", required: danger }],
        method,
        params: (values) => ({ saga, ...more, [field]: values[field] }),
        outcome: () => "Done. The picture changes as soon as the sidecar tells what came of it.",
      }),
    danger ? "danger" : "",
  );
}
