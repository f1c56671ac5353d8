"use strict";

// Clients choose what status.json holds: client ids, topics, payloads, the keys of shadows. All of it becomes text
// and attribute values, never markup.

/** How often the emulator is asked, in milliseconds. */
const PERIOD = 1000;

/** How long an answer may take, in milliseconds. */
const TIMEOUT = 5000;

const root = document.documentElement;
const byId = (id) => document.getElementById(id);

/** What each section shows of a status: its items, what its filter looks at, and how they get into the list. */
const SECTIONS = [
  {
    id: "connections",
    limit: 50,
    items: (status) => sorted(status.connections, (connection) => [connection.clientId]),
    words: (connection) => [connection.clientId],
    show: (list, template, connections) =>
      update(list, template, connections, (connection) => connection.clientId, (row, connection) => {
        put(row, "client", name(connection.clientId));
        put(row, "version", connection.version);
        put(row, "connected", duration(connection.connectedSeconds));
      }),
  },
  {
    id: "subscriptions",
    limit: 50,
    // A session without a subscription has a row too: it may have messages waiting.
    items: (status) => sorted(status.sessions, (session) => [session.clientId]).flatMap((session) =>
      session.subscriptions.length === 0
        ? [{ session, filter: null, qos: null }]
        : session.subscriptions.map(({ filter, qos }) => ({ session, filter, qos }))),
    words: ({ session, filter }) => [session.clientId, filter ?? ""],
    show: (list, template, rows) =>
      update(list, template, rows, ({ session, filter }) => JSON.stringify([session.clientId, filter]), (row, item) => {
        put(row, "client", name(item.session.clientId));
        put(row, "filter", item.filter === null ? "–" : name(item.filter));
        put(row, "qos", item.qos === null ? "–" : String(item.qos));
        put(row, "online", item.session.connected ? "yes" : "no");
        put(row, "queued", String(item.session.queued));
      }),
  },
  {
    id: "shadows",
    limit: 50,
    // The shadow without a name comes before those with one.
    items: (status) => sorted(status.shadows, (shadow) => [shadow.thing, shadow.name ?? ""]),
    // Not the documents: ten thousand of them would have to be printed every second.
    words: (shadow) => [shadow.thing, shadow.name ?? ""],
    show: (list, template, shadows) => {
      const things = new Map();
      for (const shadow of shadows) {
        if (!things.has(shadow.thing)) things.set(shadow.thing, []);
        things.get(shadow.thing).push(shadow);
      }
      update(list, template, [...things], ([thing]) => thing, (item, [thing, shadows]) => {
        put(item, "thing", name(thing));
        update(slot(item, "shadows"), byId("shadow"), shadows, (shadow) => JSON.stringify([thing, shadow.name]), showShadow);
      });
    },
  },
  {
    id: "messages",
    limit: 100,
    items: (status) => status.messages.toReversed(),
    words: (message) => [message.topic, message.from ?? "", message.payload ?? message.payloadHex],
    show: (list, template, messages) =>
      update(list, template, messages, (message) => String(message.number), showMessage),
  },
];

function showShadow(item, shadow) {
  put(item, "kind", shadow.name === null ? "Classic shadow" : "Named shadow");
  put(item, "name", shadow.name === null ? "" : name(shadow.name));
  put(item, "version", String(shadow.version));
  for (const part of ["desired", "reported", "delta"]) {
    const state = shadow.state[part];
    item.querySelector(`[data-part="${part}"]`).hidden = state === undefined;
    put(item, part, state === undefined ? "" : printed(state));
  }
  slot(item, "differs").hidden = shadow.state.delta === undefined;
  put(item, "metadata", printed(shadow.metadata));
}

function showMessage(item, message) {
  put(item, "topic", name(message.topic));
  put(item, "number", String(message.number));
  put(item, "ago", duration(message.secondsAgo));
  put(item, "from", message.from === null ? "the emulator itself" : name(message.from));
  // A client may have that name too.
  slot(item, "from").classList.toggle("itself", message.from === null);
  put(item, "qos", String(message.qos));
  put(item, "bytes", message.bytes === 1 ? "1 byte" : `${message.bytes} bytes`);
  const binary = message.payload === null;
  put(item, "payload", binary ? message.payloadHex.replace(/..(?=.)/g, "$& ") : pretty(message.payload));
  const about = [message.bytes === 0 && "empty", binary && "not UTF-8", message.cut && "only the beginning is shown"];
  put(item, "about", about.filter(Boolean).join(", "));
}

/** Makes the children of `parent` those of `items`. A child whose item is still there stays the same node, and stays
 *  where it is if it can: so it keeps its focus, its selection, how far it is scrolled, and whether it is open. */
function update(parent, template, items, keyOf, fill) {
  const nodes = new Map(Array.from(parent.children, (node) => [node.dataset.key, node]));
  const keys = new Set(items.map(keyOf));
  for (const [key, node] of nodes) if (!keys.has(key)) node.remove();
  let place = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    let node = nodes.get(key);
    const isNew = node === undefined;
    if (isNew) {
      node = template.content.firstElementChild.cloneNode(true);
      node.dataset.key = key;
      nodes.set(key, node);
    }
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    if (isNew) for (const details of node.querySelectorAll("details")) recall(details);
    fill(node, item);
  }
}

/** The details that the user opened or closed, for those that come back when a filter is taken away. */
const turned = new Set();

