import { expect, test } from "vitest";
import { AHEAD_BYTES, Room } from "../../src/link/room.ts";

test("a sender that may not be told to wait goes on while it is not paced, and leaves the pacing as it is", () => {
  const source = {
    adopted: { id: 1 },
    overheadBytes: 4,
    roomMessages: 10,
    roomBytes: 1_000,
    takenBytes: 0,
    queuedBytes: AHEAD_BYTES,
  };
  const room = new Room(source, { afterPoll: () => {} }, { changed: () => {} });
  expect([room.isLeft(10), room.renew(1_000), room.isLeft(10)]).toEqual([false, true, true]);
  room.pace();
  expect([room.renew(1_000), room.renew(1_000), room.isLeft(10)]).toEqual([false, false, false]);
  // As without the calls between: the first false tells the sender to wait.
  expect(room.mayGoOn(1_000)).toBe(false);
});
