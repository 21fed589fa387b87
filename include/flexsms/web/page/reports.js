// From asset events to reports: what a run said of itself. Pure.

/** Which job wrote an asset event. Those of former versions do not say. */
export function kindOf(extra) {
  if (typeof extra?.kind === "string") return extra.kind;
  if (!extra) return null;
  return "scanned" in extra ? "cleanup" : "cursor" in extra ? "track" : null;
}

/** Asset events as reports, oldest first, each once: what was said, when, and by which run. */
export function reports(events, kind) {
  const found = new Map();
  const byTime = [...events].sort((one, other) => Date.parse(one.timestamp) - Date.parse(other.timestamp));
  for (const event of byTime)
    if (kindOf(event.extra) === kind)
      found.set(onceBy(event, kind), {
        ...sound(event.extra),
        at: Date.parse(event.timestamp),
        run: runOf(event),
        task: event.source_task_id,
        index: event.source_map_index ?? UNMAPPED,
      });
  return [...found.values()].sort((one, other) => one.at - other.at);
}

// Where a task is cleared, a cleanup or a broadcast sums itself up once more, and a delivery may be told again: the newest counts.
function onceBy(event, kind) {
  if (["cleanup", "broadcast"].includes(kind) && event.source_run_id) return `${keyOf(runOf(event))}/${event.source_task_id}`;
  if (isDelivery(event.extra) && typeof event.extra.text === "string") return `delivery/${event.extra.text}`;
  return event.id;
}

const runOf = (event) => (event.source_run_id ? { dag: event.source_dag_id, id: event.source_run_id } : null);

// Anybody may write an asset event by hand. So what has another shape than ours is left out.
const TEXTS = "kind source read_up_to oldest_ended_at approval campaign outcome of route text to console_url".split(" ");
const LISTS = ["failures", "ages"];
const COUNTS = ["failed_by_code", "not_delivered_by_code", "calls", "channels", "latency_s"];

function sound(extra) {
  const isSound = ([name, value]) => {
    if (typeof value === "string") return TEXTS.includes(name);
    if (Array.isArray(value))
      return LISTS.includes(name) && value.every((one) => one && typeof one === "object");
    if (value && typeof value === "object")
      return COUNTS.includes(name) && Object.values(value).every(Number.isFinite);
    return !LISTS.includes(name);
  };
  return Object.fromEntries(Object.entries(extra).filter(isSound));
}

/** What a run is known by: runs of two DAGs may have the same id. */
export const keyOf = (run) => run && `${run.dag}/${run.id}`;

const UNMAPPED = -1;

/** What a task of flexsms_send is known by. */
export const keyOfTask = ({ run, index }) => `${keyOf(run)}/${index ?? UNMAPPED}`;

/** Whether a report says what became of a text, rather than how it left. */
export const isDelivery = (report) => report.of === "delivery";

/** Whether tracking read a range again: how long ago that was says nothing of how far it is behind. */
export const isRange = (report) => report.read_up_to === null;
