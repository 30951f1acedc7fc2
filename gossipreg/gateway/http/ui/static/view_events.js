// Events: the groups and how far they lag, the dead letters with retry and drop, the journals.

import { deadLetterButtons, forgetGroupButton } from "./actions.js";
import { age, nowMs } from "./clock.js";
import { fill, fillIfChanged, h } from "./dom.js";
import { card, facts, heading, memberLink, missingAnswers, note, waiting } from "./parts.js";
import { CallFailed, call } from "./rpc.js";
import { badge } from "./states.js";
import { bytes, counted, number, percent, shortId } from "./words.js";

export const stream = () => ({ view: "events" });

const PAGE = 100; // dead letters that are asked for at a time

export function open(_place, app) {
  const trouble = h("div");
  const groups = h("div", null, waiting());
  const dead = h("div");
  const journals = h("div");
  const further = new FurtherLetters(app);
  return {
    element: h("div", { class: "stack" }, heading("Events"), trouble, groups, dead, journals),
    title: "Events",
    receive(kind, data) {
      if (kind !== "events") return;
      const receivedMs = nowMs();
      const unanswered = data.not_answered ?? data.unanswered ?? [];
      fillIfChanged(trouble, unanswered, () => missingAnswers(unanswered));
      fillIfChanged(groups, [data.groups, app.writes(), unanswered], () => groupsCard(data.groups ?? [], receivedMs, app, unanswered, data.left_out ?? 0));
      fillIfChanged(dead, [data.dead, app.writes(), unanswered], () => deadCard(data.dead ?? [], receivedMs, app, further, unanswered));
      fillIfChanged(journals, data.journals, () => journalsCard(data.journals ?? []));
    },
  };
}

function groupsCard(groups, receivedMs, app, unanswered, leftOut) {
  if (!groups.length) {
    return card("Groups", unanswered.length ? note("waiting", "No group is known so far.") : note("empty", "No group subscribes to events."));
  }
  const atLeast = unanswered.length ? "at least " : "";
  return card(
    `Groups (${number(groups.length)})`,
    h(
      "ul",
      { class: "rows groups" },
      [...groups].sort((a, b) => (b.oldest_s ?? 0) - (a.oldest_s ?? 0)).map((one) =>
        h(
          "li",
          null,
          h("div", null, h("strong", null, one.group), h("p", { class: "soft" }, (one.patterns ?? []).join(", "))),
          facts([
            ["Waiting", [atLeast, number(one.pending ?? 0), typeof one.bytes === "number" && h("span", { class: "soft" }, ` ${bytes(one.bytes)}`)]],
            ["Lag", typeof one.oldest_s === "number" && one.pending ? [atLeast, age(one.oldest_s, receivedMs)] : unanswered.length ? "not known" : "none"],
            ["Dead letters", one.dead ? badge("warning", `${atLeast}${number(one.dead)}`) : `${atLeast}0`],
            ["Handled by", subscribers(one)],
          ]),
          app.writes() && h("div", { class: "actions" }, one.dead > 0 && deadLetterButtons(one.group, null, one.dead), forgetGroupButton(one.group, one.pending ?? 0, Array.isArray(one.instances) ? one.instances.length : one.instances)),
        )),
    ),
    leftOut > 0 && note("plain", `${number(leftOut)} more groups are not shown: there was no room in the answer.`),
  );
}

function subscribers({ instances }) {
  const found = Array.isArray(instances) ? instances.length : instances;
  if (found === 0) return badge("warning", "nobody: its events wait");
  return counted(found ?? 0, "subscriber");
}

// -- dead letters --------------------------------------------------------------------------------------------------------

function deadCard(letters, receivedMs, app, further, unanswered) {
  if (!letters.length) return card("Dead letters", unanswered.length ? note("waiting", "None is known so far.") : note("empty", "None: no event was given up."));
  return card(
    "Dead letters",
    h("p", { class: "soft" }, "These events failed too often, or were rejected. Each waits here until it is retried or dropped."),
    h("ul", { class: "rows letters" }, letters.map((one) => letter(one, receivedMs, app))),
    letters.length >= PAGE && further.button(letters.at(-1)),
  );
}

function letter(one, receivedMs, app) {
  return h(
    "li",
    null,
    h("div", null, h("strong", null, one.type), h("span", { class: "soft" }, ` to ${one.group}, `, age(one.age_s, receivedMs), " ago, ", counted(one.attempts ?? 0, "attempt")), h("p", null, one.reason || "No reason was given."), h("p", { class: "soft" }, h("code", null, `${one.source} ${one.id}`), one.key && ` key ${one.key}`), one.holds && h("p", null, badge("warning", "it holds back all later events of its key"))),
    app.writes() && h("div", { class: "actions" }, deadLetterButtons(one.group, one)),
  );
}

/** The pages behind the first, which comes by the stream. */
class FurtherLetters {
  constructor(app) {
    this.app = app;
  }

  button(after) {
    const place = h("div");
    const ask = async () => {
      fill(place, waiting());
      try {
        const { letters } = await call("events-dead", { limit: PAGE, after: [after.journal, after.group, after.index] });
        const more = h("ul", { class: "rows letters" }, letters.map((one) => letter(one, nowMs(), this.app)));
        fill(place, letters.length ? more : note("empty", "That was the last."), letters.length >= PAGE && this.button(letters.at(-1)));
      } catch (error) {
        if (!(error instanceof CallFailed)) throw error;
        fill(place, note("trouble", error.message), h("button", { type: "button", on: { click: ask } }, "Try again"));
      }
    };
    fill(place, h("button", { type: "button", on: { click: ask } }, "Show more"));
    return place;
  }
}

// -- journals ------------------------------------------------------------------------------------------------------------

function journalsCard(journals) {
  if (!journals.length) return card("Journals at this sidecar", note("empty", "No copy of a journal is here."));
  return card(
    `Journals with a copy at this sidecar (${number(journals.length)})`,
    h(
      "ul",
      { class: "rows groups" },
      journals.map((one) =>
        h(
          "li",
          null,
          h("div", null, h("strong", null, `of ${one.owner_name}`), h("p", { class: "soft" }, h("code", null, shortId(one.id)))),
          facts([
            ["Here it", one.role === "leaderless" ? badge("critical", "has no leader") : one.role],
            ["Led by", one.leader ? memberLink(one.leader, one.leader_name) : one.role === "unproven" ? badge("warning", "not proven") : "nobody"],
            ["Copies", one.copies === null || one.copies === undefined ? (one.role === "unproven" ? "not known" : "its leader knows") : [number(one.copies), !one.takeover && h("span", { class: "soft" }, " no takeover")]],
            ["Voters", (one.voters ?? []).map(({ name, state }) => h("div", null, `${name}: ${state}`))],
            ["Full", one.fill >= 0.8 ? badge("warning", percent(one.fill)) : percent(one.fill ?? 0)],
            ["Disk", bytes(one.bytes ?? 0)],
          ]),
        )),
    ),
  );
}
