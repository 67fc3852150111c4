// What others would like the pages to do, and what they do instead.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, looksGood, Person } from "./browser.mjs";
import { Stage } from "./stage.mjs";

after(closeBrowser);

const MARKUP = `"'><img src=x onerror="globalThis.caught=1"><script>globalThis.caught=1</script>&amp;{{7*7}}`;
const BLANK = "<!doctype html><link rel=icon href=data:,>";

const attribute = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");
const connected = (page) => page.locator('#connection[data-state="connected"]').waitFor();

async function isUntouched(page) {
  assert.equal(await page.evaluate(() => globalThis.caught), undefined, "a script that was smuggled in has run");
  assert.equal(await page.locator("main img, main script").count(), 0);
}

test("a form of another site changes nothing, though the browser sends the cookie with it", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const other = await stage.application("Other");
  await other.grantedBy("alice");
  const evil = await stage.domain();
  const alice = await Person.enter(t, stage, { origins: [evil.origin] });
  alice.forgives(/403/);
  const mine = await alice.signIn("alice");
  await connected(mine);
  const device = await mine.locator("#devices li").first().getAttribute("data-device");
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
    evil.pages["/"] = { type: "text/html", text: `${BLANK}<form method=post action="${stage.url}${action}">${inputs.join("")}<button>Win</button></form>` };
    await page.goto(evil.origin);
    const sent = page.waitForRequest((request) => request.method() === "POST");
    await page.getByRole("button").click();
    const headers = await (await sent).allHeaders();
    assert.match(headers.cookie ?? "", /presence=prt_/, "the attack is a real one");
    await page.getByRole("heading", { name: "This was not sent from our page" }).waitFor();
  }
  // The right token does not help a foreign page either.
  const token = await mine.locator("#sidebar").getAttribute("data-csrf");
  evil.pages["/"] = { type: "text/html", text: `${BLANK}<form method=post action="${stage.url}/sidebar/revoke"><input name=appid value=${other.appid}><input name=csrf_token value=${token}><button>Win</button></form>` };
  await page.goto(evil.origin);
  await page.getByRole("button").click();
  await page.getByRole("heading", { name: "This was not sent from our page" }).waitFor();
  const session = await stage.signIn("alice");
  const { grants } = await stage.ok("GET", "/grants", { token: session });
  assert.deepEqual(grants.map(({ appid, paused }) => [appid, paused]), [[other.appid, false]]);
  assert.equal((await stage.ok("GET", "/devices", { token: session })).devices.length, 1);
  await mine.reload();
  await mine.getByTitle("alice@dev.localhost").waitFor();
});

test("a ticket opens one socket and nothing else, and the socket ends with the session", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
  alice.forgives(/401|403/);
  const page = await alice.signIn("alice");
  await connected(page);
  const ask = (headers) => page.evaluate(async (headers) => {
    const answer = await fetch("/sidebar/ticket", { method: "POST", headers });
    return [answer.status, await answer.json()];
  }, headers);
  assert.equal((await ask({}))[0], 403, "a cookie alone gets none");
  const csrf = await page.locator("#sidebar").getAttribute("data-csrf");
  const [, { token }] = await ask({ "x-csrf-token": csrf });
  assert.equal((await stage.call("GET", "/session", { token })).status, 401);
  assert.equal((await stage.call("GET", "/account", { token })).status, 401);
  const first = await stage.knock(t, { token, device: "other", status: "online" });
  assert.deepEqual(await first.says(), { result: "OK" });
  const second = await stage.knock(t, { token, device: "third", status: "online" });
  assert.equal((await second.says()).errno, 32);
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByText("You are signed out.").waitFor();
  assert.equal(await first.closed(), 4003);
});

test("a script of another site reads nothing, and gets no ticket", async (t) => {
  const stage = await Stage.start(t);
  const evil = await stage.domain();
  evil.pages["/"] = { type: "text/html", text: BLANK };
  const alice = await Person.enter(t, stage, { origins: [evil.origin] });
  await alice.signIn("alice");
  const page = await alice.tab(evil.origin);
  alice.forgives(/CORS|ERR_FAILED|403/);
  const tried = await page.evaluate(async (url) => {
    const attempt = async (path, options) => {
      try {
        return await (await fetch(url + path, { credentials: "include", ...options })).text();
      } catch {
        return "nothing";
      }
    };
    return Promise.all([attempt("/account"), attempt("/sidebar"), attempt("/sidebar/ticket", { method: "POST" })]);
  }, stage.url);
  assert.deepEqual(tried, ["nothing", "nothing", "nothing"]);
});

