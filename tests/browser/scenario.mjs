// A test server: the real server on a free port with a database of its own, and users and
// Applications that are created through its API.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Requires one of the tools, which are installed in the target directory. */
export const tool = createRequire(join(process.env.PRESENCE_BROWSER_TOOLS, "tools.cjs"));

const WebSocket = tool("ws");

/** Runs a program that ends with this process. */
const CHILD = join(import.meta.dirname, "../child");

/** The longest time that a test waits for an event, in milliseconds. A passing test never does. */
export const TIMEOUT = 60_000;

/** Returns the result of a promise, or fails with the name of the event that did not happen. */
export function within(promise, event) {
  let timer;
  const timeout = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not happen in time: ${event}`)), TIMEOUT);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}

/** A running server. */
export class ScenarioServer {
  #directory;
  #process;
  #flags;
  #domains = [];
  /** Functions that run before the server ends, since a browser logs an error if it loses it. */
  cleanups = [];
  url = "";

  /**
   * Starts a server, which ends with the test. It runs in development mode, unless `flags.dev` is
   * false.
   */
  static async start(t, flags = {}) {
    const server = new ScenarioServer();
    server.#directory = await mkdtemp(join(tmpdir(), "presence-browser-"));
    server.#flags = { dev: true, "grace-seconds": 0.5, "drain-seconds": 0.2, "warm-up-seconds": 0, ...flags };
    t.after(() => server.#end());
    await server.#run("127.0.0.1:0");
    return server;
  }

  async #run(address) {
    const given = Object.entries(this.#flags).filter(([, value]) => value !== false);
    const flags = given.map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`));
    const database = `sqlite://${join(this.#directory, "presence.db")}?mode=rwc`;
    const all = [`--listen=${address}`, `--database=${database}`, ...flags];
    const child = spawn(CHILD, [process.env.PRESENCE_TEST_SERVER, ...all], {
      cwd: this.#directory,
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, PRESENCE_LOG: "error" },
    });
    const first = once(createInterface({ input: child.stdout }), "line");
    const [line] = await within(first, "the line with the address");
    this.url = /^Presence is listening on (http:\/\/[0-9.:]+)/.exec(line)?.[1] ?? assert.fail(line);
    this.#process = child;
  }

  async #end() {
    try {
      for (const cleanup of this.cleanups) await cleanup();
    } finally {
      await this.#close();
    }
  }

  async #close() {
    await this.kill();
    await Promise.all(this.#domains.map((domain) => domain.close()));
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Kills the server, as a power cut would. */
  async kill() {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  /** Starts the killed server again, on the same port and database. */
  async restart() {
    await this.#run(new URL(this.url).host);
  }

  /** Makes a call of the REST API; returns the status and the JSON. */
  async call(method, path, { token, body } = {}) {
    const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { "content-type": "application/json" }) };
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    return { status: answer.status, json: await answer.json() };
  }

  /** Makes a call that must succeed; returns the JSON. */
  async ok(method, path, options) {
    const { status, json } = await this.call(method, path, options);
    assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }

  /** Signs a user of dev.localhost in through the API; returns the token. */
  async signIn(name) {
    const { assertion } = await this.ok("POST", "/dev/assertion", { body: { email: `${name}@dev.localhost` } });
    return (await this.ok("POST", "/session", { body: { assertion, scope: "account" } })).token;
  }

  /** Opens a device's socket and sends a first frame; the socket is closed with the test. */
  async openSocket(t, firstFrame) {
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/presence`);
    t.after(() => socket.terminate());
    const frames = [];
    const closed = once(socket, "close");
    const received = once(socket, "message").then(([data]) => frames.push(JSON.parse(data)));
    await within(once(socket, "open"), "the socket");
    socket.send(JSON.stringify(firstFrame));
    return {
      /** Returns the first frame from the server. */
      firstReply: async () => (await within(received, "a frame"), frames[0]),
      /** Returns the close code. */
      closeCode: async () => (await within(closed, "the end of the socket"))[0],
    };
  }

  /** Starts a web server on loopback that serves its `pages` by path, such as `/__presence`. */
  async domain() {
    const domain = new Domain();
    this.#domains.push(domain);
    await domain.open();
    return domain;
  }

  /** Connects an online device of a user; it is closed with the test. */
  async device(t, name, message) {
    const { assertion } = await this.ok("POST", "/dev/assertion", { body: { email: `${name}@dev.localhost` } });
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/presence`);
    t.after(() => socket.terminate());
    const device = new Device(socket);
    await within(once(socket, "open"), "the device");
    socket.send(JSON.stringify({ assertion, status: "online", ...(message && { message }) }));
    await device.receives(({ result }) => result === "OK");
    return device;
  }

  /** Creates an active Application of the user `developer`, with its domain and its API key. */
  async application(name = "Chat", description = "A chat room") {
    const domain = await this.domain();
    const owner = await this.signIn("developer");
    const registered = await this.ok("POST", "/apps", { token: owner, body: { name, domain: domain.host, description } });
    domain.pages["/__presence"] = { type: "text/plain", text: registered.domain_key };
    await this.ok("POST", `/apps/${registered.appid}/verify`, { token: owner });
    const { api_key: key } = await this.ok("POST", `/apps/${registered.appid}/activate`, { token: owner });
    return new Application(this, { appid: registered.appid, key, domain, owner, name });
  }
}

