/** Lots, drawn from a seed. */
import { seeded } from "../../src/testing/random.ts";

export class Draw {
  /** In [0, 1). */
  readonly random: () => number;

  constructor(seed: number) {
    this.random = seeded(seed);
  }

  below(limit: number): number {
    return Math.floor(this.random() * limit);
  }

  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  oneIn(times: number): boolean {
    return this.random() * times < 1;
  }

  of<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  /** Four bytes from each number drawn. */
  fill(bytes: Buffer): void {
    let at = 0;
    for (; at + 4 <= bytes.length; at += 4) bytes.writeUInt32LE(Math.floor(this.random() * 2 ** 32), at);
    for (; at < bytes.length; at++) bytes[at] = this.below(256);
  }

  bytes(length: number): Buffer {
    const bytes = Buffer.allocUnsafe(length);
    this.fill(bytes);
    return bytes;
  }
}
