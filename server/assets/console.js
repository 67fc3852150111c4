// The live console: one AppService Presence Channel, opened with a key that stays in the memory of
// this module. Received frames are shown as text, never as markup.

import { withIds } from "./ids.js";
import { ago, timeOfDay } from "./page.js";

const PROTOCOL = "presence.v1";
const MAX_LINES = 200;
const END_REASONS = {
  1003: "The server could not read a frame.",
  1009: "A frame was too large for the server.",
  4003: "The API key is not valid.",
  4004: "The Application was deactivated, blocked or removed, or this key was deleted.",
};
const STATUSES = ["online", "unavailable", "offline"];

const byId = (id) => document.getElementById(id);
const root = byId("console");
const users = new Map();
const sent = new Map();
let socket, key, cursor, timer, attempts = 0, requests = 0, isNewSnapshot = true;

function node(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** Shows the state of the connection. */
function showState(text, status) {
  byId("state").textContent = text;
  byId("state").className = `status ${status}`;
  const open = status === "online";
  byId("send-button").disabled = !open;
  byId("disconnect").hidden = key === undefined;
  byId("connect").hidden = key !== undefined;
}

function showProblem(text) {
  byId("problem").textContent = text ?? "";
  byId("problem").hidden = !text;
}

function log(event, detail) {
  const line = node("li");
  const time = node("time", timeOfDay());
  const text = node("span");
  text.append(...withIds(detail));
  line.append(time, node("strong", event), text);
  byId("log-empty").hidden = true;
  byId("log").prepend(line);
  while (byId("log").children.length > MAX_LINES) byId("log").lastChild.remove();
}

function showUsers() {
  const sorted = [...users.values()].sort((one, other) => (other.since ?? 0) - (one.since ?? 0));
  const rows = sorted.map((user) => {
    const row = node("tr");
    const cell = (label, ...content) => {
      const element = node("td");
      element.dataset.label = label;
      element.append(...content);
      row.append(element);
    };
    const button = node("button", user.uid, "link code id");
    button.type = "button";
    button.title = "Send this user a notification";
    button.addEventListener("click", () => { byId("uid").value = user.uid; byId("message").focus(); });
    cell("PUID", button);
    cell("Status", node("span", user.revoked ? "revoked" : user.status, `status ${STATUSES.includes(user.status) ? user.status : "offline"}`));
    cell("Text", user.message ?? "");
    const since = node("time", user.since ? ago(user.since) : "");
    if (user.since) {
      since.dateTime = new Date(user.since).toISOString();
      since.dataset.ago = "";
    }
    cell("Since", since);
    return row;
  });
  byId("users").querySelector("tbody").replaceChildren(...rows);
  byId("users").hidden = rows.length === 0;
  byId("no-users").hidden = rows.length > 0;
  byId("no-users").textContent = key === undefined ? "Connect to see the users." : "No users are online or unavailable.";
  byId("puids").replaceChildren(...sorted.filter((user) => !user.revoked).map((user) => {
    const option = node("option");
    option.value = user.uid;
    return option;
  }));
}

function onPresence(frame) {
  if (frame.gap) log("gap", "Updates may be missing. A snapshot follows.");
  if (frame.snapshot) {
    if (isNewSnapshot) users.clear();
    isNewSnapshot = !frame.more;
    log("snapshot", `${frame.presence?.length ?? 0} users${frame.more ? ", more follow" : ""}`);
  }
  for (const update of frame.presence ?? []) {
    const known = users.get(update.uid);
    if (known?.version > update.version) continue;
    users.set(update.uid, update);
    const text = update.message ? `, “${update.message}”` : "";
    if (!frame.snapshot) log(update.revoked ? "revoked" : "update", `${update.uid} is ${update.status}${text}`);
  }
  showUsers();
}

function showSent(id, text, tagClass) {
  const entry = sent.get(id);
  if (!entry) return;
  entry.textContent = text;
  entry.className = `tag ${tagClass}`;
}

function onReceipts(receipts) {
  for (const { id, uid, state } of receipts) {
    log("receipt", `${id} to ${uid}: ${state}`);
    showSent(id, state, ["delivered", "acked"].includes(state) ? "success" : "warning");
  }
}

function onReply(frame) {
  if (frame.action === "auth" && frame.result === "OK") {
    attempts = 0;
    showProblem();
    showState("Connected", "online");
    log("connected", "The API key is valid.");
    showUsers();
    return;
  }
  if (frame.action === "notify" && frame.result === "OK") {
    for (const [place, item] of frame.results.entries()) {
      const name = `${frame.id}/${place}`;
      if (item.result === "KO") showSent(name, `${item.errno}: ${item.error}`, "error");
      else {
        showSent(name, `stored, waiting for its receipt`, "");
        sent.set(item.id, sent.get(name));
      }
      sent.delete(name);
      log("reply", JSON.stringify(item));
    }
    return;
  }
  if (frame.result === "KO") {
    log("error", `${frame.errno}: ${frame.error}`);
    if (frame.id !== undefined) showSent(`${frame.id}/0`, `${frame.errno}: ${frame.error}`, "error");
    else showProblem(`Error: ${frame.error}`);
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
  showState("Connecting…", "unavailable");
  const url = `${location.origin.replace(/^http/, "ws")}/myapps/${root.dataset.app}`;
  const opened = new WebSocket(url, [PROTOCOL]);
  socket = opened;
  opened.addEventListener("open", () => {
    // A browser cannot send the key in a header, and a URL must not contain it.
    opened.send(JSON.stringify({ action: "auth", token: key, receipts: true, ...(cursor && { cursor }) }));
  });
  opened.addEventListener("message", onFrame);
  opened.addEventListener("close", ({ code }) => { if (socket === opened) onClose(code); });
}

function onClose(code) {
  socket = undefined;
  if (key === undefined) return;
  log("closed", `code ${code}`);
  if (END_REASONS[code]) {
    disconnect();
    showProblem(END_REASONS[code]);
    return;
  }
  attempts += 1;
  const seconds = Math.ceil(Math.random() * Math.min(30, 2 ** attempts));
  showState(`Connection lost. Next attempt in ${seconds} s`, "unavailable");
  timer = setTimeout(open, seconds * 1000);
}

function disconnect() {
  key = cursor = undefined;
  attempts = 0;
  isNewSnapshot = true;
  clearTimeout(timer);
  const open = socket;
  socket = undefined;
  open?.close(1000);
  users.clear();
  showUsers();
  showState("Not connected", "offline");
}

byId("connect-button").disabled = false;
byId("connect").addEventListener("submit", (event) => {
  event.preventDefault();
  key = byId("key").value.trim();
  byId("key").value = "";
  showProblem();
  open();
});

byId("disconnect").addEventListener("click", () => { disconnect(); byId("key").focus(); });
byId("clear").addEventListener("click", () => { byId("log").replaceChildren(); byId("log-empty").hidden = false; });

byId("notify").addEventListener("submit", (event) => {
  event.preventDefault();
  if (socket?.readyState !== WebSocket.OPEN) return;
  const item = { uid: byId("uid").value.trim(), message: byId("message").value, action: byId("action").value.trim() };
  const id = `console-${(requests += 1)}`;
  socket.send(JSON.stringify({ id, action: "notify", notifications: [item] }));
  const entry = node("li");
  const badge = node("span", "sent", "tag");
  const head = node("div", undefined, "row-head");
  head.append(node("span", item.message, "row-name"), badge);
  entry.append(head, node("code", item.uid, "id"));
  byId("nothing-sent").hidden = true;
  byId("sent").prepend(entry);
  sent.set(`${id}/0`, badge);
});

addEventListener("pagehide", () => { if (key !== undefined) disconnect(); });
