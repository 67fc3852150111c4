// Forms that are sent without leaving the page, and parts of the page that are kept fresh. Everything is rendered by the server:
// the page that a form leads to is fetched, and the parts marked `data-live` are taken from it.

import { showTimes } from "./page.js";

/** Fetches a page; gives its document, or none where the server does not answer. */
async function fetched(url, options) {
  const headers = { accept: "text/html" };
  const answer = await fetch(url, { headers, ...options });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return { ok: answer.ok, url: answer.url, page };
}

/** Says something where all notices are said. */
export function notice(text, tone) {
  const line = document.createElement("p");
  line.className = `notice ${tone}`;
  line.textContent = text;
  document.querySelector("#notices").replaceChildren(line);
}

function take(page, isTaken) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = page.getElementById(part.id);
    if (fresh && isTaken(part)) part.replaceChildren(...fresh.childNodes);
  }
  showTimes();
  document.dispatchEvent(new Event("live"));
}

/** Nothing is taken from under somebody's hands. */
function isIdle(part) {
  return !part.contains(document.activeElement) && !part.querySelector("details[open]");
}

let running;
let isStale = false;

/** Brings the parts up to date that nobody is busy with. */
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
    const { ok, url, page } = await fetched(location.pathname);
    if (ok && new URL(url).pathname === location.pathname) take(page, isIdle);
  } catch {
    // The next time will do; whoever is connected is told of a lost connection elsewhere.
  }
}

async function send(form, submitter) {
  const part = form.closest("[data-live]");
  submitter?.setAttribute("disabled", "");
  try {
    const body = new URLSearchParams(new FormData(form, submitter));
    const { ok, page } = await fetched(form.action, { method: "POST", body });
    const said = page.querySelector("#notices .notice");
    if (!ok) notice(page.querySelector("main h1")?.textContent ?? "That was refused.", "bad");
    else if (said) notice(said.textContent, said.classList.contains("bad") ? "bad" : "good");
    if (ok) take(page, () => true);
    part?.querySelector("h2")?.focus();
  } catch {
    notice("The server did not answer. Try again.", "bad");
  } finally {
    submitter?.removeAttribute("disabled");
  }
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-live-form]")) return;
  event.preventDefault();
  send(event.target, event.submitter);
});
