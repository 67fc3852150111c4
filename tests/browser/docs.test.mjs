// The API documents: the REST reference with its forms, the channels, the errors and the
// quickstarts. They load nothing from other origins.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, test } from "node:test";
import { closeBrowser, checkPage, BrowserUser } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

/** The form of an operation. */
class Call {
  constructor(page, id) {
    this.block = page.locator(`#${id}`);
    this.form = this.block.locator("[data-try] form");
  }

  async open() {
    await this.block.locator("[data-try] > summary").click();
    return this;
  }

  field(name) {
    return this.form.locator(`[name="${name}"]`);
  }

  /** Sends it; returns the answer that the page shows. */
  async send() {
    const result = this.block.locator(".result");
    await result.evaluate((node) => { node.hidden = true; });
    await this.form.getByRole("button", { name: "Send" }).click();
    await result.waitFor();
    const text = await result.locator("pre").textContent();
    return { status: Number.parseInt(await result.locator(".result-status").innerText(), 10), text, json: JSON.parse(text.slice(text.indexOf("{"))) };
  }
}

const openCall = (page, id) => new Call(page, id).open();

test("a developer who is signed in tries the calls: own applications in a list, no token to copy", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const developer = await BrowserUser.open(t, server);
  const page = await developer.signIn("dev");
  await page.goto("/docs");
  await page.getByText("You are signed in as dev@dev.localhost.").waitFor();

  // Nothing is filled in. The example is a placeholder, which is inserted on request.
  const register = await openCall(page, "register_application");
  assert.equal(await register.field("body").inputValue(), "");
  assert.match(await register.field("body").getAttribute("placeholder"), /"name": "Chess by Mail"/);
  await register.form.getByRole("button", { name: "Insert the example" }).click();
  assert.equal(JSON.parse(await register.field("body").inputValue()).name, "Chess by Mail");
  await register.field("body").fill(JSON.stringify({ name: "Chat", domain: domain.host, description: "" }));
  const sent = page.waitForRequest((request) => request.method() === "POST" && request.url() === `${server.url}/apps`);
  const registered = await register.send();
  assert.deepEqual([registered.status, registered.json.state], [201, "registered"]);
  const headers = await (await sent).allHeaders();
  assert.match(headers["x-csrf-token"], /^[0-9a-f]{64}$/);
  assert.equal(headers.authorization, undefined);

  // The new Application is in the list of every call that takes an appid; none is chosen.
  const verify = await openCall(page, "verify_application");
  const list = verify.form.getByLabel("appid", { exact: true });
  await list.locator("option").filter({ hasText: `Chat (${domain.host})` }).waitFor({ state: "attached" });
  assert.equal(await list.inputValue(), "");
  assert.equal(await page.locator("select[data-for=appid]").count(), await page.locator("input[data-appid]").count());
  await list.selectOption({ label: `Chat (${domain.host})` });
  domain.pages["/__presence"] = { type: "text/plain", text: registered.json.domain_key };
  assert.equal((await verify.send()).json.state, "verified");
  const activate = await openCall(page, "activate_application");
  await activate.form.getByLabel("appid", { exact: true }).selectOption(registered.json.appid);
  const { json: { api_key: key } } = await activate.send();

  // A call of a back end needs the key, which is sent alone and kept nowhere.
  const poll = await openCall(page, "poll_presence");
  await poll.form.getByLabel("appid", { exact: true }).selectOption(registered.json.appid);
  await poll.form.getByRole("button", { name: "Send" }).click();
  await poll.block.getByText("Enter the credential for this call first.").waitFor();
  await page.getByLabel("API key", { exact: true }).fill(key);
  const polled = page.waitForRequest((request) => request.url().includes("/presence"));
  assert.deepEqual((await poll.send()).json.presence, []);
  const pollHeaders = await (await polled).allHeaders();
  assert.deepEqual([pollHeaders.authorization, pollHeaders.cookie], [`Bearer ${key}`, undefined]);
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.equal(stored.includes(key), false);
  await page.reload();
  assert.equal(await page.getByLabel("API key", { exact: true }).inputValue(), "");

  // Another id can be entered, and a call that deletes asks first.
  developer.ignores(/status of 404/);
  const remove = await openCall(page, "remove_application");
  await remove.form.getByLabel("appid", { exact: true }).selectOption({ label: "Another appid…" });
  await remove.form.getByLabel("Another appid").fill("0".repeat(32));
  await remove.form.getByRole("button", { name: "Send" }).click();
  assert.equal(await remove.block.locator(".result").isVisible(), false);
  await remove.field("confirmed").check();
  assert.deepEqual((await remove.send()).json.errno, 40);
});

