// The pages of a user: permission, status, notifications, devices and the account.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { readFile } from "node:fs/promises";
import { closeBrowser, checkAccessibility, checkPage, BrowserUser } from "./browser.mjs";
import { ScenarioServer, within } from "./scenario.mjs";

after(closeBrowser);

const connection = (page) => page.locator("#connection-text");
const connected = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const choose = (page, status) => page.locator(`#status input[value="${status}"]`).check();
const app = (page, name) => page.locator("#apps li").filter({ hasText: name });

test("a user gives permission, sets a status, gets a notification, pauses and revokes", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application("Chat", "A room where people talk.");
  const stream = await chat.stream(t);
  const alice = await BrowserUser.open(t, server, { origins: [chat.domain.origin] });

  // The application's website links to the request, and the user signs in on the way.
  const link = chat.grantUrl({ redirect: `${chat.domain.origin}/back?room=7`, state: "s&1", id: "alice42" });
  chat.domain.pages["/"] = { type: "text/html", text: `<!doctype html><link rel=icon href=data:,><a href="${link.replaceAll("&", "&amp;")}">Let Chat see you</a>` };
  const page = await alice.tab(`${chat.domain.origin}/`);
  await page.getByRole("link").click();
  await page.getByText("An Application asks for your permission").waitFor();
  await alice.fillSignIn("alice", page);
  await page.getByRole("heading", { name: "Allow Chat to see your status?" }).waitFor();
  for (const text of [chat.domain.host, "A room where people talk.", "alice42", chat.domain.origin]) {
    await page.locator("main").getByText(text).first().waitFor();
  }
  await page.locator("main").getByText("alice@dev.localhost").waitFor();
  await checkPage(page, "grant");
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  const back = new URL(page.url());
  const uid = back.searchParams.get("Presence-UID");
  assert.match(uid, /^[0-9a-f]{32}$/);
  assert.deepEqual([back.origin, back.pathname, back.searchParams.get("room"), back.searchParams.get("state")],
    [chat.domain.origin, "/back", "7", "s&1"]);

  // The user goes online in one tab, and the back end receives the status under the PUID.
  await page.goto(`${server.url}/sidebar`);
  await connected(page);
  await page.locator("#devices").getByText("this browser").waitFor();
  await choose(page, "online");
  const online = await stream.receives({ uid, status: "online" });
  assert.equal(JSON.stringify(online).includes("alice"), false);
  await page.locator("#current-status").getByText("online").waitFor();
  await page.getByLabel("Status text").fill("on the train <b>");
  await page.getByRole("button", { name: "Save" }).click();
  await stream.receives({ uid, status: "online", message: "on the train <b>" });
  await choose(page, "unavailable");
  await stream.receives({ uid, status: "unavailable" });

  // A notification is shown, and its link opens in another tab.
  await chat.notify(uid, "Lunch?", "https://chat.example/lunch?x=1");
  const shown = page.locator("#notifications li").filter({ hasText: "Lunch?" });
  await shown.getByRole("heading", { name: "Chat" }).waitFor();
  const open = shown.getByRole("link");
  assert.deepEqual(await open.evaluate(({ href, target, rel, referrerPolicy, textContent }) => ({ href, target, rel, referrerPolicy, textContent })), {
    href: "https://chat.example/lunch?x=1", target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer", textContent: "Open chat.example",
  });
  await app(page, "Chat").getByText("last checked now").waitFor();
  await checkPage(page, "sidebar");

  // It was acknowledged after it was shown: none waits for another device, and a reload shows it
  // from the storage of this tab.
  const token = await server.signIn("alice");
  await allAcknowledged(server, token);
  await page.reload();
  await connected(page);
  assert.equal(await page.locator("#notifications li").filter({ hasText: "Lunch?" }).count(), 1);
  assert.equal(await page.locator('#status input[value="unavailable"]').isChecked(), true);
  await stream.receives({ uid, status: "unavailable" });

  // Paused, the user appears offline; resumed, the status is visible again. The socket stays open.
  await app(page, "Chat").getByRole("button", { name: "Pause Chat" }).click();
  await page.getByText("Paused. The Application sees you as offline").waitFor();
  await stream.receives({ uid, status: "offline" });
  await app(page, "Chat").getByText("paused").waitFor();
  await checkPage(page, "sidebar-paused");
  await app(page, "Chat").getByRole("button", { name: "Resume Chat" }).click();
  await stream.receives({ uid, status: "unavailable" });

  // After a revoke the user cannot be seen any more.
  await app(page, "Chat").getByText("More").click();
  await checkAccessibility(page, "the sidebar with a grant unfolded");
  await app(page, "Chat").getByRole("button", { name: "Revoke Chat" }).click();
  await page.getByText("No Application can see you.").waitFor();
  await stream.receives({ uid, revoked: true });
  await checkPage(page, "sidebar-empty");
  assert.notEqual(await chat.grantedBy("alice"), uid, "a new grant has a new PUID");
});