test("no page of ours is shown in a frame of another", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const evil = await stage.domain();
  const alice = await Person.enter(t, stage, { origins: [evil.origin] });
  await alice.signIn("alice");
  alice.forgives(/frame/i);
  for (const framed of [chat.grantUrl(), `${stage.url}/sidebar`, `${stage.url}/sidebar/erase`, `${stage.url}/`]) {
    evil.pages["/"] = { type: "text/html", text: `${BLANK}<iframe src="${attribute(framed)}"></iframe>` };
    const page = await alice.tab(evil.origin);
    await page.waitForLoadState("load");
    const inside = page.frames().filter((frame) => frame !== page.mainFrame());
    assert.equal(inside.length, 1);
    assert.equal(await inside[0].locator("main").count(), 0, framed);
    await page.close();
  }
  assert.ok(alice.complaints(/frame-ancestors/).length >= 4, "the browser refused them all");
});

test("what an application says is shown as text, whatever it is", async (t) => {
  const stage = await Stage.start(t, { "action-schemes": "chatroom" });
  const chat = await stage.application(`Chat ${MARKUP}`, `A room ${MARKUP}`);
  const alice = await Person.enter(t, stage, { origins: [chat.domain.origin] });
  const page = await alice.signIn("alice");
  page.on("dialog", () => assert.fail("a dialog"));

  await page.goto(chat.grantUrl({ id: `alice ${MARKUP}`, state: `s ${MARKUP}`, redirect: `${chat.domain.origin}/back?x=${encodeURIComponent(MARKUP)}` }));
  await page.getByRole("heading", { name: `May Chat ${MARKUP} see` }).waitFor();
  await page.getByText(`alice ${MARKUP}`).waitFor();
  await page.getByText(`A room ${MARKUP}`).waitFor();
  await isUntouched(page);
  await looksGood(page, "grant-markup");
  await page.getByRole("button", { name: "Yes, it may" }).click();
  await page.getByRole("heading", { name: "Welcome back" }).waitFor();
  const back = new URL(page.url());
  assert.deepEqual([back.origin, back.searchParams.get("state"), back.searchParams.get("x")], [chat.domain.origin, `s ${MARKUP}`, MARKUP]);

  // Without a page to go back to, this server says it.
  await page.goto(chat.grantUrl());
  await page.getByRole("button", { name: "Yes" }).click();
  await page.getByText(`Chat ${MARKUP} may now see`).waitFor();
  await isUntouched(page);

  await page.goto(`${stage.url}/sidebar`);
  await connected(page);
  await page.locator("#apps").getByText(`Chat ${MARKUP}`).first().waitFor();
  await page.locator('#status input[value="online"]').check();
  await page.getByLabel("Status text").fill(`Hi ${MARKUP}`.slice(0, 128));
  await page.getByRole("button", { name: "Set" }).click();
  await page.locator("#devices").getByText(`Hi ${MARKUP}`.slice(0, 128)).waitFor();
  const uid = back.searchParams.get("Presence-UID");
  await chat.notify(uid, `Lunch ${MARKUP}`, `https://chat.example/?q=${encodeURIComponent(MARKUP)}`);
  await page.locator("#notifications").getByText(`Lunch ${MARKUP}`).waitFor();
  await page.locator("#notifications").getByRole("heading", { name: `Chat ${MARKUP}` }).waitFor();

  // An app link and plain http are shown, and cannot be opened.
  await chat.notify(uid, "By an app", "chatroom://open/7");
  await chat.notify(uid, "By http", "http://127.0.0.1:1/x");
  for (const message of ["By an app", "By http"]) {
    const row = page.locator("#notifications li").filter({ hasText: message });
    await row.getByText("cannot be opened here").waitFor();
    assert.equal(await row.getByRole("link").count(), 0, message);
  }
  await isUntouched(page);
  await looksGood(page, "sidebar-markup");
});

