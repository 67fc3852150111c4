// The API documents: the console, the channels and the errors. They load nothing from other
// origins.

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, test } from "node:test";
import { closeBrowser, checkWidth, checkPage, BrowserUser, SCREENSHOTS } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

/** An operation in the console. */
class Call {
  constructor(page, tag, id) {
    this.page = page;
    this.block = page.locator(`#operations-${tag}-${id}`);
  }

  async open() {
    await this.block.locator(".opblock-summary-control").click();
    return this;
  }

  /** Sends it; returns the answer that the page shows. */
  async execute(body) {
    if (body) await this.block.locator("textarea.body-param__text").fill(JSON.stringify(body));
    await this.block.locator("button.execute").click();
    const answer = this.block.locator(".live-responses-table .response");
    const status = await answer.locator(".response-col_status").innerText();
    const text = await answer.locator(".response-col_description .microlight, .response-col_description .highlight-code").first().innerText();
    return { status: Number.parseInt(status, 10), json: JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1)) };
  }
}

test("a developer calls the REST API in its reference with a bearer token", async (t) => {
  const server = await ScenarioServer.start(t);
  const developer = await BrowserUser.open(t, server);
  const page = await developer.tab("/docs");
  const call = (tag, id) => new Call(page, tag, id).open();

  const made = await (await call("Development", "make_dev_assertion")).execute({ email: "alice@dev.localhost" });
  assert.equal(made.status, 200);
  const signIn = { assertion: made.json.assertion, scope: "account" };
  const opened = await (await call("Session", "create_session")).execute(signIn);
  assert.equal(opened.json.email, "alice@dev.localhost");

  // Only the token authenticates the calls: the cookie of this browser is removed.
  await developer.context.clearCookies();
  await page.locator(".btn.authorize").click();
  const dialog = page.locator(".dialog-ux");
  await dialog.locator("#auth-bearer-value").last().fill(opened.json.token);
  await dialog.locator("form", { has: page.locator("#auth-bearer-value") }).last().getByRole("button", { name: "Apply credentials" }).click();
  await page.screenshot({ path: join(SCREENSHOTS, "docs-authorize.png") });
  await dialog.locator(".btn-done, .close-modal").first().click();

  const asked = page.waitForRequest((request) => request.method() === "POST" && request.url() === `${server.url}/apps`);
  const registered = await (await call("Applications", "register_application")).execute({ name: "Chat", domain: "localhost:1" });
  assert.equal(registered.status, 201);
  assert.equal(registered.json.state, "registered");
  assert.equal((await asked).headers().authorization, `Bearer ${opened.json.token}`);

  const refused = await (await call("Operation", "heartbeat")).execute();
  assert.equal(refused.json.status, "ok");
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
    for (const width of [390, 1280]) {
      await page.setViewportSize({ width, height: 900 });
      await checkWidth(page, `docs at ${width}`);
      await page.locator("#operations-Applications-register_application").scrollIntoViewIfNeeded();
      await page.screenshot({ path: join(SCREENSHOTS, `docs-console-${theme}-${width}.png`) });
      await page.screenshot({ path: join(SCREENSHOTS, `docs-${theme}-${width}.png`), fullPage: true });
    }
  }
});

test("an error is shown in the console with its errno", async (t) => {
  const server = await ScenarioServer.start(t);
  const developer = await BrowserUser.open(t, server);
  // The browser logs every answer with an error status.
  developer.ignores(/401 \(Unauthorized\)/);
  const page = await developer.tab("/docs");
  const answer = await (await new Call(page, "Session", "get_session").open()).execute();
  assert.deepEqual([answer.status, answer.json.errno], [401, 30]);
});

test("the channels and the errors are shown, accessible and fit every screen", async (t) => {
  const server = await ScenarioServer.start(t);
  const developer = await BrowserUser.open(t, server);
  const page = await developer.tab("/docs");
  await page.getByRole("link", { name: "Channels" }).first().click();
  for (const heading of ["Device Presence Channel /presence", "AppService Presence Channel /myapps/{appid}", "Close codes"]) {
    await page.getByRole("heading", { name: heading }).waitFor();
  }
  await page.getByRole("link", { name: "An AppService sends notifications" }).click();
  await page.locator("#sendNotifications").getByText("notifications[].idempotency_key", { exact: true }).waitFor();
  await checkPage(page, "docs-channels");
  await page.getByRole("link", { name: "Errors", exact: true }).click();
  await page.getByText("slow_down", { exact: true }).first().waitFor();
  await checkPage(page, "docs-errors");
});
