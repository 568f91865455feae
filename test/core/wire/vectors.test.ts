import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { asJson, INPUTS, vectors, withDumps } from "../../../scripts/protocol-vectors.ts";
import { FrameType } from "../../../src/core/wire/frames.ts";
import { decoded } from "../support.ts";

const read = (path: string): string => readFileSync(new URL(`../../../docs/${path}`, import.meta.url), "utf8");
const all = new Map(vectors().map((vector) => [vector.name, vector]));
const bytes = (name: string): Buffer => Buffer.from(all.get(name)?.hex ?? "", "hex");
const hex = (...parts: string[]): Buffer => Buffer.from(parts.join(""), "hex");

test("docs/protocol-vectors.json is what the encoder produces (else: npm run vectors)", () => {
  expect(asJson()).toBe(read("protocol-vectors.json"));
});

test("docs/protocol.md shows the same bytes (else: npm run vectors)", () => {
  const document = read("protocol.md");
  expect(withDumps(document)).toBe(document);
  const shown = [...document.matchAll(/<!-- vector: (\S+) -->\n```text\n([^`]*)```/gu)];
  const asHex = shown.map(([, name, dump]) => [name, (dump ?? "").replaceAll(/ {2}.*$|\s/gmu, "")]);
  expect(asHex).toEqual([...all.values()].map(({ name, hex: whole }) => [name, whole]));
});

test("every frame that is sent is among them", () => {
  const types = new Set([...all.keys()].map((name) => bytes(name)[0]));
  expect([...types].toSorted((a = 0, b = 0) => a - b)).toEqual(
    [...Object.values(FrameType), 0x80].toSorted((a, b) => a - b),
  );
});

test.each([...all.keys()].filter((name) => name !== "extension"))("%s is decoded", (name) => {
  expect(decoded(bytes(name))).toHaveLength(1);
});

test("an extension is skipped", () => {
  expect(decoded([bytes("extension"), bytes("ping")])).toMatchObject([{ type: "ping" }]);
});

test.each(["hello-resume", "hello-resume-done", "standby"])("the proof of %s is what the document says", (name) => {
  const frame = bytes(name);
  const proof = createHmac("sha256", hex(INPUTS.secret))
    .update("resplice hello 1\0", "latin1")
    .update(frame.subarray(0, 104))
    .update(Buffer.alloc(32))
    .update(frame.subarray(136))
    .digest("hex");
  expect(frame.toString("hex", 104, 136)).toBe(proof);
});

test.each([
  ["confirm-new", INPUTS.secret, INPUTS.sessionId, INPUTS.incarnation],
  ["confirm-lost", INPUTS.fallbackSecret, INPUTS.fallbackId, INPUTS.fallbackIncarnation],
])("the MAC of %s is what the document says", (name, secret, id, incarnation) => {
  const mac = createHmac("sha256", hex(secret))
    .update("resplice confirm 1\0", "latin1")
    .update(hex(id, incarnation, INPUTS.nonce))
    .digest("hex");
  expect(bytes(name).toString("hex", 8)).toBe(mac);
});
