// The plots, as data: columns with a run behind each, bars stacked in them, lines through them. Pure.
//
// A plot is { id, topics, title, note, unit, columns: [{ label, long, run, note, x? }], bars, lines, limit?, mark? }, where bars
// and lines are [{ key, label, values }] with a value or null per column: null is a hole, not a zero.

import { OUTCOMES } from "./data.js";
import { isRange } from "./reports.js";
import { DAY, clockTime, dayOf, daysBefore, many, moment, plural, shortDay, span, trim } from "./words.js";

const DAYS = 90;
const FEWEST_DAYS = 14;

/** The plots of what was found, without those that nothing is known for. */
export function plots(found, zone) {
  const days = byDay(found, zone);
  return [
    cleanupByDay(days),
    ages(found, zone),
    openAndWaiting(days),
    lag(found, zone),
    latency(found, zone),
    calls(days),
  ].filter(Boolean);
}

/** The last 90 days, or as many as there is something of: each with its reports, or the run that left none. */
export function byDay(found, zone) {
  const today = dayOf(found.now, zone);
  const reports = grouped(found.cleanups, (one) => dayOf(one.at, zone));
  const silent = grouped(found.silent, (one) => dayOf(one.at, zone));
  const first = [...reports.keys(), ...silent.keys()].sort()[0] ?? today;
  const known = Math.round((Date.parse(today) - Date.parse(first)) / DAY) + 1;
  const count = Math.min(DAYS, Math.max(FEWEST_DAYS, known));
  return Array.from({ length: count }, (_, n) => daysBefore(today, count - 1 - n)).map((day) => ({
    day,
    reports: reports.get(day) ?? [],
    silent: silent.get(day)?.[0] ?? null,
  }));
}

function grouped(items, key) {
  const groups = new Map();
  for (const one of items) groups.set(key(one), [...(groups.get(key(one)) ?? []), one]);
  return groups;
}

const columnsOf = (days) =>
  days.map(({ day, reports, silent }) => ({
    label: shortDay(day),
    long: reports.length > 1 ? `${shortDay(day)}, ${reports.length} runs` : shortDay(day),
    run: reports.at(-1)?.run ?? silent,
    note: reports.length ? "" : silent ? "a run without a report" : "no run",
    isSilent: !reports.length && Boolean(silent),
  }));

const sum = (reports, name) =>
  reports.length ? reports.reduce((all, one) => all + (one[name] ?? 0), 0) : null;

function cleanupByDay(days) {
  if (!days.some((one) => one.reports.length)) return null;
  const bars = Object.entries(OUTCOMES)
    .map(([key, label]) => ({ key, label, values: days.map(({ reports }) => sum(reports, key)) }))
    .filter(({ key, values }) => ["deactivated", "failed"].includes(key) || values.some(Boolean));
  const due = days.map(({ reports }) => sum(reports, "due"));
  return {
    id: "cleanup",
    topics: ["due", "retired", "failed"],
    title: "Cleanup by day",
    note: "What became of the channels that were due. A day without a run is a hole.",
    unit: "channels",
    columns: columnsOf(days),
    days: days.map((one) => one.day),
    bars,
    lines: [{ key: "due", label: "due", values: due }],
  };
}

/** Channels by days since their last task, as the last cleanup found them. */
function ages(found, zone) {
  const report = found.cleanups.findLast((one) => one.ages?.length);
  if (!report) return null;
  const bounds = report.ages.map(([days]) => days);
  // A channel counts at the first bound that it has not reached.
  const name = (days, n) =>
    days === null ? `> ${bounds[n - 1]}` : n ? `${bounds[n - 1]}–${days}` : `< ${days}`;
  const retention = report.retention_days ?? null;
  return {
    id: "ages",
    topics: ["due", "oldest"],
    title: "Channels by days since their last task",
    note: `As the cleanup at ${moment(report.at, found.now, zone)} found them; what is right of the line was due.`,
    unit: "channels",
    columns: bounds.map((days, n) => ({
      label: name(days, n),
      long: `${name(days, n)} days`,
      run: report.run,
      note: "",
    })),
    bars: [{ key: "deactivated", label: "channels", values: report.ages.map(([, count]) => count) }],
    lines: [],
    mark:
      retention === null
        ? null
        : {
            at: place(retention, bounds),
            label: `retention ${trim(retention)} ${retention === 1 ? "day" : "days"}`,
          },
  };
}

/** Where a number of days stands among the columns: within one, in proportion; in the last, which has no end, in its middle. */
function place(days, bounds) {
  const n = bounds.filter((bound) => bound !== null && bound <= days).length;
  const from = n ? bounds[n - 1] : 0;
  const to = bounds[n] ?? null;
  return n + (to === null ? 0.5 : (days - from) / (to - from));
}

