// browserid-crypto and browserid-local-verify: the assertions of the one against the server, the
// development issuer's against the other.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { strict as assert } from "node:assert";
import { promisify } from "node:util";

const [tools, binary] = process.argv.slice(2);
const require = createRequire(join(resolve(tools), "package.json"));
const jwcrypto = require("browserid-crypto");
require("browserid-crypto/lib/algs/rs");
require("browserid-crypto/lib/algs/ds");
const BrowserID = require("browserid-local-verify");
const WebSocket = require("ws");

const INVALID_ASSERTION = 34;

const generate = promisify(jwcrypto.generateKeypair);
const certify = promisify(jwcrypto.cert.sign);
const sign = promisify(jwcrypto.assertion.sign);

/** Runs a server in development mode for the time of some work. */
async function withServer(flags, work) {
  const directory = mkdtempSync(join(tmpdir(), "presence-"));
  const child = spawn(binary, ["--dev", "--listen=127.0.0.1:0", "--log=error", ...flags], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = await once(createInterface(child.stdout), "line");
    const greeting = "Presence is listening on ";
    assert(line.startsWith(greeting), `the server did not start: it said ${line}`);
    await work(line.slice(greeting.length));
  } finally {
    child.kill();
    if (child.exitCode === null) await once(child, "exit");
    rmSync(directory, { recursive: true });
  }
}

const post = async (url, body) => {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return answer.json();
};

const session = (url, assertion) => post(`${url}/session`, { assertion });

/** Presents an assertion on a device's socket. */
async function device(url, assertion) {
  const socket = new WebSocket(`${url.replace("http", "ws")}/presence`);
  try {
    await once(socket, "open");
    socket.send(JSON.stringify({ assertion, status: "online" }));
    const [data] = await once(socket, "message");
    return JSON.parse(data);
  } finally {
    socket.terminate();
  }
}

/** An issuer on a loopback port that publishes a key. */
async function issuer(key) {
  const document = {
    authentication: "/auth",
    provisioning: "/prov",
    "public-key": key.publicKey.toSimpleObject(),
  };
  const server = createServer((request, response) => {
    const found = request.url.startsWith("/.well-known/browserid?domain=");
    response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(found ? document : {}));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  const host = `localhost:${server.address().port}`;
  const mint = async (name, audience, user, lifetime = 600_000) => {
    const expiresAt = new Date(Date.now() + lifetime);
    const issuedAt = new Date(Date.now() - 10_000 + Math.min(lifetime, 0));
    const principal = { email: `${name}@${host}` };
    const certificate = await certify(
      { publicKey: user.publicKey, principal },
      { issuer: host, issuedAt, expiresAt },
      {},
      key.secretKey,
    );
    const assertion = await sign({ nonce: String(Math.random()) }, { audience, expiresAt }, user.secretKey);
    return jwcrypto.cert.bundle([certificate], assertion);
  };
  return { host, mint };
}

/** The same assertion with each of its six parts changed in the middle, one after the other. */
function* tampered(assertion) {
  const parts = assertion.split(/[.~]/);
  for (const n of parts.keys()) {
    const changed = [...parts];
    const at = Math.floor(changed[n].length / 2);
    const other = changed[n][at] === "A" ? "B" : "A";
    changed[n] = changed[n].slice(0, at) + other + changed[n].slice(at + 1);
    yield `${changed.slice(0, 3).join(".")}~${changed.slice(3).join(".")}`;
  }
}

async function theirAssertionsAreAccepted(issuerKey, userKey, ...flags) {
  const { host, mint } = await issuer(issuerKey);
  await withServer([`--browserid-issuers=${host}`, ...flags], async (url) => {
    assert.equal((await session(url, await mint("alice", url, userKey))).email, `alice@${host}`);
    assert.deepEqual(await device(url, await mint("alice", url, userKey)), { result: "OK" });
    const good = await mint("alice", url, userKey);
    const bad = [
      ...tampered(good),
      await mint("alice", "http://elsewhere.example", userKey),
      await mint("alice", url, userKey, -120_000),
      `${good.split("~")[0]}~${good}`,
    ];
    for (const assertion of bad) {
      assert.equal((await session(url, assertion)).errno, INVALID_ASSERTION);
      assert.equal((await device(url, assertion)).errno, INVALID_ASSERTION);
    }
  });
}

async function ourAssertionsAreAccepted() {
  await withServer([], async (url) => {
    const verifier = new BrowserID({
      audience: url,
      httpRequest: async (domain, path, answer) => {
        assert.equal(domain, "dev.localhost");
        const found = await fetch(url + path);
        const headers = { "content-type": found.headers.get("content-type") };
        answer(null, found.status, headers, await found.text());
      },
    });
    const verify = promisify(verifier.verify.bind(verifier));
    const { assertion } = await post(`${url}/dev/assertion`, { email: "alice@dev.localhost" });
    const found = await verify({ assertion });
    assert.equal(found.email, "alice@dev.localhost");
    assert.equal(found.issuer, "dev.localhost");
    for (const bad of tampered(assertion)) await assert.rejects(verify({ assertion: bad }));
  });
}

const [rs256, ds128] = await Promise.all([
  generate({ algorithm: "RS", keysize: 256 }),
  generate({ algorithm: "DS", keysize: 128 }),
]);
await theirAssertionsAreAccepted(rs256, await generate({ algorithm: "RS", keysize: 256 }));
await theirAssertionsAreAccepted(rs256, ds128);
await theirAssertionsAreAccepted(ds128, ds128, "--browserid-legacy-issuers");
await ourAssertionsAreAccepted();
console.log("browserid-crypto: its assertions are accepted here, and ours by browserid-local-verify");
