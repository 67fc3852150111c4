// Sign-in with a certified provider, with its pages for sign-in and consent.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Browser, ScenarioServer, serve, tool } from "./scenario.mjs";

const { default: Provider } = await tool("oidc-provider");

const CLIENT = { client_id: "presence", client_secret: "shared-secret", response_types: ["code"], grant_types: ["authorization_code"] };

/** Starts the provider. Its client is configured once the port of the server is known. */
async function provider(t) {
  let handle;
  const ready = new Promise((resolve) => (handle = resolve));
  const port = await serve(t, async (request, response) => (await ready)(request, response));
  const issuer = `http://localhost:${port}`;
  const configure = (redirectUri) => {
    const instance = new Provider(issuer, {
      clients: [{ ...CLIENT, redirect_uris: [redirectUri] }],
      claims: { openid: ["sub"], email: ["email", "email_verified"] },
      // Includes the e-mail in the ID token rather than only in the userinfo.
      conformIdTokenClaims: false,
      findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub, email: `${sub}@mail.example`, email_verified: true }) }),
      cookies: { keys: ["for a test"] },
    });
    handle(instance.callback());
  };
  return { issuer, configure };
}

/** Returns the target and the hidden fields of the form on a page. */
async function form(response) {
  const page = await response.text();
  const action = /<form[^>]* action="([^"]+)"/.exec(page)?.[1] ?? assert.fail(page);
  const hidden = [...page.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]);
  return { action: new URL(action, response.url).href, fields: Object.fromEntries(hidden) };
}

test("a user who signs in and consents on the provider's pages is signed in", async (t) => {
  const { issuer, configure } = await provider(t);
  const server = await ScenarioServer.start(t, [
    { name: "certified", issuer, client_ids: [CLIENT.client_id], client_secret: CLIENT.client_secret, email_domains: ["mail.example"] },
  ]);
  configure(`${server.url}/sign-in/oidc/certified/callback`);
  const browser = new Browser();
  const login = await form(await browser.visit(`${server.url}/sign-in/oidc/certified?return=/docs`));
  const consent = await form(await browser.visit(login.action, { method: "POST", form: { ...login.fields, login: "alice", password: "any" } }));
  const done = await browser.visit(consent.action, { method: "POST", form: consent.fields });
  assert.equal(new URL(done.url).href, `${server.url}/docs`);
  const session = await browser.session(server);
  assert.deepEqual([session.email, session.scope], ["alice@mail.example", "account"]);
});
