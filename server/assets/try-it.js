// Tries the calls of the REST reference. Credentials that are typed stay in the fields of this
// page. Responses are shown as text, never as markup.

import { shortened } from "./page.js";

/** The maximum number of characters of a response that are shown. */
const MAX_SHOWN = 100_000;
const SHOWN_HEADERS = ["content-type", "location", "retry-after", "x-request-id"];
const OTHER = "other";

const byId = (id) => document.getElementById(id);
const credentials = byId("credentials");
const csrfToken = credentials.dataset.csrf;
const forms = [...document.querySelectorAll("[data-try] form")];

/** A credential that the user has to enter first. */
class MissingCredential extends Error {
  constructor(field) {
    super("Enter the credential for this call first.");
    this.field = field;
  }
}

/** Returns the options of `fetch` that carry the credential of a call. */
function authenticated(kind, method) {
  if (kind === "none") return { headers: {} };
  const field = byId(kind);
  const token = field.value.trim();
  // A bearer credential comes alone, so that the response shows what a back end would get.
  if (token) return { headers: { authorization: `Bearer ${token}` }, credentials: "omit" };
  if (kind !== "session") throw new MissingCredential(field);
  return { headers: method === "GET" || !csrfToken ? {} : { "x-csrf-token": csrfToken } };
}

/** Returns the value of a parameter: of the list if there is one, or of the text field. */
function valueOf(form, input) {
  const list = form.querySelector(`select[data-for="${input.name}"]`);
  return list && list.value !== OTHER ? list.value : input.value.trim();
}

/** Returns the path and the query of a call. */
function target(form) {
  let path = form.dataset.path;
  const query = new URLSearchParams();
  for (const input of form.querySelectorAll("input[data-place]")) {
    const value = valueOf(form, input);
    if (input.dataset.place === "path") path = path.replace(`{${input.name}}`, encodeURIComponent(value));
    else if (value) query.set(input.name, value);
  }
  return query.size > 0 ? `${path}?${query}` : path;
}

/** Returns JSON in an indented form, and any other text unchanged. */
function indented(text) {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}

function showProblem(form, text) {
  const line = form.querySelector(".problem");
  line.textContent = text;
  line.hidden = !text;
}

function link(href, text) {
  return Object.assign(document.createElement("a"), { href, textContent: text });
}

/** Returns the errno of an error reply. */
function errnoOf(text) {
  try {
    return JSON.parse(text).errno;
  } catch {
    return undefined;
  }
}

function showResponse(form, response, text) {
  const result = form.parentElement.querySelector(".result");
  const headers = SHOWN_HEADERS.filter((name) => response.headers.has(name)).map((name) => `${name}: ${response.headers.get(name)}`);
  const shown = indented(text);
  const rest = shown.length > MAX_SHOWN ? `\n… ${shown.length - MAX_SHOWN} more characters` : "";
  const status = result.querySelector(".result-status");
  status.textContent = `${response.status} ${response.statusText}`;
  const errno = errnoOf(text);
  if (Number.isInteger(errno)) status.append(" · ", link(`/docs/errors#errno-${errno}`, `errno ${errno}`));
  const isSignedOut = response.status === 401 && form.dataset.credential === "session" && !csrfToken;
  if (isSignedOut) status.append(" · ", link("/sign-in?return=/docs", "Sign in to try this call"));
  result.querySelector("pre").textContent = `${headers.join("\n")}\n\n${shown.slice(0, MAX_SHOWN)}${rest}`;
  result.hidden = false;
}

async function send(form) {
  const { method, credential } = form.dataset;
  showProblem(form, "");
  const button = form.querySelector("button:not([type])");
  try {
    const { headers, ...options } = authenticated(credential, method);
    const body = form.elements.body?.value.trim();
    if (body) headers["content-type"] = "application/json";
    button.disabled = true;
    const response = await fetch(target(form), { method, headers, cache: "no-store", ...options, ...(body && { body }) });
    showResponse(form, response, await response.text());
    if (response.ok && method !== "GET" && form.dataset.path.startsWith("/apps")) await offerApplications();
  } catch (error) {
    if (error instanceof MissingCredential) {
      error.field.closest("details")?.setAttribute("open", "");
      error.field.focus();
      showProblem(form, error.message);
    } else {
      showProblem(form, "The server did not answer. Try again.");
    }
  } finally {
    button.disabled = false;
    if (form.elements.confirmed) form.elements.confirmed.checked = false;
  }
}

function option(value, text) {
  return Object.assign(document.createElement("option"), { value, textContent: text });
}

/** Puts a list before a field for the id of an Application. The field is for other ids. */
function listFor(input) {
  const list = document.createElement("select");
  list.dataset.for = input.name;
  list.required = input.required;
  list.id = input.id;
  input.id = `${input.id}-other`;
  input.setAttribute("aria-label", "Another appid");
  list.addEventListener("change", () => {
    input.hidden = list.value !== OTHER;
    input.required = !input.hidden;
  });
  input.before(list);
  return list;
}

function fillList(input, applications) {
  const list = input.parentElement.querySelector("select") ?? listFor(input);
  const chosen = list.value;
  const own = applications.map(({ appid, name, domain }) =>
    option(appid, `${shortened(name)} (${domain})`));
  list.replaceChildren(option("", "Choose an Application…"), ...own, option(OTHER, "Another appid…"));
  list.value = [...list.options].some(({ value }) => value === chosen) ? chosen : "";
  list.dispatchEvent(new Event("change"));
}

/** Offers the developer's own Applications in every field for the id of one. */
async function offerApplications() {
  if (!csrfToken) return;
  const response = await fetch("/apps", { cache: "no-store" }).catch(() => undefined);
  if (!response?.ok) return;
  const { apps } = await response.json();
  for (const input of document.querySelectorAll("input[data-appid]")) {
    if (apps.length > 0 || input.parentElement.querySelector("select")) fillList(input, apps);
  }
}

for (const form of forms) {
  form.closest("[data-try]").hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(form);
  });
  form.querySelector("[data-insert-example]")?.addEventListener("click", () => {
    const { body } = form.elements;
    body.value = body.placeholder;
    body.focus();
  });
}
credentials.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
// A page that the browser keeps for the back button would still hold the credentials.
addEventListener("pagehide", () => {
  for (const input of credentials.querySelectorAll("input")) input.value = "";
});
credentials.hidden = false;
offerApplications();
