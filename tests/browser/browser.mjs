// A real browser, whose every complaint fails the test: errors on the console, violations of the page's policy, requests to
// other origins than the test allows.

import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { PATIENCE, tool } from "./stage.mjs";

const { chromium } = tool("playwright-core");
const axe = readFileSync(tool.resolve("axe-core/axe.min.js"), "utf8");

/** Where screenshots go. */
export const SCREENSHOTS = join(process.env.PRESENCE_BROWSER_TOOLS, "screenshots");

/** The ones that the README shows; `UPDATE=1 tests/browser/run` writes them again. */
const SHOWN = new Set(["home-light-1280", "grant-light-1280", "sidebar-light-1280", "sidebar-paused-dark-360", "console-light-1280", "operator-figures-light-1280"]);

const QUIET = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

let shared;

/** Starts the browser of this file, once. */
async function browser() {
  shared ??= chromium.launch({ executablePath: process.env.PRESENCE_TEST_BROWSER, args: QUIET, headless: true });
  return shared;
}

/** Ends it; call it in `after`. */
export async function closeBrowser() {
  await (await shared)?.close();
  shared = undefined;
}

/** Somebody's browser: cookies of its own. It may go to these origins; what else it wants fails the test. */
export class Person {
  #complaints = [];
  #forgiven = [];
  #origins;
  #test;

  static async enter(t, stage, { origins = [], ...options } = {}) {
    const person = new Person();
    person.#test = t.name;
    person.#origins = new Set([stage.url, ...origins]);
    person.context = await (await browser()).newContext({ viewport: { width: 1280, height: 800 }, baseURL: stage.url, ...options });
    person.context.setDefaultTimeout(PATIENCE);
    person.context.on("request", (request) => {
      const url = new URL(request.url());
      if (!["data:", "blob:", "about:"].includes(url.protocol) && !person.#origins.has(url.origin)) {
        person.#complaints.push(`asked another origin: ${url.origin}`);
      }
    });
    person.context.on("console", (message) => {
      if (["error", "warning"].includes(message.type())) person.#complaints.push(`console: ${message.text()}`);
    });
    person.context.on("weberror", (error) => person.#complaints.push(`uncaught: ${error.error().message}`));
    await person.context.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) =>
        console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
    });
    stage.guests.push(async () => {
      await person.context.close();
      person.isContent();
    });
    return person;
  }

  /** A new tab. */
  async tab(path) {
    const page = await this.context.newPage();
    if (path) await page.goto(path);
    return page;
  }

  /** Signs in by the page, and comes to where it leads. */
  async signIn(name, page) {
    page ??= await this.tab();
    await page.goto("/sign-in");
    await this.fillSignIn(name, page);
    await page.waitForURL("**/sidebar");
    return page;
  }

  /** Fills the sign-in page that is shown. */
  async fillSignIn(name, page) {
    await page.getByLabel("Name").fill(name);
    await page.getByRole("button", { name: "Sign in" }).click();
  }

  /** What the browser says that is like this is no failure, since the test provokes it. */
  forgives(pattern) {
    this.#forgiven.push(pattern);
  }

  /** The complaints that are like this, which are then forgiven. */
  complaints(pattern) {
    this.forgives(pattern);
    return this.#complaints.filter((complaint) => pattern.test(complaint));
  }

  /** Fails where the browser complained. */
  isContent() {
    const left = this.#complaints.filter((complaint) => !this.#forgiven.some((pattern) => pattern.test(complaint)));
    assert.deepEqual(left, [], `complaints of a browser in: ${this.#test}`);
  }
}

/** Fails where axe-core finds anything wrong with what is shown. It may not load style sheets: it would put them into the page. */
export async function isAccessible(page, what) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"], preload: false }));
  const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 120)).join(" | ")}`);
  assert.deepEqual(found, [], `accessibility of ${what}`);
}

/** Fails where something is wider than the window. */
export async function fits(page, what) {
  const wide = await page.evaluate(() => {
    const room = document.documentElement.clientWidth;
    if (document.documentElement.scrollWidth <= room) return [];
    return [...document.querySelectorAll("body *")]
      .filter((node) => node.getBoundingClientRect().right > room + 1)
      .map((node) => `${node.tagName}.${node.className}`);
  });
  assert.deepEqual(wide, [], `the width of ${what}`);
}

/** Looks at the page that is shown in both themes, from a small phone to a large screen: pictures, accessibility, width. */
export async function looksGood(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  const before = page.viewportSize();
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    for (const width of [320, 360, 1280, 1920]) {
      await page.setViewportSize({ width, height: width < 400 ? 720 : 860 });
      await fits(page, `${name} at ${width}`);
      if (width === 360 || width === 1280) {
        const picture = await page.screenshot({ path: join(SCREENSHOTS, `${name}-${theme}-${width}.png`), fullPage: true });
        if (process.env.UPDATE === "1" && SHOWN.has(`${name}-${theme}-${width}`)) {
          await writeFile(join("server/screenshots", `${name}.png`), picture);
        }
        await isAccessible(page, `${name}, ${theme}, ${width}`);
      }
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(before);
}
