// Sign-in of a browser with a mock provider that can be made to misbehave.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, ScenarioServer, tool } from "./scenario.mjs";

const { OAuth2Server, Events } = await tool("oauth2-mock-server");
const jose = await tool("jose");

const EMAIL = "alice@mail.example";
const SECRET = "a secret: 100 % & more";

/** Starts a provider and a server that trusts it. Its tokens contain `provider.claims`. */
async function startScenario(t, changes = {}) {
  const provider = new OAuth2Server();
  await provider.issuer.keys.generate("RS256", { kid: "first" });
  await provider.start(0, "localhost");
  let running = true;
  provider.down = async () => {
    if (running) await provider.stop();
    running = false;
  };
  t.after(() => provider.down());
  provider.claims = { email: EMAIL, email_verified: true };
  provider.service.on(Events.BeforeTokenSigning, ({ payload }) => Object.assign(payload, provider.claims));
  provider.requests = [];
  provider.service.on(Events.BeforeResponse, (_, request) => {
    provider.requests.push({ form: { ...request.body }, authorization: request.headers.authorization });
  });
  const server = await ScenarioServer.start(t, [
    {
      name: "mock",
      title: "Mock & Co",
      issuer: provider.issuer.url,
      client_ids: ["presence"],
      email_domains: ["mail.example"],
      ...changes,
    },
  ]);
  return { provider, server };
}

const start = (server, back = "/docs") => `${server.url}/sign-in/oidc/mock?return=${encodeURIComponent(back)}`;

/** Visits the provider. Returns the callback URL without visiting it. */
async function callbackUrl(server, browser, back) {
  const authorizeUrl = Browser.target(await browser.request(start(server, back)));
  return Browser.target(await browser.request(authorizeUrl));
}

async function expectError(server, browser, url, status, errno) {
  const response = await browser.request(url);
  const page = await response.text();
  assert.equal(response.status, status, page);
  assert.match(page, new RegExp(`Error ${errno} `));
  assert.match(response.headers.get("content-type"), /^text\/html/);
  assert.equal(await browser.session(server), null);
  return page;
}

