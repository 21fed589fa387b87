// What wants somebody. Pure.

import { ofBroadcasts } from "./broadcasts.js";
import { keyOf } from "./reports.js";
import { plural } from "./words.js";

export const BEHIND_TOO_LONG_S = 1800;
export const OVERDUE_MS = 3_600_000;
// Without these, nobody knows whether all is well.
const NEEDED = ["cleanupRuns", "trackRuns", "dags"];

export const isPartly = ({ hidden }) => NEEDED.some((name) => hidden.includes(name));

/** Each with a sentence, and where to go, the worst first. */
export function problems(found) {
  return [...ofCleanup(found), ...ofTracking(found), ...ofBroadcasts(found), ...ofApprovals(found)];
}

const problem = (what, step, to) => ({ what, step, to });

function ofCleanup(found) {
  const { last } = found;
  const dag = stateOf("flexsms_cleanup", found.cleanupRuns, found.cleanups, found);
  if (dag.isLeft) return ofReport(last);
  const run = found.cleanupRuns.find((one) => ended(one) && !one.isDry);
  const hasFailed = run?.state === "failed";
  const isSilent = hasFailed && found.silent.some((one) => keyOf(one) === keyOf(run));
  const told = isSilent
    ? [problem("the last cleanup ended without a report", "Open the run", { run })]
    : ofReport(last);
  const failed =
    hasFailed && !told.length ? [problem("the last cleanup failed", "Open the run", { run })] : told;
  return [...failed, ...ofDag(dag, "the next cleanup is overdue")];
}

function ofReport(last) {
  if (last?.failed)
    return [
      problem(`${plural(last.failed, "channel")} failed in the last cleanup`, "See why", { topic: "failed" }),
    ];
  if (last?.approval === "no answer" && last.run)
    return [problem("nobody has approved the last cleanup in time", "Open the run", { run: last.run })];
  return [];
}

function ofTracking(found) {
  const { posts } = found;
  const dag = stateOf("flexsms_track", found.trackRuns, found.tracks, found);
  const run = dag.isLeft ? null : found.trackRuns.find(ended);
  const wanted = [];
  if (run?.state === "failed")
    wanted.push(problem("the last run of tracking failed", "Open the run", { run }));
  const ofIts = dag.isLeft ? [] : ofDag(dag, "the next run of tracking is overdue");
  wanted.push(...ofIts);
  if (!ofIts.length && found.behind.seconds > BEHIND_TOO_LONG_S)
    wanted.push(problem("events are over half an hour behind", "See the lag", { topic: "behind" }));
  if (posts.rejected && posts.rejecting)
    wanted.push(
      problem(`${plural(posts.rejected, "event")} could not be read`, "Open the run", {
        run: posts.rejecting,
      }),
    );
  return wanted;
}

function ofApprovals({ approvals }) {
  if (!approvals.length) return [];
  const wait = approvals.length === 1 ? "waits" : "wait";
  return [problem(`${plural(approvals.length, "approval")} ${wait}`, "Answer", { run: approvals.at(-1) })];
}

const ended = (run) => ["success", "failed"].includes(run.state);

/**
 * How a DAG stands. It is left, where it does not run and need not: nothing ever came of it, or DAGs of one's own have
 * taken over.
 */
function stateOf(id, runs, reports, { dags, hidden, now }) {
  const dag = dags[id];
  const isGone = !hidden.includes("dags") && (!dag || dag.is_stale === true);
  const isPaused = dag?.is_paused === true;
  const isOurs = (report) => !report.run || report.run.dag === id;
  const ours = Math.max(...runs.map((run) => run.at), ...reports.filter(isOurs).map((one) => one.at));
  const isAtWork = ours > (reports.findLast((one) => !isOurs(one))?.at ?? -Infinity);
  // Whose next run should have begun long ago, by whatever schedule it has.
  const next = dag?.next_dagrun_run_after;
  const isOverdue = Boolean(next) && now - Date.parse(next) > OVERDUE_MS;
  return { id, isGone, isPaused, isOverdue, isLeft: (isGone || isPaused) && !isAtWork };
}

function ofDag({ id, isGone, isPaused, isOverdue }, overdue) {
  if (isGone) return [problem(`${id} is no longer loaded`, "See import errors", { dag: "" })];
  if (isPaused) return [problem(`${id} is paused`, `Open ${id}`, { dag: id })];
  return isOverdue ? [problem(overdue, `Open ${id}`, { dag: id })] : [];
}
