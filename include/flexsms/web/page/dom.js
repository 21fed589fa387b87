// Elements, made of text and other elements.

/** An element with properties, children, and `data-…` by `data`. Text is text: nothing is ever read as HTML. */
export function make(name, properties = {}, ...children) {
  const node = document.createElement(name);
  const { data = {}, ...others } = properties;
  Object.assign(node, others);
  Object.assign(node.dataset, data);
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

export const titled = (title, ...children) => [make("h2", {}, title), ...children];

export function runAnchor(run, text, context) {
  return run ? make("a", { href: context.runLink(run), target: "_top" }, text) : text;
}

export function grid(head, rows) {
  const line = (cells, name) =>
    make(
      "tr",
      {},
      cells.map((cell) => make(name, {}, cell)),
    );
  return make(
    "div",
    { className: "scroll" },
    make(
      "table",
      {},
      make("thead", {}, line(head, "th")),
      make(
        "tbody",
        {},
        rows.map((cells) => line(cells, "td")),
      ),
    ),
  );
}
