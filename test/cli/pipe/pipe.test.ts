// `resplice listen` and `resplice connect`: two real processes, and between them, where there are faults, the fault relay.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { devNull } from "node:os";
import type { FaultRelay } from "resplice/testing";
import { expect, onTestFinished, test } from "vitest";
import { relayTo, runToExit } from "../../support.ts";
import { listening, resplice, type Run } from "../support.ts";

const SLOW = { timeout: 60_000 };
const MEBI = 1_048_576;

test("both inputs come out at the other end, and both sides end with 0", SLOW, async () => {
  const listener = await listening();
  const client = resplice(["connect", `127.0.0.1:${listener.port}`]);
  client.child.stdin?.end("from the client");
  listener.child.stdin?.end("from the listener");
  expect(await Promise.all([client.exit, listener.exit])).toEqual([0, 0]);
  expect(listener.stdout().toString()).toBe("from the client");
  expect(client.stdout().toString()).toBe("from the listener");
  expect(listener.stderr()).toMatch(/connected with 127\.0\.0\.1/);
  expect(client.stderr()).toMatch(/connected: a new session[^]*closed\n$/);
});

test("16 MiB each way through a path that is cut again and again", SLOW, async () => {
  const [there, back] = [randomBytes(16 * MEBI), randomBytes(16 * MEBI)];
  const listener = await listening();
  const relay = await relayTo(listener.port);
  // Each new connection is cut too: within the handshake, then amid the data.
  for (const bytes of [10, 150, 70_000, 1_000_003, 3 * MEBI]) relay.cutAfterBytes(bytes);
  const client = resplice(["connect", "--progress", `127.0.0.1:${relay.port}`]);
  client.child.stdin?.end(there);
  listener.child.stdin?.end(back);
  let fins = 0;
  client.child.stderr?.on("data", (chunk: Buffer) => {
    if (fins >= 3 || !chunk.includes("the session is resumed")) return;
    fins++;
    relay.cutAfterBytes(2 * MEBI);
    if (fins === 2) relay.cut("fin");
  });
  expect(await Promise.all([client.exit, listener.exit])).toEqual([0, 0]);
  expect(digest(listener.stdout())).toBe(digest(there));
  expect(digest(client.stdout())).toBe(digest(back));
  expect(relay.connections).toBeGreaterThanOrEqual(6);
  expect(client.stderr()).toMatch(/sent 16\.0 MiB .*accepted 16\.0 MiB\n.*received 16\.0 MiB/);
  const rows = client.stderr().match(/^resplice: (?:sent|received) .*/gmu) ?? [];
  expect(rows.length).toBeGreaterThan(1);
  expect(rows.filter((row) => row.length > 60)).toEqual([]);
});

test("a large file one way, with nothing to send back", SLOW, async () => {
  const file = randomBytes(16 * MEBI);
  const listener = await listening([], ["ignore", "pipe", "pipe"]);
  const relay = await relayTo(listener.port);
  relay.cutAfterBytes(5 * MEBI);
  const client = resplice(["connect", `127.0.0.1:${relay.port}`]);
  client.child.stdin?.end(file);
  expect(await Promise.all([client.exit, listener.exit])).toEqual([0, 0]);
  expect(digest(listener.stdout())).toBe(digest(file));
  expect(client.stdout()).toHaveLength(0);
});

test("it does not end before the other direction has ended", SLOW, async () => {
  const listener = await listening();
  const client = resplice(["connect", `127.0.0.1:${listener.port}`]);
  client.child.stdin?.end("a question");
  await once(listener.child.stdout!, "data");
  listener.child.stdin?.write("an answer, ");
  await once(client.child.stdout!, "data");
  listener.child.stdin?.end("and the rest of it");
  expect(await Promise.all([client.exit, listener.exit])).toEqual([0, 0]);
  expect(client.stdout().toString()).toBe("an answer, and the rest of it");
});

