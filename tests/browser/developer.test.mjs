// The pages of a developer: registration, verification, activation, keys and the console.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { after, test } from "node:test";
import { closeBrowser, checkPage, BrowserUser, shortened } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

const key = (page) => page.getByLabel("The API key", { exact: true });
const status = (page) => page.locator("#state");
const log = (page) => page.locator("#log");

/** Signs a developer in, and opens the list of Applications. */
async function developer(t, server, name = "dev", options = {}) {
  const dev = await BrowserUser.open(t, server, options);
  // A form with an error in it is answered with one of these.
  dev.ignores(/status of (400|404|409|403|429)/);
  const page = await dev.tab("/myapps");
  await dev.fillSignIn(name, page);
  await page.getByRole("heading", { name: "My Applications" }).waitFor();
  return { dev, page };
}

/** Registers an Application through the page, and opens the page of the Application. */
async function register(page, { name, domain, description = "" }) {
  await page.goto("/myapps/new");
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Domain").fill(domain);
  await page.getByLabel("Description").fill(description);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByText("Registered. Next, verify").waitFor();
}

/** Verifies the domain and activates the Application; returns the API key. */
async function activate(page, domain) {
  domain.pages["/__presence"] = { type: "text/plain", text: await page.getByLabel("The domain key").inputValue() };
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("Your domain is verified.").waitFor();
  await page.getByRole("button", { name: "Activate", exact: true }).click();
  return key(page).inputValue();
}

/** Opens the console and connects. */
async function connect(page, apiKey) {
  await page.getByRole("link", { name: "Console" }).click();
  await page.getByLabel("API key").fill(apiKey);
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await status(page).getByText("Connected", { exact: true }).waitFor();
}

test("a developer registers an Application, verifies it, activates it, uses the console, replaces a key and deactivates it", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const { dev, page } = await developer(t, server, "dev", { permissions: ["clipboard-read", "clipboard-write"] });
  await page.getByRole("heading", { name: "No Applications yet" }).waitFor();
  await checkPage(page, "myapps-none");

  // Errors are shown beside the fields, and nothing typed is lost.
  await page.getByRole("link", { name: "Register an Application" }).click();
  const description = "Chess by mail. One move a day.";
  await page.getByLabel("Description").fill("Chess by mail.\nOne move a day.");
  await page.getByLabel("Domain").fill("no host");
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByText("Enter a name.").waitFor();
  await page.getByText("This is not a domain name.").waitFor();
  assert.equal(await page.getByLabel("Domain").inputValue(), "no host");
  assert.equal(await page.getByLabel("Description").inputValue(), description);
  await checkPage(page, "myapps-new-refused");
  await page.getByLabel("Name").fill("Chess");
  await page.getByLabel("Domain").fill(`http://${domain.host}/`);
  await page.getByRole("button", { name: "Register" }).click();
  await page.getByText("Registered. Next, verify").waitFor();
  await page.getByRole("link", { name: `http://${domain.host}/__presence` }).waitFor();

  // The domain does not show the key yet, and the page says so.
  domain.pages["/__presence"] = { status: 404, type: "text/plain", text: "SECRET OF THE DOMAIN" };
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("The page was not found on the server").waitFor();
  assert.equal((await page.content()).includes("SECRET OF THE DOMAIN"), false);
  await checkPage(page, "myapps-unverified");
  const path = new URL(page.url()).pathname;
  assert.match(path, /^\/myapps\/[0-9a-f]{32}$/, "a reload tries nothing again");
  domain.pages["/__presence"] = { type: "text/plain", text: "presence-domain-key-of-another" };
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("The page does not show the key.").waitFor();
  await page.getByRole("button", { name: "Copy" }).first().click();
  await page.getByRole("button", { name: "Copied" }).waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(copied, /^presence-domain-key-[0-9a-f]{32}$/);
  await page.getByText(`presence-server prove-domain --domain ${domain.host} --key ${copied}`, { exact: true }).waitFor();
  domain.pages["/__presence"] = { type: "text/plain", text: `${copied}\n` };
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("Your domain is verified.").waitFor();

  // The key is shown once, and not again after a reload.
  await page.getByRole("button", { name: "Activate", exact: true }).click();
  await page.getByText("This key is shown only once.").waitFor();
  const first = await key(page).inputValue();
  assert.match(first, /^prs_test_/);
  await checkPage(page, "myapps-key");
  assert.equal(new URL(page.url()).pathname, path);
  await page.reload();
  await page.getByText("active").first().waitFor();
  assert.equal(await key(page).count(), 0);
  const shown = await page.content();
  assert.equal(shown.includes(first), false);
  await page.getByText(`${first.slice(0, 17)}…`).waitFor();
  assert.equal(await page.locator("table.stacked tbody tr").count(), 1, "the reload made no other key");
  await checkPage(page, "myapps-active");

  // The console shows a user under the PUID, and nothing else about the user.
  const appid = path.split("/").at(-1);
  const sockets = [];
  page.on("websocket", (socket) => sockets.push(socket.url()));
  await connect(page, first);
  await page.getByText("No users are online or unavailable.").waitFor();
  const alice = await server.signIn("alice");
  const { uid } = await server.ok("POST", `/grant/${appid}`, { token: alice, body: {} });
  const phone = await server.device(t, "alice", "on the train");
  await page.locator("#users").getByRole("button", { name: uid }).waitFor();
  await page.locator("#users").getByText("online").waitFor();
  await page.locator("#users").getByText("on the train").waitFor();
  assert.equal((await page.content()).includes("alice"), false);

  // A notification is stored and delivered, and its receipt arrives.
  await page.getByRole("button", { name: uid }).click();
  assert.equal(await page.getByLabel("To (PUID)").inputValue(), uid);
  await page.getByLabel("Message").fill("Your move");
  await page.getByRole("button", { name: "Send" }).click();
  const { notifications } = await phone.receives(({ notifications }) => notifications);
  assert.deepEqual([notifications[0].source, notifications[0].message], ["Chess", "Your move"]);
  await page.locator("#sent").getByText("delivered").waitFor();
  await log(page).getByText("receipt").waitFor();
  await page.getByLabel("To (PUID)").fill("0".repeat(32));
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#sent").getByText(/^44: /).waitFor();
  await checkPage(page, "console");
  assert.deepEqual(sockets, [`${server.url.replace("http", "ws")}/myapps/${appid}`], "the key is in no URL");
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.equal(kept.includes(first) || (await page.content()).includes(first), false, "the key is kept nowhere");

  // The old key is replaced and deleted, and its connections are closed.
  const overview = await dev.tab(path);
  await overview.getByRole("button", { name: "Create another key" }).click();
  const second = await key(overview).inputValue();
  assert.notEqual(second, first);
  await overview.getByText(`Delete… ${first.slice(0, 17)}`).click();
  await overview.getByRole("button", { name: "Delete key" }).click();
  await overview.getByText("The key was deleted").waitFor();
  await page.getByText("this key was deleted").waitFor();
  await status(page).getByText("Not connected").waitFor();
  await checkPage(page, "console-ended");
  await page.getByLabel("API key").fill(second);
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await status(page).getByText("Connected", { exact: true }).waitFor();
  await page.locator("#users").getByText("online").waitFor();

  // An inactive Application receives nothing, even with a valid key.
  await overview.getByRole("button", { name: "Deactivate" }).click();
  await overview.getByText("Deactivated. Its connections were closed").waitFor();
  await status(page).getByText("Not connected").waitFor();
  await overview.getByRole("button", { name: "Activate", exact: true }).click();
  await overview.getByText("Activated. The Application receives").waitFor();
  assert.equal(await key(overview).count(), 0, "a key is made on the first start only");
  await overview.goto("/myapps");
  await checkPage(overview, "myapps");
});

