import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { clientOptions, readFar, readNear } from "../../../src/cli/tunnel/protection.ts";
import type { SecretSource } from "../../../src/cli/tunnel/types.ts";
import { AllowList } from "../../../src/tunnel/allow.ts";
import { certificate } from "../../certificate.ts";

const folder = mkdtempSync(join(tmpdir(), "resplice-tunnel-protection-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = (name: string): string => join(folder, name);
const [ALICE, BOB] = ["alices-token-0123456789", "bobs-token-0123456789"];

beforeAll(async () => {
  const [own, other] = await Promise.all([certificate("alice"), certificate("bob")]);
  writeFileSync(path("cert"), own.cert);
  writeFileSync(path("key"), own.key);
  writeFileSync(path("other-cert"), other.cert);
  writeFileSync(path("other-key"), other.key);
  writeFileSync(path("tokens"), `alice ${ALICE}\n`);
  writeFileSync(path("new-tokens"), `bob ${BOB}\n`);
  writeFileSync(path("token"), `${ALICE}\n`);
  writeFileSync(path("new-token"), BOB);
});

const NO_FILES = { cert: undefined, key: undefined, ca: undefined, servername: undefined };
const tlsOf = (cert: string, key: string, ca?: string) => {
  return { ...NO_FILES, cert: path(cert), key: path(key), ca: ca === undefined ? undefined : path(ca) };
};
const allow = new AllowList(["db:5432"]);
const file = (name: string): SecretSource => ({ file: path(name) });
const NOTHING = { tls: undefined, tokens: undefined, allow };

describe("a far end", () => {
  test("without protection has none", async () => {
    expect(await readFar(NOTHING)).toEqual({
      pems: undefined,
      proofs: { tokens: undefined, certificates: false },
      allow,
    });
  });

  test("asks for tokens, for certificates of an authority of its own, or for both", async () => {
    const { pems, proofs } = await readFar({ tls: tlsOf("cert", "key"), tokens: file("tokens"), allow });
    expect(Object.keys(pems ?? {})).toEqual(["cert", "key"]);
    expect([proofs.tokens?.identityOf(Buffer.from(ALICE)), proofs.certificates]).toEqual(["alice", false]);
    const both = await readFar({ tls: tlsOf("cert", "key", "cert"), tokens: file("tokens"), allow });
    expect([both.proofs.tokens, both.proofs.certificates]).toEqual([expect.anything(), true]);
    const certificates = await readFar({ ...NOTHING, tls: tlsOf("cert", "key", "cert") });
    expect(certificates.proofs).toEqual({ tokens: undefined, certificates: true });
  });

  test("has tokens of the environment", async () => {
    vi.stubEnv("RESPLICE_TOKENS", `# mine\nalice ${ALICE}`);
    const { proofs } = await readFar({ ...NOTHING, tokens: { variable: "RESPLICE_TOKENS" } });
    expect(proofs.tokens?.identityOf(Buffer.from(ALICE))).toBe("alice");
    vi.stubEnv("RESPLICE_TOKENS", "alice\n");
    await expect(readFar({ ...NOTHING, tokens: { variable: "RESPLICE_TOKENS" } })).rejects.toThrow(
      /^RESPLICE_TOKENS, line 1: two words are expected/,
    );
  });

  test("does not begin or cease to ask while it runs", async () => {
    const [none, some] = [await readFar(NOTHING), await readFar({ ...NOTHING, tokens: file("tokens") })];
    await expect(readFar(NOTHING, some)).rejects.toThrow("only a restart begins or ends to use tokens");
    await expect(readFar({ ...NOTHING, tokens: file("tokens") }, none)).rejects.toThrow(/tokens/);
    await expect(readFar({ ...NOTHING, tls: tlsOf("cert", "key") }, none)).rejects.toThrow(/TLS/);
    const encrypted = await readFar({ ...NOTHING, tls: tlsOf("cert", "key") });
    await expect(readFar({ ...NOTHING, tls: tlsOf("cert", "key", "cert") }, encrypted)).rejects.toThrow(
      /certificates of clients/,
    );
    expect(await readFar({ ...NOTHING, tls: tlsOf("other-cert", "other-key") }, encrypted)).toMatchObject({ pems: {} });
  });
});

describe("a near end", () => {
  test("without protection has none", async () => {
    expect(clientOptions({ state: await readNear({ tls: undefined, token: undefined }) })).toEqual({});
  });

  test("gives for each attempt what was read last", async () => {
    const given = { tls: { ...NO_FILES, ca: path("cert"), servername: "far.test" }, token: file("token") };
    const files = { state: await readNear(given) };
    const { tls, credentials } = clientOptions(files) as Record<"tls" | "credentials", () => unknown>;
    expect([tls(), credentials()]).toMatchObject([{ ca: expect.any(Buffer), servername: "far.test" }, ALICE]);
    files.state = await readNear(
      { tls: { ...NO_FILES, ca: path("other-cert") }, token: file("new-token") },
      files.state,
    );
    expect(tls()).not.toHaveProperty("servername");
    expect(credentials()).toBe(BOB);
    await expect(readNear({ ...given, token: undefined }, files.state)).rejects.toThrow("only a restart");
  });

  test("has a token of the environment", async () => {
    vi.stubEnv("RESPLICE_TOKEN", ` ${ALICE}\n`);
    const { token } = await readNear({ tls: undefined, token: { variable: "RESPLICE_TOKEN" } });
    expect(token).toBe(ALICE);
  });
});

interface Which {
  tls?: ReturnType<typeof tlsOf>;
  tokens?: SecretSource;
  token?: SecretSource;
}

test.for<[which: Which, says: RegExp]>([
  [{ tls: tlsOf("gone", "key") }, /^--tls-cert .*gone cannot be read: ENOENT$/],
  [{ tls: tlsOf("token", "key") }, /^--tls-cert .*token is not a certificate in PEM/],
  [{ tls: tlsOf("cert", "token") }, /^--tls-key .*token is not a private key in PEM/],
  [{ tls: tlsOf("cert", "key", "token") }, /^--tls-ca .*token is not a certificate in PEM/],
  [{ tls: tlsOf("cert", "other-key") }, /^--tls-cert .*cert and --tls-key .*other-key cannot be used: .*mismatch/],
  [{ tokens: file("gone") }, /^--tokens .*gone cannot be read: ENOENT$/],
  [{ tokens: file("token") }, /^--tokens .*token, line 1: two words are expected/],
  [{ token: file("gone") }, /^--token-file .*gone cannot be read: ENOENT$/],
  [{ token: file("tokens") }, /^--token-file .*tokens has more than one word/],
])("a file that is no use is named, and not quoted: %j", async ([which, says]) => {
  const { token, ...far } = which;
  const reading: Promise<unknown> =
    token === undefined ? readFar({ ...NOTHING, ...far }) : readNear({ tls: undefined, token });
  const error: unknown = await reading.catch((problem: unknown) => problem);
  expect((error as Error).message).toMatch(says);
  expect((error as Error).message).not.toContain(ALICE);
});
