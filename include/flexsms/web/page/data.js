// From what Airflow answers to the figures of the page. Pure: no request, no clock, no document.

import { broadcasts } from "./broadcasts.js";
import { CODES } from "./codes.js";
import { isDelivery, isRange, keyOf, keyOfTask, reports } from "./reports.js";
import { latestTexts } from "./texts.js";
import { DAY } from "./words.js";

export const OUTCOMES = {
  deactivated: "deactivated",
  deleted: "deleted",
  skipped_open_task: "left: open task",
  skipped_changed: "left: changed since",
  skipped_type: "left: another kind",
  already_gone: "already gone",
  failed: "failed",
};

/** All figures. `answers` is what airflow.js loads, `now` milliseconds since 1970. */
export function figures(answers, now) {
  const cleanups = reports([...answers.cleanup.items, ...answers.recent.items], "cleanup");
  const tracks = reports(answers.recent.items, "track");
  const texts = reports(answers.texts.items, "send");
  // A text that did not arrive leaves no event, but a red task.
  const reds = answers.sendFailures.items.map((task) => ({
    run: { dag: task.dag_id, id: task.dag_run_id, task: task.task_id },
    index: task.map_index,
    task: task.task_id,
    at: Date.parse(task.start_date),
  }));
  const waiting = approvals(answers.approvals.items);
  const latest = latestTexts(texts, [...answers.sendFailures.items, ...answers.sendTasks.items]);
  const told = new Set(cleanups.map((one) => keyOf(one.run)));
  const dags = Object.fromEntries(answers.dags.items.map((dag) => [dag.dag_id, dag]));
  const cleanupRuns = answers.cleanupRuns.items.map((run) => asRun(run));
  const trackRuns = answers.trackRuns.items.map((run) => asRun(run));
  return {
    now,
    cleanups,
    tracks,
    dags,
    cleanupRuns,
    trackRuns,
    // Runs that ended without a report: nobody knows what they did.
    silent: cleanupRuns.filter((run) => run.state === "failed" && !run.isDry && !told.has(keyOf(run))),
    last: cleanups.at(-1) ?? null,
    channels: cleanups.findLast((one) => one.channels)?.channels ?? null,
    failures: failures(cleanups),
    behind: behind(tracks, trackRuns),
    posts: posts(tracks),
    texts: outcomes(texts, reds),
    latest,
    reds,
    broadcasts: broadcasts(answers, waiting),
    approvals: waiting,
    hidden: Object.entries(answers)
      .filter(([, one]) => one.refused)
      .map(([name]) => name),
    cut: cuts(answers),
    isEmpty:
      !latest.length && ["cleanup", "recent", "broadcasts", "broadcastRuns"].every((name) => !answers[name].items.length),
  };
}

function asRun(run) {
  return {
    dag: run.dag_id,
    id: run.dag_run_id,
    state: run.state,
    source: run.run_type === "asset_triggered" ? "inbox" : (run.conf?.source ?? null),
    isRange: Boolean(run.conf?.since),
    at: Date.parse(run.start_date ?? run.run_after),
    ended: run.end_date ? Date.parse(run.end_date) : null,
    attempt: run.end_date,
    isDry: run.conf?.dry_run === true,
  };
}

/** What failed in cleanups, by code: how often, when first and last, in which run, what Twilio said, what to do. */
export function failures(cleanups) {
  const found = new Map();
  for (const report of cleanups)
    for (const [code, count] of Object.entries(countedByCode(report))) {
      const known = found.get(code) ?? { code: Number(code), count: 0, first: report.at };
      const named = (report.failures ?? []).find((one) => String(one.code) === code);
      found.set(code, {
        ...known,
        count: known.count + count,
        last: report.at,
        run: report.run,
        isNow: report === cleanups.at(-1),
        said: named ? withoutSid(named) : (known.said ?? ""),
        advice: adviceOf(code),
      });
    }
  return [...found.values()].sort((one, other) => other.last - one.last || other.count - one.count);
}

const adviceOf = (code) => (Object.hasOwn(CODES, code) ? CODES[code] : "");

function countedByCode(report) {
  if (report.failed_by_code) return report.failed_by_code;
  const counts = Object.create(null);
  for (const { code } of report.failures ?? []) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
}

// A message that stands for many channels names none.
const withoutSid = ({ message, channel_sid: sid }) =>
  String(message ?? "")
    .replaceAll(sid, "CH…")
    .replaceAll(/([A-Z]{2})[0-9a-f]{32}/g, "$1…");

