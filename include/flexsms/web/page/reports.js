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
  for (const event of events)
    if (kindOf(event.extra) === kind)
      found.set(event.id, { ...event.extra, at: Date.parse(event.timestamp), run: runOf(event) });
  return [...found.values()].sort((one, other) => one.at - other.at);
}

const runOf = (event) => (event.source_run_id ? { dag: event.source_dag_id, id: event.source_run_id } : null);

/** What a run is known by: runs of two DAGs may have the same id. */
export const keyOf = (run) => run && `${run.dag}/${run.id}`;

/** Whether tracking read a range again: how long ago that was says nothing of how far it is behind. */
export const isRange = (report) => report.read_up_to === null;
