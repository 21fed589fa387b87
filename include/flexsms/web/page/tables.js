// What is told in tables: failures, texts, approvals, and the last runs.

import { OUTCOMES } from "./data.js";
import { grid, make, runAnchor, titled } from "./dom.js";
import { keyOf } from "./reports.js";
import { withFailure } from "./texts.js";
import { many, moment, plural, sentence, span } from "./words.js";

const codePage = (code) =>
  code >= 10_000
    ? make(
        "a",
        { href: `https://www.twilio.com/docs/api/errors/${code}`, target: "_blank", rel: "noreferrer" },
        String(code),
      )
    : code
      ? String(code)
      : "none";

/** What failed, by code, with what Twilio said and what to do. */
export function failures(found, context) {
  if (!found.failures.length)
    return titled(
      "What failed in cleanups",
      make("p", { className: "quiet none" }, "Nothing has failed in 90 days."),
    );
  const when = (at) => moment(at, context.now, context.zone);
  const rows = found.failures.map((one) => [
    codePage(one.code),
    many(one.count),
    [
      one.said ? make("span", {}, one.said) : "",
      one.advice && !one.said.includes(one.advice)
        ? make("p", { className: "advice" }, sentence(one.advice))
        : "",
    ],
    runAnchor(one.run, when(one.last), context),
    when(one.first),
  ]);
  return titled(
    "What failed in cleanups",
    make(
      "p",
      { className: "quiet" },
      "In 90 days, by Twilio's code. The next cleanup takes up what failed in the one before.",
    ),
    grid(["code", "times", "what it means, and what to do", "last", "first"], rows),
  );
}

export function texts(found, context) {
  const { texts: told, reds } = found;
  if (!told.total)
    return titled("Texts", make("p", { className: "quiet none" }, "No text was sent in seven days."));
  const when = (one) => runAnchor(one.run, moment(one.at ?? one.last, context.now, context.zone), context);
  const always = ["sent", "delivered", "not delivered"];
  const counts = [
    [told.sent, "sent"],
    [told.delivered, "delivered"],
    [told.notDelivered, "not delivered"],
    [told.notSent, "not sent"],
    [told.duplicate, "not sent again, under the same key"],
    [told.no_text, "without a text: the agent writes first"],
    [told.unknown, "of which nobody knows"],
  ].filter(([count, name]) => count || always.includes(name));
  const rows = told.reasons.map((one) => [
    codePage(one.code),
    many(one.count),
    one.advice ? sentence(one.advice) : "Twilio gives no reason.",
    when(one),
  ]);
  const red = reds
    .slice(0, 10)
    .map((one) => [one.task, "1", "The first line of the task’s log says why, and what to do.", when(one)]);
  return titled(
    "Single texts of the last seven days",
    make(
      "ul",
      { className: "counts" },
      counts.map(([count, name]) => make("li", {}, make("b", {}, many(count)), ` ${name}`)),
    ),
    rows.length + red.length
      ? grid(["code or task", "times", "why, and what to do", "last"], [...rows, ...red])
      : null,
  ).filter(Boolean);
}

const LATEST = 20;
const MOST = 100;

/** The newest texts; all that are known, where only texts are asked for. */
export const shownTexts = (found, topic) => found.latest.slice(0, topic === "texts" ? MOST : LATEST);

/** Who each text was for, and what became of it. */
export function latest(found, context, topic) {
  const rows = shownTexts(found, topic)
    .map((row) => (row.red ? withFailure(row, context.failureOf(row.red)) : row))
    .map((row) => [
      runAnchor(row.run, moment(row.at, context.now, context.zone), context),
      row.to ?? "",
      [
        make("span", { className: row.isBad ? "bad" : "" }, row.state),
        row.why ? make("p", { className: "advice" }, sentence(row.why)) : "",
      ],
      row.console
        ? make("a", { href: row.console, target: "_blank", rel: "noreferrer" }, "Twilio Console")
        : "",
    ]);
  if (!rows.length)
    return titled("Latest texts", make("p", { className: "quiet none" }, "No text was sent in seven days."));
  return titled("Latest texts", grid(["sent", "to", "what became of it", "channel"], rows));
}

export function approvals(found, context) {
  if (!found.approvals.length)
    return titled("Approvals", make("p", { className: "quiet none" }, "None waits."));
  const rows = found.approvals.map((one) => [
    runAnchor(one, one.task, context),
    one.dag,
    moment(one.at, context.now, context.zone),
  ]);
  return titled("Approvals that wait", grid(["task", "DAG", "since"], rows));
}

const TOPICS = { cleanup: "due retired oldest open", track: "behind posts" };

/** The last runs of cleanup and tracking, the newest first. */
export function runs(found, context, topic) {
  const rows = lastRuns(found)
    .filter(
      (one) => !topic || (topic === "failed" ? one.isBad : `${TOPICS[one.job]}`.split(" ").includes(topic)),
    )
    .slice(0, topic ? 60 : 25)
    .map((one) => [
      runAnchor(one.run, moment(one.at, context.now, context.zone), context),
      one.job,
      make("span", { className: one.isBad ? "bad" : "" }, one.state),
      one.told,
    ]);
  if (!rows.length) return titled("Last runs", make("p", { className: "quiet" }, "There is none."));
  return titled("Last runs", grid(["started", "job", "state", "what it did"], rows));
}

/** The runs, as rows. Pure. */
export function lastRuns(found) {
  const by = (reports) => new Map(reports.map((one) => [keyOf(one.run), one]));
  const cleanups = by(found.cleanups);
  const tracks = by(found.tracks);
  const asRow = (job, reports, tell) => (run) => ({
    at: run.at,
    job,
    run,
    state: run.state,
    isBad: run.state === "failed" || Boolean(reports.get(keyOf(run))?.failed),
    told: run.isDry
      ? "dry run: nothing was written"
      : reports.has(keyOf(run))
        ? tell(reports.get(keyOf(run)))
        : run.state === "success"
          ? "nothing new"
          : "",
  });
  return [
    ...found.cleanupRuns.map(asRow("cleanup", cleanups, cleaned)),
    ...found.trackRuns.map(asRow("track", tracks, tracked)),
  ].sort((one, other) => other.at - one.at);
}

function cleaned(report) {
  const counts = Object.entries(OUTCOMES)
    .filter(([name]) => report[name])
    .map(([name, words]) => `${many(report[name])} ${words}`);
  return [`${many(report.due ?? 0)} due`, ...counts, report.duration_s ? span(report.duration_s) : ""]
    .filter(Boolean)
    .join(", ");
}

function tracked(report) {
  const counts = [plural(report.events ?? 0, "event"), plural(report.channels ?? 0, "channel")];
  if (report.rejected) counts.push(`${many(report.rejected)} rejected`);
  return [report.source ?? "", ...counts].filter(Boolean).join(", ");
}
