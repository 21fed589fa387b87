// Broadcasts: how far those are that run, and what became of those that are over. Pure, but for its table.

import { grid, make, runAnchor, titled } from "./dom.js";
import { keyOf, reports } from "./reports.js";
import { many, moment, plural } from "./words.js";

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
  unknown: "not known",
};
const MISSING = ["stopped", "failed", "unknown"];

/** Each run once, the newest first: from its report, from what its tasks say meanwhile, or from its state alone. */
export function broadcasts({ broadcasts: told, broadcastRuns, broadcastXComs }, approvals) {
  const ended = new Map(reports(told.items, "broadcast").map((one) => [keyOf(one.run), one]));
  const rows = broadcastRuns.items.map((run) => {
    const key = { dag: run.dag_id, id: run.dag_run_id, attempt: run.end_date };
    const report = ended.get(keyOf(key));
    ended.delete(keyOf(key));
    const xcoms = broadcastXComs.items.filter((one) => one.run_id === run.dag_run_id);
    const isLive = LIVE.includes(run.state);
    return {
      run: key,
      at: Date.parse(run.start_date ?? run.run_after),
      campaign: report?.campaign ?? run.conf?.campaign ?? "",
      state: run.state,
      isLive,
      isWaiting: approvals.some((one) => keyOf(one) === keyOf(key)),
      isDry: run.conf?.dry_run === true,
      report: report ?? null,
      progress: isLive ? progress(xcoms) : null,
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
    isDry: false,
    report,
    progress: null,
  }));
  return [...rows, ...others].sort((one, other) => other.at - one.at);
}

/** What the check and the batches of a run have said so far, null before the check. */
function progress(xcoms) {
  const plan = xcoms.find((one) => one.key === "plan")?.value;
  if (!plan || !Number.isFinite(plan.texts)) return null;
  const batches = xcoms.filter((one) => one.key === "progress").map((one) => one.value ?? {});
  const sum = (name) =>
    batches.reduce((total, batch) => total + (Number.isFinite(batch[name]) ? batch[name] : 0), 0);
  const waits = batches.map((batch) => Date.parse(batch.until)).filter(Number.isFinite);
  const at = waits.length ? Math.min(...waits) : null;
  const last = Date.parse(plan.last_at);
  return {
    texts: plan.texts,
    done: sum("done"),
    sent: sum("sent"),
    failed: sum("failed"),
    suppressed: sum("suppressed"),
    // All batches that have begun wait.
    waitsUntil: waits.length && waits.length === batches.filter((one) => one.done < one.texts).length ? at : null,
    until: Number.isFinite(last) ? last : null,
  };
}

const DRY = "dry run: nothing was sent";

const missing = (report) => MISSING.reduce((sum, name) => sum + (report[name] ?? 0), 0);

const isBad = (one) => one.state === "failed" || Boolean(one.report && missing(one.report));

/** What wants somebody: whether the last broadcast has left people without a text. */
export function ofBroadcasts({ broadcasts: list }) {
  const last = list.find((one) => !one.isLive && !one.isDry);
  if (!last || !isBad(last)) return [];
  const count = last.report ? missing(last.report) : 0;
  const what = count
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
  if (one.isDry) return DRY;
  if (!one.progress) return one.isLive ? "the list is being checked" : "no report";
  const { texts, sent, failed, suppressed, waitsUntil, until } = one.progress;
  const rest = [
    failed ? `${many(failed)} failed` : "",
    suppressed ? `${many(suppressed)} opted out` : "",
    waitsUntil ? `waits until ${moment(waitsUntil, now, zone)}` : until > now ? `until ${moment(until, now, zone)}` : "",
  ];
  return [`${many(sent)} of ${many(texts)} sent`, ...rest].filter(Boolean).join(", ");
}

function funnel(report) {
  const among = (names) =>
    Object.entries(names)
      .filter(([name]) => report[name])
      .map(([name, words]) => `${many(report[name])} ${words}`)
      .join(", ");
  const told = among(TEXTED);
  const others = among(NOT_TEXTED);
  const approval = { rejected: "rejected. ", "no answer": "not approved in time. " }[report.approval] ?? "";
  return `${approval}${many(report.texted ?? 0)} of ${plural(report.rows ?? 0, "row")} texted${told && ` (${told})`}${others && `; ${others}`}`;
}

/** The most frequent codes of Twilio. */
function codes(report) {
  const counts = { ...report?.failed_by_code };
  for (const [code, count] of Object.entries(report?.not_delivered_by_code ?? {}))
    counts[code] = (counts[code] ?? 0) + count;
  return Object.entries(counts)
    .sort(([, one], [, other]) => other - one)
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
    make("span", { className: isBad(one) ? "bad" : "" }, one.state),
    [
      one.progress
        ? make("progress", {
            max: one.progress.texts || 1,
            value: one.progress.done,
            ariaLabel: `${one.campaign}: texts done`,
          })
        : "",
      make("span", {}, inWords(one, context.now, context.zone, context.failureOf(one.run))),
      make("p", { className: "advice" }, codes(one.report)),
    ],
  ]);
  return titled("Broadcasts", grid(["campaign", "started", "state", "sent so far, or what became of it"], rows));
}
