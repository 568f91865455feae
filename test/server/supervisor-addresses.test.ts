/** A server that listens in several places. */
import { spawn } from "node:child_process";
import dns from "node:dns";
import { once } from "node:events";
import net from "node:net";
import { dirname } from "node:path";
import type { Readable } from "node:stream";
import { expect, onTestFinished, test, vi } from "vitest";
import {
  type ListenAddress,
  type ListenerChange,
  type StateChange,
  ServerSupervisor,
  type ServerSupervisorOptions,
} from "../../src/index.ts";
import { deadSocket } from "../dead-socket.ts";
import {
  certificate,
  eventually,
  failure,
  logKeeper,
  manage,
  rawServer,
  receiveText,
  socketPath,
  unusedPort,
} from "../support.ts";
import { connects } from "./connects.ts";

const host = "127.0.0.1";

function supervise(options: ServerSupervisorOptions): ServerSupervisor {
  const supervisor = new ServerSupervisor(options);
  onTestFinished(async () => void (await supervisor.close({ deadlineMs: 0 })));
  supervisor.serve(async (link) => {
    link.onMessage(async (message) => {
      await link.send(message);
    });
  });
  return supervisor;
}

async function echoes(to: { port: number; host: string } | { path: string }): Promise<string | null> {
  const link = manage().open(to);
  await link.send("hello");
  return receiveText(link);
}

test("all of its addresses serve the same clients, and all are closed", async () => {
  const path = await socketPath();
  const supervisor = supervise({ addresses: [{ port: 0, host }, { path }, { port: 0, host }] });
  const { addresses, ...first } = await supervisor.listen();
  expect(addresses).toEqual([first, { host: path, port: 0 }, { host, port: expect.any(Number) }]);
  for (const { host: at, port } of addresses) {
    expect(await echoes(port === 0 ? { path: at } : { host: at, port })).toBe("hello");
  }
  expect(supervisor.links.size).toBe(3);
  await supervisor.close({ deadlineMs: 0 });
  for (const { port } of addresses) if (port > 0) expect(await connects(port)).toBe(false);
  expect(supervisor.stats().listening.map(({ state }) => state)).toEqual(["closed", "closed", "closed"]);
});

test("at none of them if one cannot be bound", async () => {
  const [taken, free] = [await rawServer(() => {}), await unusedPort()];
  const addresses: ListenAddress[] = [
    { port: free, host },
    { port: taken, host },
  ];
  const supervisor = supervise({ addresses });
  expect(await failure(supervisor.listen())).toMatchObject({
    code: "LISTEN_FAILED",
    message: expect.stringContaining(`127.0.0.1:${taken}: another process listens there`),
  });
  expect(supervisor.state).toBe("closed");
  expect(await connects(free)).toBe(false);
});

test.each<[string, (port: number, path: string) => ListenAddress[]]>([
  ["a port", (port) => [{ port }, { port }]],
  ["a port of one address, and of every", (port) => [{ port, host }, { port }]],
  [
    "an address, and its name",
    (port) => [
      { port, host },
      { port, host: "localhost" },
    ],
  ],
  ["a path", (_, path) => [{ path }, { path }]],
])("%s given twice is no matter of another process", async (_, addresses) => {
  const port = await unusedPort();
  const supervisor = supervise({ addresses: addresses(port, await socketPath()) });
  const { code, message } = await failure(supervisor.listen());
  expect([code, message]).toEqual(["LISTEN_FAILED", expect.stringMatching(/it is given twice in addresses/u)]);
  expect(await connects(port)).toBe(false);
});

test("a listen() that is aborted while a name is looked up ends at once, and listens nowhere later on", async () => {
  const port = await unusedPort();
  const asked = Promise.withResolvers<(error: null, address: string, family: number) => void>();
  const lookup = vi.spyOn(dns, "lookup").mockImplementation((...args: unknown[]) => {
    asked.resolve(args.at(-1) as never);
  });
  onTestFinished(() => lookup.mockRestore());
  const supervisor = supervise({ port, host: "slow.example" });
  const controller = new AbortController();
  const listening = failure(supervisor.listen({ signal: controller.signal }));
  const answer = await asked.promise;
  controller.abort();
  expect(await listening).toMatchObject({ code: "ABORTED" });
  expect(supervisor.state).toBe("closed");
  answer(null, host, 4);
  await new Promise((resolve) => setImmediate(resolve));
  expect(await connects(port)).toBe(false);
});

