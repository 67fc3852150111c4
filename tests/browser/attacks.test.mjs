// Attacks on the pages, and how the pages withstand them.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, checkPage, BrowserUser, shortened } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

const MARKUP = `"'><img src=x onerror="globalThis.injected=1"><script>globalThis.injected=1</script>&amp;{{7*7}}`;
const BLANK = "<!doctype html><link rel=icon href=data:,>";

const attribute = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
const connected = (page) => page.locator('#connection[data-state="connected"]').waitFor();

async function hasNoInjectedMarkup(page) {
  assert.equal(await page.evaluate(() => globalThis.injected), undefined, "an injected script has run");
  assert.equal(await page.locator("main img, main script").count(), 0);
}

test("a form of another site changes nothing, even with the cookie of the user", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const other = await server.application("Other");
  await other.grantedBy("alice");
  const evil = await server.domain();
  const alice = await BrowserUser.open(t, server, { origins: [evil.origin] });
  alice.ignores(/403/);
  const alicePage = await alice.signIn("alice");
  await connected(alicePage);
  const device = await alicePage.locator("#devices li").first().getAttribute("data-device");
  const forms = [
    [`/grant/${chat.appid}`, { decision: "yes" }],
    [`/grant/${chat.appid}`, { decision: "yes", csrf_token: "0".repeat(64) }],
    ["/sidebar/pause", { appid: other.appid, paused: "true" }],
    ["/sidebar/revoke", { appid: other.appid }],
    ["/sidebar/end-device", { device }],
    ["/sidebar/erase", { email: "alice@dev.localhost" }],
    ["/sidebar/ticket", {}],
    ["/sign-out", {}],
  ];
  const page = await alice.tab();
  for (const [action, fields] of forms) {
    const inputs = Object.entries(fields).map(([name, value]) => `<input name="${name}" value="${value}">`);
    evil.pages["/"] = { type: "text/html", text: `${BLANK}<form method=post action="${server.url}${action}">${inputs.join("")}<button>Win</button></form>` };
    await page.goto(evil.origin);
    const sent = page.waitForRequest((request) => request.method() === "POST");
    await page.getByRole("button").click();
    const headers = await (await sent).allHeaders();
    assert.match(headers.cookie ?? "", /presence=prt_/, "the browser sends the cookie");
    await page.getByRole("heading", { name: "This request did not come from our page" }).waitFor();
  }
  // The right token does not help another site either.
  const token = await alicePage.locator("#sidebar").getAttribute("data-csrf");
  evil.pages["/"] = { type: "text/html", text: `${BLANK}<form method=post action="${server.url}/sidebar/revoke"><input name=appid value=${other.appid}><input name=csrf_token value=${token}><button>Win</button></form>` };
  await page.goto(evil.origin);
  await page.getByRole("button").click();
  await page.getByRole("heading", { name: "This request did not come from our page" }).waitFor();
  const session = await server.signIn("alice");
  const { grants } = await server.ok("GET", "/grants", { token: session });
  assert.deepEqual(grants.map(({ appid, paused }) => [appid, paused]), [[other.appid, false]]);
  assert.equal((await server.ok("GET", "/devices", { token: session })).devices.length, 1);
  await alicePage.reload();
  await alicePage.getByTitle("alice@dev.localhost").waitFor();
});

test("a ticket opens only one socket, which ends with the session", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/401|403/);
  const page = await alice.signIn("alice");
  await connected(page);
  const ask = (headers) => page.evaluate(async (headers) => {
    const answer = await fetch("/sidebar/ticket", { method: "POST", headers });
    return [answer.status, await answer.json()];
  }, headers);
  assert.equal((await ask({}))[0], 403, "a cookie alone gets none");
  const csrf = await page.locator("#sidebar").getAttribute("data-csrf");
  const [, { token }] = await ask({ "x-csrf-token": csrf });
  assert.equal((await server.call("GET", "/session", { token })).status, 401);
  assert.equal((await server.call("GET", "/account", { token })).status, 401);
  const first = await server.openSocket(t, { token, device: "other", status: "online" });
  assert.deepEqual(await first.firstReply(), { result: "OK" });
  const second = await server.openSocket(t, { token, device: "third", status: "online" });
  assert.equal((await second.firstReply()).errno, 32);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.equal(await first.closeCode(), 4003);
});

