import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { faultRelay } from "resplice/testing";
import { describe, expect, onTestFinished, test } from "vitest";
import { example, type Program } from "./support/program.ts";

/** Answers with what it got once the client has ended. */
function answerAll(socket: net.Socket): void {
  void buffer(socket).then((all) => socket.end(all));
}

/** Client, near end, relay, far end, and a TCP server. */
async function tunnel(
  allowed: boolean,
  serve: (socket: net.Socket) => void = answerAll,
): Promise<{ near: Program; far: Program; relay: Awaited<ReturnType<typeof faultRelay>>; port: number }> {
  const server = net.createServer({ allowHalfOpen: true }, serve);
  server.listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const far = example("sidecar", "far", 0, ...(allowed ? [target] : []));
  const relay = await faultRelay({ port: await far.port() });
  onTestFinished(() => relay.close());
  const near = example("sidecar", "near", 0, relay.port, target);
  return { near, far, relay, port: await near.port() };
}

test("a plain TCP connection lives through cuts of the tunnel, half-close included", { timeout: 30_000 }, async () => {
  const { near, far, relay, port } = await tunnel(true);
  for (const bytes of [100, 400_000, 1_500_000]) relay.cutAfterBytes(bytes);
  const sent = randomBytes(1_000_000);
  const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  client.end(sent);
  const answer = await buffer(client);
  expect(answer.equals(sent)).toBe(true);
  expect(relay.connections).toBe(4);
  expect([await near.kill("SIGTERM"), await far.kill("SIGTERM")]).toEqual([0, 0]);
});

describe("a failure is a reset, and never an end", () => {
  const MIB = 1_048_576;
  const RESET = { code: "ECONNRESET" };

  test("of the target, for the client amid a download", { timeout: 30_000 }, async () => {
    const { port } = await tunnel(true, (socket) => {
      socket.on("error", () => {});
      socket.write(Buffer.alloc(4 * MIB));
      socket.once("data", () => socket.resetAndDestroy());
    });
    const client = net.connect({ port, host: "127.0.0.1" });
    const failed = once(client, "error");
    let ended = false;
    client.on("end", () => (ended = true));
    client.on("data", () => client.write("enough"));
    expect(await failed).toMatchObject([RESET]);
    expect(ended).toBe(false);
  });

  test("of the client, for the target amid an upload", { timeout: 30_000 }, async () => {
    const heard = new Promise<unknown>((resolve) => {
      void tunnel(true, (socket) => {
        socket.on("end", () => resolve("an end"));
        socket.on("error", resolve);
        socket.once("data", () => socket.write("go on"));
        socket.resume();
      }).then(({ port }) => {
        const client = net.connect({ port, host: "127.0.0.1" });
        client.on("error", () => {});
        client.write(Buffer.alloc(4 * MIB));
        client.once("data", () => client.resetAndDestroy());
      });
    });
    expect(await heard).toMatchObject(RESET);
  });
});

test("a target that is not allowed resets the client's connection", { timeout: 30_000 }, async () => {
  const { near, port } = await tunnel(false);
  const client = net.connect({ port, host: "127.0.0.1" });
  expect(await once(client, "error")).toMatchObject([{ code: "ECONNRESET" }]);
  await near.line(/not-allowed/u);
});
