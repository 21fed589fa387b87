// How numbers, moments and lengths of time are written. Pure: the zone and the present are given.

export const DAY = 86_400_000;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** 12 345, with a narrow space that does not break. */
export const many = (count) => String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, "\u202f");

export const plural = (count, one, more = `${one}s`) => `${many(count)} ${count === 1 ? one : more}`;

/** 4 s, 3 min, 5.2 h, 4.2 days: seconds as a person would say them. */
export function span(seconds) {
  if (seconds < 10 && seconds % 1) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  if (seconds < 6000) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${trim(seconds / 3600)} h`;
  return `${trim(seconds / 86_400)} days`;
}

export const trim = (number) => String(Math.round(number * 10) / 10);

/** A day as 2026-11-30, in a time zone. */
export const dayOf = (at, zone) =>
  new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" }).format(at);

/** So many days before a day, counted in the calendar: a change of clocks drops none. */
export const daysBefore = (day, count) => new Date(Date.parse(day) - count * DAY).toISOString().slice(0, 10);

/** 30 Nov */
export const shortDay = (day) => `${Number(day.slice(8))} ${MONTHS[Number(day.slice(5, 7)) - 1]}`;

export const clockTime = (at, zone) =>
  new Intl.DateTimeFormat("en-GB", { timeZone: zone, hour: "2-digit", minute: "2-digit" }).format(at);

/** 03:04 today, 03:04 yesterday, 03:04 on 24 Nov */
export function moment(at, now, zone) {
  const day = dayOf(at, zone);
  const today = dayOf(now, zone);
  const when = day === today ? "today" : day === daysBefore(today, 1) ? "yesterday" : `on ${shortDay(day)}`;
  return `${clockTime(at, zone)} ${when}`;
}

/** "a, b and c" */
export const list = (words) =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;

/** What begins with a capital, and ends with a full stop. */
export const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