test("each reason why a domain cannot be verified has its own text", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const { page } = await developer(t, server);
  const closed = createServer().listen(0, "127.0.0.1");
  await once(closed, "listening");
  const { port } = closed.address();
  await new Promise((done) => closed.close(done));
  await register(page, { name: "Nowhere", domain: `127.0.0.1:${port}` });
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("We could not connect: no program of this machine answers").waitFor();
  await register(page, { name: "Elsewhere", domain: domain.host });
  domain.pages["/__presence"] = { status: 302, type: "text/plain", text: "", headers: { location: "/other" } };
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("answers with a redirect").waitFor();
  domain.pages["/__presence"] = { status: 500, type: "text/plain", text: "" };
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("status 500").waitFor();
  await register(page, { name: "No such host", domain: "presence-test.invalid" });
  await page.getByRole("button", { name: "Verify" }).click();
  await page.getByText("The domain was not found.").waitFor();
});

test("a changed domain must be verified again, and removal requires typing the domain", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const { page } = await developer(t, server);
  await register(page, { name: "Chess", domain: domain.host });
  await activate(page, domain);
  await page.getByRole("link", { name: "Change" }).click();
  await page.getByText("If you change the domain").waitFor();
  await checkPage(page, "myapps-change");
  await page.getByLabel("Name").fill("Go");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("Your changes were saved.").waitFor();
  await page.getByRole("heading", { name: "Go active" }).waitFor();
  await page.getByRole("link", { name: "Change" }).click();
  await page.getByLabel("Domain").fill("localhost:3000");
  await page.getByRole("button", { name: "Save" }).click();
  await page.getByText("inactive until you verify the new domain").waitFor();
  await page.getByRole("heading", { name: "Go not verified" }).waitFor();
  await page.getByRole("link", { name: "Remove this Application…" }).click();
  await checkPage(page, "myapps-remove");
  await page.getByLabel("type the domain").fill(domain.host);
  await page.getByRole("button", { name: "Remove permanently" }).click();
  await page.getByText("This is not the domain of the Application. Nothing was removed.").waitFor();
  await page.getByLabel("type the domain").fill("localhost:3000");
  await page.getByRole("button", { name: "Remove permanently" }).click();
  await page.getByText("all its data were removed").waitFor();
  await page.getByRole("heading", { name: "No Applications yet" }).waitFor();
});

