// Shows the handsets and lets a person answer. Asks once a second what is new; the server says nothing unless something is.

const ASK_EVERY_MS = 1000;
// What a person wants to know of the most frequent codes; the others are shown as numbers.
const REASONS = {
  21610: "the customer has opted out",
  21617: "the text is too long",
  30003: "the handset cannot be reached",
  30005: "there is no such handset",
  30006: "a landline gets no texts",
  30007: "a carrier has filtered it",
  30610: "it came within quiet hours",
};

const at = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 700px)");
const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

let version = null;
let chosen = null;
let known = []; // the handsets as they were told last

function ending(number) {
  return `…${number.slice(-4)}`;
}

function when(iso) {
  const moment = new Date(iso);
  const today = moment.toDateString() === new Date().toDateString();
  return today ? clock.format(moment) : `${day.format(moment)}, ${clock.format(moment)}`;
}

async function call(path, body) {
  const answer = await fetch(`/_sandbox/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function trouble(sentence) {
  at("trouble").hidden = !sentence;
  if (at("trouble").textContent !== sentence) at("trouble").textContent = sentence;
}

// --- drawing

function part(name, className, text) {
  const found = document.createElement(name);
  found.className = className;
  found.textContent = text;
  return found;
}

// Rows of a list by their keys: those that stay are the same elements, so that neither focus nor selection is lost.
function fill(list, rows, key, draw) {
  const before = new Map([...list.children].map((one) => [one.dataset.key, one]));
  const focused = document.activeElement;
  rows.forEach((row, place) => {
    const element = before.get(key(row)) ?? document.createElement(list.tagName === "UL" ? "li" : "div");
    before.delete(key(row));
    element.dataset.key = key(row);
    draw(element, row);
    if (list.children[place] !== element) list.insertBefore(element, list.children[place] ?? null);
  });
  for (const one of before.values()) one.remove();
  if (focused !== document.activeElement && list.contains(focused)) focused.focus();
}

function drawHandset(element, handset) {
  const state = JSON.stringify([handset, handset.number === chosen]);
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  const button = element.firstChild ?? element.appendChild(document.createElement("button"));
  button.type = "button";
  button.onclick = () => choose(handset.number);
  button.setAttribute("aria-current", String(handset.number === chosen));
  const said = `${handset.inbound ? "You: " : ""}${handset.body}`;
  button.replaceChildren(
    part("span", "who", ending(handset.number) + (handset.out ? " · opted out" : "")),
    part("span", "at", when(handset.at)),
    part("span", "said", said),
  );
}

function note(text) {
  const time = when(text.at);
  if (text.inbound) return `${time} · to ${ending(text.number)}`;
  const from = `${time} · from ${ending(text.number)}`;
  if (text.status === "failed" || text.status === "undelivered") {
    const reason = REASONS[text.code];
    return `${from} · did not arrive${reason ? `: ${reason}` : ""}${text.code ? ` (${text.code})` : ""}`;
  }
  const fate = text.status === "delivered" ? "" : " · on its way";
  return from + (text.reply ? " · Twilio's own answer" : "") + fate;
}

function drawText(element, text) {
  const said = note(text);
  if (element.dataset.state === said) return;
  element.dataset.state = said;
  const lost = text.status === "failed" || text.status === "undelivered";
  element.className = [text.inbound ? "mine" : "", lost ? "lost" : ""].join(" ").trim();
  element.replaceChildren(part("p", "bubble", text.body), part("p", "note", said));
}

function offer(select, numbers) {
  if (select.options.length === numbers.length) return;
  select.replaceChildren(...numbers.map((number) => new Option(`Twilio number ${ending(number)}`, number)));
}

function draw(news) {
  known = news.handsets;
  fill(at("handsets"), known, (one) => one.number, drawHandset);
  const more = news.count - known.length;
  at("count").textContent = more > 0 ? `and ${more} more: find them by their last digits` : "";
  offer(at("to"), news.numbers);
  offer(at("first-to"), news.numbers);
  at("nothing").hidden = chosen !== null || (narrow.matches && known.length > 0);
  at("nothing").textContent = known.length
    ? "Choose a handset."
    : at("find").value
      ? "No handset ends with these digits."
      : "No text yet. Send one, or let a customer write first.";
  if (chosen === null) return;
  const texts = at("texts");
  const atEnd = texts.scrollHeight - texts.scrollTop - texts.clientHeight < 80;
  const count = texts.children.length;
  fill(texts, news.thread, (one) => one.sid, drawText);
  if (atEnd || count === 0) texts.scrollTop = texts.scrollHeight;
  const newest = news.thread.at(-1);
  if (newest && texts.children.length !== count) at("to").value = newest.number;
  at("out").hidden = !known.find((one) => one.number === chosen)?.out;
}

// --- asking

async function ask() {
  try {
    const wanted = chosen;
    const news = await call("handsets", { after: version, handset: chosen, find: at("find").value.trim() });
    trouble("");
    if (wanted !== chosen || !news.handsets) return;
    version = news.version;
    draw(news);
    if (chosen === null && !narrow.matches) chooseFirst();
  } catch (error) {
    trouble(error instanceof TypeError ? "The sandbox does not answer. Is it still running?" : error.message);
  }
}

async function again() {
  await ask();
  setTimeout(again, document.hidden ? 5 * ASK_EVERY_MS : ASK_EVERY_MS);
}

function anew() {
  version = null;
  return ask();
}

// --- what a person does

// The last digits in the address are all that it tells of a number.
function chooseFirst() {
  const ends = location.hash.slice(1);
  const found = known.find((one) => ends && one.number.endsWith(ends)) ?? known[0];
  if (found) choose(found.number, false);
}

function choose(number, byHand = true) {
  if (chosen !== number) at("texts").replaceChildren();
  chosen = number;
  history.replaceState(null, "", `#${number.slice(-4)}`);
  document.querySelector("main").classList.add("reads");
  at("conversation").hidden = false;
  at("who").textContent = `Handset ${ending(number)}`;
  if (byHand) (narrow.matches ? at("who") : at("body")).focus();
  anew();
}

function leave() {
  document.querySelector("main").classList.remove("reads");
  const here = document.querySelector('#handsets button[aria-current="true"]');
  (here ?? at("find")).focus();
}

async function write(from, to, field) {
  if (!field.value.trim()) return;
  try {
    await call("customer", { from, to, body: field.value });
    field.value = "";
  } catch (error) {
    trouble(error.message);
    return;
  }
  await anew();
}

at("answer").onsubmit = (event) => {
  event.preventDefault();
  write(chosen, at("to").value, at("body"));
};

at("first").onsubmit = async (event) => {
  event.preventDefault();
  const from = at("from").value;
  await write(from, at("first-to").value, at("first-body"));
  choose(from);
};

for (const id of ["body", "first-body"]) {
  at(id).onkeydown = (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    at(id).form.requestSubmit();
  };
}

at("find").oninput = anew;
at("back").onclick = leave;

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && chosen !== null) leave();
});

at("handsets").onkeydown = (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  const buttons = [...at("handsets").querySelectorAll("button")];
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  event.preventDefault();
  next?.focus();
};

again();