/** Waits until all notifications are acknowledged. */
async function allAcknowledged(server, token) {
  const none = async () => {
    while ((await server.ok("GET", "/account", { token })).notifications.length > 0) {
      await new Promise((done) => setTimeout(done, 20));
    }
  };
  await within(none(), "the acknowledgement");
}

test("without permission nothing is shared", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const alice = await BrowserUser.open(t, server, { origins: [chat.domain.origin] });
  const page = await alice.signIn("alice");
  await page.goto(chat.grantUrl({ redirect: `${chat.domain.origin}/back`, state: "s" }));
  await page.getByRole("button", { name: "Do not allow" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  assert.equal(new URL(page.url()).search, "?error=access_denied&state=s");
  await page.goto(chat.grantUrl());
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.getByText("Chat can now see your status.").waitFor();
  await checkPage(page, "granted");
  await page.goto(chat.grantUrl());
  await page.getByText("You allowed this before.").waitFor();
  await checkPage(page, "grant-again");
});

test("a device is disconnected from the page, and can connect again", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  const page = await alice.signIn("alice");
  await connected(page);
  const thisDevice = page.locator("#devices li").filter({ hasText: "this browser" });
  await thisDevice.waitFor();
  await thisDevice.getByRole("button").click();
  await page.getByText("The device was disconnected. This browser stays signed in.").waitFor();
  await connection(page).getByText("You disconnected this device. This browser stays signed in.").waitFor();
  await page.getByText("No device of yours is connected.").waitFor();
  await checkPage(page, "sidebar-ended");
  await page.getByRole("button", { name: "Connect again" }).click();
  await connected(page);
  await thisDevice.waitFor();
});

test("a second tab replaces the first, which says so", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  const first = await alice.signIn("alice");
  await connected(first);
  const second = await alice.tab("/sidebar");
  await connected(second);
  await connection(first).getByText("Another tab of this browser is connected.").waitFor();
  await first.getByRole("button", { name: "Use this tab" }).click();
  await connected(first);
  await connection(second).getByText("Another tab of this browser is connected.").waitFor();
});

test("after a restart of the server the page reconnects and sends the status again", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const uid = await chat.grantedBy("alice");
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/ERR_CONNECTION_(REFUSED|RESET)|WebSocket connection/);
  const page = await alice.signIn("alice");
  await choose(page, "online");
  await page.locator("#current-status").getByText("online").waitFor();
  await server.kill();
  await connection(page).getByText("Connection lost.").waitFor();
  await page.getByText(/^\(in \d+ s\)$/).waitFor();
  await page.locator("#current-status").getByText("not connected").waitFor();
  await checkPage(page, "sidebar-waiting");
  await server.restart();
  await connected(page);
  const stream = await chat.stream(t);
  await stream.receives({ uid, status: "online" });
});

test("without a network the page says so, and reconnects when the network is back", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/ERR_INTERNET_DISCONNECTED|WebSocket connection/);
  const page = await alice.signIn("alice");
  await connected(page);
  await alice.context.setOffline(true);
  await connection(page).getByText("You are not connected to the internet.").waitFor();
  await alice.context.setOffline(false);
  await connected(page);
});

test("signing out in another tab ends the socket, and the page says so", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/401/);
  const page = await alice.signIn("alice");
  await connected(page);
  const other = await alice.tab("/");
  await other.getByRole("button", { name: "Sign out" }).click();
  await connection(page).getByText("You are signed out.").waitFor();
});

test("a user downloads the own data, and erases the account after confirming", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const uid = await chat.grantedBy("alice");
  const stream = await chat.stream(t);
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/401/);
  const page = await alice.signIn("alice");
  const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("link", { name: "Download my data" }).click()]);
  assert.equal(download.suggestedFilename(), "presence-account.json");
  const saved = JSON.parse(await readFile(await download.path(), "utf8"));
  assert.deepEqual([saved.email, saved.grants[0].uid], ["alice@dev.localhost", uid]);

  await page.getByRole("link", { name: "Erase my account…" }).click();
  await checkPage(page, "erase");
  await page.getByLabel("To confirm").fill("bob@dev.localhost");
  await page.getByRole("button", { name: "Erase my account" }).click();
  await page.getByText("Nothing was erased").waitFor();
  await page.getByLabel("To confirm").fill("alice@dev.localhost");
  await page.getByRole("button", { name: "Erase my account" }).click();
  await page.getByText("Your account was erased.").waitFor();
  await stream.receives({ uid, revoked: true });
  assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length), 0);
  await page.goto("/sidebar");
  await page.getByRole("main").getByRole("link", { name: "Sign in" }).waitFor();
});

test("without JavaScript everything except the status works", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const uid = await chat.grantedBy("alice");
  const alice = await BrowserUser.open(t, server, { javaScriptEnabled: false });
  const page = await alice.signIn("alice");
  assert.match(await page.locator("noscript").innerHTML(), /need JavaScript/);
  await page.getByRole("button", { name: "Pause Chat" }).click();
  await page.getByText("Paused. The Application sees you as offline").waitFor();
  const token = await server.signIn("alice");
  const [grant] = (await server.ok("GET", "/grants", { token })).grants;
  assert.deepEqual([grant.uid, grant.paused], [uid, true]);
});
