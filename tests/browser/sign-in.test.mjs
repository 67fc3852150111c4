// The start page, signing in and out, and the page of an error.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, checkPage, BrowserUser } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

test("the pages before signing in are accessible and fit every screen", async (t) => {
  const server = await ScenarioServer.start(t);
  const visitor = await BrowserUser.open(t, server);
  const page = await visitor.tab("/");
  await checkPage(page, "home");
  await page.getByRole("link", { name: "Sign in" }).click();
  await checkPage(page, "sign-in");
  await page.goto("/dev");
  await page.getByRole("button", { name: "Create assertions" }).click();
  await checkPage(page, "development");
});

test("a missing page is a page for people and JSON for scripts", async (t) => {
  const server = await ScenarioServer.start(t);
  const visitor = await BrowserUser.open(t, server);
  visitor.ignores(/404/);
  const page = await visitor.tab();
  const answer = await page.goto("/nothing");
  assert.equal(answer.status(), 404);
  await page.getByRole("heading", { name: "Page not found" }).waitFor();
  await checkPage(page, "not-found");
  const { json } = await server.call("GET", "/nothing");
  assert.equal(json.errno, 47);
});

test("a user signs in, sees the own e-mail address, and signs out", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  const page = await alice.tab("/sign-in?return=/");
  await alice.fillSignIn("alice", page);
  await page.getByText("You are signed in.").waitFor();
  assert.equal(new URL(page.url()).pathname, "/");
  await page.getByTitle("alice@dev.localhost").waitFor();
  const [cookie] = (await alice.context.cookies()).filter(({ name }) => name === "presence");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Lax"]);
  await page.reload();
  assert.equal(await page.getByText("You are signed in.").count(), 0, "a notice is shown once");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.equal((await alice.context.cookies()).filter(({ name }) => name === "presence").length, 0);
  const { status } = await server.call("GET", "/session", { token: cookie.value });
  assert.equal(status, 401, "the session itself has ended");
});

test("signing in leads only to paths of this server", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  for (const elsewhere of ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]) {
    const page = await alice.tab(`/sign-in?return=${encodeURIComponent(elsewhere)}`);
    await alice.fillSignIn("alice", page);
    await page.waitForURL((url) => url.pathname !== "/sign-in");
    assert.equal(page.url(), `${server.url}/sidebar`, elsewhere);
    // The next sign-in ends this session, and the page would ask for another ticket.
    await page.close();
  }
});

test("in development mode both names of the loopback address work", async (t) => {
  const server = await ScenarioServer.start(t);
  const url = server.url.replace("127.0.0.1", "localhost");
  const alice = await BrowserUser.open(t, server, { origins: [url], baseURL: url });
  const page = await alice.signIn("alice");
  assert.equal(page.url(), `${url}/sidebar`);
  await page.locator('#connection[data-state="connected"]').waitFor();
});

test("a name or an e-mail full of markup is shown as text", async (t) => {
  const markup = '"><img src=x onerror=alert(1)>';
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/400/);
  const page = await alice.tab("/sign-in");
  await page.getByLabel("Name").fill(markup);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("This is not a valid name").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), markup);
  assert.equal(await page.locator("main img").count(), 0);
  await checkPage(page, "sign-in-refused");

  await page.goto("/dev");
  await page.getByLabel("E-mail").fill(markup);
  await page.getByRole("button", { name: "Create assertions" }).click();
  await page.locator("#problem").waitFor();
  assert.equal(await page.getByLabel("E-mail").inputValue(), markup);
  assert.equal(await page.locator("main img").count(), 0);
});

test("a form of another site cannot sign a user in", async (t) => {
  const server = await ScenarioServer.start(t);
  const evil = await server.domain();
  evil.pages["/"] = {
    type: "text/html",
    text: `<!doctype html><link rel=icon href=data:,><form method=post action="${server.url}/sign-in/development"><input name=name value=mallory><button>Win a prize</button></form>`,
  };
  const alice = await BrowserUser.open(t, server, { origins: [evil.origin] });
  alice.ignores(/403/);
  const page = await alice.tab(evil.origin);
  await page.getByRole("button").click();
  await page.getByRole("heading", { name: "This request did not come from our page" }).waitFor();
  assert.deepEqual(await alice.context.cookies(), []);
  await checkPage(page, "forbidden");
});
