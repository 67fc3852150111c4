// The page “My presence”: where the user is signed in, who sees the user and when, and how the page
// stays current.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, checkPage, BrowserUser } from "./browser.mjs";
import { ScenarioServer, within } from "./scenario.mjs";

after(closeBrowser);

const connection = (page) => page.locator("#connection-text");
const connected = (page) => page.locator('#connection[data-state="connected"]').waitFor();
const app = (page, name) => page.locator("#apps li").filter({ hasText: name });
const sessions = (page) => page.locator("#sessions li");
/** Returns the name of this browser as a device. */
const deviceOf = (page) => page.evaluate(() => JSON.parse(localStorage.getItem("presence")).device);

/** Opens a browser of its own in which Alice is signed in. */
async function signedIn(t, server) {
  const user = await BrowserUser.open(t, server);
  user.ignores(/401/);
  const page = await user.signIn("alice");
  await connected(page);
  return page;
}

/** Waits until a page says that its browser is signed out, also after a reload. */
async function isSignedOut(page) {
  await connection(page).getByText("You are signed out.").waitFor();
  await page.locator("#freshness").getByText("You are signed out, so the lists").waitFor();
  await page.reload();
  await page.getByRole("main").getByRole("link", { name: "Sign in" }).waitFor();
}

test("a refresh while a form is sent does not stop the refreshes", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  await chat.grantedBy("alice");
  const page = await signedIn(t, server);
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  await page.route("**/sidebar/pause", async (route) => {
    await held;
    await route.continue();
  });
  const asked = page.waitForRequest("**/sidebar/pause");
  await app(page, "Chat").getByRole("button", { name: "Pause Chat" }).click();
  await asked;
  await page.evaluate(async () => {
    const sidebar = document.querySelector('script[src*="sidebar.js"]').src;
    const { refresh } = await import(new URL("live.js", sidebar).href);
    await refresh();
  });
  release();
  await page.getByText("Paused. The Application sees you as offline").waitFor();
  const token = await server.signIn("alice");
  await server.ok("PATCH", `/grants/${chat.appid}`, { token, body: { paused: false } });
  await app(page, "Chat").getByText("allowed", { exact: true }).waitFor();
});

test("a user sees where they are signed in, and ends other sessions", async (t) => {
  const server = await ScenarioServer.start(t);
  const [first, second, third] = [await signedIn(t, server), await signedIn(t, server), await signedIn(t, server)];
  await sessions(first).nth(2).waitFor();
  assert.equal(await sessions(first).count(), 3);
  const own = sessions(first).filter({ hasText: "this session" });
  assert.equal(await own.count(), 1);
  await own.getByText(await deviceOf(first)).waitFor();
  assert.equal(await own.getByRole("button").count(), 0, "the own session is ended by signing out");
  await checkPage(first, "sidebar-sessions");

  await sessions(first).filter({ hasText: await deviceOf(second) }).getByRole("button", { name: /^End/ }).click();
  await first.getByText("That session has ended, and its devices were disconnected.").waitFor();
  await isSignedOut(second);
  assert.equal(await sessions(first).count(), 2);
  await sessions(third).nth(2).waitFor({ state: "detached" });
  await connected(third);

  await first.getByRole("button", { name: "End all others" }).click();
  await first.getByText("All other sessions have ended, and their devices were disconnected.").waitFor();
  await isSignedOut(third);
  await sessions(first).nth(1).waitFor({ state: "detached" });
  await own.waitFor();
  assert.equal(await first.getByRole("button", { name: "End all others" }).count(), 0);
  await connected(first);
});

test("the status that applications see is right while the focus is on the list", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  await chat.grantedBy("alice");
  const page = await signedIn(t, server);
  const pause = app(page, "Chat").getByRole("button", { name: "Pause Chat" });
  await app(page, "Chat").getByText("More").click();
  await pause.focus();
  const phone = await server.device(t, "alice", "on the train");
  await app(page, "Chat").locator(".seen-status").getByText("online", { exact: true }).waitFor();
  await page.locator("#apps .status.online").waitFor();
  assert.equal(await pause.evaluate((button) => button === document.activeElement), true);
  assert.equal(await app(page, "Chat").locator("details").getAttribute("open"), "", "it stays unfolded");
  phone.close();
  await app(page, "Chat").locator(".seen-status").getByText("offline", { exact: true }).waitFor();
  assert.equal(await pause.evaluate((button) => button === document.activeElement), true);
});

test("a user sees when an application checked this user, and never a check before the grant", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const check = () => server.ok("GET", `/apps/${chat.appid}/presence`, { token: chat.key });
  const page = await signedIn(t, server);

  // Checks before the grant are none of this user.
  await check();
  await chat.grantedBy("alice");
  const row = app(page, "Chat");
  await row.getByText("never checked").waitFor();
  await check();
  await row.getByText("last checked").waitFor();
  await row.locator("p time").waitFor();

  // An open socket gets each change at once, and its end is the last check.
  const stream = await chat.stream(t);
  await row.getByText("last checked now").waitFor();
  stream.close();
  await row.locator("p time").waitFor();
});

test("an application under a new domain asks again", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const uid = await chat.grantedBy("alice");
  const page = await signedIn(t, server);
  const row = app(page, "Chat");
  await row.getByText("allowed", { exact: true }).waitFor();

  const domain = await server.domain();
  const path = `/apps/${chat.appid}`;
  const changed = await server.ok("PATCH", path, { token: chat.owner, body: { domain: domain.host } });
  await row.getByText("asks again under a new domain").waitFor();
  assert.equal(await row.getByRole("link").count(), 0, "there is nothing to allow before the new domain is proven");
  domain.pages["/__presence"] = { type: "text/plain", text: changed.domain_key };
  await server.ok("POST", `${path}/verify`, { token: chat.owner });
  await server.ok("POST", `${path}/activate`, { token: chat.owner });
  await row.getByText(`You allowed this under ${chat.domain.host}.`).waitFor();
  await row.getByText("cannot check until you allow it").waitFor();
  await row.getByRole("link", { name: "Allow or revoke" }).waitFor();
  await checkPage(page, "sidebar-new-domain");

  await row.getByRole("link", { name: "Allow or revoke" }).click();
  await page.getByText("The Application asks again under a new domain").waitFor();
  await page.getByText(domain.host).first().waitFor();
  await checkPage(page, "grant-new-domain");
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.getByText("Chat can now see your status.").waitFor();
  await page.goto("/sidebar");
  await row.getByText("allowed", { exact: true }).waitFor();
  const token = await server.signIn("alice");
  const [grant] = (await server.ok("GET", "/grants", { token })).grants;
  assert.deepEqual([grant.uid, grant.waiting, grant.granted_domain], [uid, false, domain.host]);
});

test("a visible page asks for changes only, and gets its content again after a change", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  const statuses = [];
  let onLoad;
  alice.context.on("response", (response) => {
    if (new URL(response.url()).pathname !== "/sidebar" || response.request().resourceType() !== "fetch") return;
    statuses.push(response.status());
    onLoad?.();
  });
  /** Waits until the last responses have these statuses. */
  const last = (...expected) => within(new Promise((resolve) => {
    onLoad = () => { if (expected.every((status, place) => statuses.at(place - expected.length) === status)) resolve(); };
  }), `the statuses ${expected}`);
  const page = await alice.signIn("alice");
  await connected(page);
  await last(304, 304, 304);
  await server.device(t, "alice", "a change");
  await page.locator("#devices").getByText("a change").waitFor();
  assert.ok(statuses.includes(200));
  await last(304, 304, 304);
  assert.equal(await page.locator("#freshness").isHidden(), true);
});
