// The page “My presence”: the status and its text, the state of the connection, notifications, and
// lists that are refreshed.

import { Channel } from "./channel.js";
import { keepFresh, refresh } from "./live.js";
import { Notifications } from "./notifications.js";

const root = document.querySelector("#sidebar");
const status = document.querySelector("#status");
const textForm = document.querySelector("#text-form");
const text = document.querySelector("#text");
const textProblem = document.querySelector("#text-problem");
const currentStatus = document.querySelector("#current-status");
const connection = document.querySelector("#connection");
const connectionText = document.querySelector("#connection-text");
const countdown = document.querySelector("#countdown");
const connectButton = document.querySelector("#connect");

/** Returns a hash of an account, so that the storage does not hold the e-mail address. */
function accountHash(account) {
  let hash = 0x811c9dc5;
  for (const c of new TextEncoder().encode(account)) hash = Math.imul(hash ^ c, 0x01000193) >>> 0;
  return hash.toString(36);
}

/** Returns a name for this browser as a device, such as `firefox-linux-k3x9`. */
function deviceName() {
  const agent = navigator.userAgent;
  const first = (names) => names.find((name) => agent.includes(name))?.toLowerCase();
  const browser = first(["Firefox", "Edg", "OPR", "Chrome", "Safari"]) ?? "browser";
  const system = first(["Android", "iPhone", "iPad", "Windows", "Mac", "Linux"]) ?? "web";
  const known = { edg: "edge", opr: "opera" };
  const random = crypto.getRandomValues(new Uint32Array(1))[0].toString(36).slice(0, 4);
  return `${known[browser] ?? browser}-${system}-${random}`;
}

const account = accountHash(root.dataset.account);
const saved = load();

/** Returns the device name and the last status that this browser has stored for this account. */
function load() {
  let stored = {};
  try {
    stored = JSON.parse(localStorage.getItem("presence") ?? "{}");
  } catch {
    // The stored text is not valid, so the defaults apply.
  }
  const { device = deviceName(), status = "offline", message = "" } = stored.account === account ? stored : {};
  return { account, device, status, message };
}

function save() {
  localStorage.setItem("presence", JSON.stringify(saved));
}

async function ticket() {
  try {
    const headers = { "x-csrf-token": root.dataset.csrf };
    const response = await fetch("/sidebar/ticket", { method: "POST", headers });
    if (response.status === 401 || response.status === 403) return { signedOut: true };
    return response.ok ? await response.json() : {};
  } catch {
    return {};
  }
}

const STATES = {
  connecting: () => "Connecting…",
  connected: ({ reason }) => (reason === "expires" ? "Connected. Your session expires in a minute. Please sign in again." : "Connected"),
  waiting: ({ reason }) => (reason === "network" ? "You are not connected to the internet. We will try again when you are." : "Connection lost. We will try again."),
  ended: ({ reason }) => ENDED[reason],
};
const ENDED = {
  replaced: "Another tab of this browser is connected.",
  ended: "You disconnected this device. This browser stays signed in.",
  refused: "The server did not accept this page. Reload it.",
  "signed-out": "You are signed out. Reload the page to sign in.",
  failed: "The connection was closed. Reload the page.",
};
const BUTTONS = { waiting: "Try now", replaced: "Use this tab", ended: "Connect again", refused: "Try again" };

let countdownTimer;

/** Shows the seconds left. A screen reader does not read them: it would do so every second. */
function showCountdown(until) {
  const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
  countdown.textContent = `(in ${seconds} s)`;
}

function onState({ name, ...more }) {
  clearInterval(countdownTimer);
  connection.dataset.state = name;
  connectionText.textContent = STATES[name](more);
  const label = name === "waiting" ? BUTTONS.waiting : BUTTONS[more.reason];
  connectButton.hidden = !label || (name === "waiting" && more.reason === "network");
  connectButton.textContent = label ?? "";
  countdown.textContent = "";
  if (more.until) {
    showCountdown(more.until);
    countdownTimer = setInterval(showCountdown, 1000, more.until);
  }
  if (name === "connected") refresh();
  if (more.reason === "ended") showIfSignedOut();
}

/** Says so if the end of this device has ended the session of this browser too. */
async function showIfSignedOut() {
  const response = await fetch("/session", { headers: { accept: "application/json" } }).catch(() => undefined);
  if (response?.status === 401) onState({ name: "ended", reason: "signed-out" });
}

function onStatus(sent) {
  const name = sent?.status ?? "offline";
  currentStatus.className = `status ${name}`;
  currentStatus.textContent = sent ? name : "not connected";
  if (sent) {
    textProblem.hidden = true;
    text.removeAttribute("aria-invalid");
    refresh();
  }
}

/** The error that answers a status text that is not valid. */
const INVALID_FIELD = 12;

function onError(errno) {
  textProblem.textContent = errno === INVALID_FIELD
    ? `Use at most ${text.maxLength} characters, and no line breaks or invisible characters.`
    : "The server did not accept your status. Reload the page and try again.";
  textProblem.hidden = false;
  text.setAttribute("aria-invalid", "true");
}

const channel = new Channel({
  url: `${location.origin.replace("http", "ws")}/presence`,
  device: saved.device,
  ticket,
  onState,
  onStatus,
  onError,
  onNotifications: (items) => notifications.add(items),
});
const notifications = new Notifications(account, (ids) => channel.acknowledge(ids));

function setStatus() {
  save();
  channel.setStatus(saved.status, saved.message);
}

status.addEventListener("change", (event) => {
  saved.status = event.target.value;
  setStatus();
});
textForm.addEventListener("submit", (event) => {
  event.preventDefault();
  saved.message = text.value.trim();
  setStatus();
});
connectButton.addEventListener("click", () => channel.connect());

/** Marks this browser in the list of devices. */
function markThisDevice() {
  const name = document.querySelector(`#devices li[data-device="${CSS.escape(saved.device)}"] h3`);
  if (!name || name.querySelector(".tag")) return;
  const label = Object.assign(document.createElement("span"), { className: "tag", textContent: "this browser" });
  name.append(" ", label);
}
document.addEventListener("refreshed", markThisDevice);

// After a reload a browser may restore an earlier choice. The stored status counts.
status.querySelector(`input[value="${CSS.escape(saved.status)}"]`).checked = true;
text.value = saved.message;
status.disabled = false;
for (const control of textForm.elements) control.disabled = false;
save();
channel.setStatus(saved.status, saved.message);
channel.connect();
markThisDevice();
keepFresh();
