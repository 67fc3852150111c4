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
const PUBLISHED = new Set(["home-light-1280", "grant-light-1280", "sidebar-light-1280", "sidebar-paused-dark-360", "console-light-1280", "operator-figures-light-1280"]);

const ARGUMENTS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
];

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
    user.context = await (await browser()).newContext({ viewport: { width: 1280, height: 800 }, baseURL: server.url, ...options });
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

/**
 * Checks the page in both themes, from a small phone to a large screen: takes screenshots, and
 * checks the accessibility and the width.
 */
export async function checkPage(page, name) {
  await mkdir(SCREENSHOTS, { recursive: true });
  const before = page.viewportSize();
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    for (const width of [320, 360, 1280, 1920]) {
      await page.setViewportSize({ width, height: width < 400 ? 720 : 860 });
      await checkWidth(page, `${name} at ${width}`);
      if (width === 360 || width === 1280) {
        const picture = await page.screenshot({ path: join(SCREENSHOTS, `${name}-${theme}-${width}.png`), fullPage: true });
        if (process.env.UPDATE === "1" && PUBLISHED.has(`${name}-${theme}-${width}`)) {
          await writeFile(join("server/screenshots", `${name}.png`), picture);
        }
        await checkAccessibility(page, `${name}, ${theme}, ${width}`);
      }
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(before);
}