test("only a link over https is ever opened", async (t) => {
  const stage = await Stage.start(t);
  const alice = await Person.enter(t, stage);
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

test("a link that leads elsewhere ends on our own page, signed in or not", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const alice = await Person.enter(t, stage);
  alice.forgives(/40[034]/);
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
      await page.getByRole("heading", { name: "This link does not lead back to the application" }).waitFor();
      assert.equal(await page.locator("form").count(), 0);
    }
    for (const unknown of ["0".repeat(32), "nonsense", "%3Cb%3E"]) {
      assert.equal((await page.goto(`/grant/${unknown}`)).status(), 404, unknown);
      await page.getByRole("heading", { name: "There is no such application" }).waitFor();
    }
    assert.equal((await page.goto(chat.grantUrl({ id: "a\u202eb" }))).status(), 400);
    assert.equal((await page.goto(chat.grantUrl({ state: "a\nb" }))).status(), 400);
  }
  await page.goto(chat.grantUrl({ redirect: "https://evil.example/" }));
  await looksGood(page, "bad-redirect");
  // The page was honest and what it holds was changed meanwhile: the answer is checked again.
  await page.goto(chat.grantUrl({ redirect: `${chat.domain.origin}/back` }));
  await page.locator('input[name="redirect"]').evaluate((input) => (input.value = "https://evil.example/"));
  await page.getByRole("button", { name: "Yes, it may" }).click();
  await page.getByRole("heading", { name: "This link does not lead back to the application" }).waitFor();
  const token = await stage.signIn("alice");
  assert.deepEqual((await stage.ok("GET", "/grants", { token })).grants, []);
});

test("an application that was switched off asks nobody", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  await stage.ok("POST", `/apps/${chat.appid}/deactivate`, { token: chat.owner });
  const alice = await Person.enter(t, stage);
  alice.forgives(/403/);
  const page = await alice.tab(chat.grantUrl());
  await page.getByRole("heading", { name: "This application is not active" }).waitFor();
});

test("a second browser that is not signed in sees nothing of the first", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  await chat.grantedBy("alice");
  const alice = await Person.enter(t, stage);
  const mine = await alice.signIn("alice");
  await connected(mine);
  const bob = await Person.enter(t, stage);
  bob.forgives(/401/);
  const page = await bob.tab("/sidebar");
  await page.getByRole("main").getByRole("link", { name: "Sign in" }).waitFor();
  for (const path of ["/", "/sidebar", "/sidebar/erase", "/account", "/grants", "/devices", "/session", `/grant/${chat.appid}`]) {
    await page.goto(path);
    const text = await page.content();
    assert.doesNotMatch(text, /alice@/i, path);
    if (path !== `/grant/${chat.appid}`) assert.doesNotMatch(text, new RegExp(chat.domain.host), path);
  }
  await looksGood(page, "stranger-grant");
  await page.goto("/sidebar");
  await looksGood(page, "stranger");
});

test("every page says what it may do, and files are kept for ever", async (t) => {
  const stage = await Stage.start(t);
  const chat = await stage.application();
  const alice = await Person.enter(t, stage);
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
  const file = await fetch(stage.url + script);
  assert.equal(file.headers.get("cache-control"), "public, max-age=31536000, immutable");
  const old = await fetch(stage.url + script.replace(/assets\/[0-9a-f]+/, "assets/00000000"));
  assert.equal(old.headers.get("cache-control"), "no-cache");
  assert.equal((await fetch(`${stage.url}/assets/00000000/..%2f..%2fCargo.toml`)).status, 404);
});

test("without development mode nobody is signed in by a name", async (t) => {
  const stage = await Stage.start(t, { dev: false });
  const somebody = await Person.enter(t, stage);
  somebody.forgives(/40[34]/);
  const page = await somebody.tab("/sign-in");
  await page.getByText("Nobody can sign in with a browser here yet.").waitFor();
  await looksGood(page, "sign-in-none");
  assert.equal((await page.goto("/dev")).status(), 404);
  const body = new URLSearchParams({ name: "alice" });
  const answer = await fetch(`${stage.url}/sign-in/development`, { method: "POST", body, headers: { origin: stage.url } });
  assert.equal(answer.status, 404);
});
