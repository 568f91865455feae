// TLS and the token of `resplice listen` and `resplice connect`, and how long one end waits for the other.
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TlsFiles } from "../../../src/cli/files.ts";
import { clientProtection, serverProtection } from "../../../src/cli/pipe/protection.ts";
import { certificate } from "../../certificate.ts";
import { unusedPort } from "../../support.ts";
import { listening, resplice, type Run } from "../support.ts";

const SLOW = { timeout: 60_000 };
const folder = mkdtempSync(join(tmpdir(), "resplice-protection-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const path = (name: string): string => join(folder, name);
const CERTIFICATE = ["--cert", path("cert.pem"), "--key", path("key.pem")];
const CA = ["--ca", path("cert.pem")];

beforeAll(async () => {
  const { cert, key } = await certificate();
  writeFileSync(path("cert.pem"), cert);
  writeFileSync(path("key.pem"), key);
  writeFileSync(path("token"), "a secret\n");
  writeFileSync(path("same-token"), "a secret");
  writeFileSync(path("other-token"), "another secret\n");
  writeFileSync(path("no-token"), "\n");
});

function connect(port: number, ...args: string[]): Run {
  const client = resplice(["connect", `127.0.0.1:${port}`, ...args]);
  client.child.stdin?.end("from the client");
  return client;
}

const NO_FILES = { cert: undefined, key: undefined, ca: undefined, servername: undefined };

test("without options there is no protection, and none is said to be", async () => {
  expect(await clientProtection({ tls: undefined, tokenFile: undefined })).toEqual({});
  expect(await serverProtection({ tls: undefined, tokenFile: undefined })).toEqual({});
});

test.for([
  ["a secret", "token"],
  ["another secret", { refused: "another token" }],
  ["", { refused: "another token" }],
] as const)("to a client with the credentials %j a server says %j", async ([credentials, verdict]) => {
  const { authenticate } = await serverProtection({ tls: undefined, tokenFile: path("token") });
  const request = { credentials: Buffer.from(credentials), openPayload: Buffer.alloc(0), remoteAddress: "" };
  expect(authenticate?.({ ...request, signal: new AbortController().signal })).toEqual(verdict);
});

test("a server asks for certificates where it has a --ca, and only there", async () => {
  const own = { ...NO_FILES, cert: path("cert.pem"), key: path("key.pem") };
  const asks = async (tls: TlsFiles): Promise<unknown> => (await serverProtection({ tls, tokenFile: undefined })).tls;
  expect(await asks(own)).toMatchObject({ requestCert: false });
  expect(await asks({ ...own, ca: path("cert.pem") })).toMatchObject({ requestCert: true });
});

test("a file without a token is none", async () => {
  await expect(serverProtection({ tls: undefined, tokenFile: path("no-token") })).rejects.toThrow(/no-token is empty/);
});

test("a client reads its files anew for each attempt", async () => {
  writeFileSync(path("renewed"), "old");
  const { credentials } = await clientProtection({ tls: undefined, tokenFile: path("renewed") });
  writeFileSync(path("renewed"), "new");
  const read = credentials as () => Promise<string>;
  expect(await read()).toBe("new");
});

test("TLS with certificates at both ends, and a token", SLOW, async () => {
  const listener = await listening([...CERTIFICATE, ...CA, "--token-file", path("token")], ["ignore", "pipe", "pipe"]);
  const client = connect(listener.port, ...CERTIFICATE, ...CA, "--token-file", path("same-token"));
  expect(await Promise.all([client.exit, listener.exit])).toEqual([0, 0]);
  expect(listener.stdout().toString()).toBe("from the client");
});

test("who has another token, or none, is refused and ends with 1", SLOW, async () => {
  const listener = await listening(["--token-file", path("token")]);
  const clients = [connect(listener.port, "--token-file", path("other-token")), connect(listener.port)];
  expect(await Promise.all(clients.map(({ exit }) => exit))).toEqual([1, 1]);
  for (const client of clients) expect(client.stderr()).toMatch(/the server refused the credentials: another token\n/);
});

test("a certificate of nobody we know, or with another name than --servername, ends connect with 1", SLOW, async () => {
  const { port } = await listening(CERTIFICATE);
  const clients = [connect(port, "--tls"), connect(port, ...CA, "--servername", "elsewhere.test")];
  expect(await Promise.all(clients.map(({ exit }) => exit))).toEqual([1, 1]);
  for (const client of clients) expect(client.stderr()).toMatch(/CERTIFICATE_INVALID/);
});

test.for<[which: object, says: RegExp]>([
  [{ tls: { ...NO_FILES, ca: path("gone.pem") } }, /^--ca .*gone\.pem cannot be read: ENOENT$/],
  [{ tls: { ...NO_FILES, cert: folder, key: folder } }, /^--cert .* cannot be read: EISDIR$/],
  [{ tokenFile: path("gone") }, /^--token-file .*gone cannot be read: ENOENT$/],
])("a file that cannot be read is named before anything is dialled or listened at: %j", async ([which, says]) => {
  const given = { tls: undefined, tokenFile: undefined, ...which };
  await expect(clientProtection(given)).rejects.toThrow(says);
  await expect(serverProtection(given)).rejects.toThrow(says);
});

test("without its files the command ends with 1", SLOW, async () => {
  const run = connect(await unusedPort(), "--token-file", path("gone"));
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toMatch(/^resplice: --token-file .*gone cannot be read: ENOENT\n$/);
});

test.for(["connect", "listen"])("%s with a directory as stdin ends with 1", SLOW, async (command) => {
  const stdin = openSync(folder, "r");
  const run = resplice([command, `127.0.0.1:${await unusedPort()}`], { stdio: [stdin, "pipe", "pipe"] });
  closeSync(stdin);
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toBe("resplice: stdin cannot be read: it is a directory\n");
});

test("connect --give-up ends with 1 when nobody is there for so long", SLOW, async () => {
  const client = connect(await unusedPort(), "--give-up", "0.2");
  expect(await client.exit).toBe(1);
  expect(client.stderr()).toMatch(/GAVE_UP/);
});

test("listen --resume-for waits so long for a client that has gone, and ends with 1", SLOW, async () => {
  const listener = await listening(["--resume-for", "0.2"]);
  const client = resplice(["connect", `127.0.0.1:${listener.port}`]);
  client.child.stdin?.write("a part");
  await once(listener.child.stdout!, "data");
  client.child.kill("SIGKILL");
  expect(await listener.exit).toBe(1);
  expect(listener.stderr()).toMatch(/SESSION_EXPIRED/);
});
