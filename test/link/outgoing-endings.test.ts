/** Calls that wait for acceptance while the link ends, or just before they hear of it. */
import net from "node:net";
import { expect, test } from "vitest";
import { failure, manage, pair, serve } from "../support.ts";

test("a link that ends within the write of a message: its call is told, once", async () => {
  const { port } = await serve({}, async (link) => void (await link.receive()));
  let end = (): void => {};
  const link = manage().open({
    connect: async () => {
      const socket = net.connect(port, "127.0.0.1");
      const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
      socket.write = (...args: unknown[]): boolean => {
        end();
        return write(...args);
      };
      return socket;
    },
  });
  await link.connected();
  end = () => link.abort("mine");
  const sent = failure(link.send(Buffer.alloc(200_000), { until: "accepted" }));
  expect(await sent).toMatchObject({ code: "LINK_ENDED" });
  expect((await link.closed).undelivered).toEqual([]);
});

test("a call that is aborted when its message is lost already: the message is reported", async () => {
  const { client, server } = await pair();
  const controller = new AbortController();
  const sent = failure(client.send("precious", { until: "accepted", signal: controller.signal }));
  await client.send("other");
  await expect.poll(() => server.readableLength).toBeGreaterThan(20);
  client.onMessage(() => {
    client.abort("enough");
    controller.abort();
  });
  await server.send("go");
  expect(await sent).toMatchObject({ code: "ABORTED", delivery: "maybe" });
  const { undelivered } = await client.closed;
  expect(undelivered.map(({ message, delivery }) => [String(message), delivery])).toEqual([
    ["precious", "maybe"],
    ["other", "maybe"],
  ]);
});

test("a call that is aborted before its message is lost: the message is reported", async () => {
  const { client, server } = await pair();
  const controller = new AbortController();
  const sent = failure(client.send("precious", { until: "accepted", signal: controller.signal }));
  await expect.poll(() => server.readableLength).toBeGreaterThan(0);
  controller.abort();
  expect(await sent).toMatchObject({ code: "ABORTED", delivery: "maybe" });
  client.abort("enough");
  const { undelivered } = await client.closed;
  expect(undelivered.map(({ message, delivery }) => [String(message), delivery])).toEqual([["precious", "maybe"]]);
});

/** An array filtered at each abort would take ten times as long. */
test("of 20,000 calls that wait for room each is given up in constant time", async () => {
  const link = manage().open({ connect: () => new Promise(() => {}), queue: { maxMessages: 1 } });
  link.trySend("in the way");
  expect(link.trySend("no")).toBe(false);
  const waiting = Array.from({ length: 20_000 }, () => new AbortController());
  const outcomes = waiting.map(({ signal }) =>
    link.ready({ signal }).then(
      () => true,
      () => false,
    ),
  );
  const beganMs = performance.now();
  for (const controller of waiting) controller.abort("enough");
  expect(performance.now() - beganMs).toBeLessThan(5_000);
  expect((await Promise.all(outcomes)).includes(true)).toBe(false);
});
