// The latest texts: who each was for, and what became of it. Pure.

import { CODES } from "./codes.js";
import { isDelivery, keyOfTask } from "./reports.js";

const OVER = ["success", "failed", "skipped", "upstream_failed", "removed"];

/** Each text once, the newest first: from its events, and from the tasks of flexsms_send. */
export function latestTexts(reports, tasks) {
  // A run may have many of both, mapped or not: a delivery names its text.
  const deliveries = new Map(reports.filter((one) => isDelivery(one) && one.text).map((one) => [one.text, one]));
  const sends = new Map();
  for (const report of reports) {
    if (!report.run || isDelivery(report)) continue;
    const key = [keyOfTask(report), report.task, report.text].join("/");
    // A send that is cleared finds out that it was first.
    if (!sends.has(key) || sends.get(key).outcome === "duplicate") sends.set(key, report);
  }
  const tasksOf = new Map();
  for (const task of tasks) {
    const key = keyOfTask({ run: runOf(task), index: task.map_index });
    tasksOf.set(key, { ...tasksOf.get(key), [task.task_id]: task });
  }
  const left = [...sends.values()].map((send) => ({
    run: send.run,
    index: send.index,
    send,
    delivery: send.text ? deliveries.get(send.text) : null,
    tasks: tasksOf.get(keyOfTask(send)) ?? {},
  }));
  const told = new Set(left.map(keyOfTask));
  const others = [...tasksOf].filter(([key]) => !told.has(key)).map(([, ofText]) => withoutSend(ofText));
  return [...left, ...others].map(asRow).sort((one, other) => other.at - one.at);
}

/** A text that no event tells of: it is on its way, or has failed. */
function withoutSend(tasks) {
  const [{ map_index: index, ...task }] = Object.values(tasks);
  return { run: runOf(task), index, tasks };
}

const runOf = (task) => ({ dag: task.dag_id, id: task.dag_run_id });

function asRow(text) {
  const { run, index, send, tasks } = text;
  const first = tasks.send ?? tasks.delivery;
  return {
    run,
    index,
    at: send?.at ?? Date.parse(first.start_date ?? first.run_after),
    to: number(send?.to),
    console: address(send?.console_url),
    ...outcome(text),
  };
}

// Anybody may write an asset event by hand: a whole number, or a link to elsewhere, is not shown.
const number = (to) => (/^…\d{4}$/.test(to) ? to : null);
const address = (url) => (String(url).startsWith("https://console.twilio.com/") ? url : null);

/** `state` in words, `why` with what to do, and which task has said more: `red`. */
function outcome({ send, delivery, tasks }) {
  if (delivery?.outcome === "delivered" || send?.outcome === "delivered") return { state: "delivered" };
  if (tasks.delivery?.state === "failed") return red(tasks.delivery, "not confirmed");
  if (tasks.send?.state === "failed") return red(tasks.send, "not sent");
  if (send) return ofSend(send, tasks.delivery);
  if (tasks.send?.state === "skipped")
    return { state: "not sent again", why: "It was sent before under this run’s name." };
  if (tasks.send?.state === "up_for_retry") return { ...red(tasks.send, "not sent yet"), isBad: false };
  return { state: OVER.includes(tasks.send?.state) ? "not known" : "being sent" };
}

function ofSend({ outcome: told, code }, delivery) {
  const words = {
    duplicate: { state: "not sent again", why: "An earlier run sent it under the same key." },
    no_text: { state: "no text", why: "The agent writes first." },
    undelivered: { state: "not delivered", why: reason(code), isBad: true },
    failed: { state: "not delivered", why: reason(code), isBad: true },
  };
  if (Object.hasOwn(words, told)) return words[told];
  if (!delivery) return { state: "sent" };
  if (delivery.state === "success") return { state: "sent", why: "Nobody waited for its receipt." };
  if (delivery.state === "skipped") return { state: "not known", why: "No receipt came in time." };
  if (delivery.state === "up_for_retry") return { ...red(delivery, "still on its way"), isBad: false };
  return { state: OVER.includes(delivery.state) ? "not known" : "still on its way" };
}

const reason = (code) => (Object.hasOwn(CODES, code) ? `${CODES[code]} (error ${code}).` : "");

const red = (task, state) => ({ state, isBad: true, red: redTask(task) });

const redTask = (task) => ({
  ...runOf(task),
  task: task.task_id,
  index: task.map_index,
  attempt: task.try_number,
});

/** A row with what its red task has said. */
export function withFailure(row, failure) {
  if (!failure) return { ...row, why: row.why ?? (row.red ? "The log of its task says why." : "") };
  const isLost = failure.error === "NotDelivered";
  return {
    ...row,
    to: row.to ?? number(failure.to),
    state: isLost ? "not delivered" : row.state,
    // Its state says so already.
    why: isLost ? failure.sentence.replace(/^Not delivered: /, "") : failure.sentence,
  };
}
