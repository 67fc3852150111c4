// A real browser. Errors on its console, violations of the content policy and requests to origins
// that the test does not allow fail the test.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { TIMEOUT, tool } from "./scenario.mjs";

const { chromium } = tool("playwright-core");
const axe = readFileSync(tool.resolve("axe-core/axe.min.js"), "utf8");

/** The directory of the screenshots. */
export const SCREENSHOTS = join(process.env.PRESENCE_BROWSER_TOOLS, "screenshots");

/** The screenshots in the README; `UPDATE=1 tests/browser/run` writes them again. */
const PUBLISHED = new Set(["home-light-1280", "grant-light-1280", "sidebar-light-1280", "sidebar-paused-dark-390", "console-light-1280", "operator-figures-light-1280"]);

const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

/** The language of the browser. It is not that of the pages, which are in English all the same. */
const LOCALE = "de-DE";

/** Returns a name as headings show it: a long one is cut. */
export function shortened(name) {
  return name.length > 60 ? `${name.slice(0, 59).trimEnd()}…` : name;
}

let shared;

/** Starts the browser of this test file, once. */
async function browser() {
  shared ??= chromium.launch({ executablePath: process.env.PRESENCE_TEST_BROWSER, args: ARGUMENTS, headless: true });
  return shared;
}

/** Ends the browser. Each test file calls it in `after`. */
export async function closeBrowser() {
  await (await shared)?.close();
  shared = undefined;
}

/**
 * A user with a browser context and cookies of their own. A request to an origin that is not
 * allowed fails the test.
 */
export class BrowserUser {
  #errors = [];
  #ignored = [];
  #origins;
  #test;

  static async open(t, server, { origins = [], ...options } = {}) {
    const user = new BrowserUser();
    user.#test = t.name;
    user.#origins = new Set([server.url, ...origins]);
    user.context = await (await browser()).newContext({ viewport: { width: 1280, height: 800 }, baseURL: server.url, locale: LOCALE, ...options });
    user.context.setDefaultTimeout(TIMEOUT);
    user.context.on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:", "about:"].includes(url.protocol) && !user.#origins.has(url.origin)) {
        user.#errors.push(`asked another origin: ${url.origin}`);
      }
    });
    user.context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) user.#errors.push(`console: ${message.text()}`);
    });
    user.context.on("weberror", (error) => user.#errors.push(`uncaught: ${error.error().message}`));
    await user.context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    server.cleanups.push(async () => {
      await user.context.close();
      user.hasNoErrors();
    });
    return user;
  }

  /** Opens a new tab. */
  async tab(path) {
    const page = await this.context.newPage();
    if (path) await page.goto(path);
    return page;
  }

  /** Signs in through the page. */
  async signIn(name, page) {
    page ??= await this.tab();
    await page.goto("/sign-in");
    await this.fillSignIn(name, page);
    await page.waitForURL("**/sidebar");
    return page;
  }

  /** Fills in and sends the sign-in page. */
  async fillSignIn(name, page) {
    await page.getByLabel("Name").fill(name);
    await page.getByRole("button", { name: "Sign in" }).click();
  }

  /** Ignores errors that match a pattern, since the test provokes them. */
  ignores(pattern) {
    this.#ignored.push(pattern);
  }

  /** Returns the errors that match a pattern, and ignores them. */
  errors(pattern) {
    this.ignores(pattern);
    return this.#errors.filter((error) => pattern.test(error));
  }

  /** Fails if the browser logged an error that was not ignored. */
  hasNoErrors() {
    const left = this.#errors.filter((error) => !this.#ignored.some((pattern) => pattern.test(error)));
    assert.deepEqual(left, [], `errors of a browser in: ${this.#test}`);
  }
}

/**
 * Fails if axe-core finds a violation on the page. It does not preload style sheets, since it would
 * insert them into the page.
 */
export async function checkAccessibility(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"], preload: false }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  assert.deepEqual(found, [], `accessibility of ${what}`);
}

/** Fails if an element is wider than the window. */
export async function checkWidth(page, what) {
  const wide = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= width) return [];
    return [...document.querySelectorAll("body *")]
      .filter((node) => node.getBoundingClientRect().right > width + 1)
      .map((node) => `${node.tagName}.${node.className}`);
  });
  assert.deepEqual(wide, [], `the width of ${what}`);
}

