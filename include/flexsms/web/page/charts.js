// Draws a plot of series.js as SVG: every column is a link to its run, and says what is in it.

import { told } from "./series.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 168;
const EDGE = { top: 8, right: 4, bottom: 20, left: 44 };

function element(name, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes))
    if (value !== null && value !== undefined) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

/** The values of a column in words: "12 deactivated, 1 failed". */
export function inWords(plot, n) {
  const { long, note } = plot.columns[n];
  const values = [...plot.lines, ...plot.bars]
    .filter((one) => one.values[n] !== null && (one.values[n] || plot.lines.includes(one)))
    .map((one) => `${told(one.values[n], plot.unit)} ${one.label}`);
  return `${long}: ${[note, ...values].filter(Boolean).join(", ") || "nothing"}`;
}

/** The picture. `link` makes the address of a run, `tell` is called with the words of the column in question. */
export function draw(plot, width, { link, tell }) {
  const inner = { width: width - EDGE.left - EDGE.right, height: HEIGHT - EDGE.top - EDGE.bottom };
  const totals = plot.columns.map((_, n) => plot.bars.reduce((all, one) => all + (one.values[n] ?? 0), 0));
  const highest = Math.max(1, ...totals, ...plot.lines.flatMap((one) => one.values));
  const top = roundUp(highest, plot.unit);
  const step = inner.width / plot.columns.length;
  const x = (n) =>
    EDGE.left + (plot.columns[n].x === undefined ? (n + 0.5) * step : plot.columns[n].x * inner.width);
  const y = (value) => EDGE.top + inner.height * (1 - value / top);
  const svg = element("svg", {
    viewBox: `0 0 ${width} ${HEIGHT}`,
    width,
    height: HEIGHT,
    role: "group",
    "aria-label": plot.title,
  });
  svg.append(grid(plot, top, y, width), days(plot, x, width));
  const columns = plot.columns.map((column, n) => {
    const at =
      plot.columns[0].x === undefined
        ? { left: EDGE.left + n * step, width: step }
        : around(plot, n, x, inner.width);
    const href = column.run ? link(column.run) : null;
    const words = inWords(plot, n);
    const a = element("a", {
      href,
      target: "_top",
      class: "column",
      "aria-label": words,
      tabindex: -1,
      role: href ? null : "img",
    });
    a.append(
      element("rect", { class: "hit", x: at.left, y: EDGE.top, width: at.width, height: inner.height }),
    );
    if (plot.bars.length) a.append(...stack(plot, n, at, y));
    if (column.isSilent) a.append(element("circle", { class: "silent", cx: x(n), cy: y(0) - 4, r: 3 }));
    for (const type of ["pointerenter", "focus"]) a.addEventListener(type, () => tell(words));
    return a;
  });
  svg.append(...columns);
  for (const line of plot.lines)
    svg.append(plot.bars.length ? ticks(line, x, y, step) : path(line, x, y, plot));
  if (plot.mark) svg.append(...mark(plot.mark, EDGE.left + plot.mark.at * step, inner, width));
  svg.addEventListener("pointerleave", () => tell(""));
  rove(svg, columns);
  return svg;
}

/** The top of the scale, so that its half is a round number, too. */
function roundUp(value, unit) {
  if (unit === "seconds" && value > 60) {
    const steps = [120, 240, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400];
    return steps.find((one) => one >= value) ?? Math.ceil(value / 172_800) * 172_800;
  }
  const ten = 10 ** Math.floor(Math.log10(value));
  return (
    [2, 4, 6, 8, 10].map((one) => one * ten).find((one) => one >= value && (one / 2) % 1 === 0) ?? 10 * ten
  );
}

