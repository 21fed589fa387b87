// Broadcasts: how far those are that run, and what became of those that are over. Pure, but for its table.

import { CODES } from "./codes.js";
import { grid, make, runAnchor, titled } from "./dom.js";
import { keyOf, reports } from "./reports.js";
import { many, moment, plural, sentence } from "./words.js";

const LIVE = ["running", "queued"];
// As the report says it.
const TEXTED = { delivered: "delivered", not_delivered: "not delivered", sent: "not known yet" };
const NOT_TEXTED = {
  invalid: "invalid",
  repeated: "twice in the list",
  texted_before: "texted before",
  suppressed: "opted out",
  too_late: "too late",
  stopped: "stopped",
  failed: "failed",
  unknown: "whose batch ended early",
};
const MISSING = ["too_late", "stopped", "failed", "unknown"];
const NOT_APPROVED = { rejected: "rejected. ", "no answer": "not approved in time. " };

/** Each run once, the newest first: from its report, from what its tasks say meanwhile, or from its state alone. */
export function broadcasts({ broadcasts: told, broadcastRuns, broadcastProgress, dags }, approvals) {
  const ended = new Map(reports(told.items, "broadcast").map((one) => [keyOf(one.run), one]));
  const isPaused = dags.items.some((dag) => dag.dag_id === "flexsms_broadcast" && dag.is_paused);
  const rows = broadcastRuns.items.map((run) => {
    const key = { dag: run.dag_id, id: run.dag_run_id, attempt: run.end_date };
    const report = ended.get(keyOf(key));
    ended.delete(keyOf(key));
    const isLive = LIVE.includes(run.state);
    return {
      run: key,
      at: Date.parse(run.start_date ?? run.run_after),
      campaign: report?.campaign ?? run.conf?.campaign ?? "",
      state: run.state,
      isLive,
      isWaiting: approvals.some((one) => keyOf(one) === keyOf(key)),
      isPaused: isLive && isPaused,
      isDry: run.conf?.dry_run === true,
      report: report ?? null,
      progress: isLive ? progress(broadcastProgress.items.find((one) => one.run_id === run.dag_run_id)) : null,
    };
  });
  // Of DAGs of one's own, and of runs that Airflow no longer has, there is the report.
  const others = [...ended.values()].map((report) => ({
    run: report.run,
    at: report.at,
    campaign: report.campaign ?? "",
    state: "over",
    isLive: false,
    isWaiting: false,
    isPaused: false,
    isDry: false,
    report,
    progress: null,
  }));
  const list = [...rows, ...others].sort((one, other) => other.at - one.at);
  // A later run of a campaign has taken up whoever an earlier one has left without a text.
  const isRepeated = ({ campaign }, n) =>
    list.slice(0, n).some((later) => later.campaign === campaign && !later.isDry && (later.isLive || later.report));
  return list.map((one, n) => ({ ...one, isRepeated: isRepeated(one, n) }));
}

/** How far a run is, null before its check has come to an end. */
function progress(told) {
  if (!told) return null;
  const at = (iso) => (iso ? Date.parse(iso) : null);
  return { ...told, waitsUntil: at(told.waits_until), until: at(told.last_at) };
}

const DRY = "dry run: nothing was sent";

/** How many people have no text that should have one, or may have none. What a person has rejected is not missed. */
const missing = ({ report }) =>
  report && report.approval !== "rejected" ? MISSING.reduce((sum, name) => sum + (report[name] ?? 0), 0) : 0;

/** Airflow's word, unless people have no text of a run that is green. */
const stateOf = (one) =>
  one.state === "failed" || !missing(one) ? one.state : one.report.stopped ? "stopped" : "incomplete";

const isBad = (one) => !one.isRepeated && (one.state === "failed" || missing(one) > 0);

/** What wants somebody: whether the last broadcast has left people without a text. */
export function ofBroadcasts({ broadcasts: list }) {
  const last = list.find((one) => !one.isLive && !one.isDry);
  if (!last || !isBad(last)) return [];
  const count = missing(last);
  const what =
    last.report?.approval === "no answer"
      ? "nobody has approved the last broadcast in time"
      : count
        ? `${plural(count, "person has", "people have")} no text of the last broadcast`
        : "the last broadcast failed";
  return [{ what, step: "Open the run", to: { run: last.run } }];
}

/** The newest, of which the table tells. */
const shown = ({ broadcasts: list }) => list.slice(0, 10);