test("connect waits for a listener that comes later", SLOW, async () => {
  const free = await freePort();
  const client = resplice(["connect", `127.0.0.1:${free}`]);
  client.child.stdin?.end("early");
  await client.says(/ECONNREFUSED/);
  const listener = resplice(["listen", `127.0.0.1:${free}`], { stdio: ["ignore", "pipe", "pipe"] });
  expect(await Promise.all([client.exit, listener.exit])).toEqual([0, 0]);
  expect(listener.stdout().toString()).toBe("early");
});

test("a second client does not disturb the first", SLOW, async () => {
  const listener = await listening();
  const client = resplice(["connect", `127.0.0.1:${listener.port}`]);
  await listener.says(/connected with/);
  const second = resplice(["connect", `127.0.0.1:${listener.port}`]);
  await second.says(/the other end has its link already \(listen takes one\): waiting\n/);
  client.child.stdin?.end("first");
  listener.child.stdin?.end();
  expect(await Promise.all([client.exit, listener.exit])).toEqual([0, 0]);
  expect(listener.stdout().toString()).toBe("first");
});

test("a port that is taken ends listen with 1", SLOW, async () => {
  const listener = await listening();
  const other = resplice(["listen", `127.0.0.1:${listener.port}`]);
  expect(await other.exit).toBe(1);
  expect(other.stderr()).toMatch(/^resplice: cannot listen on 127\.0\.0\.1:\d+: another process listens there/);
});

// What breaks ----------------------------------------------------------------------------------------------------------

test("a broken stdout ends it with 141, and the other end with 1", SLOW, async () => {
  const { listener, client } = await pair();
  listener.child.stdout?.destroy();
  client.child.stdin?.write("nobody reads this");
  expect(await Promise.all([listener.exit, client.exit])).toEqual([141, 1]);
  expect(listener.stderr()).toMatch(/stdout cannot be written: .*EPIPE/);
  expect(client.stderr()).toMatch(/the peer aborted the link: stdout-closed/);
});

test("after a broken stdout what was read before is still delivered", SLOW, async () => {
  const { listener, client } = await pair();
  client.child.stdin?.write("this arrives. ");
  await once(listener.child.stdout!, "data");
  client.child.stdout?.destroy();
  listener.child.stdin?.write("nobody reads this");
  expect(await Promise.all([client.exit, listener.exit])).toEqual([141, 1]);
  expect(listener.stdout().toString()).toBe("this arrives. ");
});

test("a stdin that breaks ends both ends with 1: what came is not the whole", SLOW, async () => {
  const listener = await listening([], ["ignore", "pipe", "pipe"]);
  // A reset is an error that a reader sees; a pipe has none.
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const input = connect((server.address() as AddressInfo).port, "127.0.0.1").pause();
  const [source] = await accepted;
  const client = resplice(["connect", `127.0.0.1:${listener.port}`], { stdio: [input, "pipe", "pipe"] });
  onTestFinished(() => {
    input.destroy();
    server.close();
  });
  source.write("half of it");
  await once(listener.child.stdout!, "data");
  source.resetAndDestroy();
  expect(await Promise.all([client.exit, listener.exit])).toEqual([1, 1]);
  expect(client.stderr()).toMatch(/stdin cannot be read: .*ECONNRESET/);
  expect(listener.stderr()).toMatch(/stdin-failed/);
});

test("a stdin that cannot be read at all ends connect with 1", SLOW, async () => {
  const unreadable = openSync(devNull, "w");
  const client = resplice(["connect", `127.0.0.1:${await freePort()}`], { stdio: [unreadable, "pipe", "pipe"] });
  closeSync(unreadable);
  expect(await client.exit).toBe(1);
  expect(client.stderr()).toMatch(/stdin cannot be read: EBADF/);
});

