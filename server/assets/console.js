// The live console: one AppService Presence Channel, opened with a key that stays in this module's memory. What is heard is shown
// as text, never as markup.

import { ago } from "./page.js";

const PROTOCOL = "presence.v1";
const LINES = 200;
const FINAL = {
  1003: "The server did not understand us.",
  1009: "That was too large for the server.",
  4003: "The key was refused.",
  4004: "The application was stopped, blocked or removed, or this key was revoked.",
};
const STATUSES = ["online", "unavailable", "offline"];

const at = (id) => document.getElementById(id);
const root = at("console");
const people = new Map();
const sent = new Map();
let socket, key, cursor, timer, tries = 0, requests = 0, fresh = true;

function node(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/** The state of the connection, in a word and a dot. */
function state(text, like) {
  at("state").textContent = text;
  at("state").className = `status ${like}`;
  const open = like === "online";
  at("send-button").disabled = !open;
  at("disconnect").hidden = key === undefined;
  at("connect").hidden = key !== undefined;
}

function trouble(text) {
  at("trouble").textContent = text ?? "";
  at("trouble").hidden = !text;
}

function log(what, detail) {
  const line = node("li");
  const time = node("time", new Date().toLocaleTimeString());
  line.append(time, node("strong", what), node("span", detail));
  at("silence").hidden = true;
  at("log").prepend(line);
  while (at("log").children.length > LINES) at("log").lastChild.remove();
}

function showPeople() {
  const there = [...people.values()].sort((one, other) => (other.since ?? 0) - (one.since ?? 0));
  const rows = there.map((person) => {
    const row = node("tr");
    const cell = (label, ...content) => {
      const made = node("td");
      made.dataset.label = label;
      made.append(...content);
      row.append(made);
    };
    const choose = node("button", person.uid, "link code");
    choose.type = "button";
    choose.title = "Write to this user";
    choose.addEventListener("click", () => { at("uid").value = person.uid; at("message").focus(); });
    cell("PUID", choose);
    cell("Status", node("span", person.revoked ? "revoked" : person.status, `status ${STATUSES.includes(person.status) ? person.status : "offline"}`));
    cell("Text", person.message ?? "");
    const since = node("time", person.since ? ago(person.since) : "");
    if (person.since) {
      since.dateTime = new Date(person.since).toISOString();
      since.dataset.ago = "";
    }
    cell("Since", since);
    return row;
  });
  at("people").querySelector("tbody").replaceChildren(...rows);
  at("people").hidden = rows.length === 0;
  at("nobody").hidden = rows.length > 0;
  at("nobody").textContent = key === undefined ? "Connect to see." : "Nobody whom this application may see is there.";
  at("puids").replaceChildren(...there.filter((person) => !person.revoked).map((person) => {
    const option = node("option");
    option.value = person.uid;
    return option;
  }));
}

function onPresence(frame) {
  if (frame.gap) log("gap", "Something may have been missed; a snapshot follows.");
  if (frame.snapshot) {
    if (fresh) people.clear();
    fresh = !frame.more;
    log("snapshot", `${frame.presence?.length ?? 0} there${frame.more ? ", more to come" : ""}`);
  }
  for (const update of frame.presence ?? []) {
    const known = people.get(update.uid);
    if (known?.version > update.version) continue;
    people.set(update.uid, update);
    const text = update.message ? `, “${update.message}”` : "";
    if (!frame.snapshot) log(update.revoked ? "revoked" : "update", `${update.uid} is ${update.status}${text}`);
  }
  showPeople();
}

function showSent(id, text, like) {
  const entry = sent.get(id);
  if (!entry) return;
  entry.textContent = text;
  entry.className = `tag ${like}`;
}

function onReceipts(receipts) {
  for (const { id, uid, state: how } of receipts) {
    log("receipt", `${id} to ${uid}: ${how}`);
    showSent(id, how, ["delivered", "acked"].includes(how) ? "good" : "careful");
  }
}

function onReply(frame) {
  if (frame.action === "auth" && frame.result === "OK") {
    tries = 0;
    trouble();
    state("Connected", "online");
    log("connected", "The key is right.");
    showPeople();
    return;
  }
  if (frame.action === "notify" && frame.result === "OK") {
    for (const [place, item] of frame.results.entries()) {
      const name = `${frame.id}/${place}`;
      if (item.result === "KO") showSent(name, `${item.errno}: ${item.error}`, "bad");
      else {
        showSent(name, `stored, ${item.queue_size} waiting`, "");
        sent.set(item.id, sent.get(name));
      }
      sent.delete(name);
      log("answer", JSON.stringify(item));
    }
    return;
  }
  if (frame.result === "KO") {
    log("refused", `${frame.errno}: ${frame.error}`);
    if (frame.id !== undefined) showSent(`${frame.id}/0`, `${frame.errno}: ${frame.error}`, "bad");
    else trouble(`The server says: ${frame.error}`);
  }
}

function onFrame(event) {
  const frame = JSON.parse(event.data);
  if (frame.cursor) cursor = frame.cursor;
  if (frame.result) onReply(frame);
  else {
    if (frame.presence || frame.snapshot || frame.gap) onPresence(frame);
    if (frame.receipts) onReceipts(frame.receipts);
  }
}

function open() {
  state("Connecting…", "unavailable");
  const url = `${location.origin.replace(/^http/, "ws")}/myapps/${root.dataset.app}`;
  const opened = new WebSocket(url, [PROTOCOL]);
  socket = opened;
  opened.addEventListener("open", () => {
    // A browser cannot send the key in a header, and it has no place in a URL.
    opened.send(JSON.stringify({ action: "auth", token: key, receipts: true, ...(cursor && { cursor }) }));
  });
  opened.addEventListener("message", onFrame);
  opened.addEventListener("close", ({ code }) => { if (socket === opened) onClose(code); });
}

function onClose(code) {
  socket = undefined;
  if (key === undefined) return;
  log("closed", `code ${code}`);
  if (FINAL[code]) {
    forget();
    trouble(FINAL[code]);
    return;
  }
  tries += 1;
  const seconds = Math.ceil(Math.random() * Math.min(30, 2 ** tries));
  state(`Connection lost, trying again in ${seconds} s`, "unavailable");
  timer = setTimeout(open, seconds * 1000);
}

function forget() {
  key = cursor = undefined;
  tries = 0;
  fresh = true;
  clearTimeout(timer);
  const open = socket;
  socket = undefined;
  open?.close(1000);
  people.clear();
  showPeople();
  state("Not connected", "offline");
}

at("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  key = at("key").value.trim();
  at("key").value = "";
  trouble();
  open();
});

at("disconnect").addEventListener("click", () => { forget(); at("key").focus(); });
at("clear").addEventListener("click", () => { at("log").replaceChildren(); at("silence").hidden = false; });

at("notify").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return;
  const item = { uid: at("uid").value.trim(), message: at("message").value, action: at("action").value.trim() };
  const id = `console-${(requests += 1)}`;
  socket.send(JSON.stringify({ id, action: "notify", notifications: [item] }));
  const entry = node("li");
  const answer = node("span", "sent", "tag");
  const head = node("div", undefined, "row-head");
  head.append(node("span", item.message, "row-name"), answer);
  entry.append(head, node("code", item.uid));
  at("nothing-sent").hidden = true;
  at("sent").prepend(entry);
  sent.set(`${id}/0`, answer);
});

addEventListener("pagehide", () => { if (key !== undefined) forget(); });
