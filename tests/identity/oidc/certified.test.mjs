// A browser signs in with a certified provider, with its own pages for signing in and consent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, ScenarioServer, serve, tool } from "./scenario.mjs";

const { default: Provider } = await tool("oidc-provider");

const CLIENT = { client_id: "presence", client_secret: "kept between us two", response_types: ["code"], grant_types: ["authorization_code"] };

/** The provider, whose client is known once the server has a port. */
async function provider(t) {
  let handle;
  const ready = new Promise((resolve) => (handle = resolve));
  const port = await serve(t, async (request, response) => (await ready)(request, response));
  const issuer = `http://localhost:${port}`;
  const open = (redirectUri) => {
    const found = new Provider(issuer, {
      clients: [{ ...CLIENT, redirect_uris: [redirectUri] }],
      claims: { openid: ["sub"], email: ["email", "email_verified"] },
      // Otherwise the e-mail would be in the userinfo only.
      conformIdTokenClaims: false,
      findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: `${sub}@mail.example`, email_verified: true }) }),
      cookies: { keys: ["for a test"] },
    });
    handle(found.callback());
  };
  return { issuer, open };
}

/** The form of a page: where it goes, and what it holds. */
async function form(answer) {
  const page = await answer.text();
  const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1] ?? assert.fail(page);
  const hidden = [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
  return { action: new URL(action, answer.url).href, fields: Object.fromEntries(hidden) };
}

test("somebody signs in and consents on the provider's pages, and is signed in here", async (t) => {
  const { issuer, open } = await provider(t);
  const server = await ScenarioServer.start(t, [
    { name: "certified", issuer, client_ids: [CLIENT.client_id], client_secret: CLIENT.client_secret, email_domains: ["mail.example"] },
  ]);
  open(`${server.url}/sign-in/oidc/certified/callback`);
  const browser = new Browser();
  const login = await form(await browser.visit(`${server.url}/sign-in/oidc/certified?return=/docs`));
  const consent = await form(await browser.visit(login.action, { method: "POST", form: { ...login.fields, login: "alice", password: "any" } }));
  const done = await browser.visit(consent.action, { method: "POST", form: consent.fields });
  assert.equal(new URL(done.url).href, `${server.url}/docs`);
  const session = await browser.session(server);
  assert.deepEqual([session.email, session.scope], ["alice@mail.example", "account"]);
});
