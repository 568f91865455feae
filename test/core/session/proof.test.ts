import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameDecoder } from "../../../src/core/wire/decoder.ts";
import {
  encodeHello,
  FRAME_HEADER_BYTES,
  type Hello,
  HELLO_PROOF_AT,
  PROOF_BYTES,
} from "../../../src/core/wire/frames.ts";
import {
  compareOwners,
  confirmMac,
  encodeProvenHello,
  isFor,
  isProven,
  newId,
  newKeys,
  NO_INCARNATION,
  type Owner,
  ownerOf,
  secretBytes,
} from "../../../src/core/session/proof.ts";
import { seeded, seededEntropy } from "../../../src/testing/random.ts";
import { runs } from "../../properties.ts";
import { Collector, decoded, EVERY_FRAME } from "../support.ts";

const entropy = seededEntropy(seeded(7));
const keys = newKeys(entropy);
const INCARNATION = "ab".repeat(16);

function resume(change: Partial<Hello> = {}): Hello {
  return {
    version: 1,
    mode: "messages",
    resume: true,
    sessionId: keys.id,
    incarnation: INCARNATION,
    generation: { epoch: 1, counter: 2 },
    instance: "cd".repeat(16),
    positions: { received: 1_000, accepted: 900, window: 65_536, stop: false, done: false },
    maxMessageBytes: 1_000,
    secretOrProof: Buffer.alloc(0),
    fallback: undefined,
    credentials: Buffer.from("bearer of good news"),
    openPayload: Buffer.from("db:5432"),
    ...change,
  };
}

/** What the server would make of the bytes; undefined if they are no HELLO or STANDBY at all. */
function believed(bytes: Buffer, secret: string): boolean | undefined {
  const sink = new Collector();
  const problem = new FrameDecoder(EVERY_FRAME).push(bytes, sink);
  const [frame] = sink.seen;
  if (problem !== undefined || (frame?.type !== "hello" && frame?.type !== "standby")) return undefined;
  return isProven(entropy, frame.raw, frame.hello, secret);
}

describe("keys", () => {
  test("an id is 16 random bytes in hexadecimal, a secret 32 of any value", () => {
    expect(newId(entropy)).toMatch(/^[0-9a-f]{32}$/u);
    const drawn = Array.from({ length: 50 }, () => newKeys(entropy));
    for (const { id, secret } of drawn) {
      expect(id).toMatch(/^[0-9a-f]{32}$/u);
      expect(secretBytes(secret)).toHaveLength(32);
    }
    expect(new Set(drawn.flatMap(({ id, secret }) => [id, secret])).size).toBe(100);
    expect(drawn.some(({ secret }) => secretBytes(secret).some((byte) => byte > 0x7f))).toBe(true);
  });

  test("a secret keeps every byte on its way into a string and back", () => {
    const every = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    expect(secretBytes(every.toString("latin1"))).toEqual(every);
  });

  test("no incarnation is as long as one", () => {
    expect(NO_INCARNATION).toBe("00".repeat(16));
  });
});