const startsOpen = (details) => details.dataset.starts === "open";

function turnedKey(details) {
  return JSON.stringify([details.closest("section").id, details.closest("[data-key]").dataset.key, startsOpen(details)]);
}

function recall(details) {
  details.open = startsOpen(details) !== turned.has(turnedKey(details));
}

document.addEventListener("toggle", ({ target: details }) => {
  // The event comes later than what caused it, perhaps after an update took the element away.
  if (!details.isConnected) return;
  if (details.open === startsOpen(details)) turned.delete(turnedKey(details));
  else turned.add(turnedKey(details));
}, true);

function slot(node, name) {
  return node.querySelector(`[data-slot="${name}"]`);
}

function put(node, name, text) {
  write(slot(node, name), text);
}

/** Leaves the same text alone, so that what is selected stays selected. */
function write(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Characters that cannot be seen, or that rearrange those around them. */
const UNSEEN = /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

const escaped = (character) => `\\u{${character.codePointAt(0).toString(16)}}`;

/** A client id, a topic, or the name of a thing, such that it can be told from another one that looks the same. */
function name(text) {
  return text === "" ? "(empty)" : text.replace(UNSEEN, escaped);
}

function lines(text) {
  return text.replace(UNSEEN, (character) => ("\n\t".includes(character) ? character : escaped(character)));
}

/** Numbers that JavaScript would round stay as they are written, where the browser can do that. */
function parsed(text) {
  return JSON.parse(text, (_key, value, context) =>
    typeof value === "number" && Math.abs(value) > Number.MAX_SAFE_INTEGER && context?.source && JSON.rawJSON
      ? JSON.rawJSON(context.source)
      : value);
}

function printed(value) {
  return lines(JSON.stringify(value, null, 2));
}

/** A payload that is JSON, indented, and any other as it is: also one so deep that there would be little but indent. */
function pretty(payload) {
  try {
    const text = printed(parsed(payload));
    if (text.length <= 10 * payload.length) return text;
  } catch {
    // It is not JSON.
  }
  return lines(payload);
}

function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}

/** Sorted, so that rows stay where they are whatever order they come in. */
function sorted(items, keysOf) {
  const order = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
  return items
    .map((item) => [keysOf(item), item])
    .sort(([a], [b]) => order(a[0], b[0]) || order(a[1], b[1]))
    .map(([, item]) => item);
}

function showSection({ id, limit, items, words, show }, status) {
  const section = byId(id);
  const all = items(status);
  const wanted = section.querySelector("input").value.trim().toLowerCase();
  const matching = all.filter((item) => words(item).some((word) => word.toLowerCase().includes(wanted)));
  show(section.querySelector(".list"), section.querySelector("template"), matching.slice(0, limit));
  const leftOut = status.leftOut[id] ?? 0;
  const more = Math.max(matching.length - limit, 0) + leftOut;
  const none = all.length === 0 ? "None." : matching.length === 0 ? "None matches the filter." : "";
  const how = leftOut > 0 ? "" : "; the filter finds them";
  write(section.querySelector(".note"), more > 0 ? `and ${more} more${how}` : none);
  const total = all.length + leftOut;
  write(section.querySelector(".count"), wanted === "" ? `${total}` : `${matching.length} of ${total}`);
}

function showStatus(status) {
  write(byId("endpoint"), `${name(status.endpoint)}:${status.port}`);
  write(byId("uptime"), duration(status.uptimeSeconds));
  for (const [reason, count] of Object.entries(status.dropped)) {
    const place = byId(reason);
    write(place, String(count));
    place.classList.toggle("some", count > 0);
  }
  for (const section of SECTIONS) showSection(section, status);
}

/** The last status, for a filter that changes between two of them. */
let latest = null;
let lastSeen = null;
let failure = null;
let asking = false;

function showState() {
  const paused = byId("pause").checked;
  const state = paused ? "paused" : failure !== null ? "unreachable" : latest === null ? "connecting" : "connected";
  root.dataset.state = state;
  write(byId("live"), state === "unreachable" ? "emulator not reachable" : state);
  const ago = lastSeen === null ? "never seen" : `last seen ${Math.round((Date.now() - lastSeen) / 1000)} s ago`;
  const since = { paused: `, ${ago}`, unreachable: `, ${ago}${failure}` };
  write(byId("since"), since[state] ?? "");
}

async function ask() {
  asking = true;
  let why = "";
  try {
    const answer = await fetch("status.json", { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT) });
    why = answer.ok ? "" : ` (it answers ${answer.status})`;
    if (why !== "") throw new Error(why);
    const text = await answer.text();
    // Whoever paused meanwhile is reading.
    if (byId("pause").checked) return;
    why = " (its answer is not understood: is it another version? Reload the page)";
    const status = parsed(text);
    showStatus(status);
    latest = status;
    lastSeen = Date.now();
    failure = null;
    root.dataset.ready = "1";
  } catch (error) {
    console.warn(error);
    failure = why;
  } finally {
    asking = false;
    showState();
  }
}

function tick() {
  if (document.hidden) return;
  showState();
  if (!asking && !byId("pause").checked) ask();
}

for (const section of SECTIONS) {
  byId(section.id).querySelector("input").addEventListener("input", () => {
    if (latest !== null) showSection(section, latest);
  });
}
byId("pause").addEventListener("change", tick);
document.addEventListener("visibilitychange", tick);
setInterval(tick, PERIOD);
tick();
