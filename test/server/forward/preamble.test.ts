import { X509Certificate } from "node:crypto";
import fc from "fast-check";
import { expect, test } from "vitest";
import { SYSTEM_ENTROPY } from "../../../src/io/entropy.ts";
import { Gathered } from "../../../src/server/forward/gathered.ts";
import {
  ANSWER_BYTES,
  encodeAnswer,
  encodeGreeting,
  encodePreamble,
  GREETING_BYTES,
  type Macs,
  parseAnswer,
  parseGreeting,
  parsePreamble,
  type Preamble,
  preambleLength,
} from "../../../src/server/forward/preamble.ts";
import { certificate } from "../../support.ts";

const WITHOUT: Macs = { key: undefined, entropy: SYSTEM_ENTROPY };
const WITH: Macs = { key: Buffer.alloc(32, 1), entropy: SYSTEM_ENTROPY };
const OTHER: Macs = { key: Buffer.alloc(32, 2), entropy: SYSTEM_ENTROPY };
const GREETED = Buffer.alloc(16, 3);

const PREAMBLE: Preamble = {
  serverId: "0123456789ab",
  nonce: Buffer.alloc(16, 4),
  remoteAddress: "2001:db8::1",
  certificate: Buffer.from("certificate"),
};

const preambles = fc.record({
  serverId: fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => Buffer.from(bytes).toString("hex")),
  nonce: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes)),
  remoteAddress: fc.string({ unit: "grapheme", maxLength: 20 }),
  certificate: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

function encoded(preamble: Preamble, macs: Macs = WITH): Buffer {
  return encodePreamble(preamble, GREETED, macs) ?? Buffer.alloc(0);
}

test("what is encoded is parsed, at every split point, and not a byte earlier", () => {
  fc.assert(
    fc.property(preambles, fc.constantFrom(WITH, WITHOUT), (preamble, macs) => {
      const bytes = encoded(preamble, macs);
      for (let at = 0; at < bytes.length; at++) {
        const gathered = new Gathered(preambleLength);
        expect(gathered.push(bytes.subarray(0, at))).toBe("more");
        const whole = gathered.push(bytes.subarray(at)) as Buffer;
        if (at % 50 === 0) expect(parsePreamble(whole, GREETED, macs)).toEqual({ preamble, isProven: true });
      }
    }),
    { numRuns: 30 },
  );
});

test("a byte behind a preamble is too much", () => {
  expect(new Gathered(preambleLength).push(Buffer.concat([encoded(PREAMBLE), Buffer.of(0)]))).toBe("wrong");
});

test("any other bytes are no preamble, and are noticed with the first byte that is wrong", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), (given) => {
      const bytes = Buffer.from(given);
      const gathered = new Gathered(preambleLength).push(bytes);
      const begins = Buffer.from("RSPF\x01\x00").subarray(0, bytes.length);
      if (!bytes.subarray(0, Math.min(4, bytes.length)).equals(begins.subarray(0, 4))) expect(gathered).toBe("wrong");
      if (Buffer.isBuffer(gathered)) expect(parsePreamble(gathered, GREETED, WITH)?.isProven).not.toBe(true);
    }),
  );
});

test("a byte that was changed anywhere is not proven, nor is another greeting, another key, or no key", () => {
  const bytes = encoded(PREAMBLE);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] as number) ^ 1;
    const whole = new Gathered(preambleLength).push(changed);
    if (Buffer.isBuffer(whole)) expect(parsePreamble(whole, GREETED, WITH)?.isProven).toBe(false);
  }
  expect(parsePreamble(bytes, Buffer.alloc(16, 9), WITH)?.isProven).toBe(false);
  expect(parsePreamble(bytes, GREETED, OTHER)?.isProven).toBe(false);
  expect(parsePreamble(bytes, GREETED, WITHOUT)?.isProven).toBe(false);
  expect(parsePreamble(encoded(PREAMBLE, WITHOUT), GREETED, WITH)?.isProven).toBe(false);
});

test("an address that is no UTF-8 is refused; what is too long is not encoded", () => {
  const bytes = encoded({ ...PREAMBLE, remoteAddress: "a" }, WITHOUT);
  bytes[32] = 0xff;
  expect(parsePreamble(bytes, GREETED, WITHOUT)).toBeUndefined();
  expect(encoded({ ...PREAMBLE, remoteAddress: "€".repeat(256) }).length).toBeGreaterThan(768);
  expect(encoded({ ...PREAMBLE, remoteAddress: "a".repeat(769) })).toHaveLength(0);
  expect(encoded({ ...PREAMBLE, certificate: Buffer.alloc(65_535) }).length).toBeGreaterThan(65_535);
  expect(encoded({ ...PREAMBLE, certificate: Buffer.alloc(65_536) })).toHaveLength(0);
  const long = encoded(PREAMBLE);
  long.writeUInt16BE(769, 6);
  expect(new Gathered(preambleLength).push(long)).toBe("wrong");
});

test("a certificate arrives as it was", async () => {
  const { cert } = await certificate("client.example");
  const { raw } = new X509Certificate(cert);
  const parsed = parsePreamble(encoded({ ...PREAMBLE, certificate: raw }), GREETED, WITH);
  expect(new X509Certificate(parsed?.preamble.certificate as Buffer).subject).toBe("CN=client.example");
});

test("greetings", () => {
  const greeting = encodeGreeting(GREETED);
  expect(greeting).toHaveLength(GREETING_BYTES);
  expect(parseGreeting(greeting)).toEqual(GREETED);
  const later = Buffer.from(greeting);
  later[4] = 2;
  expect(parseGreeting(later)).toBeUndefined();
  expect(parseGreeting(Buffer.from("HTTP/1.1 400 Bad Requ"))).toBeUndefined();
});

test("answers count only with the key, and only for one preamble", () => {
  for (const macs of [WITH, WITHOUT]) {
    for (const answer of ["taken", "another-server"] as const) {
      const bytes = encodeAnswer(answer, PREAMBLE.nonce, GREETED, macs);
      expect(bytes).toHaveLength(ANSWER_BYTES);
      expect(parseAnswer(bytes, PREAMBLE.nonce, GREETED, macs)).toBe(answer);
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed[at] = (changed[at] as number) ^ 0x80;
        expect(parseAnswer(changed, PREAMBLE.nonce, GREETED, macs)).toBeUndefined();
      }
    }
  }
  const taken = encodeAnswer("taken", PREAMBLE.nonce, GREETED, WITH);
  expect(parseAnswer(taken, Buffer.alloc(16), GREETED, WITH)).toBeUndefined();
  expect(parseAnswer(taken, PREAMBLE.nonce, Buffer.alloc(16), WITH)).toBeUndefined();
  expect(parseAnswer(taken, PREAMBLE.nonce, GREETED, OTHER)).toBeUndefined();
});
