import { expect, test } from "vitest";
import type { Connection, ConnectionHandler } from "../../src/link/ports.ts";
import { Lingering } from "../../src/server/lingering.ts";
import { resolveServerOptions } from "../../src/server/options.ts";
import { Sessions } from "../../src/server/sessions.ts";
import { VirtualTime } from "../../src/testing/virtual-time.ts";
import { servedHost } from "./plain-servers.ts";

/** A connection that notes what is done to it. */
class Noted implements Connection {
  handler: ConnectionHandler = { onData: () => {}, onDrain: () => {}, onClosed: () => {} };
  readonly remoteAddress = "";
  readonly roomBytes = 1_000;
  readonly pendingBytes = 0;
  readonly done: string[] = [];

  write(buffers: readonly Buffer[]): boolean {
    this.done.push(`write ${Buffer.concat(buffers).length}`);
    return false;
  }

  pause(): void {}

  resume(): void {}

  end(last: readonly Buffer[]): void {
    this.done.push(`end ${Buffer.concat(last).length}`);
  }

  destroy(): void {
    this.done.push("destroy");
  }
}

test("who is refused is told so and waited for; where too many are waited for already it is told, and closed at once", () => {
  const clock = new VirtualTime();
  let mayLinger = true;
  const options = resolveServerOptions({ port: 1, limits: { handshakes: 1 } });
  const outside = servedHost(clock, () => mayLinger);
  const { handshakes, refusals } = new Sessions(options, outside);
  const connections = [new Noted(), new Noted(), new Noted()];
  for (const [n, connection] of connections.entries()) {
    mayLinger = n < 2;
    handshakes.accept(connection);
  }
  expect(connections.map(({ done }) => done)).toEqual([["end 16"], ["write 16", "destroy"], []]);
  expect(refusals.turnedAway.counts).toEqual({ handshakes: 2 });
  handshakes.stop();
  clock.stop();
});

test("those that are waited for still can be closed at once; after two seconds nobody is", async () => {
  const clock = new VirtualTime();
  const lingering = new Lingering({ clock, mayLinger: () => true });
  const connections = [new Noted(), new Noted()];
  for (const connection of connections) {
    lingering.end(connection, []);
    await clock.advance(1_000);
  }
  expect(lingering.size).toBe(1);
  lingering.drop();
  expect(connections.map(({ done }) => done)).toEqual([["end 0"], ["end 0", "destroy"]]);
  expect(lingering.size).toBe(0);
  clock.stop();
});
