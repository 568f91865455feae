/** Random numbers from a seed. */
import { hash } from "node:crypto";
import type { Entropy } from "../core/session/proof.ts";

/** mulberry32: small, fast, and the same on every machine. */
export function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function seededEntropy(random: () => number): Entropy {
  return {
    random,
    randomBytes: (bytes) => Buffer.from(Array.from({ length: bytes }, () => Math.floor(random() * 256))),
    equal: (a, b) => a.equals(b),
    // Not a real HMAC: a hash of key and parts is enough where nobody attacks it, and takes half of the time.
    hmac: (key, parts) => hash("sha256", Buffer.concat([key, ...parts]), "buffer"),
  };
}
