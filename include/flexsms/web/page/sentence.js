// The line on top: whether all is well, and if not, what to do.

import { retired } from "./data.js";
import { isPartly, problems } from "./problems.js";
import { list, many, moment, plural, span } from "./words.js";

// The name of a DAG stays as it is.
const capital = (text) => (text.startsWith("flexsms_") ? text : text[0].toUpperCase() + text.slice(1));

/**
 * What the page says first: `isBad` only where there is a next step.
 *
 * `failureOf` gives what a run that failed has said, as far as it is known.
 */
export function topLine(found, zone, failureOf = () => null) {
  const wanted = problems(found);
  const said = wanted.filter(({ to }) => to.run).map(({ to }) => failureOf(to.run)?.sentence);
  const rest = [...said.filter(Boolean), ...facts(found, zone).map((fact) => `${capital(fact)}.`)].join(" ");
  if (wanted.length) {
    const what = capital(list(wanted.map((one) => one.what)));
    return { isBad: true, text: `${what}.`, rest, steps: wanted };
  }
  return {
    isBad: false,
    text: good(found),
    rest,
    steps: [],
  };
}

function good(found) {
  if (isPartly(found)) return "Nothing is wrong in what you may see.";
  return found.last || found.behind.looked ? "All is well." : "Nothing has been cleaned up yet.";
}

function facts(found, zone) {
  const told = [];
  const { last, now } = found;
  if (last) {
    const failed = last.failed ? `${many(last.failed)} failed` : "none failed";
    const what = last.due
      ? `${many(last.due)} due, ${many(retired(last))} retired, ${failed}`
      : "nothing was due";
    told.push(`cleaned up at ${moment(last.at, now, zone)}: ${what}`);
  }
  if (found.behind.seconds !== null) told.push(`events are ${span(found.behind.seconds)} behind`);
  else if (found.behind.looked) told.push(`events are read up to ${moment(found.behind.looked, now, zone)}`);
  const posts = found.posts.waiting;
  if (posts) told.push(`${plural(posts, "post")} ${posts === 1 ? "waits" : "wait"} to be read`);
  else if (!found.approvals.length) told.push("nothing waits");
  return told;
}