test("a visitor tries calls with a bearer token, and sees errors with their errno", async (t) => {
  const server = await ScenarioServer.start(t);
  const visitor = await BrowserUser.open(t, server);
  // The browser logs every answer with an error status.
  visitor.ignores(/401 \(Unauthorized\)/);
  const page = await visitor.tab("/docs");
  await page.locator("#credentials").getByRole("link", { name: "Sign in" }).waitFor();
  const session = await openCall(page, "get_session");
  const refused = await session.send();
  assert.deepEqual([refused.status, refused.json.errno], [401, 30]);
  // The answer says what the errno means, and where to sign in.
  const answer = session.block.locator(".result-status");
  assert.equal(await answer.getByRole("link", { name: "errno 30" }).getAttribute("href"), "/docs/errors#errno-30");
  assert.equal(await answer.getByRole("link", { name: "Sign in" }).getAttribute("href"), "/sign-in?return=/docs");
  assert.match(refused.text, /^content-type: application\/json/);

  const token = await server.signIn("alice");
  await page.getByText("Other credentials").click();
  await page.getByLabel("Session token, in place of your sign-in").fill(token);
  assert.equal((await session.send()).json.email, "alice@dev.localhost");
  const grants = await openCall(page, "revoke_grant");
  assert.equal(await grants.block.locator("select").count(), 0);
});

test("the reference without JavaScript shows every call, and no form", async (t) => {
  const server = await ScenarioServer.start(t);
  const visitor = await BrowserUser.open(t, server, { javaScriptEnabled: false });
  const page = await visitor.tab("/docs");
  await page.getByRole("heading", { name: "Send notifications" }).waitFor();
  assert.match(await page.locator("main article h3").first().innerText(), /^Register an Application/i);
  assert.equal(await page.locator(".prose").getByRole("link", { name: "/docs/channels" }).count(), 1);
  assert.equal(await page.locator(".prose").getByRole("link", { name: "/asyncapi.yaml" }).count(), 1);
  assert.equal(await page.locator("[data-try]:visible, #credentials:visible").count(), 0);
});

test("the reference is accessible in both themes with everything unfolded, and fits every screen", async (t) => {
  const server = await ScenarioServer.start(t);
  const app = await server.application();
  const developer = await BrowserUser.open(t, server);
  const page = await developer.signIn("developer");
  await page.goto("/docs");
  await page.locator("option").filter({ hasText: `Chat (${app.domain.host})` }).first().waitFor({ state: "attached" });
  await checkPage(page, "docs", { isLong: true });
  await page.locator("details").evaluateAll((all) => { for (const details of all) details.open = true; });
  await page.locator("#list_applications").getByRole("button", { name: "Send" }).click();
  await page.locator("#list_applications .result").getByText(app.appid).waitFor();
  await checkPage(page, "docs-unfolded", { isLong: true });
});

test("the channels, the errors and the quickstarts are shown, accessible and fit every screen", async (t) => {
  const server = await ScenarioServer.start(t);
  const developer = await BrowserUser.open(t, server, { permissions: ["clipboard-read", "clipboard-write"] });
  const page = await developer.tab("/docs");
  const tabs = page.getByRole("navigation", { name: "Documents" });
  await tabs.getByRole("link", { name: "Channels" }).click();
  for (const heading of ["Device Presence Channel /presence", "AppService Presence Channel /myapps/{appid}", "Close codes"]) {
    await page.getByRole("heading", { name: heading }).waitFor();
  }
  await page.getByRole("link", { name: "An AppService sends notifications" }).click();
  await page.locator("#sendNotifications").getByText("notifications[].idempotency_key", { exact: true }).waitFor();
  await checkPage(page, "docs-channels", { isLong: true });
  await tabs.getByRole("link", { name: "Errors" }).click();
  await page.getByText("slow_down", { exact: true }).first().waitFor();
  await checkPage(page, "docs-errors");

  // A quickstart is the file of the repository, to the last character.
  await tabs.getByRole("link", { name: "Quickstarts" }).click();
  await page.getByRole("heading", { name: "Kotlin" }).waitFor();
  await checkPage(page, "docs-quickstarts");
  const quickstarts = page.locator("article");
  assert.ok(await quickstarts.count() >= 5);
  for (const quickstart of await quickstarts.all()) {
    const file = await quickstart.locator("dd code").first().innerText();
    assert.equal(await quickstart.locator("> pre").textContent(), await readFile(file, "utf8"), file);
    for (const helper of await quickstart.locator("details").all()) {
      const name = await helper.locator("summary code").textContent();
      assert.equal(await helper.locator("pre").textContent(), await readFile(name, "utf8"), name);
    }
  }
  await page.locator("#python summary").getByText("examples/python/development.py").click();
  await page.locator("#python details").getByRole("button", { name: /Copy/ }).click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^async def application\(/m);
  await quickstarts.first().getByRole("button", { name: /Copy/ }).click();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^#!\/usr\/bin\/env bash\n/);
});