/** Runs that failed without a report: what has failed in them says why. */
export const reds = (found) =>
  shown(found)
    .filter((one) => one.state === "failed" && !one.report)
    .map((one) => one.run);

/** What became of a broadcast, or how far it is, in words; `failure` is what a run has said that failed. */
export function inWords(one, now, zone, failure = null) {
  if (one.report) return one.isDry ? DRY : funnel(one.report);
  if (one.state === "failed") return failure?.sentence ?? "The log of the task that failed says why.";
  if (one.isWaiting) return "waits for approval";
  const paused = one.isPaused ? "the DAG is paused, and what has not begun waits. " : "";
  if (!one.progress)
    return one.isDry && !one.isLive ? DRY : one.isLive ? `${paused}the list is being checked` : "no report";
  const { texts, sent, failed, suppressed, waitsUntil, until } = one.progress;
  const rest = [
    failed ? `${many(failed)} failed` : "",
    suppressed ? `${many(suppressed)} opted out` : "",
    waitsUntil
      ? `waits for its hours until ${moment(waitsUntil, now, zone)}`
      : until > now
        ? `the last at about ${moment(until, now, zone)}`
        : "",
  ];
  return paused + [`${many(sent)} of ${many(texts)} sent`, ...rest].filter(Boolean).join(", ");
}

function funnel(report) {
  const among = (names) =>
    Object.entries(names)
      .filter(([name]) => report[name])
      .map(([name, words]) => `${many(report[name])} ${words}`)
      .join(", ");
  const told = among(TEXTED);
  const others = among(NOT_TEXTED);
  const tooMany = report.stopped && report.failed ? "stopped, because too many failed. " : "";
  const why = NOT_APPROVED[report.approval] ?? tooMany;
  return `${why}${many(report.texted ?? 0)} of ${plural(report.rows ?? 0, "row")} texted${told && ` (${told})`}${others && `; ${others}`}`;
}

/** What to do about people without a text; empty where nothing is to be done, or is done already. */
export function nextStep(one) {
  if (!isBad(one) || !missing(one)) return "";
  if (one.report.approval === "no answer") return "To send it, trigger the campaign again, and approve it.";
  const [[code] = []] = mostFrequent(one.report.failed_by_code);
  const first = Object.hasOwn(CODES, code) ? `${sentence(`${code}: ${CODES[code]}`)} Then trigger` : "Trigger";
  return `${first} the campaign again: it texts whoever has no text, and nobody twice.`;
}

const mostFrequent = (counts = {}) => Object.entries(counts).sort(([, one], [, other]) => other - one);

/** The most frequent codes of Twilio. */
function codes(report) {
  const counts = { ...report?.failed_by_code };
  for (const [code, count] of Object.entries(report?.not_delivered_by_code ?? {}))
    counts[code] = (counts[code] ?? 0) + count;
  return mostFrequent(counts)
    .slice(0, 3)
    .map(([code, count]) => `${code === "0" ? "without a code" : `code ${code}`} × ${many(count)}`)
    .join(", ");
}

/** The newest campaigns. */
export function table(found, context) {
  const list = shown(found);
  if (!list.length)
    return titled("Broadcasts", make("p", { className: "quiet none" }, "There was none in 30 days."));
  const rows = list.map((one) => [
    runAnchor(one.run, one.campaign || one.run.id, context),
    // A report does not say when its run began.
    `${one.state === "over" ? "ended " : ""}${moment(one.at, context.now, context.zone)}`,
    make("span", { className: isBad(one) ? "bad" : "" }, stateOf(one)),
    [
      one.progress && !one.isWaiting
        ? make("progress", {
            max: one.progress.texts || 1,
            value: one.progress.done,
            ariaLabel: `${one.campaign}: texts done`,
          })
        : "",
      make("span", {}, inWords(one, context.now, context.zone, context.failureOf(one.run))),
      one.isWaiting ? make("p", { className: "advice" }, requiredActions(one.run, context)) : "",
      ...[codes(one.report), nextStep(one)].map((text) => text && make("p", { className: "advice" }, text)),
    ],
  ]);
  return titled("Broadcasts", grid(["campaign", "started", "state", "sent so far, or what became of it"], rows));
}

const requiredActions = (run, context) =>
  make("a", { href: `${context.runLink(run)}/required_actions`, target: "_top" }, "Answer under Required Actions");