describe("the proof of a resume", () => {
  test.each(["hello", "standby"] as const)("a %s with the session's secret is believed", (type) => {
    expect(believed(encodeProvenHello(entropy, type, resume(), keys.secret), keys.secret)).toBe(true);
  });

  test("leaves the rest of the frame as it is", () => {
    const frame = encodeProvenHello(entropy, "hello", resume(), keys.secret);
    const [proven] = decoded(frame);
    const proof = frame.subarray(HELLO_PROOF_AT, HELLO_PROOF_AT + 32);
    expect(proven).toEqual({ type: "hello", hello: resume({ secretOrProof: proof }), raw: frame });
    expect(proof).not.toEqual(Buffer.alloc(32));
  });

  test("shows nothing of the secret", () => {
    const frame = encodeProvenHello(entropy, "hello", resume(), keys.secret);
    expect(frame.includes(secretBytes(keys.secret))).toBe(false);
  });

  test("with another secret, or none, is not believed", () => {
    const other = newKeys(entropy).secret;
    expect(believed(encodeProvenHello(entropy, "hello", resume(), other), keys.secret)).toBe(false);
    expect(believed(encodeHello("hello", resume()), keys.secret)).toBe(false);
    expect(believed(encodeHello("hello", resume({ secretOrProof: secretBytes(keys.secret) })), keys.secret)).toBe(
      false,
    );
  });

  test("covers every bit of the frame, its header included", () => {
    const fallback = { id: newId(entropy), secret: secretBytes(newKeys(entropy).secret) };
    const frame = encodeProvenHello(entropy, "hello", resume({ fallback }), keys.secret);
    let decodable = 0;
    for (let bit = 0; bit < 8 * frame.length; bit++) {
      const changed = Buffer.from(frame);
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7));
      const verdict = believed(changed, keys.secret);
      if (verdict !== undefined) decodable++;
      expect(verdict ?? false).toBe(false);
    }
    expect(decodable).toBeGreaterThan(1_000);
  });

  test("of a HELLO is not one of a STANDBY with the same body", () => {
    const frame = encodeProvenHello(entropy, "hello", resume(), keys.secret);
    const standby = encodeHello("standby", resume());
    frame.copy(standby, FRAME_HEADER_BYTES, FRAME_HEADER_BYTES);
    expect(believed(standby, keys.secret)).toBe(false);
  });

  test("is another for the next generation: an old frame says which attempt it was", () => {
    const proofs = [1, 2, 3].map((counter) => {
      const frame = encodeProvenHello(entropy, "hello", resume({ generation: { epoch: 1, counter } }), keys.secret);
      return frame.toString("hex", HELLO_PROOF_AT, HELLO_PROOF_AT + 32);
    });
    expect(new Set(proofs).size).toBe(3);
  });
});

describe("a resume is for a session", () => {
  const session = { keys, incarnation: INCARNATION, openPayload: Buffer.from("db:5432") };
  const fallback = { id: newId(entropy), secret: secretBytes(newKeys(entropy).secret) };
  const nothing = Buffer.alloc(0);

  /** The verdict on a resume that is sound but for the change. */
  function verdict(change: Partial<Hello>, secret: string = keys.secret, to: typeof session = session): boolean {
    const raw = encodeProvenHello(entropy, "hello", resume(change), secret);
    const secretOrProof = raw.subarray(HELLO_PROOF_AT, HELLO_PROOF_AT + PROOF_BYTES);
    return isFor(entropy, { type: "hello", hello: resume({ ...change, secretOrProof }), raw }, to);
  }

  test("if it proves the secret and states the session's incarnation", () => {
    expect(verdict({})).toBe(true);
    expect(verdict({}, newKeys(entropy).secret)).toBe(false);
    expect(verdict({ incarnation: "ac".repeat(16) })).toBe(false);
  });

  test("and an open is not, though it proves the secret", () => {
    expect(verdict({ resume: false })).toBe(false);
  });

  test.each<[string, Partial<Hello>, boolean]>([
    ["the session's payload", { openPayload: session.openPayload }, true],
    ["no payload", { openPayload: nothing }, true],
    ["another payload", { openPayload: Buffer.from("db:5433") }, false],
    ["a fallback and the session's payload", { fallback, openPayload: session.openPayload }, true],
    ["a fallback and no payload", { fallback, openPayload: nothing }, false],
    ["a fallback and another payload", { fallback, openPayload: Buffer.from("db:5433") }, false],
  ])("with %s", (_, change, expected) => {
    expect(verdict(change)).toBe(expected);
  });

  test("with a fallback and no payload, if the session has none", () => {
    expect(verdict({ fallback, openPayload: nothing }, keys.secret, { ...session, openPayload: nothing })).toBe(true);
  });
});

