// Forms that are sent without leaving the page, and parts of the page that are refreshed. The
// server renders everything: the script fetches the page that a form leads to, and takes the parts
// marked `data-live` from it.

import { showTimes, timeOfDay } from "./page.js";

/** Fetches a page, and parses it. */
async function fetchPage(url, { headers, ...options }) {
  const response = await fetch(url, { headers: { accept: "text/html", ...headers }, cache: "no-store", ...options });
  if (response.status === 304) return { isCurrent: true };
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return { ok: response.ok, url: response.url, version: response.headers.get("etag"), page };
}

/** Shows a notice. */
export function showNotice(text, severity) {
  const line = document.createElement("p");
  line.className = `notice ${severity}`;
  line.textContent = text;
  document.querySelector("#notices").replaceChildren(line);
}

/** The content that the server sent last for each part, to tell if there is something new. */
const shown = new WeakMap();

/** Returns a selector of an element that names the same element in the next content of its part. */
function selector(part, element) {
  const row = element.closest("li[data-app], li[data-device], li[data-session]");
  const name = ["app", "device", "session"].find((key) => row?.dataset[key]);
  const inRow = name ? `li[data-${name}="${CSS.escape(row.dataset[name])}"] ` : "";
  if (element.id) return `#${CSS.escape(element.id)}`;
  const form = element.closest("form")?.getAttribute("action");
  const inForm = form ? `form[action="${CSS.escape(form)}"] ` : "";
  return `${part.contains(row) ? inRow : ""}${inForm}${element.localName}`;
}

/** Replaces the content of a part. The focus and the opened details stay where they are. */
function replacePart(part, fresh) {
  const content = fresh.innerHTML;
  if (shown.get(part) === content) return;
  shown.set(part, content);
  const hadFocus = part.contains(document.activeElement) ? selector(part, document.activeElement) : undefined;
  const opened = [...part.querySelectorAll("details[open]")].map((details) => selector(part, details));
  part.replaceChildren(...fresh.childNodes);
  for (const details of opened) part.querySelector(details)?.setAttribute("open", "");
  if (hadFocus) (part.querySelector(hadFocus) ?? part.querySelector("h2"))?.focus({ preventScroll: true });
}

function replaceParts(page, since) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh) replacePart(part, fresh);
  }
  noteFresh(since);
  showTimes();
  document.dispatchEvent(new Event("refreshed"));
}

/** The time between two refreshes, and the age from which the parts are said to be old. */
const INTERVAL = 500;
const OLD_AFTER = 1_000;
let refreshedAt = Date.now();
/** The version of the parts that are shown. The server sends them only if there is a newer one. */
let version;
/** Set once the browser is signed out: there is nothing to refresh any more. */
let isSignedOut = false;

function noteFresh(since) {
  refreshedAt = since;
  showFreshness();
}

/** Says from when the parts are if they could not be refreshed. */
function showFreshness() {
  const line = document.querySelector("#freshness");
  if (!line) return;
  line.hidden = !isSignedOut && Date.now() - refreshedAt < OLD_AFTER;
  if (isSignedOut) line.textContent = "You are signed out, so the lists on this page are no longer refreshed. Reload the page to sign in.";
  else if (!line.hidden) line.textContent = `The lists on this page are from ${timeOfDay(refreshedAt)}. We are trying to refresh them.`;
}

let running;
let isStale = false;
/** The number of forms that are being sent. A refresh would take the notice of their result. */
let sending = 0;

/** Refreshes all parts. */
export function refresh() {
  isStale = true;
  // The loop may end before it has waited for anything, so it does not reset `running` itself.
  running ??= loadWhileStale().finally(() => { running = undefined; });
  return running;
}

async function loadWhileStale() {
  while (isStale) {
    isStale = false;
    if (sending === 0 && !isSignedOut) await load();
  }
}

/** Refreshes all parts all the time while the page is visible. */
export function keepFresh() {
  setInterval(() => {
    if (document.hidden) return;
    showFreshness();
    if (!running && !isSignedOut) refresh();
  }, INTERVAL);
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    showFreshness();
    refresh();
  });
}

async function load() {
  const since = Date.now();
  try {
    const headers = version ? { "if-none-match": version } : {};
    const fetched = await fetchPage(location.pathname, { headers, signal: AbortSignal.timeout(10_000) });
    if (fetched.isCurrent) noteFresh(since);
    if (!fetched.ok || sending > 0 || new URL(fetched.url).pathname !== location.pathname) return;
    if (fetched.page.querySelector("[data-live]")) {
      replaceParts(fetched.page, since);
      version = fetched.version;
    } else {
      isSignedOut = true;
      showFreshness();
    }
  } catch {
    // The next refresh will succeed. Until then the page says how old its parts are.
  }
}

async function send(form, submitter) {
  const part = form.closest("[data-live]");
  submitter?.setAttribute("disabled", "");
  sending += 1;
  try {
    const body = new URLSearchParams(new FormData(form, submitter));
    const { ok, page } = await fetchPage(form.action, { method: "POST", body });
    const result = page.querySelector("#notices .notice");
    if (!ok) showNotice(page.querySelector("main h1")?.textContent ?? "This did not work.", "error");
    else if (result) showNotice(result.textContent, result.classList.contains("error") ? "error" : "success");
    if (ok) replaceParts(page, Date.now());
    if (!part?.contains(document.activeElement)) part?.querySelector("h2")?.focus();
  } catch {
    showNotice("The server did not answer. Try again.", "error");
  } finally {
    sending -= 1;
    submitter?.removeAttribute("disabled");
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-live-form]")) return;
  event.preventDefault();
  send(event.target, event.submitter);
});
