import { expect, test } from "vitest";
import { Buffers } from "../../../src/server/overload/buffers.ts";
import { eventually } from "../../support.ts";
import { connect, setUp } from "../served-sessions.ts";

const KIB = "x".repeat(1_024);

test("the direction that has used more of its half is the reading", () => {
  const read = (incoming: number, outgoing: number) =>
    new Buffers({
      sharedMemory: [
        { bytes: incoming, most: 100 },
        { bytes: outgoing, most: 200 },
      ],
    }).read();
  expect(read(60, 100)).toEqual({ observed: 60, limit: 100 });
  expect(read(40, 100)).toEqual({ observed: 100, limit: 200 });
});

test("what is lent to windows is no use of memory, what has arrived above a link's minimum is; so is what waits to be sent", async () => {
  const server = setUp(undefined, { maxMessageBytes: 4_096, limits: { bufferBytes: 1_000_000 } });
  const buffers = new Buffers(server.sessions);
  const client = await connect(server);
  expect([server.sessions.memory.windowBudget.lentBytes > 0, buffers.read().observed]).toEqual([true, 0]);
  for (let n = 0; n < 20; n++) await client.send(KIB);
  await server.clock.advance(100);
  // 20 messages with their prefixes, less the minimum of one largest message.
  expect(buffers.read()).toEqual({ observed: 20 * 1_028 - 4_100, limit: 375_000 });
  const [link] = server.links;
  server.path.refuse();
  server.path.cut("rst");
  await server.clock.advance(10);
  for (let n = 0; n < 300; n++) link?.trySend(KIB);
  await eventually(() => expect(buffers.read().limit).toBe(500_000));
  expect(buffers.read().observed).toBeGreaterThan(100_000);
});

test("the limit follows when the server's is changed", () => {
  const { sessions } = setUp(undefined, { limits: { bufferBytes: 1_000_000 } });
  const buffers = new Buffers(sessions);
  sessions.setLimits({ bufferBytes: 400_000 });
  expect(buffers.read()).toEqual({ observed: 0, limit: 150_000 });
  sessions.setLimits({ bufferBytes: 0 });
  expect(buffers.read()).toEqual({ observed: 0, limit: 0 });
});
