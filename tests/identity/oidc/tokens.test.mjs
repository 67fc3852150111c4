// ID tokens of third-party libraries, presented by devices and over REST.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { test } from "node:test";
import { createTokens } from "./tokens.mjs";
import { ScenarioServer, serve } from "./scenario.mjs";

const EMAIL = "alice@mail.example";
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

function createTokensWithPyJwt(claims) {
  const python = join(process.env.PRESENCE_OIDC_TOOLS, "python/bin/python");
  const result = spawnSync(python, [join(import.meta.dirname, "tokens.py")], { input: JSON.stringify({ claims }), encoding: "utf8" });
  assert.equal(result.status, 0, result.stderr);
  return JSON.parse(result.stdout);
}

/** Starts an issuer with keys and tokens of a library, and a server that trusts it. */
async function startScenario(t, library) {
  let issued;
  const port = await serve(t, (_, response) => response.end(JSON.stringify(issued.jwks)));
  const iss = `http://localhost:${port}`;
  const iat = Math.floor(Date.now() / 1000);
  issued = await library({ iss, sub: "24", aud: "presence", iat, exp: iat + 3600, email: EMAIL, email_verified: true });
  const server = await ScenarioServer.start(t, [
    { name: "library", issuer: iss, jwks_uri: `${iss}/keys`, client_ids: ["presence"], email_domains: ["mail.example"], algorithms: ALGORITHMS },
  ]);
  return { server, tokens: issued.tokens };
}

/** Returns the token with one bit changed in a part, which can still be decoded. */
function tampered(token, part) {
  const parts = token.split(".");
  const bytes = Buffer.from(parts[part], "base64url");
  bytes[Math.floor(bytes.length / 2)] ^= 1;
  parts[part] = bytes.toString("base64url");
  return parts.join(".");
}

for (const [name, library] of [["PyJWT", createTokensWithPyJwt], ["jose", createTokens]]) {
  test(`valid tokens of ${name} are accepted with every algorithm, over REST and on a socket`, async (t) => {
    const { server, tokens } = await startScenario(t, library);
    for (const algorithm of ALGORITHMS) {
      const { status, json } = await server.signIn(tokens[`session ${algorithm}`], EMAIL);
      assert.deepEqual([status, json.email], [200, EMAIL], `${algorithm} ${JSON.stringify(json)}`);
      assert.deepEqual(await server.device(tokens[`device ${algorithm}`], EMAIL), { result: "OK" }, algorithm);
    }
  });

  test(`tampered tokens of ${name} and tokens for another purpose are rejected`, async (t) => {
    const { server, tokens } = await startScenario(t, library);
    const bad = Object.fromEntries(Object.entries(tokens).filter(([kind]) => !/^(session|device) /.test(kind)));
    for (const part of [0, 1, 2]) {
      for (const algorithm of ["RS256", "PS256", "ES256", "EdDSA"]) {
        bad[`tampered ${part} ${algorithm}`] = tampered(tokens[`session ${algorithm}`], part);
      }
    }
    assert.ok(Object.keys(bad).length > 18);
    for (const [kind, token] of Object.entries(bad)) {
      const { status, json } = await server.signIn(token, EMAIL);
      assert.deepEqual([status, json.errno], [401, 34], kind);
      assert.equal((await server.device(token, EMAIL)).errno, 34, kind);
    }
    // The rejected tokens do not invalidate the valid ones.
    assert.equal((await server.signIn(tokens["session RS256"], EMAIL)).status, 200);
  });

  test(`a token of ${name} can be used only once and only for its own e-mail`, async (t) => {
    const { server, tokens } = await startScenario(t, library);
    const token = tokens["session RS256"];
    assert.equal((await server.signIn(token, "bob@mail.example")).json.errno, 35);
    assert.equal((await server.signIn(token, EMAIL)).status, 200);
    assert.equal((await server.signIn(token, EMAIL)).json.errno, 34);
    assert.equal((await server.device(token, EMAIL)).errno, 34);
    assert.deepEqual(await server.device(tokens["device RS256"], EMAIL), { result: "OK" });
    assert.deepEqual(await server.device(tokens["device RS256"], EMAIL), { result: "OK" });
    assert.equal((await server.signIn(tokens["device RS256"], EMAIL)).json.errno, 34);
  });
}
