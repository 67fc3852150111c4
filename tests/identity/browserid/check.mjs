// Interoperability with browserid-crypto, whose assertions are checked against the server, and with
// browserid-local-verify, which checks the assertions of the development issuer.
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
/** Runs a program that ends with this process. */
const CHILD = join(import.meta.dirname, "../../child");

const generate = promisify(jwcrypto.generateKeypair);
const certify = promisify(jwcrypto.cert.sign);
const sign = promisify(jwcrypto.assertion.sign);

/** Runs `work` with a server in development mode. */
async function withServer(flags, work) {
  const directory = mkdtempSync(join(tmpdir(), "presence-"));
  const child = spawn(CHILD, [binary, "--dev", "--listen=127.0.0.1:0", "--log=error", ...flags], {
    cwd: directory,
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    const [line] = await once(createInterface(child.stdout), "line");
    const prefix = "Presence is listening on ";
    assert(line.startsWith(prefix), `the server did not start: ${line}`);
    await work(line.slice(prefix.length));
  } finally {
    child.kill();
    if (child.exitCode === null) await once(child, "exit");
    rmSync(directory, { recursive: true });
  }
}

const post = async (url, body) => {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
};

const session = (url, assertion) => post(`${url}/session`, { assertion });

/** Presents an assertion on the socket of a device. */
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

/** Starts an issuer on a loopback port with a published key. */
async function issuer(key) {
  const document = {
    authentication: "/auth",
    provisioning: "/prov",
    "public-key": key.publicKey.toSimpleObject(),
  };
  const server = createServer((request, response) => {
    const isDocument = request.url.startsWith("/.well-known/browserid?domain=");
    response.writeHead(isDocument ? 200 : 404, { "content-type": "application/json" });
    response.end(JSON.stringify(isDocument ? document : {}));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  server.unref();
  const host = `localhost:${server.address().port}`;
  const createAssertion = async (name, audience, user, lifetime = 600_000) => {
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
  return { host, createAssertion };
}

/** Yields the assertion six times, each time with another part changed in the middle. */
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

async function checkLibraryAssertions(issuerKey, userKey, ...flags) {
  const { host, createAssertion } = await issuer(issuerKey);
  await withServer([`--browserid-issuers=${host}`, ...flags], async (url) => {
    assert.equal((await session(url, await createAssertion("alice", url, userKey))).email, `alice@${host}`);
    assert.deepEqual(await device(url, await createAssertion("alice", url, userKey)), { result: "OK" });
    const good = await createAssertion("alice", url, userKey);
    const bad = [
      ...tampered(good),
      await createAssertion("alice", "http://elsewhere.example", userKey),
      await createAssertion("alice", url, userKey, -120_000),
      `${good.split("~")[0]}~${good}`,
    ];
    for (const assertion of bad) {
      assert.equal((await session(url, assertion)).errno, INVALID_ASSERTION);
      assert.equal((await device(url, assertion)).errno, INVALID_ASSERTION);
    }
  });
}

async function checkServerAssertions() {
  await withServer([], async (url) => {
    const verifier = new BrowserID({
      audience: url,
      httpRequest: async (domain, path, callback) => {
        assert.equal(domain, "dev.localhost");
        const response = await fetch(url + path);
        const headers = { "content-type": response.headers.get("content-type") };
        callback(null, response.status, headers, await response.text());
      },
    });
    const verify = promisify(verifier.verify.bind(verifier));
    const { assertion } = await post(`${url}/dev/assertion`, { email: "alice@dev.localhost" });
    const verified = await verify({ assertion });
    assert.equal(verified.email, "alice@dev.localhost");
    assert.equal(verified.issuer, "dev.localhost");
    for (const bad of tampered(assertion)) await assert.rejects(verify({ assertion: bad }));
  });
}

const [rs256, ds128] = await Promise.all([
  generate({ algorithm: "RS", keysize: 256 }),
  generate({ algorithm: "DS", keysize: 128 }),
]);
await checkLibraryAssertions(rs256, await generate({ algorithm: "RS", keysize: 256 }));
await checkLibraryAssertions(rs256, ds128);
await checkLibraryAssertions(ds128, ds128, "--browserid-legacy-issuers");
await checkServerAssertions();
console.log("browserid-crypto and browserid-local-verify: assertions are accepted in both directions");
