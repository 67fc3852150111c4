// The way in: home, signing in and out, what is not there, and who may send what.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, looksGood, Person } from "./browser.mjs";
import { Stage } from "./stage.mjs";

after(closeBrowser);

test("the pages before signing in look good on every screen and to every reader", async (t) => {
  const stage = await Stage.start(t);
  const somebody = await Person.enter(t, stage);
  const page = await somebody.tab("/");
  await looksGood(page, "home");
  await page.getByRole("link", { name: "Sign in" }).click();
  await looksGood(page, "sign-in");
  await page.goto("/dev");
  await page.getByRole("button", { name: "Make assertions" }).click();
  await looksGood(page, "development");
});

test("a page that is not there says so in plain words, and to a script in JSON", async (t) => {
  const stage = await Stage.start(t);
  const somebody = await Person.enter(t, stage);
  somebody.forgives(/404/);
  const page = await somebody.tab();
  const answer = await page.goto("/nothing");
  assert.equal(answer.status(), 404);
  await page.getByRole("heading", { name: "There is nothing here" }).waitFor();
  await looksGood(page, "not-found");
  const { json } = await stage.call("GET", "/nothing");
  assert.equal(json.errno, 47);
});

test("somebody signs in, is shown who they are, and signs out", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  const page = await alice.tab("/sign-in?return=/");
  await alice.fillSignIn("alice", page);
  await page.getByText("You are signed in.").waitFor();
  assert.equal(new URL(page.url()).pathname, "/");
  await page.getByTitle("alice@dev.localhost").waitFor();
  const [cookie] = (await alice.context.cookies()).filter(({ name }) => name === "presence");
  assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Lax"]);
  await page.reload();
  assert.equal(await page.getByText("You are signed in.").count(), 0, "a notice is said once");
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.equal((await alice.context.cookies()).filter(({ name }) => name === "presence").length, 0);
  const { status } = await stage.call("GET", "/session", { token: cookie.value });
  assert.equal(status, 401, "the session itself has ended");
});

test("signing in leads back to paths of this server only", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  // Each signing in ends the session before it, of which the earlier tabs are told.
  alice.forgives(/403/);
  for (const elsewhere of ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)"]) {
    const page = await alice.tab(`/sign-in?return=${encodeURIComponent(elsewhere)}`);
    await alice.fillSignIn("alice", page);
    await page.waitForURL((url) => url.pathname !== "/sign-in");
    assert.equal(page.url(), `${stage.url}/sidebar`, elsewhere);
  }
});

test("in development mode the server is reached by both names of the loopback address", async (t) => {
  const stage = await Stage.start(t);
  const url = stage.url.replace("127.0.0.1", "localhost");
  const alice = await Person.enter(t, stage, { origins: [url], baseURL: url });
  const page = await alice.signIn("alice");
  assert.equal(page.url(), `${url}/sidebar`);
  await page.locator('#connection[data-state="connected"]').waitFor();
});

test("a name or an e-mail full of markup is shown as text", async (t) => {
  const markup = '"><img src=x onerror=alert(1)>';
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  alice.forgives(/400/);
  const page = await alice.tab("/sign-in");
  await page.getByLabel("Name").fill(markup);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByText("That cannot be a name").waitFor();
  assert.equal(await page.getByLabel("Name").inputValue(), markup);
  assert.equal(await page.locator("main img").count(), 0);
  await looksGood(page, "sign-in-refused");

  await page.goto("/dev");
  await page.getByLabel("E-mail").fill(markup);
  await page.getByRole("button", { name: "Make assertions" }).click();
  await page.locator("#problem").waitFor();
  assert.equal(await page.getByLabel("E-mail").inputValue(), markup);
  assert.equal(await page.locator("main img").count(), 0);
});

test("nobody can sign in by a form of another site", async (t) => {
  const stage = await Stage.start(t);
  const evil = await stage.domain();
  evil.pages["/"] = {
    type: "text/html",
    text: `<!doctype html><link rel=icon href=data:,><form method=post action="${stage.url}/sign-in/development"><input name=name value=mallory><button>Win a prize</button></form>`,
  };
  const alice = await Person.enter(t, stage, { origins: [evil.origin] });
  alice.forgives(/403/);
  const page = await alice.tab(evil.origin);
  await page.getByRole("button").click();
  await page.getByRole("heading", { name: "This was not sent from our page" }).waitFor();
  assert.deepEqual(await alice.context.cookies(), []);
  await looksGood(page, "forbidden");
});
