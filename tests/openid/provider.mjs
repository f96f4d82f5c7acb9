// An OpenID provider on loopback, by the certified library `oidc-provider`, with its own pages for signing in.
//
// node provider.mjs '{"port": 8081, "clients": [...], "inIdToken": true, "signsOut": true}'
//
// Whoever signs in as NAME has the address NAME@example.org, which is verified; `mallory` has one that is not, and
// `nobody` has none.

import { generateKeyPairSync, randomUUID } from "node:crypto";
import process from "node:process";

import Provider from "oidc-provider";

const { port, clients, inIdToken = true, signsOut = true } = JSON.parse(process.argv[2]);
const issuer = `http://127.0.0.1:${port}`;

function claimsOf(name) {
  if (name === "nobody") {
    return { sub: name };
  }
  return { sub: name, email: `${name}@example.org`, email_verified: name !== "mallory" };
}

const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const key = { ...privateKey.export({ format: "jwk" }), use: "sig", kid: randomUUID() };

const provider = new Provider(issuer, {
  clients,
  jwks: { keys: [key] },
  claims: { openid: ["sub"], email: ["email", "email_verified"] },
  conformIdTokenClaims: !inIdToken,
  findAccount: (context, name) => ({ accountId: name, claims: () => claimsOf(name) }),
  cookies: { keys: ["only-for-tests"] },
  features: { devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: signsOut } },
  pkce: { required: () => true },
});

const server = provider.listen(port, "127.0.0.1", () => {
  process.stdout.write(`Listening on ${issuer}\n`);
});
process.on("SIGTERM", () => {
  server.closeAllConnections();
  server.close(() => process.exit(0));
});