test("a script of another site can read nothing and gets no ticket", async (t) => {
  const server = await ScenarioServer.start(t);
  const evil = await server.domain();
  evil.pages["/"] = { type: "text/html", text: BLANK };
  const alice = await BrowserUser.open(t, server, { origins: [evil.origin] });
  await alice.signIn("alice");
  const page = await alice.tab(evil.origin);
  alice.ignores(/CORS|ERR_FAILED|403/);
  const tried = await page.evaluate(async (url) => {
    const attempt = async (path, options) => {
      try {
        return await (await fetch(url + path, { credentials: "include", ...options })).text();
      } catch {
        return "nothing";
      }
    };
    return Promise.all([attempt("/account"), attempt("/sidebar"), attempt("/sidebar/ticket", { method: "POST" })]);
  }, server.url);
  assert.deepEqual(tried, ["nothing", "nothing", "nothing"]);
});

test("no page is shown in a frame of another site", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const evil = await server.domain();
  const alice = await BrowserUser.open(t, server, { origins: [evil.origin] });
  await alice.signIn("alice");
  alice.ignores(/frame/i);
  for (const framed of [chat.grantUrl(), `${server.url}/sidebar`, `${server.url}/sidebar/erase`, `${server.url}/`]) {
    evil.pages["/"] = { type: "text/html", text: `${BLANK}<iframe src="${attribute(framed)}"></iframe>` };
    const page = await alice.tab(evil.origin);
    await page.waitForLoadState("load");
    const inside = page.frames().filter((frame) => frame !== page.mainFrame());
    assert.equal(inside.length, 1);
    assert.equal(await inside[0].locator("main").count(), 0, framed);
    await page.close();
  }
  assert.ok(alice.errors(/frame-ancestors/).length >= 4, "the browser refused them all");
});

test("texts of an Application are never shown as markup", async (t) => {
  const server = await ScenarioServer.start(t, { "action-schemes": "chatroom" });
  const chat = await server.application(`Chat ${MARKUP}`, `A room ${MARKUP}`);
  const alice = await BrowserUser.open(t, server, { origins: [chat.domain.origin] });
  const page = await alice.signIn("alice");
  page.on("dialog", () => assert.fail("a dialog"));

  await page.goto(chat.grantUrl({ id: `alice ${MARKUP}`, state: `s ${MARKUP}`, redirect: `${chat.domain.origin}/back?x=${encodeURIComponent(MARKUP)}` }));
  await page.getByRole("heading", { name: `Allow ${shortened(`Chat ${MARKUP}`)} to see` }).waitFor();
  await page.locator("dd").getByText(`Chat ${MARKUP}`, { exact: true }).waitFor();
  await page.getByText(`alice ${MARKUP}`).waitFor();
  await page.getByText(`A room ${MARKUP}`).waitFor();
  await hasNoInjectedMarkup(page);
  await checkPage(page, "grant-markup");
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  const back = new URL(page.url());
  assert.deepEqual([back.origin, back.searchParams.get("state"), back.searchParams.get("x")], [chat.domain.origin, `s ${MARKUP}`, MARKUP]);

  // Without a redirect, this server shows the result.
  await page.goto(chat.grantUrl());
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.getByText(`${shortened(`Chat ${MARKUP}`)} can now see`).waitFor();
  await hasNoInjectedMarkup(page);

  await page.goto(`${server.url}/sidebar`);
  await connected(page);
  await page.locator("#apps").getByText(shortened(`Chat ${MARKUP}`)).first().waitFor();
  await page.locator('#status input[value="online"]').check();
  await page.getByLabel("Status text").fill(`Hi ${MARKUP}`.slice(0, 128));
  await page.getByRole("button", { name: "Save" }).click();
  await page.locator("#devices").getByText(`Hi ${MARKUP}`.slice(0, 128)).waitFor();
  const uid = back.searchParams.get("Presence-UID");
  await chat.notify(uid, `Lunch ${MARKUP}`, `https://chat.example/?q=${encodeURIComponent(MARKUP)}`);
  await page.locator("#notifications").getByText(`Lunch ${MARKUP}`).waitFor();
  await page.locator("#notifications").getByRole("heading", { name: shortened(`Chat ${MARKUP}`) }).waitFor();

  // Links to apps and plain http links are shown, but cannot be opened.
  await chat.notify(uid, "By an app", "chatroom://open/7");
  await chat.notify(uid, "By http", "http://127.0.0.1:1/x");
  for (const message of ["By an app", "By http"]) {
    const row = page.locator("#notifications li").filter({ hasText: message });
    await row.getByText("cannot be opened here").waitFor();
    assert.equal(await row.getByRole("link").count(), 0, message);
  }
  await hasNoInjectedMarkup(page);
  await checkPage(page, "sidebar-markup");
});

