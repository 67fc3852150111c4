// Forms that are sent without leaving the page, and parts of the page that are refreshed. The
// server renders everything: the script fetches the page that a form leads to, and takes the parts
// marked `data-live` from it.

import { showTimes } from "./page.js";

/** Fetches a page, and parses it. */
async function fetchPage(url, options) {
  const headers = { accept: "text/html" };
  const response = await fetch(url, { headers, ...options });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  return { ok: response.ok, url: response.url, page };
}

/** Shows a notice. */
export function showNotice(text, severity) {
  const line = document.createElement("p");
  line.className = `notice ${severity}`;
  line.textContent = text;
  document.querySelector("#notices").replaceChildren(line);
}

function replaceParts(page, isReplaced) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh && isReplaced(part)) part.replaceChildren(...fresh.childNodes);
  }
  showTimes();
  document.dispatchEvent(new Event("refreshed"));
}

/** Returns true if the user does not use this part at the moment. */
function isIdle(part) {
  return !part.contains(document.activeElement) && !part.querySelector("details[open]");
}

let running;
let isStale = false;

/** Refreshes all parts that the user does not use at the moment. */
export function refresh() {
  isStale = true;
  running ??= (async () => {
    while (isStale) {
      isStale = false;
      await load();
    }
    running = undefined;
  })();
  return running;
}

async function load() {
  try {
    const { ok, url, page } = await fetchPage(location.pathname);
    if (ok && new URL(url).pathname === location.pathname) replaceParts(page, isIdle);
  } catch {
    // The next refresh will succeed. Another part of the page shows a lost connection.
  }
}

async function send(form, submitter) {
  const part = form.closest("[data-live]");
  submitter?.setAttribute("disabled", "");
  try {
    const body = new URLSearchParams(new FormData(form, submitter));
    const { ok, page } = await fetchPage(form.action, { method: "POST", body });
    const result = page.querySelector("#notices .notice");
    if (!ok) showNotice(page.querySelector("main h1")?.textContent ?? "This did not work.", "error");
    else if (result) showNotice(result.textContent, result.classList.contains("error") ? "error" : "success");
    if (ok) replaceParts(page, () => true);
    part?.querySelector("h2")?.focus();
  } catch {
    showNotice("The server did not answer. Try again.", "error");
  } finally {
    submitter?.removeAttribute("disabled");
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-live-form]")) return;
  event.preventDefault();
  send(event.target, event.submitter);
});
