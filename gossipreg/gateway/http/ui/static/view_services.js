// All services by name, with their instances by health.

import { Collection } from "./collection.js";
import { fill, h } from "./dom.js";
import { FilterBar, matches } from "./filter_bar.js";
import { heading, note, tags, waiting } from "./parts.js";
import { address, refine } from "./route.js";
import { badge, glyph, HEALTHS, shareBar } from "./states.js";
import { Table } from "./table.js";
import { number } from "./words.js";

export const stream = () => ({ view: "services" });

const COLUMNS = [
  { key: "name", label: "Service", sort: (one) => one.name, cell: (one) => h("span", { class: "name", title: one.name }, one.name), fit: "grow main" },
  { key: "worst", label: "Health", sort: worstOrder, cell: (one) => badge(worst(one), saidOf(one)), fit: "w-xl side" },
  { key: "share", label: "By health", cell: (one) => shareBar(one, HEALTHS), fit: "w-l roomy" },
  { key: "instances", label: "Instances", sort: (one) => one.instances, cell: (one) => number(one.instances), fit: "w-m num far named" },
  ...HEALTHS.map((health) => ({ key: health, label: health[0].toUpperCase() + health.slice(1), sort: (one) => one[health] ?? 0, cell: (one) => countOf(one, health), fit: "w-m num wide" })),
  { key: "tags", label: "Tags", cell: (one) => tags(one.tags), fit: "grow under" },
];

/** How the service is for those who call it: `critical` only where no instance passes. */
function worst(one) {
  if (one.stale) return "stale";
  if (!one.instances) return "critical"; // all its members are dead
  if (one.passing) return one.critical || one.warning ? "warning" : "passing";
  return one.critical || one.warning ? "critical" : "maintenance";
}

/** Whether an instance is in this state; those of dead members are critical, as in the view of the service. */
function has(one, health) {
  return one[health] > 0 || (health === "critical" && one.dead > 0);
}

const ORDER = ["critical", "maintenance", "warning", "stale", "passing"];

function worstOrder(one) {
  return ORDER.indexOf(worst(one)) + one.passing / (one.instances + 1);
}

function saidOf(one) {
  if (!one.instances) return `none, ${number(one.dead)} dead`;
  if (one.stale) return `${number(one.stale)} known last`;
  if (!one.passing) return "none passing";
  return `${number(one.passing)} of ${number(one.instances)} passing`;
}

function countOf(one, health) {
  const count = one[health] ?? 0;
  return count && health !== "passing" ? h("span", { class: "counted" }, glyph(health), number(count)) : number(count);
}

export function open(place, app) {
  const services = new Collection((one) => one.key ?? one.name);
  let query = place.query;
  const bar = new FilterBar({ states: HEALTHS, hint: "Name or tag", query });
  const lines = h("div", null, waiting());
  const table = new Table({
    caption: "Services, as this sidecar knows them",
    columns: COLUMNS,
    idOf: (one) => one.key ?? one.name,
    hrefOf: (one) => address("service", one.name),
    onSort: (order) => refine({ sort: order }),
  });

  function show() {
    const all = services.values();
    if (!all.length && !services.complete) return;
    const found = all.filter((one) => (!query.state || has(one, query.state)) && matches(query.q, [one.name, ...(one.tags ?? [])]));
    const counts = Object.fromEntries(HEALTHS.map((health) => [health, all.filter((one) => has(one, health)).length]));
    bar.update({ query, counts, shown: found.length, total: all.length, complete: services.complete, noun: "services" });
    const trouble = app.overview?.synced === false && note("trouble", "This sidecar is not synced: there may be more services and instances than these.");
    if (found.length) {
      if (!table.element.isConnected) fill(lines, trouble, table.element);
      table.show(found, query.sort ?? "worst");
    } else {
      fill(lines, trouble, all.length ? note("empty", "No service matches this filter. ", h("a", { href: address("services") }, "Show all")) : none(app));
    }
  }

  return {
    element: h("div", { class: "stack" }, heading("Services"), bar.element, lines),
    title: "Services",
    restart: () => services.restart(),
    receive(kind, data) {
      if (kind !== "services") return;
      services.receive(data);
      app.soon(show);
    },
    refine(place) {
      query = place.query;
      show();
    },
    close: () => table.close(),
  };
}

function none(app) {
  if (app.overview?.synced === false) return note("trouble", "No service is known here, but this sidecar does not know the cluster yet.");
  return note("empty", "No service is registered in this cluster. ", h("code", null, "gossipreg register NAME --port PORT"), " registers one.");
}
