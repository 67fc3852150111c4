// Signing in with an identity provider, through its real redirects.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { closeBrowser, checkPage, BrowserUser } from "./browser.mjs";
import { ScenarioServer, tool } from "./scenario.mjs";

const { OAuth2Server, Events } = await import(pathToFileURL(tool.resolve("oauth2-mock-server")).href);

after(closeBrowser);

test("a user gives permission after signing in with a provider", async (t) => {
  const provider = new OAuth2Server();
  await provider.issuer.keys.generate("RS256", { kid: "first" });
  await provider.start(0, "localhost");
  t.after(() => provider.stop());
  const claims = { email: "alice@mail.example", email_verified: true };
  provider.service.on(Events.BeforeTokenSigning, ({ payload }) => Object.assign(payload, claims));
  const issuer = { name: "mock", title: "Mock & <Co>", issuer: provider.issuer.url, client_ids: ["presence"], email_domains: ["mail.example"] };
  const server = await ScenarioServer.start(t, { "oidc-issuers": JSON.stringify([issuer]) });
  const chat = await server.application();
  const alice = await BrowserUser.open(t, server, { origins: [new URL(provider.issuer.url).origin] });
  const page = await alice.tab(chat.grantUrl({ id: "alice42" }));
  await checkPage(page, "sign-in-provider");
  await page.getByRole("link", { name: "Sign in with Mock & <Co>" }).click();
  await page.getByRole("heading", { name: "Allow Chat to see your status?" }).waitFor();
  await page.getByTitle("alice@mail.example").waitFor();
  assert.equal(page.url(), chat.grantUrl({ id: "alice42" }));
  await page.getByRole("button", { name: "Allow", exact: true }).click();
  await page.getByText("Chat can now see your status.").waitFor();
});

test("a sign-in that was not started here ends on an error page of this server", async (t) => {
  const issuer = { name: "mock", title: "Mock", issuer: "http://localhost:9", client_ids: ["presence"], email_domains: ["mail.example"] };
  const server = await ScenarioServer.start(t, { "oidc-issuers": JSON.stringify([issuer]) });
  const alice = await BrowserUser.open(t, server);
  alice.ignores(/401/);
  const page = await alice.tab("/sign-in/oidc/mock/callback?code=x&state=y");
  await page.getByRole("heading", { name: "This sign-in has expired" }).waitFor();
  await checkPage(page, "sign-in-failed");
});

test("a provider cannot sign in users of a domain that another verifier speaks for", async (t) => {
  const provider = new OAuth2Server();
  await provider.issuer.keys.generate("RS256", { kid: "first" });
  await provider.start(0, "localhost");
  t.after(() => provider.stop());
  // The issuer of development mode speaks for dev.localhost.
  const claims = { email: "alice@dev.localhost", email_verified: true };
  provider.service.on(Events.BeforeTokenSigning, ({ payload }) => Object.assign(payload, claims));
  const issuer = { name: "mock", title: "Mock", issuer: provider.issuer.url, client_ids: ["presence"], email_domains: ["mail.example"] };
  const server = await ScenarioServer.start(t, { "oidc-issuers": JSON.stringify([issuer]) });
  const mallory = await BrowserUser.open(t, server, { origins: [new URL(provider.issuer.url).origin] });
  mallory.ignores(/40[0-9]/);
  const page = await mallory.tab("/sign-in");
  await page.getByRole("link", { name: "Sign in with Mock" }).click();
  await page.waitForURL("**/sign-in/oidc/mock/callback**");
  await page.getByRole("heading", { name: "You could not be signed in" }).waitFor();
  await page.goto("/sidebar");
  await page.getByRole("main").getByRole("link", { name: "Sign in" }).waitFor();
});
