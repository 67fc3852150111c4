// Keys and ID tokens of the library jose. tokens.py does the same with PyJWT.

import { tool } from "./scenario.mjs";

const jose = await tool("jose");

const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

export async function createTokens(claims) {
  const tokens = {};
  const keys = {};
  for (const name of ALGORITHMS) keys[name] = await jose.generateKeyPair(name, { extractable: true, crv: name === "EdDSA" ? "Ed25519" : undefined });
  const sign = (name, changes = {}, header = {}) =>
    new jose.SignJWT({ ...claims, jti: `${name} ${Object.keys(tokens).length}`, ...changes })
      .setProtectedHeader({ alg: name, kid: name, ...header })
      .sign(keys[name].privateKey);
  for (const name of ALGORITHMS) {
    tokens[`session ${name}`] = await sign(name);
    tokens[`device ${name}`] = await sign(name);
  }
  tokens.expired = await sign("RS256", { exp: claims.iat - 600, iat: claims.iat - 900 });
  tokens["for another"] = await sign("RS256", { aud: ["another"] });
  tokens["not verified"] = await sign("RS256", { email_verified: "false" });
  tokens["of another domain"] = await sign("RS256", { email: "alice@elsewhere.example" });
  tokens["of another issuer"] = await sign("RS256", { iss: "https://evil.example" });
  tokens["for two, requested by an unauthorized party"] = await sign("RS256", { aud: [claims.aud, "another"], azp: "another" });
  tokens["signed with a symmetric key"] = await new jose.SignJWT(claims).setProtectedHeader({ alg: "HS256", kid: "RS256" }).sign(Buffer.from("0123456789abcdef".repeat(4)));
  tokens["a logout token"] = await sign("RS256", {}, { typ: "logout+jwt" });
  const jwks = { keys: [] };
  for (const [kid, { publicKey }] of Object.entries(keys)) jwks.keys.push({ ...(await jose.exportJWK(publicKey)), kid, use: "sig" });
  return { jwks, tokens };
}
