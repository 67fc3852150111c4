// The real server on a free port with a database of its own, and people and Applications made through its API.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Requires one of the tools, which lie in the target directory. */
export const tool = createRequire(join(process.env.PRESENCE_BROWSER_TOOLS, "tools.cjs"));

const WebSocket = tool("ws");

/** How long a test waits for what must come, in milliseconds. Nothing waits for it in a passing test. */
export const PATIENCE = 30_000;

/** A promise, or a failure that says what did not come. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not come in time: ${what}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A running server. */
export class Stage {
  #directory;
  #process;
  #flags;
  #domains = [];
  /** What must end before the server does: browsers would complain that it is gone. */
  guests = [];
  url = "";

  /** Starts one; it ends with the test. In development mode, unless `flags.dev` is false. */
  static async start(t, flags = {}) {
    const stage = new Stage();
    stage.#directory = await mkdtemp(join(tmpdir(), "presence-browser-"));
    stage.#flags = { dev: true, "grace-seconds": 0.5, "drain-seconds": 0.2, "warm-up-seconds": 0, ...flags };
    t.after(() => stage.#end());
    await stage.#run("127.0.0.1:0");
    return stage;
  }

  async #run(address) {
    const given = Object.entries(this.#flags).filter(([, value]) => value !== false);
    const flags = given.map(([name, value]) => (value === true ? `--${name}` : `--${name}=${value}`));
    const database = `sqlite://${join(this.#directory, "presence.db")}?mode=rwc`;
    const all = [`--listen=${address}`, `--database=${database}`, ...flags];
    const child = spawn(process.env.PRESENCE_TEST_SERVER, all, {
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
      for (const leave of this.guests) await leave();
    } finally {
      await this.#close();
    }
  }

  async #close() {
    await this.kill();
    await Promise.all(this.#domains.map((domain) => domain.close()));
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Kills the server as by a power cut. */
  async kill() {
    const child = this.#process;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  }

  /** Starts the killed server again, on the same port and database. */
  async restart() {
    await this.#run(new URL(this.url).host);
  }

  /** A call of the REST API; gives the status and the JSON. */
  async call(method, path, { token, body } = {}) {
    const headers = { ...(token && { authorization: `Bearer ${token}` }), ...(body && { "content-type": "application/json" }) };
    const answer = await fetch(this.url + path, { method, headers, body: body && JSON.stringify(body) });
    return { status: answer.status, json: await answer.json() };
  }

  /** A call that must succeed; gives the JSON. */
  async ok(method, path, options) {
    const { status, json } = await this.call(method, path, options);
    assert.ok(status < 300, `${method} ${path}: ${status} ${JSON.stringify(json)}`);
    return json;
  }

  /** Signs somebody of dev.localhost in over the API; gives the token. */
  async signIn(name) {
    const { assertion } = await this.ok("POST", "/dev/assertion", { body: { email: `${name}@dev.localhost` } });
    return (await this.ok("POST", "/session", { body: { assertion, scope: "account" } })).token;
  }

  /** A device's socket that has sent this first frame, whatever comes of it; it is closed with the test. */
  async knock(t, hello) {
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/presence`);
    t.after(() => socket.terminate());
    const frames = [];
    const closed = once(socket, "close");
    const heard = once(socket, "message").then(([data]) => frames.push(JSON.parse(data)));
    await within(once(socket, "open"), "the socket");
    socket.send(JSON.stringify(hello));
    return {
      /** The first frame that it hears. */
      says: async () => (await within(heard, "a frame"), frames[0]),
      /** The code that it is closed with. */
      closed: async () => (await within(closed, "the end of the socket"))[0],
    };
  }

  /** A web server on loopback that shows what `pages` has by path, such as `/__presence`. */
  async domain() {
    const domain = new Domain();
    this.#domains.push(domain);
    await domain.open();
    return domain;
  }

  /** A device of somebody that is online; it is closed with the test. */
  async device(t, name, message) {
    const { assertion } = await this.ok("POST", "/dev/assertion", { body: { email: `${name}@dev.localhost` } });
    const socket = new WebSocket(`${this.url.replace("http", "ws")}/presence`);
    t.after(() => socket.terminate());
    const device = new Device(socket);
    await within(once(socket, "open"), "the device");
    socket.send(JSON.stringify({ assertion, status: "online", ...(message && { message }) }));
    await device.hears(({ result }) => result === "OK");
    return device;
  }

  /** An active Application of `developer`, with its domain and its API key. */
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
  /** What it shows by path: `{ status, type, text, headers }`. Everything else is a page that says where one is. */
  pages = {};
  /** The requests it got, as URLs. */
  asked = [];
  host = "";

  async open() {
    this.#server = createServer((request, response) => {
      const url = new URL(request.url, this.origin);
      this.asked.push(url);
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
  constructor(stage, parts) {
    this.stage = stage;
    Object.assign(this, parts);
  }

  /** Where its users are asked. */
  grantUrl(query = {}) {
    const url = new URL(`/grant/${this.appid}`, this.stage.url);
    url.search = new URLSearchParams(query).toString();
    return url.href;
  }

  /** Lets somebody be seen, over the API; gives the PUID. */
  async grantedBy(name) {
    const token = await this.stage.signIn(name);
    return (await this.stage.ok("POST", `/grant/${this.appid}`, { token, body: {} })).uid;
  }

  /** Sends a notification. */
  async notify(uid, message, action = "") {
    const body = { notifications: [{ uid, message, action }] };
    return this.stage.ok("POST", `/apps/${this.appid}/notifications`, { token: this.key, body });
  }

  /** Opens the stream; it is closed with the test. */
  async stream(t) {
    const socket = new WebSocket(`${this.stage.url.replace("http", "ws")}/myapps/${this.appid}`, ["presence.v1"], {
      headers: { authorization: `Bearer ${this.key}` },
    });
    t.after(() => socket.terminate());
    const stream = new Stream(socket);
    await within(once(socket, "open"), "the stream");
    return stream;
  }
}

/** A device that takes what it is told without acknowledging it. */
class Device {
  #heard = [];
  #waiting = [];

  constructor(socket) {
    socket.on("message", (data) => {
      this.#heard.push(JSON.parse(data));
      for (const look of [...this.#waiting]) look();
    });
  }

  /** Waits for a frame like this one, also among those that came before. */
  hears(wanted) {
    const found = new Promise((resolve) => {
      const look = () => {
        const frame = this.#heard.find(wanted);
        if (!frame) return;
        this.#waiting = this.#waiting.filter((other) => other !== look);
        resolve(frame);
      };
      this.#waiting.push(look);
      look();
    });
    return within(found, String(wanted));
  }
}

/** What an Application hears. */
class Stream {
  #heard = [];
  #waiting = [];

  constructor(socket) {
    socket.on("message", (data) => {
      this.#heard.push(...(JSON.parse(data).presence ?? []));
      for (const look of [...this.#waiting]) look();
    });
  }

  /** Everything heard so far. */
  get heard() {
    return this.#heard;
  }

  /** Waits for an update like this one, among those not yet waited for. */
  hears(wanted) {
    const found = new Promise((resolve) => {
      const look = () => {
        const place = this.#heard.findIndex((update) =>
          Object.entries(wanted).every(([name, value]) => update[name] === value));
        if (place < 0) return;
        this.#waiting = this.#waiting.filter((other) => other !== look);
        const [update] = this.#heard.splice(0, place + 1).slice(-1);
        resolve(update);
      };
      this.#waiting.push(look);
      look();
    });
    return within(found, JSON.stringify(wanted));
  }
}
