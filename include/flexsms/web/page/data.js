// From what Airflow answers to the figures of the page. Pure: no request, no clock, no document.

import { CODES } from "./codes.js";
import { DAY, plural } from "./words.js";

export const OUTCOMES = {
  deactivated: "deactivated",
  deleted: "deleted",
  skipped_open_task: "left: open task",
  skipped_changed: "left: changed since",
  skipped_type: "left: another kind",
  already_gone: "already gone",
  failed: "failed",
};
const BEHIND_TOO_LONG_S = 1800;
const OVERDUE = 3_600_000;

/** Which job wrote an asset event. Those of former versions do not say. */
export function kindOf(extra) {
  if (typeof extra?.kind === "string") return extra.kind;
  if (!extra) return null;
  return "scanned" in extra ? "cleanup" : "cursor" in extra ? "track" : null;
}

/** Asset events as reports, oldest first, each once: what was said, when, and by which run. */
export function reports(events, kind) {
  const found = new Map();
  for (const event of events)
    if (kindOf(event.extra) === kind)
      found.set(event.id, { ...event.extra, at: Date.parse(event.timestamp), run: runOf(event) });
  return [...found.values()].sort((one, other) => one.at - other.at);
}

const runOf = (event) => (event.source_run_id ? { dag: event.source_dag_id, id: event.source_run_id } : null);

/** All figures. `answers` is what airflow.js loads, `now` milliseconds since 1970. */
export function figures(answers, now) {
  const cleanups = reports([...answers.cleanup.items, ...answers.recent.items], "cleanup");
  const tracks = reports(answers.recent.items, "track");
  const texts = reports(answers.texts.items, "send");
  // A text that did not arrive leaves no event, but a red task.
  const reds = answers.sendFailures.items.map((task) => ({
    dag: task.dag_id,
    id: task.dag_run_id,
    task: task.task_id,
    at: Date.parse(task.start_date),
  }));
  const told = new Set(cleanups.map((one) => one.run?.id));
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
    silent: cleanupRuns.filter((run) => run.state === "failed" && !told.has(run.id)),
    last: cleanups.at(-1) ?? null,
    channels: cleanups.findLast((one) => one.channels)?.channels ?? null,
    failures: failures(cleanups),
    behind: behind(tracks, trackRuns),
    posts: posts(tracks),
    texts: { ...outcomes(texts, reds), list: texts },
    reds,
    approvals: approvals(answers.approvals.items),
    hidden: Object.entries(answers)
      .filter(([, one]) => one.refused)
      .map(([name]) => name),
    cut: cuts(answers),
    isEmpty: !answers.cleanup.items.length && !answers.recent.items.length && !answers.texts.items.length,
  };
}

function asRun(run) {
  return {
    dag: run.dag_id,
    id: run.dag_run_id,
    state: run.state,
    type: run.run_type,
    at: Date.parse(run.start_date ?? run.run_after),
    ended: run.end_date ? Date.parse(run.end_date) : null,
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
        advice: CODES[code] ?? "",
      });
    }
  return [...found.values()].sort((one, other) => other.last - one.last || other.count - one.count);
}

function countedByCode(report) {
  if (report.failed_by_code) return report.failed_by_code;
  const counts = {};
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
  const sources = new Map();
  for (const report of tracks)
    if (report.source)
      sources.set(report.source, {
        source: report.source,
        seconds: report.behind_s ?? null,
        at: report.at,
        run: report.run,
      });
  const good = runs.filter((run) => run.state === "success").map((run) => run.ended ?? run.at);
  const looked = Math.max(...good, ...tracks.map((one) => one.at));
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
    const isSend = text.of !== "delivery";
    if (text.outcome in counts) counts[text.outcome] += 1;
    if (isSend && ["delivered", "undelivered"].includes(text.outcome)) counts.sent += 1;
    if (!["undelivered", "failed"].includes(text.outcome)) continue;
    const key = String(text.code ?? 0);
    const known = reasons.get(key) ?? {
      code: text.code ?? 0,
      count: 0,
      first: text.at,
      advice: CODES[key] ?? "",
    };
    reasons.set(key, { ...known, count: known.count + 1, last: text.at, run: text.run });
  }
  const late = [...reasons.values()].sort((one, other) => other.count - one.count);
  const told = new Set(texts.filter((one) => one.of === "delivery").map((one) => one.run?.id));
  const silent = reds.filter((one) => one.task === "delivery" && !told.has(one.id));
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

/** Where there is more than was loaded: from when on it is complete. */
function cuts(answers) {
  return Object.entries(answers)
    .filter(([name, { items, total }]) => items.length && total > items.length && !name.endsWith("Runs"))
    .map(([name, { items }]) => {
      const last = items.at(-1);
      return { name, since: Date.parse(last.timestamp ?? last.run_after ?? last.start_date) };
    });
}

/** What wants somebody, the worst first: each with a sentence, and where to go. */
export function problems(found) {
  const { now, dags, last } = found;
  const run = found.cleanupRuns.find((one) => ["success", "failed"].includes(one.state) && !one.isDry);
  const cleanup = dags.flexsms_cleanup;
  const track = found.trackRuns.find((one) => ["success", "failed"].includes(one.state));
  // Whose next run should have begun long ago, by whatever schedule it has.
  const isOverdue = (dag) =>
    Boolean(dag?.next_dagrun_run_after) && now - Date.parse(dag.next_dagrun_run_after) > OVERDUE;
  const wanted = [];
  const want = (what, step, to) => wanted.push({ what, step, to });
  if (run?.state === "failed" && run.id === found.silent[0]?.id)
    want("the last cleanup ended without a report", "Open the run", { run });
  else if (last?.failed)
    want(`${plural(last.failed, "channel")} failed in the last cleanup`, "See why", { topic: "failed" });
  if (cleanup?.is_paused && last)
    want("flexsms_cleanup is paused", "Open flexsms_cleanup", { dag: "flexsms_cleanup" });
  else if (isOverdue(cleanup))
    want("the next cleanup is overdue", "Open flexsms_cleanup", { dag: "flexsms_cleanup" });
  if (track?.state === "failed") want("the last run of tracking failed", "Open the run", { run: track });
  if (dags.flexsms_track?.is_paused)
    want("flexsms_track is paused", "Open flexsms_track", { dag: "flexsms_track" });
  else if (isOverdue(dags.flexsms_track))
    want("the next run of tracking is overdue", "Open flexsms_track", { dag: "flexsms_track" });
  else if (found.behind.seconds > BEHIND_TOO_LONG_S)
    want("events are over half an hour behind", "See the lag", { topic: "behind" });
  if (found.posts.rejected && found.posts.rejecting)
    want(`${plural(found.posts.rejected, "event")} could not be read`, "Open the run", {
      run: found.posts.rejecting,
    });
  const { approvals } = found;
  if (approvals.length)
    want(`${plural(approvals.length, "approval")} ${approvals.length === 1 ? "waits" : "wait"}`, "Answer", {
      run: approvals.at(-1),
    });
  return wanted;
}

/** Hours since the longest quiet due channel went quiet, as the last cleanup found it. */
export const oldestDays = (report) =>
  report?.oldest_ended_at ? (report.at - Date.parse(report.oldest_ended_at)) / DAY : null;

export const retired = (report) => (report.deactivated ?? 0) + (report.deleted ?? 0);

/** Due channels that the last cleanup did not take: the next one does. */
export const stillDue = (report) =>
  Math.max(
    0,
    (report.due ?? 0) -
      Object.keys(OUTCOMES).reduce((sum, name) => sum + (name === "failed" ? 0 : (report[name] ?? 0)), 0),
  );