function openAndWaiting(days) {
  const known = days.map(({ reports }) => reports.findLast((one) => one.channels)?.channels ?? null);
  if (!known.some(Boolean)) return null;
  const line = (key, label) => ({ key, label, values: known.map((one) => one?.[key] ?? null) });
  return {
    id: "open",
    topics: ["open"],
    title: "Open and waiting channels",
    note: "Open: with a task at work. Waiting: over, and within the retention.",
    unit: "channels",
    columns: columnsOf(days),
    days: days.map((one) => one.day),
    bars: [],
    lines: [line("open", "open"), line("waiting", "waiting")],
  };
}

/** Over the last day, by run: where a run stands is when it was. */
function lastDay(found, zone, reports) {
  return reports.map((one) => ({
    label: clockTime(one.at, zone),
    long: moment(one.at, found.now, zone),
    run: one.run,
    note: "",
    x: Math.min(1, Math.max(0, 1 - (found.now - one.at) / DAY)),
  }));
}

function lag(found, zone) {
  const reports = found.tracks.filter((one) => typeof one.behind_s === "number" && !isRange(one));
  if (!reports.length) return null;
  const sources = [...new Set(reports.map((one) => one.source ?? "events"))];
  return {
    id: "lag",
    topics: ["behind", "posts"],
    title: "How far events are behind",
    note: "Over the last day, by source: from the present back to what was read.",
    unit: "seconds",
    columns: lastDay(found, zone, reports),
    bars: [],
    lines: sources.map((source, n) => ({
      key: `source-${n}`,
      label: source,
      values: reports.map((one) => ((one.source ?? "events") === source ? one.behind_s : null)),
    })),
  };
}

function latency(found, zone) {
  // The first run of all reads 30 days back: nobody waited for that.
  const reports = found.tracks.filter((one) => one.latency_s?.n && one.latency_s.p95 * 1000 < DAY);
  if (!reports.length) return null;
  const line = (key) => ({ key, label: key, values: reports.map((one) => one.latency_s[key] ?? null) });
  return {
    id: "latency",
    topics: ["behind", "posts"],
    title: "From an agent's click to the state",
    note: "Over the last day: half of the channels took at most p50, 95 of 100 at most p95.",
    unit: "seconds",
    columns: lastDay(found, zone, reports),
    bars: [],
    lines: [line("p50"), line("p95")],
  };
}

/** Calls of cleanup to Twilio, by host. Former versions counted them all together. */
function calls(days) {
  const counts = days.map(({ reports }) => {
    const all = {};
    for (const one of reports)
      for (const [host, count] of Object.entries(one.calls ?? { "all hosts": one.api_calls ?? 0 }))
        all[host] = (all[host] ?? 0) + count;
    return reports.length ? all : null;
  });
  const throttled = days.flatMap((one) => one.reports).reduce((all, one) => all + (one.throttled ?? 0), 0);
  const hosts = [...new Set(counts.flatMap((one) => Object.keys(one ?? {})))].sort();
  if (!counts.some((one) => Object.values(one ?? {}).some(Boolean))) return null;
  return {
    id: "calls",
    topics: [],
    title: "Calls of cleanup to Twilio",
    note: throttled ? `By host. ${plural(throttled, "time")}, Twilio asked to wait.` : "By host.",
    unit: "calls",
    columns: columnsOf(days),
    days: days.map((one) => one.day),
    bars: hosts.map((host, n) => ({
      key: `host-${n % 6}`,
      label: host,
      values: counts.map((one) => (one ? (one[host] ?? 0) : null)),
    })),
    lines: [],
  };
}

/** How a value is told, in the unit of its plot. */
export const told = (value, unit) => (unit === "seconds" ? span(value) : many(value));

/** The plots by day as one table, for a spreadsheet. */
export function csv(all) {
  const daily = all.filter((plot) => plot.days);
  const named = daily.flatMap((plot) =>
    [...plot.bars, ...plot.lines].map((one) => ({ name: `${plot.id}: ${one.label}`, values: one.values })),
  );
  const rows = (daily[0]?.days ?? []).map((day, n) => [day, ...named.map((one) => one.values[n] ?? "")]);
  return (
    [["day", ...named.map((one) => one.name)], ...rows].map((row) => row.map(cell).join(",")).join("\r\n") +
    "\r\n"
  );
}

// A spreadsheet takes what begins like a formula for one.
const cell = (value) => {
  const text = String(value).replace(/^(?=[=+\-@])/, typeof value === "number" ? "" : "'");
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};
