// My presence: the status and its text, the state of the connection, notifications, and lists that stay fresh.

import { Channel } from "./channel.js";
import { refresh } from "./live.js";
import { Notifications } from "./notifications.js";

const root = document.querySelector("#sidebar");
const status = document.querySelector("#status");
const textForm = document.querySelector("#text-form");
const text = document.querySelector("#text");
const textProblem = document.querySelector("#text-problem");
const seen = document.querySelector("#seen");
const connection = document.querySelector("#connection");
const connectionText = document.querySelector("#connection-text");
const countdown = document.querySelector("#countdown");
const connectButton = document.querySelector("#connect");

/** Tells accounts apart in this browser's storage, without keeping the e-mail there. */
function tag(account) {
  let hash = 0x811c9dc5;
  for (const c of new TextEncoder().encode(account)) hash = Math.imul(hash ^ c, 0x01000193) >>> 0;
  return hash.toString(36);
}

/** What this browser is called among my devices, such as `firefox-linux-k3x9`. */
function deviceName() {
  const agent = navigator.userAgent;
  const first = (names) => names.find((name) => agent.includes(name))?.toLowerCase();
  const browser = first(["Firefox", "Edg", "OPR", "Chrome", "Safari"]) ?? "browser";
  const system = first(["Android", "iPhone", "iPad", "Windows", "Mac", "Linux"]) ?? "web";
  const known = { edg: "edge", opr: "opera" };
  const random = crypto.getRandomValues(new Uint32Array(1))[0].toString(36).slice(0, 4);
  return `${known[browser] ?? browser}-${system}-${random}`;
}

const account = tag(root.dataset.account);
const mine = recall();

/** What this browser remembers of this account: how it is called, and what I said last. */
function recall() {
  let kept = {};
  try {
    kept = JSON.parse(localStorage.getItem("presence") ?? "{}");
  } catch {
    // Whatever was there is not ours.
  }
  const { device = deviceName(), status = "offline", message = "" } = kept.account === account ? kept : {};
  return { account, device, status, message };
}

function remember() {
  localStorage.setItem("presence", JSON.stringify(mine));
}

async function ticket() {
  try {
    const headers = { "x-csrf-token": root.dataset.csrf };
    const answer = await fetch("/sidebar/ticket", { method: "POST", headers });
    if (answer.status === 401 || answer.status === 403) return { signedOut: true };
    return answer.ok ? await answer.json() : {};
  } catch {
    return {};
  }
}

const STATES = {
  connecting: () => "Connecting…",
  connected: ({ reason }) => (reason === "expires" ? "Connected. Your sign-in ends in a minute: sign in again." : "Connected"),
  waiting: ({ reason }) => (reason === "network" ? "Your computer is offline. Connects once it is back." : "No connection. Tries again by itself."),
  ended: ({ reason }) => ENDED[reason],
};
const ENDED = {
  replaced: "Another tab of this browser has taken over.",
  ended: "You have signed this device off.",
  refused: "The server does not let this page in. Reload it.",
  "signed-out": "You are signed out. Load the page again to sign in.",
  failed: "The connection has ended for good. Reload the page.",
};
const BUTTONS = { waiting: "Try now", replaced: "Use this tab", ended: "Connect again", refused: "Try again" };

let ticking;

/** Only for the eye: a reader of screens hears once that the connection is lost, and not every second. */
function count(until) {
  const seconds = Math.max(1, Math.ceil((until - Date.now()) / 1000));
  countdown.textContent = `(in ${seconds} s)`;
}

function onState({ name, ...more }) {
  clearInterval(ticking);
  connection.dataset.state = name;
  connectionText.textContent = STATES[name](more);
  const label = name === "waiting" ? BUTTONS.waiting : BUTTONS[more.reason];
  connectButton.hidden = !label || (name === "waiting" && more.reason === "network");
  connectButton.textContent = label ?? "";
  countdown.textContent = "";
  if (more.until) {
    count(more.until);
    ticking = setInterval(count, 1000, more.until);
  }
  if (name === "connected") refresh();
}

function onSeen(told) {
  const word = told?.status ?? "offline";
  seen.className = `status ${word}`;
  seen.textContent = told ? word : "nothing";
  if (told) {
    textProblem.hidden = true;
    text.removeAttribute("aria-invalid");
    refresh();
  }
}

function onRefused(error) {
  textProblem.textContent = error;
  textProblem.hidden = false;
  text.setAttribute("aria-invalid", "true");
}

const channel = new Channel({
  url: `${location.origin.replace("http", "ws")}/presence`,
  device: mine.device,
  ticket,
  onState,
  onSeen,
  onRefused,
  onNotifications: (items) => notifications.take(items),
});
const notifications = new Notifications(account, (ids) => channel.acknowledge(ids));

function say() {
  remember();
  channel.say(mine.status, mine.message);
}

status.addEventListener("change", (event) => {
  mine.status = event.target.value;
  say();
});
textForm.addEventListener("submit", (event) => {
  event.preventDefault();
  mine.message = text.value.trim();
  say();
});
connectButton.addEventListener("click", () => channel.connect());

/** Which of my devices this is. */
function markThisDevice() {
  const name = document.querySelector(`#devices li[data-device="${CSS.escape(mine.device)}"] h3`);
  if (!name || name.querySelector(".tag")) return;
  const here = Object.assign(document.createElement("span"), { className: "tag", textContent: "this browser" });
  name.append(" ", here);
}
document.addEventListener("live", markThisDevice);

// A browser may have kept what was chosen before a reload; what was said last is what counts.
status.querySelector(`input[value="${CSS.escape(mine.status)}"]`).checked = true;
text.value = mine.message;
status.disabled = false;
for (const control of textForm.elements) control.disabled = false;
remember();
channel.say(mine.status, mine.message);
channel.connect();
markThisDevice();
setInterval(() => !document.hidden && refresh(), 60_000);
