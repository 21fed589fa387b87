// The other parts of the page: a plot with its table, a channel, the first steps, the notes.

import { draw, table } from "./charts.js";
import { make, titled } from "./dom.js";
import { moment, plural, span } from "./words.js";

/** A plot with its name, what is pointed at, its picture and its table. */
export function figure(plot, context) {
  const readout = make("output", {}, plot.note);
  const picture = make("div", { className: "picture" });
  const details = make("details", {}, make("summary", {}, "As a table"));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1)
      details.append(make("div", { className: "scroll" }, table(plot)));
  });
  const paint = () => {
    const width = Math.floor(picture.clientWidth);
    if (!width) return;
    picture.replaceChildren(
      draw(plot, width, {
        link: context.runLink,
        tell: (words) => (readout.textContent = words || plot.note),
      }),
    );
  };
  new ResizeObserver(paint).observe(picture);
  const keys = [...plot.lines.map((one) => ["line", one]), ...plot.bars.map((one) => ["fill", one])];
  const legend = make(
    "ul",
    { className: "legend", hidden: keys.length < 2 },
    keys.map(([kind, one]) => make("li", {}, make("i", { className: `${kind} ${one.key}` }), one.label)),
  );
  return make(
    "section",
    { className: "plot", id: `plot-${plot.id}`, data: { topics: plot.topics.join(" ") } },
    titled(plot.title, readout, picture, legend, details),
  );
}

/** What flexsms knows of a channel, as the look-up tells it. */
export function channel(told, context) {
  if (told.problem) return make("p", { className: "bad" }, told.problem);
  const ended = told.last_ended_at ? Date.parse(told.last_ended_at) : null;
  const open = told.open_tasks.length;
  const words = {
    open: `open, with ${plural(open, "task")} at work`,
    ended: "over; it waits for its retention",
    retired: "retired",
    new: "new: no task of it is known to have ended",
  };
  const rows = [
    ["State", words[told.status] ?? told.status],
    [
      "Last task ended",
      ended
        ? `${moment(ended, context.now, context.zone)}, ${span((context.now - ended) / 1000)} ago`
        : "none has",
    ],
    [
      "Retired",
      told.retired ? `${moment(told.retired[0], context.now, context.zone)} (${told.retired[1]})` : "no",
    ],
    ["Stack", told.stack],
    ["Kind", told.type ?? "sms"],
    ["Open tasks", open ? told.open_tasks.join(", ") : "none"],
  ];
  return make(
    "dl",
    {},
    rows.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]),
  );
}

/** What to do where nothing was counted yet. */
export function firstSteps(found, context) {
  const { flexsms_track: track, flexsms_cleanup: cleanup } = found.dags;
  const dag = (id, text) => make("a", { href: context.dagLink(id), target: "_top" }, text);
  const step = (isDone, ...words) =>
    make("li", { className: isDone ? "done" : "" }, ...words, isDone ? make("em", {}, " – done") : "");
  return [
    make("p", {}, "The figures of this page come from the runs of flexsms. To have some:"),
    make(
      "ol",
      {},
      step(false, "Let ", make("code", {}, "flexsms doctor"), " look at the account behind the connection."),
      step(
        track && !track.is_paused,
        "Unpause ",
        dag("flexsms_track", "flexsms_track"),
        ". Its first run reads back 30 days.",
      ),
      step(
        found.cleanupRuns.some((run) => run.isDry),
        "Trigger ",
        dag("flexsms_cleanup", "flexsms_cleanup"),
        " with ",
        make("em", {}, "Dry run"),
        ", and read the log of its task report.",
      ),
      step(
        cleanup && !cleanup.is_paused,
        "Unpause ",
        dag("flexsms_cleanup", "flexsms_cleanup"),
        ". Its next run, at night, brings the first figures.",
      ),
    ),
  ];
}

/** What the figures leave out, one line each. */
export function notes(found, context) {
  const names = {
    cleanup: "cleanups",
    recent: "runs of tracking",
    texts: "texts",
    cleanupRuns: "runs of flexsms_cleanup",
    trackRuns: "runs of flexsms_track",
    broadcasts: "broadcasts",
    broadcastRuns: "runs of flexsms_broadcast",
    broadcastProgress: "the progress of broadcasts",
    sendFailures: "red tasks of flexsms_send",
    sendTasks: "tasks of flexsms_send",
    approvals: "approvals",
    dags: "DAGs",
  };
  const cut = found.cut.map(
    (one) =>
      `Of ${names[one.name]}, those since ${moment(one.since, context.now, context.zone)} are counted; there are more.`,
  );
  const hidden = found.hidden.length
    ? [`Your role may not see: ${found.hidden.map((name) => names[name]).join(", ")}.`]
    : [];
  return [
    ...cut,
    ...hidden,
    `Times are in ${context.zone}. From runs and asset events of Airflow; opening this page calls nobody else.`,
  ].map((text) => make("p", {}, text));
}
