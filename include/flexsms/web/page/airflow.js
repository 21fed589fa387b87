// Asks Airflow's public REST API, with the login of whoever looks at the page.

// Below `[api] base_url`, whatever path that has: this file is at <base>flexsms/dashboard/<digest>/airflow.js.
export const BASE = new URL("../../../", import.meta.url);
const PAGE = 100; // Airflow's default for maximum_page_limit
const SHOWN = 60; // runs that a table may show
const ASKED = 30; // red tasks that are asked why
const DAY = 86_400_000;
export const HISTORY_DAYS = 90;

export class Refused extends Error {
  constructor(status) {
    super(`Airflow answered ${status}`);
    this.status = status;
  }
}

async function get(path, query = {}) {
  const url = new URL(`api/v2/${path}`, BASE);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return answerOf(url);
}

async function answerOf(url) {
  const answer = await fetch(url, { headers: { accept: "application/json" }, cache: "no-store" });
  if (!answer.ok) throw new Refused(answer.status);
  return answer.json();
}

/** Newest first, at most so many pages, and how many there are in all. Pages after the first come together. */
async function pages(path, query, key, most) {
  const first = await get(path, { limit: PAGE, ...query });
  const size = first[key].length || PAGE; // a smaller maximum_page_limit counts
  const left = Math.min(most, Math.ceil(first.total_entries / size)) - 1;
  const others = await Promise.all(
    Array.from({ length: Math.max(0, left) }, (_, n) =>
      get(path, { ...query, limit: PAGE, offset: (n + 1) * size }),
    ),
  );
  return { items: [first, ...others].flatMap((page) => page[key]), total: first.total_entries };
}

// Asset events never change. So a refresh asks for new ones only, and once more for those of the last minutes: of two
// tasks that end at a time, the later one may be seen first.
const AGAIN_MS = 300_000;
const known = new Map();

async function events(since, query, most) {
  const key = JSON.stringify(query);
  const before = known.get(key) ?? { items: [], total: 0 };
  const newest = before.items.length ? Date.parse(before.items[0].timestamp) - AGAIN_MS : 0;
  const from = new Date(Math.max(newest, Date.parse(since))).toISOString();
  const asked = { order_by: "-timestamp", timestamp_gte: from, ...query };
  const fresh = await pages("assets/events", asked, "asset_events", most);
  const ids = new Set(fresh.items.map((event) => event.id));
  // Where there are more new ones than were loaded, those of before would have a hole between them and these.
  const joins = fresh.total <= fresh.items.length;
  const older = before.items.filter(
    ({ id, timestamp }) => joins && !ids.has(id) && Date.parse(timestamp) >= Date.parse(since),
  );
  const cut = before.total - before.items.length + (fresh.total - fresh.items.length);
  const items = [...fresh.items, ...older];
  known.set(key, { items, total: items.length + cut });
  return known.get(key);
}

/** Of a DAG: none, where Airflow has no such DAG. */
const ofDag = (path, ...rest) =>
  pages(`dags/${path}`, ...rest).catch((error) => {
    if (error.status === 404) return { items: [], total: 0 };
    throw error;
  });

const runs = (dag, since, query, most) =>
  ofDag(`${dag}/dagRuns`, { order_by: "-run_after", run_after_gte: since, ...query }, "dag_runs", most);

/** What may not be seen is missing, and says so. Whatever else goes wrong concerns the whole page. */
const orRefused = (promise) =>
  promise.catch((error) => {
    if (error.status === 403) return { items: [], total: 0, refused: true };
    throw error;
  });

/** How far broadcasts are that run, by the id of the run: flexsms sums up what their batches have said. */
async function progressOf(runs) {
  if (!runs.length) return { items: [], total: 0 };
  const url = new URL("flexsms/broadcasts", BASE);
  for (const run of runs) url.searchParams.append("run", run.dag_run_id);
  const told = await answerOf(url);
  const items = Object.entries(told).map(([run_id, progress]) => ({ run_id, ...progress }));
  return { items, total: items.length };
}

