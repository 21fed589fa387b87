// The figures below the line on top. Each is the name of a topic, by which the page can be filtered.

import { oldestDays, retired, stillDue } from "./data.js";
import { BEHIND_TOO_LONG_S, OVERDUE_MS } from "./problems.js";
import { many, moment, plural, span, trim } from "./words.js";

const NONE = "–";

const tile = (topic, label, value, note, isBad = false) => ({
  topic,
  label,
  value: typeof value === "number" ? many(value) : (value ?? NONE),
  note,
  isBad,
});

export function tiles(found, zone) {
  const { last, approvals } = found;
  const when = last ? moment(last.at, found.now, zone) : "no cleanup yet";
  return [
    open(found),
    tile("due", "Due now", last && stillDue(last), last ? `of ${many(last.due ?? 0)} at ${when}` : when),
    oldest(last),
    tile("retired", "Retired", last && retired(last), when),
    tile("failed", "Failed", last && (last.failed ?? 0), codes(found) || when, Boolean(last?.failed)),
    behind(found, zone),
    posts(found),
    tile("approvals", "Approvals", approvals.length, ["none waits", "waits for an answer"][approvals.length] ?? "wait for an answer"),
    texts(found),
    broadcasts(found),
  ];
}

function open({ channels }) {
  return tile(
    "open",
    "Open",
    channels?.open,
    channels ? `${many(channels.waiting ?? 0)} more wait` : "not counted yet",
  );
}

function oldest(last) {
  const days = oldestDays(last);
  const kept = last?.retention_days;
  const age = days === null ? null : span(days * 86_400);
  const window = kept < 1 ? span(kept * 86_400) : `${trim(kept)} ${kept === 1 ? "day" : "days"}`;
  const note = last && !last.due ? "nothing was due" : kept ? `retention ${window}` : "since its last task";
  return tile("oldest", "Oldest due", age, note);
}

const codes = ({ failures }) =>
  failures
    .filter((one) => one.isNow)
    .slice(0, 2)
    .map((one) => `${one.code || "other"} × ${many(one.count)}`)
    .join(", ");

function behind({ behind: { seconds, looked, sources }, now }, zone) {
  if (!looked) return tile("behind", "Events behind", null, "not tracked today");
  const each = sources.map((one) => `${one.source} ${one.seconds === null ? "no news" : span(one.seconds)}`);
  const note = each.length > 1 ? each.join(", ") : `read at ${moment(looked, now, zone)}`;
  // A look that found nothing new says so only for its own moment.
  const value = seconds ?? (now - looked > OVERDUE_MS ? null : 0);
  const isBad = seconds > BEHIND_TOO_LONG_S;
  return tile("behind", "Events behind", value === null ? null : span(value), note, isBad);
}

function posts({ posts: { waiting, rejected } }) {
  const note = rejected
    ? `${plural(rejected, "event")} rejected`
    : waiting === null
      ? "no inbox in use"
      : "none rejected";
  return tile("posts", "Posts waiting", waiting, note, rejected > 0);
}

function texts({ texts: { total, sent, delivered, notDelivered } }) {
  return tile(
    "texts",
    "Single texts, 7 days",
    total ? sent : null,
    total ? `${many(delivered)} arrived, ${many(notDelivered)} did not` : "none sent",
  );
}

function broadcasts({ broadcasts: list }) {
  const live = list.filter((one) => one.isLive).length;
  const note = live ? "under way" : list.length ? `${many(list.length)} in 30 days` : "none in 30 days";
  return tile("broadcasts", "Broadcasts", list.length ? live : null, note);
}
