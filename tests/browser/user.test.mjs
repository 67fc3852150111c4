// The user's half of the story: let an application in, be seen, be told something, and take it back.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { readFile } from "node:fs/promises";
import { closeBrowser, isAccessible, looksGood, Person } from "./browser.mjs";
import { Stage, within } from "./stage.mjs";

after(closeBrowser);

const connection = (page) => page.locator("#connection-text");
const connected = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const choose = (page, status) => page.locator(`#status input[value="${status}"]`).check();
const app = (page, name) => page.locator("#apps li").filter({ hasText: name });

test("a user lets an application in, is seen, is told something, and takes it back", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application("Chat", "A room where people talk.");
  const stream = await chat.stream(t);
  const alice = await Person.enter(t, stage, { origins: [chat.domain.origin] });

  // The application's own page sends her here; she signs in on the way.
  const link = chat.grantUrl({ redirect: `${chat.domain.origin}/back?room=7`, state: "s&1", id: "alice42" });
  chat.domain.pages["/"] = { type: "text/html", text: `<!doctype html><link rel=icon href=data:,><a href="${link.replaceAll("&", "&amp;")}">Let Chat see you</a>` };
  const page = await alice.tab(`${chat.domain.origin}/`);
  await page.getByRole("link").click();
  await page.getByText("An application wants to ask you something").waitFor();
  await alice.fillSignIn("alice", page);
  await page.getByRole("heading", { name: "May Chat see whether you can be reached?" }).waitFor();
  for (const said of [chat.domain.host, "A room where people talk.", "alice42", chat.domain.origin]) {
    await page.locator("main").getByText(said).first().waitFor();
  }
  await page.locator("main").getByText("alice@dev.localhost").waitFor();
  await looksGood(page, "grant");
  await page.getByRole("button", { name: "Yes, it may" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  const back = new URL(page.url());
  const uid = back.searchParams.get("Presence-UID");
  assert.match(uid, /^[0-9a-f]{32}$/);
  assert.deepEqual([back.origin, back.pathname, back.searchParams.get("room"), back.searchParams.get("state")],
    [chat.domain.origin, "/back", "7", "s&1"]);

  // She goes online in one tab, and the back end hears it under that name.
  await page.goto(`${stage.url}/sidebar`);
  await connected(page);
  await page.locator("#devices").getByText("this browser").waitFor();
  await choose(page, "online");
  const online = await stream.hears({ uid, status: "online" });
  assert.equal(JSON.stringify(online).includes("alice"), false);
  await page.locator("#seen").getByText("online").waitFor();
  await page.getByLabel("Status text").fill("on the train <b>");
  await page.getByRole("button", { name: "Set" }).click();
  await stream.hears({ uid, status: "online", message: "on the train <b>" });
  await choose(page, "unavailable");
  await stream.hears({ uid, status: "unavailable" });

  // She is told something, and what it leads to opens apart.
  await chat.notify(uid, "Lunch?", "https://chat.example/lunch?x=1");
  const shown = page.locator("#notifications li").filter({ hasText: "Lunch?" });
  await shown.getByRole("heading", { name: "Chat" }).waitFor();
  const open = shown.getByRole("link");
  assert.deepEqual(await open.evaluate(({ href, target, rel, referrerPolicy, textContent }) => ({ href, target, rel, referrerPolicy, textContent })), {
    href: "https://chat.example/lunch?x=1", target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer", textContent: "Open chat.example",
  });
  await page.locator("#apps time").first().waitFor();
  await looksGood(page, "sidebar");

  // It was acknowledged after it was shown: nothing waits for another device, and a reload shows it from this tab alone.
  const token = await stage.signIn("alice");
  await taken(stage, token);
  await page.reload();
  await connected(page);
  assert.equal(await page.locator("#notifications li").filter({ hasText: "Lunch?" }).count(), 1);
  assert.equal(await page.locator('#status input[value="unavailable"]').isChecked(), true);
  await stream.hears({ uid, status: "unavailable" });

  // Paused she looks offline, resumed as she is; the socket lives on meanwhile.
  await app(page, "Chat").getByRole("button", { name: "Pause Chat" }).click();
  await page.getByText("Paused. The application sees you offline").waitFor();
  await stream.hears({ uid, status: "offline" });
  await app(page, "Chat").getByText("paused").waitFor();
  await looksGood(page, "sidebar-paused");
  await app(page, "Chat").getByRole("button", { name: "Resume Chat" }).click();
  await stream.hears({ uid, status: "unavailable" });

  // Revoked she is gone for good.
  await app(page, "Chat").getByText("More").click();
  await isAccessible(page, "the sidebar with a grant unfolded");
  await app(page, "Chat").getByRole("button", { name: "Revoke Chat" }).click();
  await page.getByText("No application sees you.").waitFor();
  await stream.hears({ uid, revoked: true });
  await looksGood(page, "sidebar-empty");
  assert.notEqual(await chat.grantedBy("alice"), uid, "a new grant is a new name");
});

/** Waits until no notification waits. */
async function taken(stage, token) {
  const none = async () => {
    while ((await stage.ok("GET", "/account", { token })).notifications.length > 0) {
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  await within(none(), "the acknowledgement");
}

test("no is an answer too, and nothing is shared", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const alice = await Person.enter(t, stage, { origins: [chat.domain.origin] });
  const page = await alice.signIn("alice");
  await page.goto(chat.grantUrl({ redirect: `${chat.domain.origin}/back`, state: "s" }));
  await page.getByRole("button", { name: "No" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  assert.equal(new URL(page.url()).search, "?state=s");
  await page.goto(chat.grantUrl());
  await page.getByRole("button", { name: "Yes, it may" }).click();
  await page.getByText("Chat may now see whether you can be reached.").waitFor();
  await looksGood(page, "granted");
  await page.goto(chat.grantUrl());
  await page.getByText("You have said yes before.").waitFor();
  await looksGood(page, "grant-again");
});

test("a device is ended from the page, and this one can come back", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  const page = await alice.signIn("alice");
  await connected(page);
  const here = page.locator("#devices li").filter({ hasText: "this browser" });
  await here.waitFor();
  await here.getByRole("button").click();
  await page.getByText("The device was signed off.").waitFor();
  await connection(page).getByText("You have signed this device off.").waitFor();
  await page.getByText("No device of yours is connected.").waitFor();
  await looksGood(page, "sidebar-ended");
  await page.getByRole("button", { name: "Connect again" }).click();
  await connected(page);
  await here.waitFor();
});

test("a second tab takes over, and the first says so", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  const first = await alice.signIn("alice");
  await connected(first);
  const second = await alice.tab("/sidebar");
  await connected(second);
  await connection(first).getByText("Another tab of this browser has taken over.").waitFor();
  await first.getByRole("button", { name: "Use this tab" }).click();
  await connected(first);
  await connection(second).getByText("Another tab of this browser has taken over.").waitFor();
});

test("the page comes back by itself after the server was gone, and says again what was said", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const uid = await chat.grantedBy("alice");
  const alice = await Person.enter(t, stage);
  alice.forgives(/ERR_CONNECTION_(REFUSED|RESET)|WebSocket connection/);
  const page = await alice.signIn("alice");
  await choose(page, "online");
  await page.locator("#seen").getByText("online").waitFor();
  await stage.kill();
  await connection(page).getByText("No connection.").waitFor();
  await page.getByText(/^\(in \d+ s\)$/).waitFor();
  await page.locator("#seen").getByText("nothing").waitFor();
  await looksGood(page, "sidebar-waiting");
  await stage.restart();
  await connected(page);
  const stream = await chat.stream(t);
  await stream.hears({ uid, status: "online" });
});

test("without a network the page says so, and comes back with it", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  alice.forgives(/ERR_INTERNET_DISCONNECTED|WebSocket connection/);
  const page = await alice.signIn("alice");
  await connected(page);
  await alice.context.setOffline(true);
  await connection(page).getByText("Your computer is offline.").waitFor();
  await alice.context.setOffline(false);
  await connected(page);
});