test("a listen() that is aborted while a registry hangs ends at once", async () => {
  const asked = Promise.withResolvers<AbortSignal>();
  const announce = (_: string, __: object, { signal }: { signal: AbortSignal }): Promise<void> => {
    asked.resolve(signal);
    return new Promise(() => {});
  };
  const registry = { announce, find: () => null, withdraw: () => {} };
  const forward = { registry, listen: { host, port: 0 }, key: Buffer.alloc(32) };
  const supervisor = supervise({ port: 0, host, forward });
  const controller = new AbortController();
  const listening = failure(supervisor.listen({ signal: controller.signal }));
  const timeOfRegistry = await asked.promise;
  controller.abort();
  expect(await listening).toMatchObject({ code: "ABORTED" });
  expect(timeOfRegistry.aborted).toBe(false);
  expect(supervisor.state).toBe("closed");
});

test("an IPv4 client has its IPv4 address where the server listens at all addresses", async () => {
  const { logger, lines } = logKeeper();
  const supervisor = supervise({ port: 0, logger, deny: ["127.0.0.9"] });
  const { port } = await supervisor.listen();
  const link = manage().open({ port, host });
  await link.send("hello", { until: "accepted" });
  expect(Array.from(supervisor.links, ({ remoteAddress }) => remoteAddress)).toEqual([host]);
  net.connect({ port, host, localAddress: "127.0.0.9" }).on("error", () => {});
  await eventually(() => expect(supervisor.stats().rejected).toEqual({ denied: 1 }));
  expect(lines.find(({ message }) => message.startsWith("connection closed"))).toMatchObject({
    remoteAddress: "127.0.0.9",
  });
});

test("close() while it begins to listen, for other servers first, leaves nobody listening", async () => {
  const port = await unusedPort();
  const supervisor = supervise({ port, host, forward: { dir: dirname(await socketPath()) } });
  const listening = failure(supervisor.listen());
  await supervisor.close({ deadlineMs: 0 });
  expect(await listening).toMatchObject({ code: "INVALID_STATE" });
  expect(await connects(port)).toBe(false);
});

test("a listen() that is aborted while a path is looked at ends at once, and listens nowhere", async () => {
  const port = await unusedPort();
  const path = await socketPath();
  await deadSocket(path);
  const supervisor = supervise({ addresses: [{ port, host }, { path }] });
  const controller = new AbortController();
  const listening = failure(supervisor.listen({ signal: controller.signal }));
  // It has begun, and nothing of the system has answered yet.
  for (let n = 0; n < 10; n++) await Promise.resolve();
  controller.abort(new Error("mine"));
  expect(await listening).toMatchObject({ code: "ABORTED", cause: controller.signal.reason });
  expect(supervisor.state).toBe("closed");
  expect(await connects(port)).toBe(false);
});

test("two servers on one port, if both say so", async () => {
  const port = await unusedPort();
  const [one, other, third] = [true, true, false].map((reusePort) =>
    supervise({ addresses: [{ port, host, reusePort }] }),
  ) as [ServerSupervisor, ServerSupervisor, ServerSupervisor];
  await one.listen();
  await other.listen();
  expect(await echoes({ port, host })).toBe("hello");
  expect(await failure(third.listen())).toMatchObject({ code: "LISTEN_FAILED" });
});

test("ipv6Only: an IPv6 address takes no IPv4 clients", async () => {
  const port = await unusedPort();
  await supervise({ addresses: [{ port, host: "::", ipv6Only: true }] }).listen();
  expect(await connects(port)).toBe(false);
});

test("an address that is lost: health() says which, an event tells of it, and it comes back", async () => {
  const made = vi.spyOn(net, "createServer");
  onTestFinished(() => made.mockRestore());
  const { lines, logger } = logKeeper();
  const supervisor = supervise({
    addresses: [
      { port: 0, host },
      { port: 0, host },
    ],
    logger,
  });
  const changes: ListenerChange[] = [];
  supervisor.on("listener", (change) => void changes.push(change));
  const { addresses } = await supervisor.listen();
  expect(supervisor.stats().listening).toMatchObject(addresses.map((address) => ({ ...address, state: "listening" })));
  const [first, second] = made.mock.results.map(({ value }) => value as net.Server) as [net.Server, net.Server];
  first.emit("error", new Error("mine"));
  const reason = `not listening on ${host}:${addresses[0]?.port}: mine`;
  expect(supervisor.health()).toEqual({ status: "degraded", reasons: [reason] });
  second.emit("error", new Error("mine"));
  expect(supervisor.health()).toMatchObject({ status: "down", reasons: [reason, expect.any(String)] });
  await eventually(() => expect(supervisor.health()).toEqual({ status: "healthy", reasons: [] }));
  expect(changes.map(({ type }) => type)).toEqual(["lost", "lost", "restored", "restored"]);
  const told = lines.filter(({ event }) => event === "server.listener");
  expect(told).toMatchObject(changes);
  expect(told.map(({ level }) => level)).toEqual(["warn", "warn", "info", "info"]);
  for (const address of addresses) expect(await echoes(address)).toBe("hello");
});

