import { expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import { Carrier } from "../../src/tunnel/carrier.ts";
import { HEAD_BYTES } from "../../src/tunnel/records.ts";
import { ManualClock } from "../support.ts";

/** A link without room, until it is given some. */
class NarrowLink {
  readonly taken: string[] = [];
  #hasRoom = false;
  readonly #ready = Promise.withResolvers<void>();

  on(): void {}

  trySend(bytes: Buffer): boolean {
    if (this.#hasRoom) this.taken.push(bytes.toString("latin1", HEAD_BYTES));
    return this.#hasRoom;
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  giveRoom(): Promise<void> {
    this.#hasRoom = true;
    this.#ready.resolve();
    return this.ready();
  }
}

test("what waits for room on two links is not mixed up, though both were read into the same memory", async () => {
  const memory = Buffer.alloc(HEAD_BYTES + 5);
  const links = [new NarrowLink(), new NarrowLink()];
  const texts = ["first", "other"];
  const clock = new ManualClock(0);
  for (const [at, link] of links.entries()) {
    memory.write(texts[at] ?? "", HEAD_BYTES);
    expect(new Carrier(link as unknown as Link, clock).sendCopy(memory)).toBe(false);
  }
  memory.fill(0);
  for (const link of links) await link.giveRoom();
  expect(links.map(({ taken }) => taken)).toEqual([["first"], ["other"]]);
});
