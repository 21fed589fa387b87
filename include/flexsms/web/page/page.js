// Puts the page together: loads, shows, filters, refreshes.

import { BASE, Refused, askWhy, failureOf, load, lookUp } from "./airflow.js";
import * as broadcasts from "./broadcasts.js";
import { figures } from "./data.js";
import { make } from "./dom.js";
import * as parts from "./parts.js";
import { problems } from "./problems.js";
import { topLine } from "./sentence.js";
import { csv, plots } from "./series.js";
import * as tables from "./tables.js";
import { tiles } from "./tiles.js";
import { clockTime } from "./words.js";

const REFRESH_MS = 30_000;
const OF_DAG = {
  flexsms_cleanup: "retired",
  flexsms_broadcast: "broadcasts",
  flexsms_send: "texts",
  flexsms_track: "behind",
  flexsms_setup: "",
};

const at = (id) => document.getElementById(id);
const isFramed = window.parent !== window;
const context = {
  now: 0,
  zone: zoneOfAirflow(),
  runLink: ({ dag, id, task }) =>
    new URL(
      `dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(id)}${task ? `/tasks/${encodeURIComponent(task)}` : ""}`,
      BASE,
    ).href,
  failureOf,
  dagLink: (dag) => new URL(dag ? `dags/${encodeURIComponent(dag)}` : "dags", BASE).href,
};
let found = null;
let drawn = [];
let timer = 0;

/** The time zone chosen in Airflow, by default UTC. */
function zoneOfAirflow() {
  const chosen = (localStorage.getItem("timezone") ?? "").replaceAll('"', "");
  try {
    return new Intl.DateTimeFormat("en", { timeZone: chosen || "UTC" }).resolvedOptions().timeZone;
  } catch {
    return "UTC";
  }
}

async function refresh() {
  clearTimeout(timer);
  at("refresh").disabled = true;
  document.body.ariaBusy = "true";
  try {
    context.now = Date.now();
    context.zone = zoneOfAirflow();
    found = figures(await load(context.now), context.now);
    show();
    at("as-of").textContent = `as of ${clockTime(context.now, context.zone)} ${context.zone}`;
    again();
    tellWhy();
  } catch (error) {
    fail(error);
  } finally {
    at("refresh").disabled = false;
    document.body.ariaBusy = "false";
  }
}

/** What red tasks have said comes later: the page does not wait for it. */
async function tellWhy() {
  const shown = tables.shownTexts(found, topic());
  const reds = [...problems(found).map(({ to }) => to.run), ...broadcasts.reds(found), ...shown.map((row) => row.red)];
  const isNews = await askWhy(reds.filter(Boolean));
  if (isNews && found && !found.hidden.includes("cleanup")) show();
}

function again() {
  clearTimeout(timer);
  if (at("auto").checked && !document.hidden) timer = setTimeout(refresh, REFRESH_MS);
}

/** Nobody is logged in any more, or Airflow is away: what is on the page stays, with its time. */
function fail(error) {
  const isOut = error instanceof Refused && error.status === 401;
  const button = make("button", { type: "button" }, isOut ? "Log in again" : "Try again");
  button.addEventListener("click", isOut ? logIn : refresh);
  const text = isOut ? "Your login has ended." : words(error);
  const rest = found ? "The figures below are from before." : "";
  at("top").replaceChildren(make("p", { className: "lead bad" }, text), make("p", {}, rest, " ", button));
  if (!isOut) again();
}

const words = (error) =>
  error instanceof Refused ? `Airflow answered with an error (${error.status}).` : "Airflow does not answer.";

function logIn() {
  const here = isFramed ? window.parent.location.href : location.href;
  go(new URL(`api/v2/auth/login?next=${encodeURIComponent(here)}`, BASE).href);
}

/** Airflow's frame lets nobody out of it. So it is Airflow's own page that follows a link. */
function go(href, target = "") {
  if (!isFramed) return target ? window.open(href, target, "noopener") : location.assign(href);
  const page = window.parent.document;
  const link = Object.assign(page.createElement("a"), { href, target, rel: "noreferrer" });
  page.body.append(link);
  link.click();
  link.remove();
}

addEventListener("click", (event) => {
  const link = event.target.closest?.("a[href]");
  if (!link || !isFramed || event.button) return;
  const href = typeof link.href === "string" ? link.href : link.href.baseVal;
  if (href.startsWith("blob:") || link.getAttribute("href").startsWith("#")) return;
  event.preventDefault();
  go(href, event.metaKey || event.ctrlKey || link.getAttribute("target") === "_blank" ? "_blank" : "");
});

const topic = () => location.hash.slice(1);

