// The operator's story: not there unless configured, let in by the token only, sees figures and no people, blocks an application.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { after, test } from "node:test";
import { closeBrowser, looksGood, Person } from "./browser.mjs";
import { Stage } from "./stage.mjs";

after(closeBrowser);

/** A token for the operator, and its digest for the settings. */
function makeToken() {
  const said = execFileSync(process.env.PRESENCE_TEST_SERVER, ["admin-token"], { encoding: "utf8" });
  return { token: /pro_[0-9A-Za-z]+/.exec(said)[0], digest: /"([0-9a-f]{64})"/.exec(said)[1] };
}

/** A server with an operator, who is signed in. */
async function operator(t) {
  const { token, digest } = makeToken();
  const stage = await Stage.start(t, { "admin-token-digest": digest });
  const person = await Person.enter(t, stage);
  const page = await person.tab("/admin");
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Enter" }).click();
  await page.getByText("You are signed in as the operator").waitFor();
  return { stage, person, page, token };
}

test("where no operator is configured there is no page for one", async (t) => {
  const stage = await Stage.start(t);
  const person = await Person.enter(t, stage);
  person.forgives(/404/);
  const page = await person.tab();
  for (const path of ["/admin", "/admin/figures", "/admin/applications"]) {
    assert.equal((await page.goto(path)).status(), 404, path);
    await page.getByRole("heading", { name: "There is nothing here" }).waitFor();
  }
});

test("an operator enters by the token only, and leaves", async (t) => {
  const { token, digest } = makeToken();
  const stage = await Stage.start(t, { "admin-token-digest": digest });
  const person = await Person.enter(t, stage);
  person.forgives(/401/);
  const page = await person.tab("/admin/applications");
  assert.equal(new URL(page.url()).pathname, "/admin");
  await looksGood(page, "operator-sign-in");
  for (const wrong of [digest, "<b>guess</b>"]) {
    await page.getByLabel("Token").fill(wrong);
    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByText("This is not the operator's token.").waitFor();
  }
  await looksGood(page, "operator-refused");
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Enter" }).click();
  await page.getByText("You are signed in as the operator").waitFor();
  const [cookie] = (await person.context.cookies()).filter(({ name }) => name === "presence-operator");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  assert.equal((await person.context.request.get("/admin/figures")).status(), 401);
});

test("an operator sees how the server is, live, and no people", async (t) => {
  const { stage, person, page } = await operator(t);
  person.forgives(/WebSocket|ERR_CONNECTION_REFUSED|Failed to fetch|401/);
  await page.locator("#state").getByText("Running").waitFor();
  assert.equal(await page.locator("#device_connections").textContent(), "0");
  const chat = await stage.application();
  await chat.grantedBy("alice");
  await stage.device(t, "alice", "on the train");
  await chat.stream(t);
  await page.locator("#device_connections").getByText("1", { exact: true }).waitFor();
  await page.locator("#app_connections").getByText("1", { exact: true }).waitFor();
  await stage.call("GET", "/nothing");
  await page.locator("#errors").getByText("not found").waitFor();
  await page.getByRole("img", { name: /devices: 1, back ends: 1/ }).waitFor();
  await looksGood(page, "operator-figures");
  assert.equal((await page.content()).includes("@"), false);
  await stage.kill();
  await page.locator("#state").getByText("The server cannot be reached").waitFor();
  await stage.restart();
  await page.locator("#state").getByText("Load the page to sign in again").waitFor();
});

test("an operator blocks an application, and its developer sees why it is stopped", async (t) => {
  const { stage, page } = await operator(t);
  const name = "<img src=x onerror=alert(1)> Chat";
  const chat = await stage.application(name);
  const developer = await Person.enter(t, stage);
  developer.forgives(/403/);
  const theirs = await developer.tab(`/sign-in?return=/myapps/${chat.appid}/console`);
  await developer.fillSignIn("developer", theirs);
  await theirs.getByLabel("API key").fill(chat.key);
  await theirs.getByRole("button", { name: "Connect", exact: true }).click();
  await theirs.locator("#state").getByText("Connected", { exact: true }).waitFor();

  await page.getByRole("link", { name: "Applications" }).click();
  await page.getByLabel("Find by id, name or domain").fill("nobody");
  await page.getByRole("button", { name: "Find" }).click();
  await page.getByText("No application has this id").waitFor();
  await looksGood(page, "operator-none");
  for (const wanted of [chat.appid, "IMG SRC", chat.domain.host]) {
    await page.getByLabel("Find by id, name or domain").fill(wanted);
    await page.getByRole("button", { name: "Find" }).click();
    await page.getByRole("heading", { name }).waitFor();
  }
  assert.equal(await page.locator("main img").count(), 0);
  assert.equal((await page.content()).includes("@"), false);
  await page.getByRole("button", { name: `Block ${name}` }).click();
  await page.getByText("Blocked. Its sockets were closed").waitFor();
  await page.getByText("blocked since").waitFor();
  await looksGood(page, "operator-blocked");

  await theirs.getByText("The application was stopped, blocked or removed").waitFor();
  await theirs.getByRole("link", { name: "Overview" }).click();
  await theirs.getByText("The operator of this server has blocked this application").waitFor();
  assert.equal(await theirs.getByRole("button", { name: "Start" }).count(), 0);
  await looksGood(theirs, "myapps-blocked");
  const { json } = await stage.call("POST", `/apps/${chat.appid}/activate`, { token: chat.owner });
  assert.equal(json.errno, 42);

  await page.getByRole("button", { name: `End the block of ${name}` }).click();
  await page.getByText("Not blocked any more.").waitFor();
  await theirs.reload();
  await theirs.getByRole("button", { name: "Stop" }).waitFor();
  await chat.stream(t);
});