describe("the MAC of CONFIRM", () => {
  const nonce = Buffer.alloc(16, 9);
  const mac = confirmMac(entropy, keys, INCARNATION, nonce);

  test("is the same at both ends", () => {
    expect(mac).toHaveLength(32);
    expect(confirmMac(entropy, { ...keys }, INCARNATION, Buffer.from(nonce))).toEqual(mac);
  });

  test.each<[string, () => Buffer]>([
    ["nonce", () => confirmMac(entropy, keys, INCARNATION, Buffer.alloc(16, 8))],
    ["incarnation", () => confirmMac(entropy, keys, "ac".repeat(16), nonce)],
    ["session", () => confirmMac(entropy, { ...keys, id: newId(entropy) }, INCARNATION, nonce)],
    ["secret", () => confirmMac(entropy, { ...keys, secret: newKeys(entropy).secret }, INCARNATION, nonce)],
  ])("is another for another %s", (_, other) => {
    expect(other()).not.toEqual(mac);
  });

  test("cannot be had as the proof of a HELLO: the labels differ", () => {
    const parts: string[] = [];
    const listening = {
      ...entropy,
      hmac: (key: Buffer, covered: readonly Buffer[]) => {
        parts.push(String(covered[0]));
        return entropy.hmac(key, covered);
      },
    };
    confirmMac(listening, keys, INCARNATION, nonce);
    encodeProvenHello(listening, "hello", resume(), keys.secret);
    expect(parts).toEqual(["resplice confirm 1\0", "resplice hello 1\0"]);
  });
});

describe("ownership", () => {
  const owner: Owner = { epoch: 2, counter: 5, instance: "11" };

  test.each<[string, Owner, ReturnType<typeof compareOwners>]>([
    ["the next attempt of the same process", { epoch: 2, counter: 6, instance: "11" }, "newer"],
    ["the same attempt again", { epoch: 2, counter: 5, instance: "11" }, "stale"],
    ["a late frame of an attempt before", { epoch: 2, counter: 4, instance: "11" }, "stale"],
    ["the process that opened the outbox after", { epoch: 3, counter: 1, instance: "22" }, "newer"],
    ["the same process, outbox opened again", { epoch: 3, counter: 1, instance: "11" }, "newer"],
    ["the process before, however often it dialled", { epoch: 1, counter: 99, instance: "22" }, "taken-over"],
    ["the process before, though it calls itself the same", { epoch: 1, counter: 99, instance: "11" }, "taken-over"],
    ["a copied outbox: the same epoch in another process", { epoch: 2, counter: 99, instance: "22" }, "taken-over"],
  ])("%s", (_, candidate, verdict) => {
    expect(compareOwners(candidate, owner)).toBe(verdict);
  });

  test("is that of whoever says HELLO: process, opening of its outbox, attempt", () => {
    const hello = resume({ generation: { epoch: 2, counter: 5 }, instance: "11".repeat(16) });
    expect(ownerOf(hello)).toEqual({ epoch: 2, counter: 5, instance: "11".repeat(16) });
  });

  test("of two owners at most one is newer, and none takes over from itself", () => {
    const small = fc.nat({ max: 3 });
    const any = fc.record({ epoch: small, counter: small, instance: fc.constantFrom("11", "22") });
    fc.assert(
      fc.property(any, any, (one, other) => {
        expect(compareOwners(one, one)).toBe("stale");
        const verdicts = [compareOwners(one, other), compareOwners(other, one)];
        expect(verdicts.filter((verdict) => verdict === "newer").length).toBeLessThanOrEqual(1);
        if (one.instance === other.instance && one.epoch === other.epoch) {
          expect(verdicts).not.toContain("taken-over");
        }
      }),
      { numRuns: runs(300) },
    );
  });

  test("newer than newer is newer", () => {
    const small = fc.nat({ max: 2 });
    const any = fc.record({ epoch: small, counter: small, instance: fc.constantFrom("11", "22") });
    fc.assert(
      fc.property(any, any, any, (first, second, third) => {
        fc.pre(compareOwners(second, first) === "newer" && compareOwners(third, second) === "newer");
        expect(compareOwners(third, first)).toBe("newer");
      }),
      { numRuns: runs(100) },
    );
  });
});