function show() {
  const isEmpty = found.isEmpty;
  at("found").hidden = isEmpty;
  at("first").hidden = !isEmpty;
  at("csv").disabled = isEmpty;
  if (found.hidden.includes("cleanup")) {
    const lead = "Your role may not read Airflow’s asset events, of which this page is made.";
    at("top").replaceChildren(
      make("p", { className: "lead bad" }, lead),
      make("p", {}, "Ask an administrator for the right to read assets."),
    );
    at("found").hidden = at("first").hidden = true;
  } else if (isEmpty) {
    if (problems(found).length) showTop();
    else at("top").replaceChildren(make("p", { className: "lead" }, "Nothing has been counted yet."));
    at("first").replaceChildren(...parts.firstSteps(found, context));
  } else {
    showTop();
    drawn = plots(found, context.zone);
    keepOpen(() => at("plots").replaceChildren(...drawn.map((plot) => parts.figure(plot, context))));
    at("failures").replaceChildren(...tables.failures(found, context));
    at("texts").replaceChildren(...tables.texts(found, context));
    at("broadcasts").replaceChildren(...broadcasts.table(found, context));
    at("approvals").replaceChildren(...tables.approvals(found, context));
    filter();
  }
  at("notes").replaceChildren(...parts.notes(found, context));
}

function showTop() {
  const line = topLine(found, context.zone, failureOf);
  const lead = make("p", { className: `lead ${line.isBad ? "bad" : "good"}` }, line.text);
  const steps = line.steps.map(({ step, to }) => {
    const href = to.topic ? `#${to.topic}` : to.run ? context.runLink(to.run) : context.dagLink(to.dag);
    return make("a", { className: "step", href, target: to.topic ? "" : "_top" }, step);
  });
  const rest = make("p", {}, line.rest);
  const now = [lead, ...(steps.length ? [make("p", { className: "steps" }, steps)] : []), rest];
  // Read out only when it has changed.
  const marked = (nodes) => [...nodes].map((node) => node.outerHTML).join("");
  if (marked(at("top").children) !== marked(now)) at("top").replaceChildren(...now);
}

/** A refresh closes no table that somebody reads. */
function keepOpen(change) {
  const open = [...document.querySelectorAll(".plot details[open]")].map(
    (node) => node.closest("section").id,
  );
  change();
  for (const id of open) at(id)?.querySelector("details").setAttribute("open", "");
}

/** Shows what belongs to the tile that was chosen, or everything. */
function filter() {
  const chosen = topic();
  const all = tiles(found, context.zone);
  const known = all.find((tile) => tile.topic === chosen);
  const focused = document.activeElement?.dataset?.topic;
  at("tiles").replaceChildren(
    ...all.map((tile) => {
      const href = tile.topic === chosen ? "#" : `#${tile.topic}`;
      const current = tile === known ? "true" : null;
      const node = make(
        "a",
        {
          href,
          className: `tile ${tile.isBad ? "bad" : ""}`,
          ariaCurrent: current,
          data: { topic: tile.topic },
        },
        make("span", {}, tile.label),
        make("b", {}, tile.value),
        make("small", {}, tile.note),
      );
      if (!current) node.removeAttribute("aria-current");
      return node;
    }),
  );
  if (focused) at("tiles").querySelector(`[data-topic="${focused}"]`)?.focus();
  at("latest").replaceChildren(...tables.latest(found, context, chosen));
  at("runs").replaceChildren(...tables.runs(found, context, known ? chosen : ""));
  for (const section of document.querySelectorAll("[data-topics]"))
    section.hidden = known
      ? !section.dataset.topics.split(" ").includes(chosen)
      : section.querySelector(":scope > .none") !== null;
  at("filter").hidden = !known;
  at("filter").replaceChildren(
    known ? `Only what belongs to “${known.label}”. ` : "",
    make("a", { href: "#" }, "Show everything"),
  );
}

function download() {
  const link = make("a", {
    href: URL.createObjectURL(new Blob([csv(drawn)], { type: "text/csv" })),
    download: "flexsms.csv",
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function showChannel(event) {
  event.preventDefault();
  const form = event.target;
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    at("channel-state").replaceChildren(
      parts.channel(await lookUp(form.channel.value.trim()), { ...context, now: Date.now() }),
    );
  } catch (error) {
    fail(error);
  } finally {
    button.disabled = false;
  }
}

function start() {
  const dag = new URLSearchParams(location.search).get("dag");
  if (dag !== null && !(dag in OF_DAG)) {
    document
      .querySelector("main")
      .replaceChildren(make("p", { className: "lead" }, "This is no DAG of flexsms."));
    return;
  }
  if (dag && !topic() && OF_DAG[dag]) history.replaceState(null, "", `#${OF_DAG[dag]}`);
  at("refresh").addEventListener("click", refresh);
  at("auto").addEventListener("change", again);
  at("csv").addEventListener("click", download);
  at("look-up").querySelector("form").addEventListener("submit", showChannel);
  addEventListener("hashchange", () => {
    if (!found || found.isEmpty) return;
    filter();
    tellWhy();
  });
  document.addEventListener("visibilitychange", () =>
    document.hidden ? clearTimeout(timer) : at("auto").checked && refresh(),
  );
  refresh();
}

start();
