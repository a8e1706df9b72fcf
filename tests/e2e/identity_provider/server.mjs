// A real OpenID provider on a free port of this machine. It says where it listens once it serves, and
// again after each line of its input, which makes it begin anew with other keys. It ends with its input.

import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import { Provider, errors } from "oidc-provider";

const RESOURCES = ["https://mcp.example.com/mcp", "https://other.example.com/mcp"];

// Their access tokens are signed as their ID tokens would be.
const clients = ["RS256", "ES256"].map((alg) => ({
    client_id: `agent-${alg}`,
    client_secret: "secret",
    grant_types: ["client_credentials"],
    response_types: [],
    redirect_uris: [],
    id_token_signed_response_alg: alg,
}));

function resourceServer(_context, resource, client) {
    if (!RESOURCES.includes(resource)) {
        throw new errors.InvalidTarget();
    }
    const sign = { alg: client.idTokenSignedResponseAlg };
    return { scope: "read:data write:data", accessTokenFormat: "jwt", jwt: { sign } };
}

// The provider gives each key its `kid`.
function newKey(type, options) {
    const { privateKey } = generateKeyPairSync(type, options);
    return { ...privateKey.export({ format: "jwk" }), use: "sig" };
}

function newProvider(issuer) {
    const keys = [newKey("rsa", { modulusLength: 2048 }), newKey("ec", { namedCurve: "P-256" })];
    return new Provider(issuer, {
        clients,
        jwks: { keys },
        features: {
            devInteractions: { enabled: false },
            clientCredentials: { enabled: true },
            resourceIndicators: { enabled: true, getResourceServerInfo: resourceServer },
        },
    });
}

// It warns that its memory ends with it, as it should here.
console.warn = () => {};

const server = createServer();
await new Promise((listens) => server.listen(0, "127.0.0.1", listens));
const issuer = `http://127.0.0.1:${server.address().port}`;

function begin() {
    server.removeAllListeners("request");
    server.on("request", newProvider(issuer).callback());
    console.log(`listening on ${issuer}`);
}

begin();
for await (const _line of createInterface({ input: process.stdin })) {
    begin();
}
process.exit();
