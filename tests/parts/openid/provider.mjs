// An OpenID provider on a port of its own, with two clients: one with a secret, one without. It signs in whoever asks,
// under the name that they give. Prints its address when it answers.
import { createServer } from "node:http";
import { createRequire } from "node:module";

const { default: Provider } = await import(createRequire(`${process.cwd()}/`).resolve("oidc-provider"));
const [comesBackTo] = process.argv.slice(2);

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const client = { redirect_uris: [comesBackTo], grant_types: ["authorization_code"], response_types: ["code"] };
  const provider = new Provider(issuer, {
    clients: [
      { ...client, client_id: "makegood", client_secret: "a secret: of 42%", token_endpoint_auth_method: "client_secret_basic" },
      { ...client, client_id: "makegood-public", token_endpoint_auth_method: "none" },
    ],
    cookies: { keys: ["for tests only"] },
    pkce: { methods: ["S256"], required: () => true },
  });
  server.on("request", provider.callback());
  console.log(issuer);
});
