// A TLS link: the cut takes the TLS session with it, and the next one is as good.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { afterAll, beforeAll, test } from "vitest";

import { converse, nextState } from "./support/conversation.ts";

let folder: string;
let key: Buffer;
let cert: Buffer;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "resplice-tls-"));
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const files = ["-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")];
  execFileSync("openssl", [...request, ...name, ...files], { stdio: "ignore" });
  key = readFileSync(join(folder, "key.pem"));
  cert = readFileSync(join(folder, "cert.pem"));
});

afterAll(() => rmSync(folder, { recursive: true }));

test("a TLS link survives cuts", async () => {
  await using talk = await converse({ client: { tls: { ca: cert } }, server: { tls: { key, cert } } });
  await talk.exchange(100);
  for (let round = 0; round < 4; round++) {
    const resumed = nextState(talk.link, "connected");
    const exchanged = talk.exchange(300);
    await talk.proxy.cut();
    await Promise.all([resumed, exchanged]);
  }
  await talk.finish();
});
