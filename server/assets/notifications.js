// The notifications of this tab: shown as text, acknowledged once they were on a screen that somebody could see.

import { showTimes } from "./page.js";

/** How many are kept. */
const KEPT = 50;

const list = document.querySelector("#notifications");
const none = document.querySelector("#no-notifications");
const clear = document.querySelector("#clear");
const title = document.title;

/** The link of a notification, where it is one that can be opened safely: over https, and without a name or password in it. */
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

function action({ action, source }) {
  if (!action) return [];
  const url = safeLink(action);
  if (!url) return [element("p", { className: "small-text soft" }, "It leads to what cannot be opened here: ", element("code", {}, action))];
  const link = element("a", { className: "button quiet small", href: url.href, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer" }, `Open ${url.host}`);
  link.setAttribute("aria-label", `Open ${url.host}, from ${source}, in a new tab`);
  return [element("p", { className: "actions" }, link)];
}

function row(item) {
  const at = new Date(item.sent_at);
  const time = element("time", { dateTime: Number.isNaN(at.getTime()) ? "" : at.toISOString() });
  time.setAttribute("data-ago", "");
  const head = element("div", { className: "row-head" }, element("h3", {}, item.source), element("small", {}, time));
  return element("li", { className: "notification new" }, head, element("p", { className: "text" }, item.message), ...action(item));
}

/** The notifications of one account in this tab; they survive a reload, and nothing else. */
export class Notifications {
  #items = [];
  #account;
  #acknowledge;
  #unseen = [];

  constructor(account, acknowledge) {
    this.#account = account;
    this.#acknowledge = acknowledge;
    this.#restore();
    clear.addEventListener("click", () => this.#clear());
    document.addEventListener("visibilitychange", () => this.#seen());
  }

  /** Shows what came. What comes again after a reconnect is not shown again, and acknowledged again. */
  take(items) {
    for (const item of items) {
      if (!this.#items.some(({ id }) => id === item.id)) {
        this.#items.unshift(item);
        list.prepend(row(item));
      }
      this.#unseen.push(item.id);
    }
    this.#items.length = Math.min(this.#items.length, KEPT);
    while (list.children.length > KEPT) list.lastElementChild.remove();
    this.#keep();
    this.#look();
    this.#seen();
  }

  #seen() {
    if (document.hidden) {
      document.title = this.#unseen.length > 0 ? `(${this.#unseen.length}) ${title}` : title;
      return;
    }
    document.title = title;
    if (this.#unseen.length > 0) this.#acknowledge(this.#unseen.splice(0));
  }

  #look() {
    none.hidden = this.#items.length > 0;
    clear.hidden = this.#items.length === 0;
    showTimes(list);
  }

  #clear() {
    this.#items = [];
    list.replaceChildren();
    this.#keep();
    this.#look();
    document.querySelector("#notifications-title").focus();
  }

  #keep() {
    sessionStorage.setItem("notifications", JSON.stringify({ account: this.#account, items: this.#items }));
  }

  #restore() {
    try {
      const { account, items } = JSON.parse(sessionStorage.getItem("notifications") ?? "{}");
      if (account === this.#account) this.#items = items;
    } catch {
      // Whatever was there is not ours.
    }
    list.replaceChildren(...this.#items.map(row));
    for (const node of list.children) node.classList.remove("new");
    this.#look();
  }
}