/** Returns what is wrong with the texts of a page. It runs in the page. */
function textFaults() {
  const faults = [];
  // The head of a table on a small screen is for screen readers only.
  const isHiddenHead = (head) => head !== null && getComputedStyle(head).position === "absolute";
  const isShown = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".visually-hidden") && !isHiddenHead(node.closest("thead"));
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode;
    const parent = text.parentElement;
    if (!isShown(parent)) continue;
    // Ids, addresses with a port, names of files and short words stay in one piece.
    for (const match of text.data.matchAll(/[0-9a-f]{32}|127\.0\.0\.1:\d+|__presence|(?<!\S)\w{1,20}(?!\S)/g)) {
      const range = new Range();
      range.setStart(text, match.index);
      range.setEnd(text, match.index + match[0].length);
      const lines = new Set([...range.getClientRects()].map(({ top }) => Math.round(top)));
      if (lines.size > 1) faults.push(`broken over lines: ${match[0]}`);
      const link = parent.closest("a");
      const style = link && getComputedStyle(link);
      if (match[0].includes("_") && style && Number.parseFloat(style.textUnderlineOffset) < 0.4 * Number.parseFloat(style.fontSize)) {
        faults.push(`underlined over its underscores: ${text.data}`);
      }
    }
    // A date in the language of the browser rather than that of the page.
    if (/\bvor \d|\bUhr\b|jetzt|\d{1,2}\.\d{1,2}\.\d{4}/.test(text.data)) faults.push(`not in English: ${text.data}`);
  }
  for (const node of document.querySelectorAll("code, pre, .code, .id")) {
    if (!getComputedStyle(node).fontFamily.includes("mono")) faults.push(`proportional: ${node.outerHTML.slice(0, 100)}`);
  }
  const main = document.querySelector("main");
  const card = main.querySelector(":scope > :not(#notices, .visually-hidden, [hidden])");
  for (const notice of main.querySelectorAll(":scope > #notices > .notice")) {
    const [box, below] = [notice.getBoundingClientRect(), card.getBoundingClientRect()];
    if (box.left < below.left - 1 || box.right > below.right + 1) faults.push(`wider than the card below: ${notice.textContent}`);
  }
  for (const pill of document.querySelectorAll(".status-choice .status, .tag, button:not(.link), .button")) {
    if (!isShown(pill)) continue;
    const box = pill.getBoundingClientRect();
    const texts = [...pill.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const gaps = texts.map((text) => {
      const range = new Range();
      range.selectNodeContents(text);
      const content = range.getBoundingClientRect();
      return Math.min(content.left - box.left, box.right - content.right);
    });
    const gap = Math.min(...gaps);
    if (gap < 4) faults.push(`touches its frame (${gap.toFixed(1)} px): ${pill.textContent}`);
  }
  for (const heading of document.querySelectorAll("h1, h2, h3, .row-name")) {
    const { height } = heading.getBoundingClientRect();
    if (isShown(heading) && height > innerHeight / 3) faults.push(`${height} px high: ${heading.textContent.slice(0, 60)}`);
  }
  return faults;
}

/** Fails if a text of the page is broken, cut, too long, or in another language than the page. */
export async function checkText(page, what) {
  // The texts are there before the stylesheet.
  await page.waitForLoadState();
  assert.deepEqual(await page.evaluate(textFaults), [], `the texts of ${what}`);
}

/**
 * Checks the page in both themes, from a small phone to a large screen: takes screenshots, and
 * checks the accessibility, the width and the texts. Of a long page it takes pictures of the window
 * only, and checks the accessibility on the large screen only.
 */
export async function checkPage(page, name, { isLong = false } = {}) {
  await mkdir(SCREENSHOTS, { recursive: true });
  await page.waitForLoadState();
  const before = page.viewportSize();
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    for (const width of [320, 390, 768, 1280, 1920]) {
      await page.setViewportSize({ width, height: width < 400 ? 720 : 860 });
      await checkWidth(page, `${name} at ${width}`);
      await checkText(page, `${name} at ${width}`);
      if (width === 390 || width === 1280 || process.env.PRESENCE_SCREENSHOTS === "all") {
        const picture = await page.screenshot({ path: join(SCREENSHOTS, `${name}-${theme}-${width}.png`), fullPage: !isLong });
        if (process.env.UPDATE === "1" && PUBLISHED.has(`${name}-${theme}-${width}`)) {
          await writeFile(join("server/screenshots", `${name}.png`), picture);
        }
      }
      if (width === 1280 || (width === 390 && !isLong)) await checkAccessibility(page, `${name}, ${theme}, ${width}`);
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(before);
}
