// Signing in with an identity provider, by its real redirects.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { pathToFileURL } from "node:url";
import { closeBrowser, looksGood, Person } from "./browser.mjs";
import { Stage, tool } from "./stage.mjs";

const { OAuth2Server, Events } = await import(pathToFileURL(tool.resolve("oauth2-mock-server")).href);

after(closeBrowser);

test("somebody answers an application after signing in with a provider", async (t) => {
  const provider = new OAuth2Server();
  await provider.issuer.keys.generate("RS256", { kid: "first" });
  await provider.start(0, "localhost");
  t.after(() => provider.stop());
  const claims = { email: "alice@mail.example", email_verified: true };
  provider.service.on(Events.BeforeTokenSigning, ({ payload }) => Object.assign(payload, claims));
  const issuer = { name: "mock", title: "Mock & <Co>", issuer: provider.issuer.url, client_ids: ["presence"], email_domains: ["mail.example"] };
  const stage = await Stage.start(t, { "oidc-issuers": JSON.stringify([issuer]) });
  const chat = await stage.application();
  const alice = await Person.enter(t, stage, { origins: [new URL(provider.issuer.url).origin] });
  const page = await alice.tab(chat.grantUrl({ id: "alice42" }));
  await looksGood(page, "sign-in-provider");
  await page.getByRole("link", { name: "Sign in with Mock & <Co>" }).click();
  await page.getByRole("heading", { name: "May Chat see whether you can be reached?" }).waitFor();
  await page.getByTitle("alice@mail.example").waitFor();
  assert.equal(page.url(), chat.grantUrl({ id: "alice42" }));
  await page.getByRole("button", { name: "Yes, it may" }).click();
  await page.getByText("Chat may now see whether you can be reached.").waitFor();
});

test("a sign-in that was not begun here ends on our own page", async (t) => {
  const issuer = { name: "mock", title: "Mock", issuer: "http://localhost:9", client_ids: ["presence"], email_domains: ["mail.example"] };
  const stage = await Stage.start(t, { "oidc-issuers": JSON.stringify([issuer]) });
  const alice = await Person.enter(t, stage);
  alice.forgives(/401/);
  const page = await alice.tab("/sign-in/oidc/mock/callback?code=x&state=y");
  await page.getByRole("heading", { name: "This sign-in was not begun here" }).waitFor();
  await looksGood(page, "sign-in-failed");
});