/** How far tracking is behind, by source, and when somebody last looked. */
export function behind(tracks, runs) {
  const reports = tracks.filter((one) => !isRange(one));
  const sourceOf = new Map(tracks.map((one) => [keyOf(one.run), one.source]));
  const good = runs.filter((run) => run.state === "success" && !run.isRange);
  // A run without news leaves no report, and has read to the end of its source: nothing is behind any more.
  const isOver = (report) =>
    good.some(
      (run) => run.at > report.at && [report.source, null].includes(sourceOf.get(keyOf(run)) ?? run.source),
    );
  const sources = new Map();
  for (const report of reports)
    if (report.source)
      sources.set(report.source, {
        source: report.source,
        seconds: isOver(report) ? null : (report.behind_s ?? null),
        at: report.at,
        run: report.run,
      });
  const looked = Math.max(...good.map((run) => run.ended ?? run.at), ...reports.map((one) => one.at));
  const list = [...sources.values()];
  const known = list.map((one) => one.seconds).filter((seconds) => seconds !== null);
  return {
    sources: list,
    looked: Number.isFinite(looked) ? looked : null,
    seconds: known.length ? Math.max(...known) : null,
  };
}

function posts(tracks) {
  const inbox = tracks.filter((one) => one.source === "inbox");
  return {
    waiting: inbox.at(-1)?.waiting ?? null,
    rejected: tracks.reduce((sum, one) => sum + (one.rejected ?? 0), 0),
    rejecting: tracks.findLast((one) => one.rejected)?.run ?? null,
  };
}

/** What became of texts: what their events say, and which tasks ended red. */
export function outcomes(texts, reds) {
  const counts = { sent: 0, duplicate: 0, no_text: 0, delivered: 0, undelivered: 0, failed: 0, unknown: 0 };
  const reasons = new Map();
  for (const text of texts) {
    const isSend = !isDelivery(text);
    if (Object.hasOwn(counts, text.outcome)) counts[text.outcome] += 1;
    if (isSend && ["delivered", "undelivered"].includes(text.outcome)) counts.sent += 1;
    if (!["undelivered", "failed"].includes(text.outcome)) continue;
    const key = String(text.code ?? 0);
    const known = reasons.get(key) ?? {
      code: text.code ?? 0,
      count: 0,
      first: text.at,
      advice: adviceOf(key),
    };
    reasons.set(key, { ...known, count: known.count + 1, last: text.at, run: text.run });
  }
  const late = [...reasons.values()].sort((one, other) => other.count - one.count);
  const told = new Set(texts.filter(isDelivery).map(keyOfTask));
  const silent = reds.filter((one) => one.task === "delivery" && !told.has(keyOfTask(one)));
  return {
    ...counts,
    notDelivered: counts.undelivered + counts.failed + silent.length,
    notSent: reds.filter((one) => one.task === "send").length,
    reasons: late,
    total: texts.length + reds.length,
  };
}

function approvals(details) {
  return details
    .map(({ task_instance: task, created_at: at }) => ({
      dag: task.dag_id,
      id: task.dag_run_id,
      task: task.task_id,
      state: task.state,
      at: Date.parse(at ?? task.start_date),
    }))
    .filter((one) => ["awaiting_input", "deferred"].includes(one.state));
}

// Of which the newest are shown, and nothing is counted.
const LISTED = ["cleanupRuns", "trackRuns", "sendTasks"];

/** Where there is more than was loaded: from when on it is complete. */
function cuts(answers) {
  return Object.entries(answers)
    .filter(([name, { items, total }]) => items.length && total > items.length && !LISTED.includes(name))
    .map(([name, { items }]) => {
      const last = items.at(-1);
      return { name, since: Date.parse(last.timestamp ?? last.run_after ?? last.start_date) };
    });
}

/** Hours since the longest quiet due channel went quiet, as the last cleanup found it. */
export function oldestDays(report) {
  const ended = Date.parse(report?.oldest_ended_at);
  return Number.isFinite(ended) ? (report.at - ended) / DAY : null;
}

export const retired = (report) => (report.deactivated ?? 0) + (report.deleted ?? 0);

/** Due channels that the last cleanup did not take: the next one does. */
export const stillDue = (report) =>
  Math.max(
    0,
    (report.due ?? 0) -
      Object.keys(OUTCOMES).reduce((sum, name) => sum + (name === "failed" ? 0 : (report[name] ?? 0)), 0),
  );
