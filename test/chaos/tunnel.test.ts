// Programs that know nothing of resplice, through `resplice tunnel`: both ends are processes, with TLS and a token between.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net, { type AddressInfo, type Socket } from "node:net";
import { buffer } from "node:stream/consumers";
import { faultRelay, type FaultRelay } from "resplice/testing";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TunnelStage, type Way } from "../tunnel/suite/stage.ts";

const MIB = 1_048_576;
/** So many links stay open for a while when they carry nothing any more. */
const KEPT_MOST = 64;
/** Seconds. How long the far end waits for a near end that was killed. */
const SURVIVE = 5;
const RESET = "ECONNRESET";

const stage = new TunnelStage("short", 100, false);
let way: Way;
let relay: FaultRelay;
/** What the server does with its next connections. */
let serve: (socket: Socket) => void;
const server = net.createServer({ allowHalfOpen: true }, (socket) => serve(socket));

beforeAll(async () => {
  way = await stage.tunnel({
    target: await stage.listen(server),
    tls: true,
    farOptions: ["--survive", `${SURVIVE}`],
    path: async (far) => {
      relay = await faultRelay({ port: far });
      return relay.port;
    },
  });
});

afterAll(async () => {
  await stage.close();
  await relay.close();
});

function connect(): Socket {
  return net.connect({ port: way.port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
}

/** The next connection of the server. */
function served(): Promise<Socket> {
  return new Promise((resolve) => {
    serve = resolve;
  });
}

/** Every connection that is open now stays open, and is dead; new ones are not. */
function blackHole(): void {
  relay.blackHole();
  relay.heal();
}

/** How the connection ended for who reads it: "end", or the code of an error. */
function ending(socket: Socket): Promise<string> {
  return new Promise((resolve) => {
    socket.once("end", () => resolve("end"));
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    socket.resume();
  });
}

test("24 MiB there and back, over a reset and a black hole: the same hash", async () => {
  serve = (socket) => void socket.pipe(socket);
  const sent = randomBytes(24 * MIB);
  const hash = createHash("sha256");
  const client = connect();
  client.end(sent);
  let bytes = 0;
  const cuts = [() => relay.cut("rst"), blackHole, () => relay.cut("rst")];
  for await (const chunk of client) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > (5 - cuts.length) * 4 * MIB) cuts.shift()?.();
  }
  expect(cuts).toHaveLength(0);
  expect(hash.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
});

test("a direction that has ended leaves the other open, over a reset and a black hole", async () => {
  const accepted = served();
  const client = connect();
  client.end("a question");
  const socket = await accepted;
  expect(String(await buffer(socket))).toBe("a question");
  for (const cut of [() => relay.cut("rst"), blackHole]) {
    cut();
    socket.write("an answer");
    expect(String(await once(client, "data"))).toBe("an answer");
  }
  socket.end("all of it");
  expect(String(await buffer(client))).toBe("all of it");
});

test("a reset is passed on, from either side", async () => {
  const [first, client] = [served(), connect()];
  client.write("?");
  const socket = await first;
  const heard = ending(socket);
  await once(socket, "data");
  client.resetAndDestroy();
  expect(await heard).toBe(RESET);

  const [second, reader] = [served(), connect()];
  reader.write("?");
  const writer = await second;
  writer.write(Buffer.alloc(MIB));
  const cutShort = ending(reader);
  await once(reader, "data");
  writer.resetAndDestroy();
  expect(await cutShort).toBe(RESET);
});

test("of 200 connections no descriptor is left", async () => {
  serve = (socket) => void socket.pipe(socket);
  const one = async (_: unknown, n: number): Promise<void> => {
    const client = connect();
    client.write("?");
    await once(client, "data");
    if (n % 10 === 0) return void client.resetAndDestroy();
    client.end();
    expect(await ending(client)).toBe("end");
  };
  const descriptors = async (): Promise<number[]> => [
    await way.near.call("descriptors"),
    await way.far.call("descriptors"),
  ];
  const before = await descriptors();
  for (let round = 0; round < 4; round++) await Promise.all(Array.from({ length: 50 }, one));
  const more = async (): Promise<number[]> => (await descriptors()).map((number, end) => number - (before[end] ?? 0));
  await expect
    .poll(more, { timeout: 10_000 })
    .toSatisfy((ends: number[]) => ends.every((number) => number <= KEPT_MOST));
  await expect.poll(() => new Promise((resolve) => server.getConnections((_, open) => resolve(open)))).toBe(0);
});

test("a target that refuses resets who has connected", async () => {
  const { port } = server.address() as AddressInfo;
  server.close();
  const client = connect();
  client.write("?");
  expect(await ending(client)).toBe(RESET);
  await once(server.listen(port, "127.0.0.1"), "listening");
});

test("a lost session is a reset amid a transfer, and never an end", async () => {
  const first = served();
  const downloading = connect();
  downloading.write("?");
  (await first).write(Buffer.alloc(MIB));
  await once(downloading, "data");
  const cutShort = ending(downloading);
  way.far.signal("SIGKILL");
  // It is back, and knows nothing.
  await stage.restart(way.far);
  expect(await cutShort).toBe(RESET);

  const second = served();
  const uploading = connect();
  uploading.write(Buffer.alloc(MIB));
  const upload = ending(await second);
  way.near.signal("SIGKILL");
  expect(await upload).toBe(RESET);
});