test(
  "a killed client leaves the listener waiting for it, and Ctrl-C ends that: nothing was read that it could deliver",
  SLOW,
  async () => {
    const { listener, client } = await pair();
    client.child.kill("SIGKILL");
    await listener.says(/waiting for the client/);
    listener.child.kill("SIGINT");
    expect(await listener.exit).toBe(130);
  },
);

// Ctrl-C ---------------------------------------------------------------------------------------------------------------

test.for([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("%s delivers what was read, and ends with %i", SLOW, async ([signal, code]) => {
  const { listener, client, relay } = await pair();
  relay.stall();
  const sent = randomBytes(MEBI);
  await new Promise((resolve) => client.child.stdin?.write(sent, resolve));
  client.child.kill(signal);
  await client.says(/interrupted: delivering what was read/);
  relay.heal();
  expect(await client.exit).toBe(code);
  expect(await listener.exit).toBe(1); // its own input had not ended
  const arrived = listener.stdout();
  expect(arrived.equals(sent.subarray(0, arrived.length))).toBe(true);
  expect(client.stderr()).toMatch(/all that was read has been delivered/);
});

/** Of a process whose stdin takes so long to give what it has, or to end. Not as long as it takes to start a client. */
const SLOW_STDIN = `
  import fs from "node:fs";
  const { read } = fs;
  fs.read = (fd, ...rest) => (fd === 0 ? setTimeout(() => read(fd, ...rest), 100) : read(fd, ...rest));`;

test.for([
  ["", []],
  [", also where that takes a while to show", ["--import", `data:text/javascript,${encodeURIComponent(SLOW_STDIN)}`]],
] as const)(
  "the other end's close() is an end like any other where our input has ended%s",
  SLOW,
  async ([, execArgv]) => {
    const listener = await listening([], ["ignore", "pipe", "pipe"], execArgv);
    await runToExit(`
      const manager = new resplice.ConnectionManager();
      const link = manager.open({ port: ${listener.port}, host: "127.0.0.1", mode: "bytes" });
      await link.send("all there is");
      await link.close();
      await manager.close();
    `);
    expect(await listener.exit).toBe(0);
    expect(listener.stdout().toString()).toBe("all there is");
  },
);

test("the other end's Ctrl-C is no end: what came by then is not the whole", SLOW, async () => {
  const listener = await listening([], ["ignore", "pipe", "pipe"]);
  const client = resplice(["connect", `127.0.0.1:${listener.port}`]);
  client.child.stdin?.write("a part");
  await once(listener.child.stdout!, "data");
  client.child.kill("SIGINT");
  expect(await Promise.all([client.exit, listener.exit])).toEqual([130, 1]);
  expect(listener.stdout().toString()).toBe("a part");
  expect(listener.stderr()).toMatch(/the peer aborted the link: interrupted/);
});

test("the second Ctrl-C gives up: 1", SLOW, async () => {
  const { client, relay } = await pair();
  relay.stall();
  await new Promise((resolve) => client.child.stdin?.write("never accepted", resolve));
  client.child.kill("SIGINT");
  await client.says(/interrupted/);
  client.child.kill("SIGINT");
  expect(await client.exit).toBe(1);
});

test("Ctrl-C before anybody is there ends at once with 130", SLOW, async () => {
  const listener = await listening();
  listener.child.kill("SIGINT");
  expect(await listener.exit).toBe(130);
  const client = resplice(["connect", `127.0.0.1:${listener.port}`]);
  await client.says(/ECONNREFUSED/);
  client.child.kill("SIGINT");
  expect(await client.exit).toBe(130);
});

// Support --------------------------------------------------------------------------------------------------------------

/** Both ends, connected through a relay, their stdins open. */
async function pair(): Promise<{ listener: Run; client: Run; relay: FaultRelay }> {
  const listener = await listening();
  const relay = await relayTo(listener.port);
  const client = resplice(["connect", `127.0.0.1:${relay.port}`]);
  await Promise.all([client.says(/connected: a new session/), listener.says(/connected with/)]);
  return { listener, client, relay };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

function digest(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
