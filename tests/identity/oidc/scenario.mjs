// Fixtures of the OpenID Connect tests: a server with issuers, and a browser with cookies.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const require = createRequire(join(process.env.PRESENCE_OIDC_TOOLS, "tools.cjs"));

/** Imports a package from the target directory. */
export const tool = (name) => import(pathToFileURL(require.resolve(name)).href);

const { default: WebSocket } = await tool("ws");

/** The time limit of an awaited event, in milliseconds. A passing test does not reach it. */
const TIMEOUT_MS = 60_000;

/** Awaits a promise, and fails with the name of the event at the time limit. */
export function withTimeout(promise, what) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`timed out: ${what}`)), TIMEOUT_MS);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** Starts a web server on loopback that stops with the test. Returns its port. */
export async function serve(t, handler) {
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return server.address().port;
}

/** Returns the text of a settings file with these issuers. */
function settingsFile(issuers) {
  const table = (issuer) =>
    ["[[oidc_issuers]]", ...Object.entries(issuer).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)].join("\n");
  return issuers.map(table).join("\n\n");
}

/** Runs a program that ends with this process. */
const CHILD = join(import.meta.dirname, "../../child");

/** A running server in development mode. */
export class ScenarioServer {
  url = "";
  log = "";

  /** Starts a server with these tables of issuers that stops with the test. */
  static async start(t, issuers, flags = {}) {
    const server = new ScenarioServer();
    const directory = await mkdtemp(join(tmpdir(), "presence-oidc-"));
    const config = join(directory, "presence.toml");
    await writeFile(config, settingsFile(issuers));
    const extraFlags = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const database = `sqlite://${join(directory, "presence.db")}?mode=rwc`;
    const args = ["--dev", "--listen=127.0.0.1:0", `--config=${config}`, `--database=${database}`, "--drain-seconds=0.2", "--status-burst=100", ...extraFlags];
    const child = spawn(CHILD, [process.env.PRESENCE_TEST_SERVER, ...args], {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PRESENCE_LOG: "debug" },
    });
    child.stderr.setEncoding("utf8").on("data", (text) => (server.log += text));
    const exited = once(child, "exit");
    t.after(async () => {
      child.kill("SIGKILL");
      await exited;
      await rm(directory, { recursive: true, force: true });
    });
    const [line] = await withTimeout(once(createInterface({ input: child.stdout }), "line"), "the line with the address");
    server.url = /^Presence is listening on (http:\/\/[0-9.:]+)/.exec(line)?.[1] ?? assert.fail(`${line} ${server.log}`);
    return server;
  }

  /** Signs in over REST with a token. Returns the status and the JSON. */
  async signIn(assertion, email) {
    const body = JSON.stringify({ assertion, email, scope: "account" });
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${this.url}/session`, { method: "POST", headers, body });
    return { status: response.status, json: await response.json() };
  }

  /** Authenticates a device with a token on a new socket. Returns the reply. */
  async device(assertion, email) {
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/presence`);
    try {
      await withTimeout(once(socket, "open"), "the socket");
      const reply = once(socket, "message");
      socket.send(JSON.stringify({ assertion, email, status: "online" }));
      const [data] = await withTimeout(reply, "a reply");
      return JSON.parse(data);
    } finally {
      socket.terminate();
    }
  }
}

/** A browser that stores cookies by host and follows redirects. */
export class Browser {
  #cookies = new Map();

  /** Returns the cookies of a host. */
  cookies(host) {
    return this.#cookies.get(host) ?? new Map();
  }

  /** Sends one request without following redirects. */
  async request(url, { method = "GET", form } = {}) {
    const { hostname } = new URL(url);
    const cookieHeader = [...this.cookies(hostname)].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...(cookieHeader && { cookie: cookieHeader }), ...(form && { "content-type": "application/x-www-form-urlencoded" }) };
    const body = form && new URLSearchParams(form).toString();
    const response = await fetch(url, { method, headers, body, redirect: "manual" });
    for (const line of response.headers.getSetCookie()) this.#store(hostname, line);
    return response;
  }

  #store(hostname, line) {
    const [pair, ...attributes] = line.split(";").map((part) => part.trim());
    const [name, ...value] = pair.split("=");
    const cookies = new Map(this.cookies(hostname));
    const expired = attributes.some((attribute) => /^max-age=0$/i.test(attribute) || /^expires=thu, 01 jan 1970/i.test(attribute));
    if (expired) cookies.delete(name);
    else cookies.set(name, value.join("="));
    this.#cookies.set(hostname, cookies);
  }

  /** Returns the target of a redirect. */
  static target(response) {
    assert.ok([302, 303].includes(response.status), `${response.status} ${response.url}`);
    return new URL(response.headers.get("location"), response.url).href;
  }

  /** Sends a request and follows redirects. Returns the final response. */
  async visit(url, options) {
    let response = await this.request(url, options);
    for (let redirects = 0; response.status === 302 || response.status === 303; redirects += 1) {
      assert.ok(redirects < 20, "too many redirects");
      response = await this.request(Browser.target(response));
    }
    return response;
  }

  /** Returns the session of this browser, or null if it is not signed in. */
  async session(server) {
    const { hostname } = new URL(server.url);
    const cookie = this.cookies(hostname).get("presence");
    if (!cookie) return null;
    const response = await fetch(`${server.url}/session`, { headers: { cookie: `presence=${cookie}` } });
    return response.ok ? response.json() : null;
  }
}