test("signing out elsewhere ends the socket, and the page says so", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  alice.forgives(/401/);
  const page = await alice.signIn("alice");
  await connected(page);
  const other = await alice.tab("/");
  await other.getByRole("button", { name: "Sign out" }).click();
  await connection(page).getByText("You are signed out.").waitFor();
});

test("everything kept about somebody can be saved, and erased once they are sure", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const uid = await chat.grantedBy("alice");
  const stream = await chat.stream(t);
  const alice = await Person.enter(t, stage);
  alice.forgives(/401/);
  const page = await alice.signIn("alice");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Save a copy" }).click()]);
  assert.equal(download.suggestedFilename(), "presence-account.json");
  const saved = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.deepEqual([saved.email, saved.grants[0].uid], ["alice@dev.localhost", uid]);

  await page.getByRole("link", { name: "Erase my account…" }).click();
  await looksGood(page, "erase");
  await page.getByLabel("To be sure").fill("bob@dev.localhost");
  await page.getByRole("button", { name: "Erase everything" }).click();
  await page.getByText("Nothing was erased").waitFor();
  await page.getByLabel("To be sure").fill("alice@dev.localhost");
  await page.getByRole("button", { name: "Erase everything" }).click();
  await page.getByText("Your account is erased.").waitFor();
  await stream.hears({ uid, revoked: true });
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  await page.goto("/sidebar");
  await page.getByRole("main").getByRole("link", { name: "Sign in" }).waitFor();
});

test("without scripts all but the status works", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const uid = await chat.grantedBy("alice");
  const alice = await Person.enter(t, stage, { javaScriptEnabled: false });
  const page = await alice.signIn("alice");
  assert.match(await page.locator("noscript").innerHTML(), /need scripts/);
  await page.getByRole("button", { name: "Pause Chat" }).click();
  await page.getByText("Paused. The application sees you offline").waitFor();
  const token = await stage.signIn("alice");
  const [grant] = (await stage.ok("GET", "/grants", { token })).grants;
  assert.deepEqual([grant.uid, grant.paused], [uid, true]);
});
