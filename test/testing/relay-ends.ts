/** Both ends of connections through a relay. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, onTestFinished } from "vitest";
import type { Direction } from "../../src/testing/faults.ts";
import { faultRelay, type FaultRelay } from "../../src/testing/relay.ts";

export const mib = 1024 * 1024;
export const directions: readonly Direction[] = ["to-server", "to-client"];

/** One end of a connection, and what has arrived there. */
interface Peer {
  readonly socket: Socket;
  readonly bytes: number;
  readonly all: Buffer;
  readonly text: string;
  readonly isOpen: boolean;
  readonly isEnded: boolean;
  /** The other end's FIN has arrived. */
  readonly ended: Promise<void>;
  /** "ok" or the error's code. */
  readonly closed: Promise<string>;
  /** From now on it closes when the other end does. */
  answersFin(): void;
  send(data: string | Buffer): boolean;
  /** Writes it MiB by MiB, each when the kernel has taken the one before; once for each peer. */
  flood(data: Buffer): Promise<void>;
  /** How much of it the kernel has taken. */
  readonly flooded: number;
  /** Resolves when so many bytes have arrived since the start. */
  received(bytes: number): Promise<void>;
  /** The next so many bytes as text. */
  take(bytes: number): Promise<string>;
}
export type Pair = [client: Peer, server: Peer];

export function peer(socket: Socket): Peer {
  const chunks: Buffer[] = [];
  let bytes = 0;
  let taken = 0;
  let flooded = 0;
  let outcome = "ok";
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => (outcome = error.code ?? error.message));
  onTestFinished(() => void socket.destroy());
  const received = async (count: number): Promise<void> => {
    if (bytes >= count) return;
    await once(socket, "data");
    await received(count);
  };
  return {
    socket,
    get bytes() {
      return bytes;
    },
    get all() {
      return Buffer.concat(chunks);
    },
    get text() {
      return Buffer.concat(chunks).toString();
    },
    get isOpen() {
      return !socket.destroyed;
    },
    get isEnded() {
      return socket.readableEnded;
    },
    ended: new Promise((resolve) => socket.once("end", resolve)),
    closed: new Promise((resolve) => socket.once("close", () => resolve(outcome))),
    answersFin: () => void socket.once("end", () => socket.end()),
    send: (data) => socket.write(data),
    get flooded() {
      return flooded;
    },
    async flood(data) {
      for (; flooded < data.length && !socket.destroyed; flooded += mib) {
        const piece = data.subarray(flooded, flooded + mib);
        await new Promise<void>((resolve) => socket.write(piece, () => resolve()));
      }
    },
    received,
    async take(count) {
      await received(taken + count);
      taken += count;
      return Buffer.concat(chunks)
        .subarray(taken - count, taken)
        .toString();
    },
  };
}

/** A server and a relay before it. `open` connects through the relay; both ends may half-close. */
export async function setUp(): Promise<{
  relay: FaultRelay;
  open: () => Promise<Pair>;
  /** The server's end of the next connection. */
  accepted: () => Promise<Peer>;
}> {
  const server = createServer({ allowHalfOpen: true });
  const port = await listen(server, 0);
  const relay = await faultRelay({ port });
  onTestFinished(async () => {
    await relay.close();
    server.close();
  });
  const accepted = async (): Promise<Peer> => peer(((await once(server, "connection")) as [Socket])[0]);
  const open = async (): Promise<Pair> => {
    const serverEnd = accepted();
    return [peer(connect({ port: relay.port, host: "127.0.0.1", allowHalfOpen: true })), await serverEnd];
  };
  return { relay, open, accepted };
}

export function ends([client, server]: Pair, direction: Direction): { from: Peer; to: Peer } {
  return direction === "to-server" ? { from: client, to: server } : { from: server, to: client };
}

export async function expectPasses(from: Peer, to: Peer): Promise<void> {
  from.send("ping");
  expect(await to.take(4)).toBe("ping");
}

export async function expectWorks([client, server]: Pair): Promise<void> {
  await expectPasses(client, server);
  await expectPasses(server, client);
}

/** A socket that doesn't read, or has read the end, finds out when it writes. */
export async function talkUntilClosed(end: Peer): Promise<string> {
  const talking = setInterval(() => end.send("hello?"), 10);
  const outcome = await end.closed;
  clearInterval(talking);
  return outcome;
}

/** That nothing moves any more has no event: the kernel has taken no MiB for 100 ms. */
export async function stuck(sender: Peer): Promise<void> {
  const before = sender.flooded;
  await sleep(100);
  if (sender.flooded !== before) await stuck(sender);
}

export async function listen(server: Server, port: number): Promise<number> {
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
