/** A link whose session a store has that two servers share. The tests stand for the store, and count its tokens. */
import { expect } from "vitest";
import { encodeHello, type Hello } from "../../../src/core/wire/frames.ts";
import { encodeProvenHello, secretBytes } from "../../../src/core/session/proof.ts";
import type { SessionSnapshot } from "../../../src/core/session/snapshot.ts";
import type { ServerLinkCore } from "../../../src/core/server/link-core.ts";
import type { AdoptEvent } from "../../../src/core/server/server.ts";
import { seeded, seededEntropy } from "../../../src/testing/random.ts";
import { ByHand, type HandClient, type HandServer, Line, only } from "../../sim/by-hand.ts";
import { decoded } from "../support.ts";

/** The options of its servers. */
export const SHARED = { hasStore: true, hasOutbox: true, sharesStore: true };

export interface Stored {
  world: ByHand;
  client: HandClient;
  /** Has the session in memory, and token 1. */
  first: HandServer;
  second: HandServer;
  line: Line;
}

export function stored(): Stored {
  const world = new ByHand();
  const [first, second] = [world.server(SHARED), world.server(SHARED)];
  const client = world.client({ openPayload: Buffer.from("tenant-a") });
  const line = client.connect(first);
  first.link.token = 1;
  return { world, client, first, second, line };
}

export function asked(server: HandServer): AdoptEvent[] {
  return server.events.filter((event) => event.type === "adopt");
}

export function snapshotOf(link: ServerLinkCore): SessionSnapshot {
  const snapshot = link.snapshot();
  if (snapshot === undefined) throw new Error("there is nothing to go on with");
  return snapshot;
}

/** A resume that waits for the store's answer. */
export function resumes(client: HandClient, server: HandServer): Line {
  const line = client.dial(server);
  line.up();
  expect(line.down()).toEqual([]);
  return line;
}

/** The resume that the client says next, on a connection that is cut before it has arrived; without the fallback. */
export function nextResume({ client, first }: Stored): Hello {
  const line = client.dial(first);
  const { hello } = only(decoded(line.takeUp()), "hello");
  line.cut();
  return { ...hello, fallback: undefined };
}

/** Says that with a proof of the client's session. */
export function sayProven(
  { world, client }: Stored,
  server: HandServer,
  type: "hello" | "standby",
  hello: Hello,
): Line {
  const line = new Line(world, server);
  const { secret } = client.core.session.keys;
  line.give(encodeProvenHello(seededEntropy(seeded(1)), type, { ...hello, secretOrProof: Buffer.alloc(0) }, secret));
  return line;
}

/** Opens the session again, as a HELLO does that was under way for long. */
export function opensAgain(given: Stored, server: HandServer): Line {
  const open = { ...nextResume(given), resume: false, incarnation: "00".repeat(16) };
  const late = new Line(given.world, server);
  late.give(encodeHello("hello", { ...open, secretOrProof: secretBytes(given.client.core.session.keys.secret) }));
  return late;
}