/** Everything the page shows, as Airflow tells it. The answers name no customer: the conf of flexsms_send is not asked for. */
export async function load(now) {
  const ago = (days) => new Date(now - days * DAY).toISOString();
  const broadcastRuns = runs("flexsms_broadcast", ago(30), { limit: 10 }, 1);
  const asked = {
    cleanup: events(
      ago(HISTORY_DAYS),
      { name_prefix_pattern: "flexsms_channel_state", source_dag_id: "flexsms_cleanup" },
      3,
    ),
    recent: events(ago(1), { name_prefix_pattern: "flexsms_channel_state" }, 3),
    texts: events(ago(7), { name_prefix_pattern: "flexsms_text" }, 5),
    cleanupRuns: runs("flexsms_cleanup", ago(HISTORY_DAYS), {}, 2),
    trackRuns: runs("flexsms_track", ago(7), { limit: SHOWN }, 1),
    sendFailures: ofDag(
      "flexsms_send/dagRuns/~/taskInstances",
      { state: "failed", start_date_gte: ago(7), order_by: "-start_date" },
      "task_instances",
      1,
    ),
    broadcasts: events(ago(30), { name_prefix_pattern: "flexsms_broadcast" }, 1),
    broadcastRuns,
    broadcastProgress: broadcastRuns.then(({ items }) => progressOf(items.filter(({ state }) => state === "running"))),
    sendTasks: ofDag(
      "flexsms_send/dagRuns/~/taskInstances",
      { run_after_gte: ago(7), order_by: "-run_after" },
      "task_instances",
      1,
    ),
    approvals: pages(
      "dags/~/dagRuns/~/hitlDetails",
      {
        response_received: false,
        state: "awaiting_input",
        dag_id_prefix_pattern: "flexsms",
        order_by: "-created_at",
      },
      "hitl_details",
      1,
    ),
    // A DAG that no longer loads is stale: Airflow leaves it out unless it is asked for.
    dags: pages("dags", { dag_id_prefix_pattern: "flexsms", exclude_stale: false }, "dags", 1),
  };
  const names = Object.keys(asked);
  const answers = await Promise.all(Object.values(asked).map(orRefused));
  return Object.fromEntries(names.map((name, n) => [name, answers[n]]));
}

const keyOf = ({ dag, id, task, index, attempt }) => [dag, id, task, index, attempt].join("/");
const reasons = new Map();

/** What a task has said that failed, as far as it was asked: `{sentence, error, to}`, null where it said nothing. */
export const failureOf = (red) => reasons.get(keyOf(red));

/** Asks tasks that failed why, once each; returns whether something has become known. */
export async function askWhy(reds) {
  const unknown = reds.filter((red) => failureOf(red) === undefined).slice(0, ASKED);
  const told = await Promise.all(unknown.map((red) => why(red).catch(() => undefined)));
  unknown.forEach((red, n) => told[n] !== undefined && reasons.set(keyOf(red), told[n]));
  return told.some(Boolean);
}

async function why({ dag, id, task, index }) {
  const tasks = `dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(id)}/taskInstances`;
  const entry = task ? { task_id: task, map_index: index } : await lastFailure(tasks);
  if (!entry) return null;
  const path = `${tasks}/${encodeURIComponent(entry.task_id)}/xcomEntries/failure`;
  try {
    return sound((await get(path, { map_index: entry.map_index })).value);
  } catch (error) {
    if ([403, 404].includes(error.status)) return null;
    throw error;
  }
}

/** Of a run, whichever of its tasks has said so last. */
async function lastFailure(tasks) {
  const query = { xcom_key: "failure", order_by: "-timestamp", limit: 1 };
  return (await get(`${tasks}/~/xcomEntries`, query)).xcom_entries[0];
}

/** Anybody may write an XCom by hand. */
function sound(value) {
  const told = typeof value === "string" ? JSON.parse(value) : value;
  return typeof told?.sentence === "string" ? told : null;
}

/** What flexsms knows of a channel: the one thing here that calls Twilio. */
export async function lookUp(channelSid) {
  const answer = await fetch(new URL(`flexsms/channels/${channelSid}`, BASE), { cache: "no-store" });
  if (answer.status === 401) throw new Refused(401);
  const told = await answer.json().catch(() => ({}));
  if (answer.ok) return told;
  const detail = typeof told.detail === "string" ? told.detail : `the server answered ${answer.status}.`;
  return {
    problem:
      answer.status === 403
        ? "Your role may not start flexsms_track, so you may not look channels up."
        : detail,
  };
}