test("a browser is signed in by the provider and is redirected to the requested path", async (t) => {
  const { provider, server } = await startScenario(t);
  const browser = new Browser();
  const list = await (await browser.request(`${server.url}/sign-in?return=/docs`)).text();
  assert.match(list, /href="\/sign-in\/oidc\/mock\?return=%2Fdocs"[^>]*>[^<]*Mock &#(38|x26);/);
  const begun = await browser.request(start(server));
  assert.equal(begun.headers.get("referrer-policy"), "no-referrer");
  const parameters = new URL(Browser.target(begun)).searchParams;
  assert.deepEqual([parameters.get("response_type"), parameters.get("code_challenge_method")], ["code", "S256"]);
  assert.equal(parameters.get("redirect_uri"), `${server.url}/sign-in/oidc/mock/callback`);
  assert.ok(parameters.get("scope").split(" ").includes("openid"));
  const done = await browser.visit(start(server));
  assert.equal(new URL(done.url).pathname, "/docs");
  const session = await browser.session(server);
  assert.deepEqual([session.email, session.scope], [EMAIL, "account"]);
  const [{ form, authorization }] = provider.requests;
  assert.equal(authorization, undefined);
  assert.deepEqual([form.client_id, form.code_verifier.length], ["presence", 43]);
});

test("a session of the code flow equals a session that was opened with a token", async (t) => {
  const { provider, server } = await startScenario(t);
  const browser = new Browser();
  await browser.visit(start(server));
  const byBrowser = await browser.session(server);
  const token = await provider.issuer.buildToken({
    expiresIn: 300,
    scopesOrTransform: (_, payload) => Object.assign(payload, { sub: "johndoe", aud: "presence", ...provider.claims }),
  });
  const { json } = await server.signIn(token, EMAIL);
  assert.deepEqual(Object.keys(byBrowser).sort(), ["csrf_token", "email", "expires_at", "scope"]);
  assert.deepEqual([json.email, json.scope], [byBrowser.email, byBrowser.scope]);
});

test("a client secret is sent in the header and does not appear in the log", async (t) => {
  const { provider, server } = await startScenario(t, { client_secret: SECRET });
  const browser = new Browser();
  const done = await browser.visit(start(server));
  assert.equal(new URL(done.url).pathname, "/docs");
  const [{ form, authorization }] = provider.requests;
  const [id, secret] = Buffer.from(authorization.split(" ")[1], "base64").toString().split(":");
  const decoded = new URLSearchParams(`secret=${secret}`).get("secret");
  assert.deepEqual([id, decoded, form.client_secret], ["presence", SECRET, undefined]);
  for (const hidden of [SECRET, EMAIL, form.code, form.code_verifier]) {
    assert.ok(!server.log.includes(hidden), "the log contains a secret");
  }
});

test("a browser is redirected only to paths of this server", async (t) => {
  const { server } = await startScenario(t);
  for (const elsewhere of ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\tb", `/${"x".repeat(3000)}`]) {
    const browser = new Browser();
    const back = await browser.request(await callbackUrl(server, browser, elsewhere));
    assert.equal(Browser.target(back), `${server.url}/sidebar`, elsewhere);
  }
});

test("a sign-in is finished only once and only by the browser that began it", async (t) => {
  const { server } = await startScenario(t);
  const [alice, mallory] = [new Browser(), new Browser()];
  const url = await callbackUrl(server, alice);
  await expectError(server, mallory, url, 401, 34);
  // The same holds for a browser with an unfinished sign-in of its own.
  const other = await callbackUrl(server, mallory);
  await expectError(server, mallory, url, 401, 34);
  Browser.target(await alice.request(url));
  assert.equal((await alice.session(server)).email, EMAIL);
  const again = await alice.request(url);
  assert.equal(again.status, 401);
  await expectError(server, new Browser(), other, 401, 34);
});

test("two tabs of one browser can sign in at the same time", async (t) => {
  const { server } = await startScenario(t);
  const browser = new Browser();
  const [first, second] = [await callbackUrl(server, browser, "/docs"), await callbackUrl(server, browser, "/")];
  assert.equal(Browser.target(await browser.request(second)), `${server.url}/`);
  assert.equal(Browser.target(await browser.request(first)), `${server.url}/docs`);
});

test("a changed or missing state is rejected", async (t) => {
  const { server, provider } = await startScenario(t);
  const browser = new Browser();
  const url = new URL(await callbackUrl(server, browser));
  const state = url.searchParams.get("state");
  for (const changed of [null, "", "x", `${state.slice(0, -2)}AA`, state.slice(1)]) {
    const other = new URL(url);
    if (changed === null) other.searchParams.delete("state");
    else other.searchParams.set("state", changed);
    await expectError(server, browser, other.href, 401, 34);
  }
  const twice = new URL(url);
  twice.searchParams.append("state", state);
  await expectError(server, browser, twice.href, 401, 34);
  assert.deepEqual(provider.requests, []);
});

test("a response of another provider is rejected", async (t) => {
  const { server, provider } = await startScenario(t);
  const browser = new Browser();
  const url = new URL(await callbackUrl(server, browser));
  url.searchParams.set("iss", "https://evil.example");
  await expectError(server, browser, url.href, 401, 34);
  assert.deepEqual(provider.requests, []);
  const valid = new URL(await callbackUrl(server, browser));
  valid.searchParams.set("iss", provider.issuer.url);
  assert.equal(Browser.target(await browser.request(valid.href)), `${server.url}/docs`);
});

test("a user who declines at the provider is not signed in", async (t) => {
  const { server } = await startScenario(t);
  const browser = new Browser();
  const url = new URL(await callbackUrl(server, browser));
  url.searchParams.delete("code");
  url.searchParams.set("error", "access_denied");
  url.searchParams.set("error_description", "<b>mallory</b>");
  const page = await expectError(server, browser, url.href, 401, 34);
  assert.ok(!page.includes("mallory"));
});

for (const [what, claims] of [
  ["an e-mail that is not verified", { email_verified: false }],
  ["an e-mail of another domain", { email: "alice@elsewhere.example" }],
  ["another nonce", { nonce: "another" }],
  ["another audience", { aud: "another" }],
  ["another issuer", { iss: "https://evil.example" }],
  ["an end in the past", { exp: Math.floor(Date.now() / 1000) - 600 }],
]) {
  test(`a token with ${what} is rejected`, async (t) => {
    const { provider, server } = await startScenario(t);
    Object.assign(provider.claims, claims);
    const browser = new Browser();
    await expectError(server, browser, await callbackUrl(server, browser), 401, 34);
  });
}

test("a token that another key has signed with the identifier of a published key is rejected", async (t) => {
  const { provider, server } = await startScenario(t);
  const { privateKey } = await jose.generateKeyPair("RS256");
  const forged = [];
  provider.service.on(Events.BeforeResponse, ({ body }) => {
    forged.push(jose.decodeJwt(body.id_token));
  });
  const browser = new Browser();
  // The first sign-in yields the claims, which the test then signs with another key.
  const url = await callbackUrl(server, browser);
  const { nonce } = Object.fromEntries(new URL(Browser.target(await browser.request(start(server)))).searchParams);
  assert.ok(nonce);
  await browser.request(url);
  assert.equal((await browser.session(server)).email, EMAIL);
  const token = await new jose.SignJWT({ ...forged[0] }).setProtectedHeader({ alg: "RS256", kid: "first" }).sign(privateKey);
  const { json } = await server.signIn(token, EMAIL);
  assert.equal(json.errno, 34);
  // In the code flow, the provider responds with a token that an unpublished key has signed.
  const second = new Browser();
  const authorizeUrl = new URL(Browser.target(await second.request(start(server))));
  const claims = { ...forged[0], nonce: authorizeUrl.searchParams.get("nonce") };
  const withNonce = await new jose.SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "first" }).sign(privateKey);
  provider.service.once(Events.BeforeResponse, (response) => (response.body.id_token = withNonce));
  await expectError(server, second, Browser.target(await second.request(authorizeUrl.href)), 401, 34);
});

