// The whole flow in one test: a developer, a user and a visitor, each with a browser of their own.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, BrowserUser } from "./browser.mjs";
import { ScenarioServer } from "./scenario.mjs";

after(closeBrowser);

test("a developer registers an Application; a user gives permission, goes online, gets a notification, pauses and revokes", async (t) => {
  const server = await ScenarioServer.start(t);
  const domain = await server.domain();

  // The developer registers an Application, verifies the domain, activates it, opens the console.
  const developer = await BrowserUser.open(t, server);
  const developerPage = await developer.tab("/myapps/new");
  await developer.fillSignIn("dora", developerPage);
  await developerPage.getByLabel("Name").fill("Chess by mail");
  await developerPage.getByLabel("Domain").fill(domain.host);
  await developerPage.getByLabel("Description").fill("Tells you when it is your move.");
  await developerPage.getByRole("button", { name: "Register" }).click();
  await developerPage.getByText("Registered. Next, verify").waitFor();
  domain.pages["/__presence"] = { type: "text/plain", text: await developerPage.getByLabel("The domain key").inputValue() };
  await developerPage.getByRole("button", { name: "Verify" }).click();
  await developerPage.getByText("Your domain is verified.").waitFor();
  await developerPage.getByRole("button", { name: "Activate", exact: true }).click();
  const apiKey = await developerPage.getByLabel("The API key", { exact: true }).inputValue();
  const link = (await developerPage.locator("#grant-link").textContent()).replace("SECRET", "s1");
  await developerPage.getByRole("link", { name: "Console" }).click();
  await developerPage.getByLabel("API key").fill(apiKey);
  await developerPage.getByRole("button", { name: "Connect", exact: true }).click();
  await developerPage.locator("#state").getByText("Connected", { exact: true }).waitFor();

  // A user follows the link on the application's website, signs in on the way and gives permission.
  domain.pages["/"] = { type: "text/html", text: `<!doctype html><link rel=icon href=data:,><a href="${link.replaceAll("&", "&amp;")}">Let Chess see you</a>` };
  const alice = await BrowserUser.open(t, server, { origins: [domain.origin] });
  const userPage = await alice.tab(`${domain.origin}/`);
  await userPage.getByRole("link").click();
  await alice.fillSignIn("alice", userPage);
  await userPage.getByRole("heading", { name: "Allow Chess by mail to see your status?" }).waitFor();
  await userPage.getByText("Tells you when it is your move.").waitFor();
  await userPage.getByRole("button", { name: "Allow", exact: true }).click();
  await userPage.getByRole("heading", { name: "Welcome back" }).waitFor();
  const back = new URL(userPage.url());
  assert.deepEqual([back.origin, back.pathname, back.searchParams.get("state")], [domain.origin, "/welcome", "s1"]);
  const uid = back.searchParams.get("Presence-UID");

  // The user goes online in one tab; the console shows the PUID, and nothing else about the user.
  await userPage.goto(`${server.url}/sidebar`);
  await userPage.locator('#connection[data-state="connected"]').waitFor();
  await userPage.locator('#status input[value="online"]').check();
  const userRow = developerPage.locator("#users tr").filter({ hasText: uid });
  await userRow.getByText("online").waitFor();
  assert.equal((await developerPage.content()).includes("alice"), false);

  // The developer sends a notification from the console, and the user sees it.
  await userRow.getByRole("button", { name: uid }).click();
  await developerPage.getByLabel("Message").fill("Your move");
  await developerPage.getByRole("button", { name: "Send" }).click();
  const shown = userPage.locator("#notifications li").filter({ hasText: "Your move" });
  await shown.getByRole("heading", { name: "Chess by mail" }).waitFor();
  await developerPage.locator("#sent").getByText("acked").waitFor();

  // The user pauses and appears offline, resumes and appears online, and revokes.
  await userPage.getByRole("button", { name: "Pause Chess by mail" }).click();
  await userRow.getByText("offline").waitFor();
  await userPage.getByRole("button", { name: "Resume Chess by mail" }).click();
  await userRow.getByText("online").waitFor();
  const asked = userPage.locator("#apps li").filter({ hasText: "Chess by mail" });
  await asked.getByText("More").click();
  await asked.getByRole("button", { name: "Revoke Chess by mail" }).click();
  await userPage.getByText("No Application can see you.").waitFor();
  await userRow.getByText("revoked").waitFor();

  // A visitor who is not signed in is asked to sign in, and sees nothing.
  const visitor = await BrowserUser.open(t, server);
  const visitorPage = await visitor.tab(new URL(developerPage.url()).pathname);
  assert.equal(new URL(visitorPage.url()).pathname, "/sign-in");
  assert.equal(/Chess|dora|alice@/.test(await visitorPage.content()), false);
});
