import { faultRelay } from "resplice/testing";
import { expect, onTestFinished, test } from "vitest";
import { createWebSocketStream, WebSocket as WebSocketOfClient } from "ws";
import { manage } from "../support.ts";
import { example } from "./support/program.ts";

test("every line comes back once, in order, though the WebSocket is cut", { timeout: 30_000 }, async () => {
  const server = example("websocket", "serve", 0);
  const relay = await faultRelay({ port: await server.port() });
  onTestFinished(() => relay.close());
  const client = example("websocket", `ws://127.0.0.1:${relay.port}/links`);
  await client.line(/^connected/u);

  const sent = ["before"];
  client.write("before");
  await client.line(/^before$/u);
  for (let n = 0; n < 5; n++) {
    if (n % 2 === 0) relay.cut("rst");
    else relay.cutAfterBytes(50);
    const lines = [`during ${n}`, `after ${n}`];
    sent.push(...lines);
    client.write(...lines);
    await client.line(new RegExp(`^after ${n}$`, "u"));
  }
  client.process.stdin.end();

  expect(await client.exited).toBe(0);
  expect(client.lines.filter((line) => !line.includes(": "))).toEqual(sent);
  expect(client.lines.filter((line) => line === "connected: resumed").length).toBeGreaterThanOrEqual(3);
  expect(await server.kill("SIGTERM")).toBe(0);
});

test("a client has the address that our own ingress has appended, whatever it says itself", async () => {
  const server = example("websocket", "serve", 0);
  const url = `ws://127.0.0.1:${await server.port()}/links`;
  const manager = manage();
  for (const [forwarded, address] of [
    ["192.0.2.1, 198.51.100.2,203.0.113.7", "203.0.113.7"],
    [["192.0.2.1", "203.0.113.8"], "203.0.113.8"],
    ["203.0.113.9", "203.0.113.9"],
    [undefined, "127.0.0.1"],
  ] as const) {
    const headers = forwarded === undefined ? {} : { "x-forwarded-for": forwarded as string };
    manager.open({ connect: () => createWebSocketStream(new WebSocketOfClient(url, { headers })) });
    await server.line(new RegExp(`^a link of ${address}$`, "u"));
  }
  await manager.close();
  expect(server.lines.filter((line) => line.startsWith("a link of "))).toHaveLength(4);
  expect(await server.kill("SIGTERM")).toBe(0);
});

test(
  "a client that is no link of ours ends nothing, and the ingress can ask for health",
  { timeout: 30_000 },
  async () => {
    const server = example("websocket", "serve", 0);
    const port = await server.port();
    const stranger = new WebSocket(`ws://127.0.0.1:${port}/links`);
    const closed = new Promise((resolve) => stranger.addEventListener("close", resolve));
    stranger.addEventListener("open", () => stranger.send("hello? ".repeat(20)));
    await closed;
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`);
    expect([answer.status, await answer.json()]).toEqual([200, { status: "healthy", reasons: [] }]);
    expect(await server.kill("SIGTERM")).toBe(0);
  },
);