/** A web server on loopback. */
export class Domain {
  #server;
  /** The pages by path: `{ status, type, text, headers }`. Any other path is a welcome page. */
  pages = {};
  /** The requests that it received, as URLs. */
  requests = [];
  host = "";

  async open() {
    this.#server = createServer((request, response) => {
      const url = new URL(request.url, this.origin);
      this.requests.push(url);
      const page = this.pages[url.pathname] ?? { type: "text/html", text: "<!doctype html><link rel=icon href=data:,><title>The application</title><h1>Welcome back</h1>" };
      response.writeHead(page.status ?? 200, { "content-type": page.type, ...page.headers });
      response.end(page.text);
    });
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.host = `127.0.0.1:${this.#server.address().port}`;
  }

  get origin() {
    return `http://${this.host}`;
  }

  close() {
    this.#server.closeAllConnections();
    return new Promise((done) => this.#server.close(done));
  }
}

/** An active Application, as its own back end sees it. */
export class Application {
  constructor(server, parts) {
    this.server = server;
    Object.assign(this, parts);
  }

  /** Returns the URL at which a user is asked for permission. */
  grantUrl(query = {}) {
    const url = new URL(`/grant/${this.appid}`, this.server.url);
    url.search = new URLSearchParams(query).toString();
    return url.href;
  }

  /** Gives the permission of a user through the API; returns the PUID. */
  async grantedBy(name) {
    const token = await this.server.signIn(name);
    return (await this.server.ok("POST", `/grant/${this.appid}`, { token, body: {} })).uid;
  }

  /** Sends a notification. */
  async notify(uid, message, action = "") {
    const body = { notifications: [{ uid, message, action }] };
    return this.server.ok("POST", `/apps/${this.appid}/notifications`, { token: this.key, body });
  }

  /** Opens the stream; it is closed with the test. */
  async stream(t) {
    const socket = new WebSocket(`${this.server.url.replace("http", "ws")}/myapps/${this.appid}`, ["presence.v1"], {
      headers: { authorization: `Bearer ${this.key}` },
    });
    t.after(() => socket.terminate());
    const stream = new Stream(socket);
    await within(once(socket, "open"), "the stream");
    return stream;
  }
}

/** A device that receives notifications without acknowledging them. */
class Device {
  #received = [];
  #waiting = [];
  #socket;

  constructor(socket) {
    this.#socket = socket;
    socket.on("message", (data) => {
      this.#received.push(JSON.parse(data));
      for (const check of [...this.#waiting]) check();
    });
  }

  /** Closes the socket in good order, so that the device is offline at once. */
  close() {
    this.#socket.close();
  }

  /** Waits for a frame that matches, also among those received before. */
  receives(matches) {
    const found = new Promise((resolve) => {
      const check = () => {
        const frame = this.#received.find(matches);
        if (!frame) return;
        this.#waiting = this.#waiting.filter((other) => other !== check);
        resolve(frame);
      };
      this.#waiting.push(check);
      check();
    });
    return within(found, String(matches));
  }
}

/** The stream of an Application. */
class Stream {
  #received = [];
  #waiting = [];
  #socket;

  constructor(socket) {
    this.#socket = socket;
    socket.on("message", (data) => {
      this.#received.push(...(JSON.parse(data).presence ?? []));
      for (const check of [...this.#waiting]) check();
    });
  }

  /** Closes the socket. */
  close() {
    this.#socket.close();
  }

  /** Returns the updates that no test has waited for yet. */
  get received() {
    return this.#received;
  }

  /** Waits for an update with these fields, among those that no test has waited for yet. */
  receives(fields) {
    const found = new Promise((resolve) => {
      const check = () => {
        const place = this.#received.findIndex((update) =>
          Object.entries(fields).every(([name, value]) => update[name] === value));
        if (place < 0) return;
        this.#waiting = this.#waiting.filter((other) => other !== check);
        const [update] = this.#received.splice(0, place + 1).slice(-1);
        resolve(update);
      };
      this.#waiting.push(check);
      check();
    });
    return within(found, JSON.stringify(fields));
  }
}
