import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type ProbeResult, SelfProbe } from "../../../src/server/listening/self-probe.ts";
import { eventually, ManualClock, rawServer, socketPath, unusedPort } from "../../support.ts";

const host = "127.0.0.1";

interface Probed {
  probe: SelfProbe;
  clock: ManualClock;
  results: ProbeResult[];
}

function probing(to: net.NetConnectOpts, accepted: () => number = () => 0): Probed {
  const clock = new ManualClock(1_000);
  const results: ProbeResult[] = [];
  const probe = new SelfProbe({ clock, to, accepted, onResult: (result) => void results.push(result) });
  onTestFinished(() => probe.stop());
  return { probe, clock, results };
}

test("clients that come meanwhile are let in when the probe is found, with all of their bytes", async () => {
  const heard: string[] = [];
  let probed: Probed | undefined;
  let isHeldBack = true;
  const back: net.Socket[] = [];
  const inspect = (socket: net.Socket): void =>
    probed?.probe.inspect(socket, () => {
      let text = "";
      socket.on("data", (chunk) => (text += String(chunk)));
      socket.on("end", () => void heard.push(text));
    });
  const port = await rawServer((socket) => {
    if (isHeldBack) back.push(socket);
    else inspect(socket);
  });
  const texts = ["short", "a text that is longer than the first bytes of a probe"];
  for (const text of texts)
    net
      .connect(port, host)
      .on("error", () => {})
      .end(text);
  await eventually(() => expect(back).toHaveLength(2));
  probed = probing({ port, host });
  for (const socket of back) inspect(socket);
  // The one that has said enough is known not to be the probe.
  await eventually(() => expect(heard).toEqual([texts[1]]));
  isHeldBack = false;
  probed.probe.start();
  await eventually(() => expect(heard.toSorted()).toEqual(texts.toSorted()));
  expect(probed.results).toEqual(["accepts"]);
});

test("a client that has gone without a word is not let in", async () => {
  const { promise: accepted, resolve } = Promise.withResolvers<net.Socket>();
  const port = await rawServer(resolve);
  const client = net.connect(port, host);
  const { probe } = probing({ port, host });
  const socket = await accepted;
  let passed = 0;
  probe.inspect(socket, () => void passed++);
  client.end();
  await once(socket, "close");
  probe.stop();
  expect(passed).toBe(0);
});

test("bytes of another length or content are no probe", async () => {
  const others: net.Socket[] = [];
  const port = await rawServer((socket) => void others.push(socket));
  const { probe, results } = probing({ port, host });
  let passed = 0;
  net.connect(port, host).end(Buffer.alloc(16, 7));
  await eventually(() => expect(others).toHaveLength(1));
  probe.inspect(others[0] as net.Socket, () => void passed++);
  await eventually(() => expect(passed).toBe(1));
  expect(results).toEqual([]);
});

test("not accepted for twice two seconds: dead", async () => {
  const port = await rawServer(() => {});
  const { probe, clock, results } = probing({ port, host });
  probe.start();
  clock.pass(3_999);
  expect(results).toEqual([]);
  clock.pass(1);
  expect(results).toEqual([{ dead: "the connection of a probe waits" }]);
});

test("as long as others are accepted it waits: the backlog may be long", async () => {
  const port = await rawServer(() => {});
  let accepted = 0;
  const { probe, clock, results } = probing({ port, host }, () => accepted);
  probe.start();
  for (let n = 0; n < 10; n++) {
    clock.pass(1_999);
    accepted++;
    clock.pass(1);
  }
  expect(results).toEqual([]);
  clock.pass(4_000);
  expect(results).toHaveLength(1);
});

test("a backlog that is full while others are accepted: it accepts", async () => {
  let accepted = 0;
  const { probe, results } = probing({ port: await unusedPort(), host }, () => accepted);
  probe.start();
  accepted++;
  await eventually(() => expect(results).toEqual(["accepts"]));
});

test("clients wait for the probe only where they may be it, and for two seconds at most", async () => {
  const path = await socketPath();
  const accepted: Record<"port" | "path", net.Socket[]> = { port: [], path: [] };
  const port = await rawServer((socket) => void accepted.port.push(socket));
  const server = net.createServer((socket) => void accepted.path.push(socket)).listen(path);
  await once(server, "listening");
  const clients = [net.connect(port, host), net.connect(path)];
  onTestFinished(() => {
    for (const socket of [...clients, ...accepted.path]) socket.destroy();
    server.close();
  });
  await eventually(() => expect([accepted.port.length, accepted.path.length]).toEqual([1, 1]));
  const passed: string[] = [];
  const [byPort, byPath] = [probing({ port, host }), probing({ path })];
  for (const { probe } of [byPort, byPath]) probe.start();
  await eventually(() => expect([accepted.port.length, accepted.path.length]).toEqual([2, 2]));
  byPort.probe.inspect(accepted.port[0] as net.Socket, () => void passed.push("port"));
  byPath.probe.inspect(accepted.path[0] as net.Socket, () => void passed.push("path"));
  expect(passed).toEqual(["port"]);
  byPath.clock.pass(2_000);
  expect(passed).toEqual(["port", "path"]);
});

test.each(["a port", "a path"])("%s at which nobody listens: dead", async (where) => {
  const to = where === "a port" ? { port: await unusedPort(), host } : { path: await socketPath() };
  const { probe, results } = probing(to);
  probe.start();
  await eventually(() => expect(results).toHaveLength(1));
  expect(results).toEqual([{ dead: where === "a port" ? "ECONNREFUSED" : "ENOENT" }]);
});

test("accepted and closed by whoever it was, as Node does without a descriptor: nothing can be told", async () => {
  const port = await rawServer((socket) => void socket.destroy());
  const { probe, results } = probing({ port, host });
  probe.start();
  await eventually(() => expect(results).toEqual(["untold"]));
});

test("stopped: clients are let in, and nothing is told", async () => {
  const sockets: net.Socket[] = [];
  const port = await rawServer((socket) => void sockets.push(socket));
  const { probe, clock, results } = probing({ port, host });
  probe.start();
  await eventually(() => expect(sockets).toHaveLength(1));
  let passed = 0;
  probe.inspect(sockets[0] as net.Socket, () => void passed++);
  expect(passed).toBe(0);
  probe.stop();
  expect(passed).toBe(1);
  probe.inspect(sockets[0] as net.Socket, () => void passed++);
  expect(passed).toBe(2);
  clock.pass(10_000);
  expect(results).toEqual([]);
});

test("a listener that accepts more sockets than the probe holds does accept: all are let in", async () => {
  const sockets: net.Socket[] = [];
  const port = await rawServer((socket) => void sockets.push(socket));
  const { probe, clock, results } = probing({ port, host });
  const clients = Array.from({ length: 65 }, () => net.connect(port, host));
  onTestFinished(() => clients.forEach((client) => client.destroy()));
  await Promise.all(clients.map((client) => once(client, "connect")));
  await eventually(() => expect(sockets).toHaveLength(65));
  probe.start();
  let passed = 0;
  for (const socket of sockets.slice(0, 64)) probe.inspect(socket, () => void passed++);
  expect([passed, results]).toEqual([0, []]);
  probe.inspect(sockets[64] as net.Socket, () => void passed++);
  expect([passed, results]).toEqual([65, ["accepts"]]);
  // A server that lets its clients speak first would keep the connection of a probe that goes on.
  clock.pass(10_000);
  expect(results).toEqual(["accepts"]);
});
