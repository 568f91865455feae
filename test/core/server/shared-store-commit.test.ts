/** COMMIT with a store that several servers share. Resumes are in shared-store.test.ts. */
import { describe, expect, test } from "vitest";
import type { Hello } from "../../../src/core/wire/frames.ts";
import { type Line, namesOf, only } from "../../sim/by-hand.ts";
import { decoded } from "../support.ts";
import { asked, resumes, sayProven, snapshotOf, type Stored, stored } from "./sharing.ts";

describe("COMMIT", () => {
  /** A standby that has written COMMIT, which waits for the store. `said`: its STANDBY. */
  function commits(): Stored & { standby: Line; said: Hello } {
    const given = stored();
    const { world, client, first } = given;
    world.pass(21_000);
    const standby = client.dial(first, "standby");
    const written = standby.takeUp();
    standby.give(written);
    expect(namesOf(standby.down())).toEqual(["ready"]);
    expect(namesOf(standby.up())).toEqual(["commit"]);
    expect(standby.down()).toEqual([]);
    const { hello } = only(decoded(written), "standby");
    return { ...given, standby, said: hello };
  }

  test("waits for the store, and takes over when that has kept the session here", () => {
    const { client, first, line, standby } = commits();
    expect(asked(first)).toMatchObject([{ channel: standby.id, by: "commit", token: 1, owner: { counter: 2 } }]);
    expect(first.link.adopted?.id).toBe(line.id);
    first.adopt(standby, "kept");
    standby.settle();
    expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
    expect(first.link.adopted?.id).toBe(standby.id);
  });

  test("takes over the session that comes from the store, in place of that in memory", () => {
    const { client, first, standby } = commits();
    const snapshot = snapshotOf(first.link);
    const stale = first.link;
    expect(first.core.mayAdopt(standby.id, snapshot)).toBe(true);
    expect(first.core.mayAdopt(standby.id, { ...snapshot, incarnation: "ee".repeat(16) })).toBe(false);
    first.adopt(standby, { token: 3, snapshot });
    standby.settle();
    expect([stale.gone, first.links[1]?.adopted?.id]).toEqual([true, standby.id]);
    expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
  });

  test("is refused where a newer connection was let in meanwhile", () => {
    const { client, first, line, standby } = commits();
    standby.lose("client");
    line.cut();
    const resumed = resumes(client, first);
    first.adopt(resumed, "kept");
    first.adopt(standby, "kept");
    expect(first.refusals).toEqual(["stale"]);
    expect(first.link.adopted?.id).toBe(resumed.id);
  });

  test("to a session that has come to another server since READY: the store is asked all the same", () => {
    const given = stored();
    const { world, client, first } = given;
    world.pass(21_000);
    const standby = client.dial(first, "standby");
    standby.up();
    const snapshot = snapshotOf(first.link);
    first.link.abandon("session-lost");
    standby.down();
    standby.up();
    expect(asked(first)).toMatchObject([{ by: "commit", token: undefined }]);
    first.adopt(standby, { token: 3, snapshot });
    standby.settle();
    expect(client.connections).toEqual(["new: opened", "resumed: standby"]);
  });

  test("to a session that the store does not know is answered as one that is lost; unavailable, with a refusal", () => {
    const unknown = commits();
    unknown.first.adopt(unknown.standby, "unknown");
    expect(unknown.first.refusals).toEqual(["session-lost"]);
    const unavailable = commits();
    unavailable.first.adopt(unavailable.standby, "unavailable");
    expect(unavailable.first.refusals).toEqual(["overloaded"]);
    unavailable.standby.settle();
    expect(unavailable.client.core.wantsDial).toBe(true);
  });

  test("that waits gives way to no other standby", () => {
    const given = commits();
    const { first, standby, said } = given;
    const other = sayProven(given, first, "standby", { ...said, generation: { epoch: 1, counter: 3 } });
    expect(namesOf(decoded(other.takeDown()))).toEqual(["ready"]);
    expect(standby.isOpen).toBe(true);
  });
});
