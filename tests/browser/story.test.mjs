// The whole story in one go: a developer, a user, and somebody who is neither, each in a browser of their own.

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { closeBrowser, Person } from "./browser.mjs";
import { Stage } from "./stage.mjs";

after(closeBrowser);

test("a developer registers an application, a user lets it in, is seen, is told something, pauses and revokes", async (t) => {
  const stage = await Stage.start(t);
  const domain = await stage.domain();

  // The developer registers, shows whose the domain is, starts, and watches.
  const developer = await Person.enter(t, stage);
  const theirs = await developer.tab("/myapps/new");
  await developer.fillSignIn("dora", theirs);
  await theirs.getByLabel("Name").fill("Chess by mail");
  await theirs.getByLabel("Domain").fill(domain.host);
  await theirs.getByLabel("What it is").fill("Tells you when it is your move.");
  await theirs.getByRole("button", { name: "Register" }).click();
  await theirs.getByText("Registered. Now show").waitFor();
  domain.pages["/__presence"] = { type: "text/plain", text: await theirs.getByLabel("The domain key").inputValue() };
  await theirs.getByRole("button", { name: "Verify" }).click();
  await theirs.getByText("Verified: the domain is yours").waitFor();
  await theirs.getByRole("button", { name: "Start" }).click();
  const apiKey = await theirs.getByLabel("The API key", { exact: true }).inputValue();
  const link = (await theirs.locator("#grant-link").textContent()).replace("SECRET", "s1");
  await theirs.getByRole("link", { name: "Console" }).click();
  await theirs.getByLabel("API key").fill(apiKey);
  await theirs.getByRole("button", { name: "Connect", exact: true }).click();
  await theirs.locator("#state").getByText("Connected", { exact: true }).waitFor();

  // A user follows the link on the application's site, signs in on the way, and says yes.
  domain.pages["/"] = { type: "text/html", text: `<!doctype html><link rel=icon href=data:,><a href="${link.replaceAll("&", "&amp;")}">Let Chess see you</a>` };
  const alice = await Person.enter(t, stage, { origins: [domain.origin] });
  const hers = await alice.tab(`${domain.origin}/`);
  await hers.getByRole("link").click();
  await alice.fillSignIn("alice", hers);
  await hers.getByRole("heading", { name: "May Chess by mail see whether you can be reached?" }).waitFor();
  await hers.getByText("Tells you when it is your move.").waitFor();
  await hers.getByRole("button", { name: "Yes, it may" }).click();
  await hers.getByRole("heading", { name: "Welcome back" }).waitFor();
  const back = new URL(hers.url());
  assert.deepEqual([back.origin, back.pathname, back.searchParams.get("state")], [domain.origin, "/welcome", "s1"]);
  const uid = back.searchParams.get("Presence-UID");

  // She goes online in one tab; the console sees her under the PUID, and nothing else of her.
  await hers.goto(`${stage.url}/sidebar`);
  await hers.locator('#connection[data-state="connected"]').waitFor();
  await hers.locator('#status input[value="online"]').check();
  const person = theirs.locator("#people tr").filter({ hasText: uid });
  await person.getByText("online").waitFor();
  assert.equal((await theirs.content()).includes("alice"), false);

  // The developer sends a notification from the console, and she sees it.
  await person.getByRole("button", { name: uid }).click();
  await theirs.getByLabel("Message").fill("Your move");
  await theirs.getByRole("button", { name: "Send" }).click();
  const shown = hers.locator("#notifications li").filter({ hasText: "Your move" });
  await shown.getByRole("heading", { name: "Chess by mail" }).waitFor();
  await theirs.locator("#sent").getByText("acked").waitFor();

  // She pauses, and is offline to the application; she resumes, and is there; she revokes, and is gone.
  await hers.getByRole("button", { name: "Pause Chess by mail" }).click();
  await person.getByText("offline").waitFor();
  await hers.getByRole("button", { name: "Resume Chess by mail" }).click();
  await person.getByText("online").waitFor();
  const asked = hers.locator("#apps li").filter({ hasText: "Chess by mail" });
  await asked.getByText("More").click();
  await asked.getByRole("button", { name: "Revoke Chess by mail" }).click();
  await hers.getByText("No application sees you.").waitFor();
  await person.getByText("revoked").waitFor();

  // A third browser is signed in nowhere: it is asked to sign in, and sees neither.
  const stranger = await Person.enter(t, stage);
  const nobodys = await stranger.tab(new URL(theirs.url()).pathname);
  assert.equal(new URL(nobodys.url()).pathname, "/sign-in");
  assert.equal(/Chess|dora|alice@/.test(await nobodys.content()), false);
});
