// The flow of a developer, a user and an AppService, with the client that was generated from the
// document. The compiler rejects everything that is not in the document.

import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import createClient, { type Client } from "openapi-fetch";
import type { components, paths } from "./presence.js";

type Ko = components["schemas"]["Ko"];
type Presence = Client<paths>;

const url = process.argv[2] ?? assert.fail("the server's URL");

/** Returns the result of a call. An error response ends the flow. */
async function expect<T>(call: Promise<{ data?: T; error?: unknown }>): Promise<T> {
  const { data, error } = await call;
  return data ?? assert.fail(`refused: ${JSON.stringify(error)}`);
}

/** Signs a user in. */
async function signIn(email: string): Promise<Presence> {
  const anonymous = createClient<paths>({ baseUrl: url });
  const { assertion } = await expect(anonymous.POST("/dev/assertion", { body: { email } }));
  const session = await expect(anonymous.POST("/session", { body: { assertion, scope: "account" } }));
  assert.equal(session.email, email);
  return withCredential(session.token);
}

function withCredential(credential: string): Presence {
  return createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${credential}` } });
}

/** A domain that serves a key. */
class Domain {
  key = "";
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    server.on("request", (_, response) => response.end(this.key));
  }

  static async open(): Promise<Domain> {
    const server = createServer();
    await new Promise<void>((opened) => server.listen(0, "127.0.0.1", opened));
    return new Domain(server);
  }

  get name(): string {
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const domain = await Domain.open();
const developer = await signIn("typescript-developer@dev.localhost");
const registered = await expect(developer.POST("/apps", { body: { name: "Chat", domain: domain.name } }));
const path = { appid: registered.appid };
assert.equal(registered.state, "registered");
domain.key = registered.domain_key;
const verified = await expect(developer.POST("/apps/{appid}/verify", { params: { path } }));
assert.equal(verified.state, "verified");
const activated = await expect(developer.POST("/apps/{appid}/activate", { params: { path } }));
assert.equal(activated.state, "active");
const service = withCredential(activated.api_key ?? assert.fail("no key"));

const alice = await signIn("typescript-alice@dev.localhost");
const granted = await expect(alice.POST("/grant/{appid}", { params: { path }, body: {} }));
const { uid } = granted as components["schemas"]["Granted"];

const notifications = [{ uid, message: "Lunch?", action: "https://chat.example/lunch", ttl: 60 }];
const notified = await expect(service.POST("/apps/{appid}/notifications", { params: { path }, body: { notifications } }));
assert.deepEqual(notified.results.map(({ result, queue_size }) => [result, queue_size]), [["OK", 1]]);
const polled = await expect(service.GET("/apps/{appid}/presence", { params: { path, query: { uid: [uid] } } }));
assert.deepEqual(polled.presence.map((one) => [one.uid, one.status]), [[uid, "offline"]]);

// Error responses have types too: only documented fields can be read.
const refused = await withCredential("prs_wrong").GET("/apps/{appid}/presence", { params: { path } });
const ko: Ko = refused.error ?? assert.fail("not refused");
assert.deepEqual([refused.response.status, ko.result, ko.errno], [401, "KO", 41]);
const unknown = await alice.GET("/apps/{appid}", { params: { path: { appid: "0".repeat(32) } } });
assert.equal(unknown.error?.errno, 40);

domain.close();
console.log("TypeScript client: registered, verified, activated, granted, notified, polled, and refused as the document says");