test("a code that the provider rejects is rejected", async (t) => {
  const { provider, server } = await startScenario(t);
  const browser = new Browser();
  provider.service.once(Events.BeforeResponse, (response) => {
    response.statusCode = 400;
    response.body = { error: "invalid_grant" };
  });
  await expectError(server, browser, await callbackUrl(server, browser), 401, 34);
});

test("rejected client credentials are reported in the log", async (t) => {
  const { provider, server } = await startScenario(t);
  const browser = new Browser();
  provider.service.once(Events.BeforeResponse, (response) => {
    response.statusCode = 401;
    response.body = { error: "invalid_client" };
  });
  await expectError(server, browser, await callbackUrl(server, browser), 503, 31);
  assert.match(server.log, /client_secret/);
});

test("an unavailable provider is reported at the start and at the callback", async (t) => {
  const { provider, server } = await startScenario(t);
  const browser = new Browser();
  const url = await callbackUrl(server, browser);
  const issuer = provider.issuer.url;
  await provider.down();
  await expectError(server, browser, url, 503, 31);
  const unknown = await ScenarioServer.start(t, [
    { name: "mock", issuer, client_ids: ["presence"], email_domains: ["mail.example"] },
  ]);
  await expectError(unknown, browser, start(unknown), 503, 31);
});

test("a provider that is not configured is not found", async (t) => {
  const { server } = await startScenario(t);
  const browser = new Browser();
  for (const path of ["/sign-in/oidc/other", "/sign-in/oidc/other/callback?state=x", "/sign-in/oidc/"]) {
    const response = await browser.request(server.url + path);
    assert.equal(response.status, 404, path);
  }
  const posted = await fetch(start(server), { method: "POST" });
  assert.deepEqual([posted.status, posted.headers.get("allow")], [405, "GET, HEAD"]);
});