function grid(plot, top, y, width) {
  const group = element("g", { class: "grid", "aria-hidden": "true" });
  for (const value of [0, top / 2, top]) {
    group.append(element("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value) }));
    group.append(
      element("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, told(value, plot.unit)),
    );
  }
  return group;
}

function days(plot, x, width) {
  const group = element("g", { class: "grid", "aria-hidden": "true" });
  const count = plot.columns.length;
  const every = count < width / 40 ? 1 : Math.ceil(count / Math.max(2, Math.floor(width / 90)));
  const apart = every === 1 ? 0 : 54;
  let free = Infinity; // from the right, so that the newest one has its name
  for (let n = count - 1; n >= 0; n -= every) {
    const at = Math.min(Math.max(x(n), EDGE.left + 16), width - 20);
    if (at > free - apart && free !== Infinity) continue;
    free = at;
    group.append(element("text", { x: at, y: HEIGHT - 4, "text-anchor": "middle" }, plot.columns[n].label));
  }
  return group;
}

/** What belongs to a point of time: up to half the way to its neighbours, and never too narrow to be hit. */
function around(plot, n, x, width) {
  const left = n ? (x(n - 1) + x(n)) / 2 : x(n) - 8;
  const right = n < plot.columns.length - 1 ? (x(n) + x(n + 1)) / 2 : x(n) + 8;
  return { left: Math.max(left, x(n) - width / 20), width: Math.max(2, Math.min(right - left, width / 10)) };
}

function stack(plot, n, at, y) {
  const gap = Math.min(2, at.width / 5);
  let below = 0;
  return plot.bars.flatMap(({ key, values }) => {
    if (!values[n]) return [];
    const height = Math.max(key === "failed" ? 2 : 0.5, y(below) - y(below + values[n]));
    const rect = element("rect", {
      class: `fill ${key}`,
      x: at.left + gap / 2,
      width: at.width - gap,
      y: y(below) - height,
      height,
    });
    below += values[n];
    return [rect];
  });
}

/** A line with its points; it is broken where nothing is known, except where the runs of others are in between. */
function path({ key, values }, x, y, plot) {
  const group = element("g", { class: `line ${key}`, "aria-hidden": "true" });
  const isTimed = plot.columns[0].x !== undefined;
  let d = "";
  let isDown = false;
  values.forEach((value, n) => {
    if (value === null) {
      if (!isTimed) isDown = false;
      return;
    }
    d += `${isDown ? "L" : "M"}${x(n).toFixed(1)} ${y(value).toFixed(1)}`;
    isDown = true;
    const isAlone = (values[n - 1] ?? null) === null && (values[n + 1] ?? null) === null;
    if (isAlone || values.length < 40) group.append(element("circle", { cx: x(n), cy: y(value), r: 2 }));
  });
  group.prepend(element("path", { d }));
  return group;
}

/** Over bars, a line is a tick above each: what the bar could have reached. */
function ticks({ key, values }, x, y, step) {
  const half = step / 2 - 0.5;
  const d = values
    .map((value, n) =>
      value === null ? "" : `M${(x(n) - half).toFixed(1)} ${y(value).toFixed(1)}h${(2 * half).toFixed(1)}`,
    )
    .join("");
  return element("path", { class: `line ticks ${key}`, d, "aria-hidden": "true" });
}

function mark({ label }, at, inner, width) {
  const isRight = at > width / 2;
  return [
    element("line", {
      class: "mark",
      x1: at,
      x2: at,
      y1: EDGE.top,
      y2: EDGE.top + inner.height,
      "aria-hidden": "true",
    }),
    element(
      "text",
      {
        class: "mark",
        x: at + (isRight ? -6 : 6),
        y: EDGE.top + 10,
        "text-anchor": isRight ? "end" : "start",
      },
      label,
    ),
  ];
}

/** One stop of the Tab key for the whole plot; the arrows go from column to column. */
function rove(svg, columns) {
  let current = columns.length - 1;
  columns.at(-1)?.setAttribute("tabindex", 0);
  svg.addEventListener("keydown", (event) => {
    const to = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: columns.length - 1 }[
      event.key
    ];
    if (!(to in columns)) return;
    event.preventDefault();
    columns[current].setAttribute("tabindex", -1);
    columns[to].setAttribute("tabindex", 0);
    columns[to].focus();
    current = to;
  });
}

/** The same as a table. */
export function table(plot) {
  const node = document.createElement("table");
  const series = [...plot.lines, ...plot.bars];
  const row = (cells, name) => {
    const tr = document.createElement("tr");
    for (const [n, text] of cells.entries()) {
      const cell = document.createElement(name === "th" || n === 0 ? "th" : "td");
      cell.scope = name === "th" ? "col" : "row";
      if (name !== "th" && n) cell.removeAttribute("scope");
      cell.textContent = text;
      tr.append(cell);
    }
    return tr;
  };
  const caption = document.createElement("caption");
  caption.textContent = plot.title;
  const head = document.createElement("thead");
  head.append(row(["", ...series.map((one) => one.label)], "th"));
  const body = document.createElement("tbody");
  for (let n = plot.columns.length - 1; n >= 0; n -= 1)
    body.append(
      row([
        plot.columns[n].long,
        ...series.map((one) =>
          one.values[n] === null ? plot.columns[n].note || "–" : told(one.values[n], plot.unit),
        ),
      ]),
    );
  node.append(caption, head, body);
  return node;
}
