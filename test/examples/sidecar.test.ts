import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { faultRelay } from "resplice/testing";
import { expect, onTestFinished, test } from "vitest";
import { example, type Program } from "./support/program.ts";

/** Client, near end, relay, far end, and a TCP server that answers with what it got once the client has ended. */
async function tunnel(
  allowed: boolean,
): Promise<{ near: Program; far: Program; relay: Awaited<ReturnType<typeof faultRelay>>; port: number }> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    void buffer(socket).then((all) => socket.end(all));
  });
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

test("a target that is not allowed closes the client's connection", { timeout: 30_000 }, async () => {
  const { near, port } = await tunnel(false);
  const client = net.connect({ port, host: "127.0.0.1" });
  client.on("error", () => {});
  await once(client, "close");
  await near.line(/not-allowed/u);
});
