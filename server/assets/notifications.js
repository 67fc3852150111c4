// The notifications of this tab. They are shown as text, and acknowledged once the tab was visible.

import { shortened, showTimes } from "./page.js";

/** The maximum number of notifications in the list. */
const MAX_ITEMS = 50;

const list = document.querySelector("#notifications");
const emptyText = document.querySelector("#no-notifications");
const clearButton = document.querySelector("#clear");
const title = document.title;

/** Returns the link of a notification if it is safe to open: an https URL without credentials. */
export function safeLink(action) {
  if (!URL.canParse(action)) return null;
  const url = new URL(action);
  return url.protocol === "https:" && !url.username && !url.password ? url : null;
}

function element(name, properties = {}, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

function action({ action, source, application = source }) {
  if (!action) return [];
  const url = safeLink(action);
  if (!url) return [element("p", { className: "small-text muted" }, "This link cannot be opened here: ", element("code", {}, action))];
  const link = element("a", { className: "button secondary small", href: url.href, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer" }, `Open ${url.host}`);
  link.setAttribute("aria-label", `Open ${url.host}, from ${application}, in a new tab`);
  return [element("p", { className: "actions" }, link)];
}

/** Returns the line with the Application and its verified domain, which the server sets. */
function sender({ source, application = source, domain = "" }) {
  const name = application === source ? [] : [element("span", {}, application), " · "];
  return element("p", { className: "small-text muted sender" }, ...name, element("span", { className: "domain" }, domain));
}

function row(item) {
  const at = new Date(item.sent_at);
  const time = element("time", { dateTime: Number.isNaN(at.getTime()) ? "" : at.toISOString() });
  time.setAttribute("data-ago", "");
  const head = element("div", { className: "row-head" }, element("h3", { title: item.source }, shortened(item.source)), element("small", {}, time));
  return element("li", { className: "notification new" }, head, sender(item), element("p", { className: "text" }, item.message), ...action(item));
}

/** The notifications of one account in this tab. They are kept over a reload. */
export class Notifications {
  #items = [];
  #account;
  #acknowledge;
  #unacknowledged = [];

  constructor(account, acknowledge) {
    this.#account = account;
    this.#acknowledge = acknowledge;
    this.#load();
    clearButton.addEventListener("click", () => this.#clear());
    document.addEventListener("visibilitychange", () => this.#acknowledgeIfVisible());
  }

  /** Shows notifications. A repeated one is acknowledged again, but not shown again. */
  add(items) {
    for (const item of items) {
      if (!this.#items.some(({ id }) => id === item.id)) {
        this.#items.unshift(item);
        list.prepend(row(item));
      }
      this.#unacknowledged.push(item.id);
    }
    this.#items.length = Math.min(this.#items.length, MAX_ITEMS);
    while (list.children.length > MAX_ITEMS) list.lastElementChild.remove();
    this.#store();
    this.#show();
    this.#acknowledgeIfVisible();
  }

  #acknowledgeIfVisible() {
    if (document.hidden) {
      document.title = this.#unacknowledged.length > 0 ? `(${this.#unacknowledged.length}) ${title}` : title;
      return;
    }
    document.title = title;
    if (this.#unacknowledged.length > 0) this.#acknowledge(this.#unacknowledged.splice(0));
  }

  #show() {
    emptyText.hidden = this.#items.length > 0;
    clearButton.hidden = this.#items.length === 0;
    showTimes(list);
  }

  #clear() {
    this.#items = [];
    list.replaceChildren();
    this.#store();
    this.#show();
    document.querySelector("#notifications-title").focus();
  }

  #store() {
    sessionStorage.setItem("notifications", JSON.stringify({ account: this.#account, items: this.#items }));
  }

  #load() {
    try {
      const { account, items } = JSON.parse(sessionStorage.getItem("notifications") ?? "{}");
      if (account === this.#account) this.#items = items;
    } catch {
      // The stored text is not valid, so the list stays empty.
    }
    list.replaceChildren(...this.#items.map(row));
    for (const node of list.children) node.classList.remove("new");
    this.#show();
  }
}