test("only an https link can be opened", async (t) => {
  const server = await ScenarioServer.start(t);
  const alice = await BrowserUser.open(t, server);
  const page = await alice.signIn("alice");
  const safe = await page.evaluate(async () => {
    const sidebar = document.querySelector('script[src*="sidebar.js"]').src;
    const { safeLink } = await import(new URL("notifications.js", sidebar).href);
    return [
      "javascript:alert(1)", " javascript:alert(1)", "JaVaScRiPt:alert(1)", "java\nscript:alert(1)", "data:text/html,<script>1</script>",
      "file:///etc/passwd", "blob:https://a.example/x", "intent://x#Intent;end", "http://a.example/", "//a.example/", "/sidebar", "",
      "https://user:password@a.example/", "vbscript:x", "https://a.example/ok",
    ].filter((action) => safeLink(action));
  });
  assert.deepEqual(safe, ["https://a.example/ok"]);
});

test("a redirect to another site ends on a page of this server, signed in or not", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/40[034]/);
  const page = await alice.tab();
  const { host } = chat.domain;
  const redirects = [
    "https://evil.example/", "//evil.example/", `http://${host}.evil.example/`, `http://evil.example/${host}`, `http://${host}@evil.example/`,
    `http://user@${host}/`, `http://${host}/#fragment`, `ftp://${host}/`, "javascript:alert(1)", "data:text/html,x", `http:\\\\${host}`, "/sidebar",
  ];
  for (const isSignedIn of [false, true]) {
    if (isSignedIn) await alice.signIn("alice", page);
    for (const redirect of redirects) {
      const answer = await page.goto(chat.grantUrl({ redirect }));
      assert.equal(answer.status(), 400, redirect);
      assert.equal(new URL(page.url()).pathname, `/grant/${chat.appid}`, redirect);
      await page.getByRole("heading", { name: "This link does not lead back to the Application" }).waitFor();
      assert.equal(await page.locator("form").count(), 0);
    }
    for (const unknown of ["0".repeat(32), "nonsense", "%3Cb%3E"]) {
      assert.equal((await page.goto(`/grant/${unknown}`)).status(), 404, unknown);
      await page.getByRole("heading", { name: "This Application does not exist" }).waitFor();
    }
    assert.equal((await page.goto(chat.grantUrl({ id: "a\u202eb" }))).status(), 400);
    assert.equal((await page.goto(chat.grantUrl({ state: "a\nb" }))).status(), 400);
  }
  await page.goto(chat.grantUrl({ redirect: "https://evil.example/" }));
  await checkPage(page, "bad-redirect");
  // The form was changed after it was shown: the redirect is checked again.
  await page.goto(chat.grantUrl({ redirect: `${chat.domain.origin}/back` }));
  await page.locator('input[name="redirect"]').evaluate((input) => (input.value = "https://evil.example/"));
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.getByRole("heading", { name: "This link does not lead back to the Application" }).waitFor();
  const token = await server.signIn("alice");
  assert.deepEqual((await server.ok("GET", "/grants", { token })).grants, []);
});

