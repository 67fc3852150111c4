// The real server with issuers of a test, a browser that keeps cookies, and a device.

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

/** Imports one of the tools, which lie in the target directory. */
export const tool = (name) => import(pathToFileURL(require.resolve(name)).href);

const { default: WebSocket } = await tool("ws");

/** How long a test waits for what must come, in milliseconds. Nothing waits for it in a passing test. */
const TIMEOUT_MS = 30_000;

/** A promise, or a failure that says what did not come. */
export function withTimeout(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not come in time: ${what}`)), TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A web server on loopback that answers by `handler`; gives its port. It ends with the test. */
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

/** A settings file with these issuers. */
function settings(issuers) {
  const table = (issuer) =>
    ["[[oidc_issuers]]", ...Object.entries(issuer).map(([name, value]) => `${name} = ${JSON.stringify(value)}`)].join("\n");
  return issuers.map(table).join("\n\n");
}

/** A running server in development mode. */
export class ScenarioServer {
  url = "";
  log = "";

  /** Starts one with issuers, each as a table of the settings file; it ends with the test. */
  static async start(t, issuers, flags = {}) {
    const server = new ScenarioServer();
    const directory = await mkdtemp(join(tmpdir(), "presence-oidc-"));
    const config = join(directory, "presence.toml");
    await writeFile(config, settings(issuers));
    const given = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
    const database = `sqlite://${join(directory, "presence.db")}?mode=rwc`;
    const all = ["--dev", "--listen=127.0.0.1:0", `--config=${config}`, `--database=${database}`, "--drain-seconds=0.2", "--status-burst=100", ...given];
    const child = spawn(process.env.PRESENCE_TEST_SERVER, all, {
      cwd: directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PRESENCE_LOG: "debug" },
    });
    child.stderr.setEncoding("utf8").on("data", (text) => (server.log += text));
    const gone = once(child, "exit");
    t.after(async () => {
      child.kill("SIGKILL");
      await gone;
      await rm(directory, { recursive: true, force: true });
    });
    const [line] = await withTimeout(once(createInterface({ input: child.stdout }), "line"), "the line with the address");
    server.url = /^Presence is listening on (http:\/\/[0-9.:]+)/.exec(line)?.[1] ?? assert.fail(`${line} ${server.log}`);
    return server;
  }

  /** Signs in over the API with a token; gives the status and the JSON. */
  async signIn(assertion, email) {
    const body = JSON.stringify({ assertion, email, scope: "account" });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${this.url}/session`, { method: "POST", headers, body });
    return { status: answer.status, json: await answer.json() };
  }

  /** Introduces a device with a token, on a socket of its own; gives what it hears. */
  async device(assertion, email) {
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/presence`);
    try {
      await withTimeout(once(socket, "open"), "the socket");
      const heard = once(socket, "message");
      socket.send(JSON.stringify({ assertion, email, status: "online" }));
      const [data] = await withTimeout(heard, "a reply");
      return JSON.parse(data);
    } finally {
      socket.terminate();
    }
  }
}

/** A browser: keeps cookies by host, and follows redirects one at a time. */
export class Browser {
  #cookies = new Map();

  /** The cookies of a host. */
  cookies(host) {
    return this.#cookies.get(host) ?? new Map();
  }

  /** One request; gives the answer. */
  async request(url, { method = "GET", form } = {}) {
    const { hostname } = new URL(url);
    const kept = [...this.cookies(hostname)].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { accept: "text/html", ...(kept && { cookie: kept }), ...(form && { "content-type": "application/x-www-form-urlencoded" }) };
    const body = form && new URLSearchParams(form).toString();
    const answer = await fetch(url, { method, headers, body, redirect: "manual" });
    for (const line of answer.headers.getSetCookie()) this.#keep(hostname, line);
    return answer;
  }

  #keep(hostname, line) {
    const [pair, ...attributes] = line.split(";").map((part) => part.trim());
    const [name, ...value] = pair.split("=");
    const cookies = new Map(this.cookies(hostname));
    const gone = attributes.some((attribute) => /^max-age=0$/i.test(attribute) || /^expires=thu, 01 jan 1970/i.test(attribute));
    if (gone) cookies.delete(name);
    else cookies.set(name, value.join("="));
    this.#cookies.set(hostname, cookies);
  }

  /** Where an answer sends the browser. */
  static target(answer) {
    assert.ok([302, 303].includes(answer.status), `${answer.status} ${answer.url}`);
    return new URL(answer.headers.get("location"), answer.url).href;
  }

  /** Asks and follows redirects until there is a page; gives it. */
  async visit(url, options) {
    let answer = await this.request(url, options);
    for (let hops = 0; answer.status === 302 || answer.status === 303; hops += 1) {
      assert.ok(hops < 20, "redirects for ever");
      answer = await this.request(Browser.target(answer));
    }
    return answer;
  }

  /** Whether this browser is signed in to a server, and as whom. */
  async session(server) {
    const { hostname } = new URL(server.url);
    const cookie = this.cookies(hostname).get("presence");
    if (!cookie) return null;
    const answer = await fetch(`${server.url}/session`, { headers: { cookie: `presence=${cookie}` } });
    return answer.ok ? answer.json() : null;
  }
}
