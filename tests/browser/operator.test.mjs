// The operator's pages: they exist only if configured, require the token, show figures and no
// users, and block an application.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { closeBrowser, checkPage, BrowserUser } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

/** Returns a token for the operator, and its digest for the settings. */
function makeToken() {
  const output = execFileSync(process.env.PRESENCE_TEST_SERVER, ["admin-token"], { encoding: "utf8" });
  return { token: /pro_[0-9A-Za-z]+/.exec(output)[0], digest: /"([0-9a-f]{64})"/.exec(output)[1] };
}

/** Starts a server, and signs its operator in. */
async function operator(t) {
  const { token, digest } = makeToken();
  const server = await ScenarioServer.start(t, { "admin-token-digest": digest });
  const user = await BrowserUser.open(t, server);
  const page = await user.tab("/admin");
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("You are signed in as the operator").waitFor();
  return { server, user, page, token };
}

test("without a configured operator the operator's pages do not exist", async (t) => {
  const server = await ScenarioServer.start(t);
  const user = await BrowserUser.open(t, server);
  user.ignores(/404/);
  const page = await user.tab();
  for (const path of ["/admin", "/admin/figures", "/admin/applications"]) {
    assert.equal((await page.goto(path)).status(), 404, path);
    await page.getByRole("heading", { name: "Page not found" }).waitFor();
  }
});

test("an operator signs in with the token only, and signs out", async (t) => {
  const { token, digest } = makeToken();
  const server = await ScenarioServer.start(t, { "admin-token-digest": digest });
  const user = await BrowserUser.open(t, server);
  user.ignores(/401/);
  const page = await user.tab("/admin/applications");
  assert.equal(new URL(page.url()).pathname, "/admin");
  await checkPage(page, "operator-sign-in");
  for (const wrong of [digest, "<b>guess</b>"]) {
    await page.getByLabel("Token").fill(wrong);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByText("This is not the operator's token.").waitFor();
  }
  await checkPage(page, "operator-refused");
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("You are signed in as the operator").waitFor();
  const [cookie] = (await user.context.cookies()).filter(({ name }) => name === "presence-operator");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  assert.equal((await user.context.request.get("/admin/figures")).status(), 401);
});

test("an operator sees the live status of the server and no users", async (t) => {
  const { server, user, page } = await operator(t);
  user.ignores(/WebSocket|ERR_CONNECTION_REFUSED|Failed to fetch|401/);
  await page.locator("#state").getByText("Running").waitFor();
  assert.equal(await page.locator("#device_connections").textContent(), "0");
  const chat = await server.application();
  await chat.grantedBy("alice");
  await server.device(t, "alice", "on the train");
  await chat.stream(t);
  await page.locator("#device_connections").getByText("1", { exact: true }).waitFor();
  await page.locator("#app_connections").getByText("1", { exact: true }).waitFor();
  await server.call("GET", "/nothing");
  await page.locator("#errors").getByText("not found").waitFor();
  await page.getByRole("img", { name: /devices: 1, AppServices: 1/ }).waitFor();
  await checkPage(page, "operator-figures");
  assert.equal((await page.content()).includes("@"), false);
  await server.kill();
  await page.locator("#state").getByText("The server cannot be reached").waitFor();
  await server.restart();
  await page.locator("#state").getByText("Reload the page to sign in again").waitFor();
});

test("an operator of several servers sees each of them, and their sums", async (t) => {
  const { page } = await operator(t);
  await page.locator("#state").getByText("Running").waitFor();
  assert.equal(await page.locator("#servers").isVisible(), false, "a server that is alone");
  // The figures are those of this server, with the servers that one of several adds.
  const server = { version: "0.1.0", app_sockets: 2, state: "running", silent_seconds: 3, is_this: false };
  const servers = [
    { ...server, name: "1a2b3c4d", devices: 1200, is_this: true },
    { ...server, name: "5e6f7a8b", devices: 34, state: "gone", silent_seconds: 17 },
  ];
  await page.route("/admin/figures", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: { ...await response.json(), servers } });
  });
  const row = (name) => page.locator("#servers tbody tr").filter({ hasText: name });
  await row("1a2b3c4d (this one)").getByText("running").waitFor();
  await row("5e6f7a8b").getByText("gone").waitFor();
  await row("5e6f7a8b").getByText("17 s ago").waitFor();
  assert.equal(await page.locator("#all-devices").textContent(), "1,234");
  assert.equal(await page.locator("#all-app-sockets").textContent(), "4");
  await checkPage(page, "operator-servers");
});

test("an operator blocks an Application, and its developer sees the block", async (t) => {
  const { server, page } = await operator(t);
  const name = "<img src=x onerror=alert(1)> Chat";
  const chat = await server.application(name);
  const developer = await BrowserUser.open(t, server);
  developer.ignores(/403/);
  const developerPage = await developer.tab(`/sign-in?return=/myapps/${chat.appid}/console`);
  await developer.fillSignIn("developer", developerPage);
  await developerPage.getByLabel("API key").fill(chat.key);
  await developerPage.getByRole("button", { name: "Connect", exact: true }).click();
  await developerPage.locator("#state").getByText("Connected", { exact: true }).waitFor();

  await page.getByRole("link", { name: "Applications" }).click();
  await page.getByLabel("Find by appid, name or domain").fill("unknown");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText("No Application matches").waitFor();
  await checkPage(page, "operator-none");
  for (const expected of [chat.appid, "IMG SRC", chat.domain.host]) {
    await page.getByLabel("Find by appid, name or domain").fill(expected);
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByRole("heading", { name }).waitFor();
  }
  assert.equal(await page.locator("main img").count(), 0);
  assert.equal((await page.content()).includes("@"), false);
  await page.getByRole("button", { name: `Block ${name}` }).click();
  await page.getByText("Blocked. The Application's connections were closed").waitFor();
  await page.getByText("blocked since").waitFor();
  await checkPage(page, "operator-blocked");

  await developerPage.getByText("The Application was deactivated, blocked or removed").waitFor();
  await developerPage.getByRole("link", { name: "Overview" }).click();
  await developerPage.getByText("The operator of this server blocked this Application").waitFor();
  assert.equal(await developerPage.getByRole("button", { name: "Activate" }).count(), 0);
  await checkPage(developerPage, "myapps-blocked");
  const { json } = await server.call("POST", `/apps/${chat.appid}/activate`, { token: chat.owner });
  assert.equal(json.errno, 42);

  await page.getByRole("button", { name: `Unblock ${name}` }).click();
  await page.getByText("Unblocked.").waitFor();
  await developerPage.reload();
  await developerPage.getByRole("button", { name: "Deactivate" }).waitFor();
  await chat.stream(t);
});