test("an inactive Application cannot ask for permission", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  await server.ok("POST", `/apps/${chat.appid}/deactivate`, { token: chat.owner });
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/403/);
  const page = await alice.tab(chat.grantUrl());
  await page.getByRole("heading", { name: "This Application is not active" }).waitFor();
});

test("a browser that is not signed in sees nothing of another user", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  await chat.grantedBy("alice");
  const alice = await BrowserUser.open(t, server);
  const alicePage = await alice.signIn("alice");
  await connected(alicePage);
  const bob = await BrowserUser.open(t, server);
  bob.ignores(/401/);
  const page = await bob.tab("/sidebar");
  await page.getByRole("main").getByRole("link", { name: "Sign in" }).waitFor();
  for (const path of ["/", "/sidebar", "/sidebar/erase", "/account", "/grants", "/devices", "/session", `/grant/${chat.appid}`]) {
    await page.goto(path);
    const text = await page.content();
    assert.doesNotMatch(text, /alice@/i, path);
    if (path !== `/grant/${chat.appid}`) assert.doesNotMatch(text, new RegExp(chat.domain.host), path);
  }
  await checkPage(page, "sign-in-for-grant");
  await page.goto("/sidebar");
  await checkPage(page, "sidebar-signed-out");
});

test("every page has a content policy, and files are cached for ever", async (t) => {
  const server = await ScenarioServer.start(t);
  const chat = await server.application();
  const alice = await BrowserUser.open(t, server);
  const page = await alice.signIn("alice");
  for (const path of ["/", "/sign-in", "/sidebar", "/sidebar/erase", "/dev", `/grant/${chat.appid}`]) {
    const answer = await page.goto(path);
    const headers = answer.headers();
    const policy = headers["content-security-policy"];
    for (const directive of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]) {
      assert.ok(policy.includes(directive), `${path}: ${policy}`);
    }
    assert.doesNotMatch(policy, /unsafe|\*|data:/);
    assert.deepEqual([headers["x-frame-options"], headers["x-content-type-options"], headers["referrer-policy"], headers["cache-control"]],
      ["DENY", "nosniff", "same-origin", "no-store"], path);
    const html = await answer.text();
    assert.doesNotMatch(html, /<style|\sstyle=|<script(?![^>]*\ssrc=)|\son[a-z]+=/i, path);
  }
  const script = await page.locator("script[src]").first().getAttribute("src");
  const file = await fetch(server.url + script);
  assert.equal(file.headers.get("cache-control"), "public, max-age=31536000, immutable");
  const old = await fetch(server.url + script.replace(/assets\/[0-9a-f]+/, "assets/00000000"));
  assert.equal(old.headers.get("cache-control"), "no-cache");
  assert.equal((await fetch(`${server.url}/assets/00000000/..%2f..%2fCargo.toml`)).status, 404);
});

test("without development mode a name is not enough to sign in", async (t) => {
  const server = await ScenarioServer.start(t, { dev: false, "browserid-issuers": "idp.example.org" });
  const visitor = await BrowserUser.open(t, server);
  visitor.ignores(/40[34]/);
  const page = await visitor.tab("/sign-in");
  await page.getByText("Signing in is not possible yet.").waitFor();
  await checkPage(page, "sign-in-none");
  assert.equal((await page.goto("/dev")).status(), 404);
  const body = new URLSearchParams({ name: "alice" });
  const answer = await fetch(`${server.url}/sign-in/development`, { method: "POST", body, headers: { origin: server.url } });
  assert.equal(answer.status, 404);
});