test("an Application of another developer does not exist for any request", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const { page } = await developer(t, server);
  await register(page, { name: "Mine", domain: domain.host });
  const path = new URL(page.url()).pathname;
  const { page: other } = await developer(t, server, "other");
  for (const below of ["", "/change", "/remove", "/console"]) {
    const answer = await other.goto(path + below);
    assert.equal(answer.status(), 404, below);
    await other.getByRole("heading", { name: "This Application does not exist" }).waitFor();
  }
  const body = { name: "Taken", domain: domain.host };
  await other.goto("/myapps/new");
  const refused = await other.evaluate(async ([path, body]) => {
    const csrf_token = document.querySelector('main [name="csrf_token"]').value;
    const send = async (below) => (await fetch(path + below, {
      method: "POST", redirect: "manual", body: new URLSearchParams({ csrf_token, ...body }), headers: { accept: "application/json" },
    })).status;
    const all = [];
    for (const below of ["/verify", "/activate", "/deactivate", "/change", "/remove", "/keys", "/keys/1/delete"]) all.push(await send(below));
    return all;
  }, [path, body]);
  assert.deepEqual(refused, Array(7).fill(404));
  await page.reload();
  await page.getByRole("heading", { name: "Mine not verified" }).waitFor();
});

test("names, descriptions and status texts full of markup are shown as text", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const markup = `"'><img src=x onerror=alert(1)><script>alert(1)</script></textarea>{{1}}`;
  const { page } = await developer(t, server);
  await register(page, { name: markup, domain: domain.host, description: markup });
  const apiKey = await activate(page, domain);
  const path = new URL(page.url()).pathname;
  const token = await server.signIn("alice");
  const { uid } = await server.ok("POST", `/grant/${path.split("/").at(-1)}`, { token, body: {} });
  for (const below of ["", "/change", "/remove", "/console"]) {
    await page.goto(path + below);
    await page.getByText(shortened(markup)).first().waitFor();
    assert.equal(await page.locator("main img, main script").count(), 0, below);
  }
  await page.goto(`${path}/change`);
  assert.equal(await page.getByLabel("Name").inputValue(), markup);
  assert.equal(await page.getByLabel("Description").inputValue(), markup);
  await page.goto(`${path}/console`);
  await connect(page, apiKey);
  await server.device(t, "alice", markup.slice(0, 128));
  await page.locator("#users").getByText(markup.slice(0, 128)).waitFor();
  await page.getByLabel("To (PUID)").fill(uid);
  await page.getByLabel("Message").fill(markup);
  await page.getByRole("button", { name: "Send" }).click();
  await page.locator("#sent").getByText("delivered").waitFor();
  assert.equal(await page.locator("main img, main script").count(), 0);
  await checkPage(page, "console-markup");
  await page.goto("/myapps");
  await checkPage(page, "myapps-markup");
});

test("a form of another site or of another session changes nothing", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const { dev, page } = await developer(t, server, "dev", { origins: [domain.origin] });
  await register(page, { name: "Mine", domain: domain.host });
  const path = new URL(page.url()).pathname;
  const without = await page.evaluate(async (path) => {
    const send = async (at, fields) => (await fetch(at, { method: "POST", body: new URLSearchParams(fields), headers: { accept: "application/json" } })).status;
    return [
      await send("/myapps", { name: "x", domain: "a.example" }),
      await send(`${path}/verify`, { csrf_token: "" }),
      await send(`${path}/change`, { csrf_token: "0".repeat(64), name: "x", domain: "a.example" }),
    ];
  }, path);
  assert.deepEqual(without, [403, 403, 403]);
  domain.pages["/trap"] = {
    type: "text/html",
    text: `<!doctype html><link rel=icon href=data:,><form method=post action="${server.url}${path}/remove"><input name=domain value="${domain.host}"><button>Win</button></form>`,
  };
  const trap = await dev.tab(`${domain.origin}/trap`);
  await trap.getByRole("button").click();
  await trap.getByRole("heading", { name: "This request did not come from our page" }).waitFor();
  await page.goto("/myapps");
  await page.getByRole("link", { name: "Mine" }).waitFor();
  assert.equal(await page.getByRole("listitem").filter({ hasText: "not verified" }).count(), 1);
});

test("the console rejects a wrong key, and reconnects after a restart of the server", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();
  const { dev, page } = await developer(t, server);
  dev.ignores(/WebSocket connection to/);
  await register(page, { name: "Chess", domain: domain.host });
  const apiKey = await activate(page, domain);
  await page.getByRole("link", { name: "Console" }).click();
  await page.getByLabel("API key").fill("prs_test_wrong");
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await page.getByText("The API key is not valid.").waitFor();
  await page.getByLabel("API key").fill(apiKey);
  await page.getByRole("button", { name: "Connect", exact: true }).click();
  await status(page).getByText("Connected", { exact: true }).waitFor();
  await server.kill();
  await status(page).getByText("Connection lost. Next attempt").waitFor();
  await checkPage(page, "console-waiting");
  await server.restart();
  await status(page).getByText("Connected", { exact: true }).waitFor();
  await page.getByRole("button", { name: "Disconnect" }).click();
  await status(page).getByText("Not connected").waitFor();
});
