import { expect, test } from "vitest";
import type { LinkEngine } from "../../src/link/engine.ts";
import { LinkHandle } from "../../src/link/link.ts";
import { Carrier } from "../../src/tunnel/carrier.ts";
import { HEAD_BYTES } from "../../src/tunnel/records.ts";
import { ManualClock } from "../support.ts";

/** What a link sends through: without room, until it is given some. */
class Narrow {
  readonly taken: string[] = [];
  #hasRoom = false;
  readonly #ready = Promise.withResolvers<void>();

  trySend(bytes: Buffer): boolean {
    if (this.#hasRoom) this.taken.push(bytes.toString("latin1", HEAD_BYTES));
    return this.#hasRoom;
  }

  ready(): Promise<void> {
    return this.#ready.promise;
  }

  /** Nothing goes the short way. */
  mayTake(): boolean {
    return false;
  }

  giveRoom(): Promise<void> {
    this.#hasRoom = true;
    this.#ready.resolve();
    return this.ready();
  }
}

/** `driver`: as within a step, if none is given. */
function linkThrough(outgoing: Narrow, driver: object = { hold: () => false }): LinkHandle {
  return new LinkHandle({ id: "a", outgoing, driver } as unknown as LinkEngine);
}

test("what waits for room on two links is not mixed up, though both were read into the same memory", async () => {
  const memory = Buffer.alloc(HEAD_BYTES + 5);
  const outgoing = [new Narrow(), new Narrow()];
  const texts = ["first", "other"];
  const clock = new ManualClock(0);
  for (const [at, narrow] of outgoing.entries()) {
    memory.write(texts[at] ?? "", HEAD_BYTES);
    expect(new Carrier(linkThrough(narrow), clock).sendCopy(memory, memory.length)).toBe(false);
  }
  memory.fill(0);
  for (const narrow of outgoing) await narrow.giveRoom();
  expect(outgoing.map(({ taken }) => taken)).toEqual([["first"], ["other"]]);
});

test("what an application says is written at once", async () => {
  const said: string[] = [];
  const narrow = new Narrow();
  const driver = {
    hold: () => said.push("hold") > 0,
    writeHeld: () => said.push(`written: ${narrow.taken.join()}`),
  };
  await narrow.giveRoom();
  const bytes = Buffer.alloc(HEAD_BYTES + 5);
  bytes.write("first", HEAD_BYTES);
  expect(new Carrier(linkThrough(narrow, driver), new ManualClock(0)).sendCopy(bytes, bytes.length)).toBe(true);
  expect(said).toEqual(["hold", "written: first"]);
});
