/** The core's randomness and MACs, from node:crypto. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Entropy } from "../core/session/proof.ts";

export const SYSTEM_ENTROPY: Entropy = {
  random: () => Math.random(),
  randomBytes: (bytes) => randomBytes(bytes),
  equal: (a, b) => a.length === b.length && timingSafeEqual(a, b),
  hmac: (key, parts) => {
    const mac = createHmac("sha256", key);
    for (const part of parts) mac.update(part);
    return mac.digest();
  },
};