test("a self-probe is no client, with TLS and a PROXY header, too", async () => {
  const made = vi.spyOn(net, "createServer");
  onTestFinished(() => made.mockRestore());
  const supervisor = supervise({
    port: 0,
    host,
    tls: await certificate(),
    proxyProtocol: { from: ["10.0.0.1"] },
    selfProbeMs: 20,
  });
  await supervisor.listen();
  await eventually(() => expect(supervisor.stats().listening[0]?.probe).toBe("accepts"));
  const { rejected, connections, listening } = supervisor.stats();
  expect({ rejected, connections, accepted: listening[0]?.accepted }).toEqual({
    rejected: {},
    connections: { open: 0, handshaking: 0 },
    accepted: 0,
  });
});

const INDEX = new URL("../../src/index.ts", import.meta.url).href;

test("the sockets that systemd has opened: a process of its own answers on them", { timeout: 15_000 }, async () => {
  const opened = net.createServer().listen(0, host);
  onTestFinished(() => void opened.close());
  await once(opened, "listening");
  const { port } = opened.address() as net.AddressInfo;
  const { fd } = (opened as unknown as { _handle: { fd: number } })._handle;
  const program = `
    import net from "node:net";
    import { ServerSupervisor } from ${JSON.stringify(INDEX)};
    const supervisor = new ServerSupervisor({ addresses: [{ systemd: "public" }] });
    supervisor.serve((link) => link.onMessage((message) => link.send(message)));
    let listener;
    const { createServer } = net;
    net.createServer = (...args) => (listener = createServer(...args));
    const { port } = await supervisor.listen();
    supervisor.on("error", ({ message }) => {
      console.log(JSON.stringify({ message, health: supervisor.health().status }));
    });
    process.on("SIGUSR2", () => listener.emit("error", new Error("mine")));
    console.log(JSON.stringify({ port, left: process.env.LISTEN_FDS ?? "nothing" }));
  `;
  // As systemd does: the process has the socket as its descriptor 3, and its own id in the environment.
  const args = ["-c", 'LISTEN_PID=$$ exec "$0" "$@"', process.execPath, "--no-warnings", "--input-type=module"];
  const child = spawn("/bin/sh", [...args, "--eval", program], {
    env: { ...process.env, LISTEN_FDS: "1", LISTEN_FDNAMES: "public" },
    stdio: ["ignore", "pipe", "inherit", fd],
  });
  onTestFinished(() => void child.kill());
  const [line] = (await once(child.stdout as Readable, "data")) as [Buffer];
  expect(JSON.parse(String(line))).toEqual({ port, left: "nothing" });
  // The kernel gives the clients to whoever accepts: here it is the other process alone.
  opened.close();
  expect(await echoes({ port, host })).toBe("hello");
  // With its listener the descriptor was closed.
  child.kill("SIGUSR2");
  const [end] = (await once(child.stdout as Readable, "data")) as [Buffer];
  expect(JSON.parse(String(end))).toEqual({
    message: "cannot listen on file descriptor 3: mine, and it cannot be bound again",
    health: "down",
  });
});

test(
  "a full table of descriptors: who comes is refused with a time, and links go on",
  { timeout: 60_000 },
  async () => {
    const program = `
    import { openSync } from "node:fs";
    import { ServerSupervisor } from ${JSON.stringify(INDEX)};
    const supervisor = new ServerSupervisor({
      port: 0,
      host: "127.0.0.1",
      // Or the link that is there would be shed after some seconds, as nothing else helps.
      resources: { descriptors: { actions: ["refuse-sessions"] } },
    });
    supervisor.serve((link) => link.onMessage((message) => link.send(message)));
    const { port } = await supervisor.listen();
    console.log(port);
    const held = [];
    process.on("SIGUSR2", () => {
      try {
        for (;;) held.push(openSync("/dev/zero"));
      } catch {
        console.log("full");
      }
    });
  `;
    const child = spawn(
      "/bin/sh",
      ["-c", `ulimit -n 96; exec "$0" --no-warnings --input-type=module --eval "$1"`, process.execPath, program],
      {
        stdio: ["ignore", "pipe", "inherit"],
      },
    );
    onTestFinished(() => void child.kill());
    const [line] = (await once(child.stdout, "data")) as [Buffer];
    const port = Number(String(line));
    const admitted = manage().open({ port, host });
    await admitted.send("before");
    expect(await receiveText(admitted)).toBe("before");
    const full = once(child.stdout, "data");
    child.kill("SIGUSR2");
    await full;
    const refused = manage().open({ port, host });
    const { promise: told, resolve } = Promise.withResolvers<StateChange>();
    // Until the full table is noticed, Node itself closes the connection.
    refused.on("state", (change) => {
      if (change.to === "reconnecting" && change.error?.code === "OVERLOADED") resolve(change);
    });
    expect(await told).toMatchObject({ error: { retryAfterMs: expect.any(Number) } });
    await admitted.send("meanwhile");
    expect(await receiveText(admitted)).toBe("meanwhile");
  },
);
