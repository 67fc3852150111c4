// The looks of the pages with data that is awkward to show: long names, addresses with a port,
// texts of errors, a browser in another language.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, checkPage, checkText, checkWidth, BrowserUser } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

/** Checks the page on the smallest phone only. */
async function checkPhone(page, name) {
  const before = page.viewportSize();
  await page.setViewportSize({ width: 320, height: 720 });
  await checkWidth(page, name);
  await checkText(page, name);
  await page.setViewportSize(before);
}

const LONG_NAMES = {
  words: "A chess club for everybody who likes to move one piece a day and talk about it ".repeat(3).slice(0, 200).trim(),
  word: "X".repeat(200),
};

test("a name of 200 characters fills no screen, and the consent page shows it in full", async (t) => {
  const server = await ScenarioServer.start(t);
  for (const [kind, name] of Object.entries(LONG_NAMES)) {
    const app = await server.application(name, "A description.");
    const alice = await BrowserUser.open(t, server);
    const page = await alice.signIn(kind);
    await page.goto(app.grantUrl({ redirect: `${app.domain.origin}/back`, id: "alice42" }));
    await page.getByText(name, { exact: true }).waitFor();
    await checkPage(page, `long-${kind}-grant`);
    await app.grantedBy(kind);
    await page.goto("/sidebar");
    await page.getByText("More").first().click();
    await checkPhone(page, `long-${kind}-sidebar`);
  }
  const developer = await BrowserUser.open(t, server);
  const page = await developer.signIn("developer");
  await page.goto("/myapps");
  await checkPhone(page, "long-myapps");
  await page.locator("main a[href^='/myapps/']").filter({ hasText: "XXX" }).click();
  await page.getByRole("heading", { name: "Setup" }).waitFor();
  await checkPage(page, "long-myapps-overview");
  for (const action of ["change", "remove"]) {
    await page.goto(`${new URL(page.url()).pathname.split("/").slice(0, 3).join("/")}/${action}`);
    await checkPhone(page, `long-myapps-${action}`);
  }
});

test("times are in English in a browser of any language", async (t) => {
  const server = await ScenarioServer.start(t);
  const app = await server.application();
  await app.grantedBy("alice");
  const alice = await BrowserUser.open(t, server, { locale: "de-DE", timezoneId: "UTC" });
  const page = await alice.signIn("alice");
  await page.getByText("More").first().click();
  const time = page.locator("#apps dl time");
  assert.match(await time.innerText(), /^\d{1,2} [A-Z][a-z]{2,3} \d{4}, \d\d:\d\d$/);
  await page.locator("#sessions").getByText(/signed in (now|\d+ seconds ago)/).first().waitFor();
});

test("every link of the start page and of the footer leads to a page for people", async (t) => {
  const server = await ScenarioServer.start(t);
  const visitor = await BrowserUser.open(t, server);
  const page = await visitor.tab("/");
  const paths = await page.locator("a[href^='/']").evaluateAll((links) => links.map((link) => link.getAttribute("href")));
  assert.ok(paths.length > 8, String(paths));
  for (const path of new Set(paths)) {
    const answer = await fetch(server.url + path, { headers: { accept: "text/html" } });
    assert.match(answer.headers.get("content-type"), /^text\/html/, path);
  }
});

test("problems of people are told in words, not in names of fields", async (t) => {
  const server = await ScenarioServer.start(t, { "apps-per-developer": 1 });
  await server.application();
  const developer = await BrowserUser.open(t, server);
  developer.ignores(/status of 400/);
  const page = await developer.signIn("developer");
  await page.goto("/myapps/new");
  await page.getByLabel("Name").fill("Second");
  await page.getByLabel("Domain").fill("127.0.0.1:9");
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByText("You have 1 Applications already. Remove one first.").waitFor();
  await checkPhone(page, "myapps-new-too-many");

  await page.goto("/sidebar");
  await page.locator('#connection[data-state="connected"]').waitFor();
  await page.getByLabel("Status text").evaluate((input) => { input.value = "a\u202eb"; });
  await page.getByRole("button", { name: "Save" }).click();
  const problem = page.locator("#text-problem");
  await problem.getByText("Use at most 128 characters, and no line breaks or invisible characters.").waitFor();
  await checkPage(page, "sidebar-wrong-text");

  await page.goto("/dev");
  await page.getByLabel("E-mail").fill("alice@elsewhere.example");
  await page.getByRole("button", { name: "Create assertions" }).click();
  await page.getByText("Enter a name of your choice, then @dev.localhost.").waitFor();
  await checkPhone(page, "dev-wrong");
});

test("a page without a network does not speak of a computer", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/ERR_INTERNET_DISCONNECTED|WebSocket connection/);
  const page = await alice.signIn("alice");
  await page.locator('#connection[data-state="connected"]').waitFor();
  await alice.context.setOffline(true);
  await page.getByText("You are not connected to the internet.").waitFor();
  assert.equal(await page.getByText(/computer/i).count(), 0);
  await checkPhone(page, "sidebar-offline");
  await alice.context.setOffline(false);
});
