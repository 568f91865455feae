// The harness itself, with plain sockets: each fault that the other chaos tests rely on does what they take it to do.

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

import { afterEach, beforeEach, describe, expect, test } from "vitest";

import { claimPort } from "../../src/testing/port-claim.ts";
import { type ChaosProxy, openProxy } from "./support/proxy.ts";

let server: Echo;

beforeEach(async () => {
  server = await echoServer();
});

afterEach(() => server.close());

test("bytes pass both ways unchanged", async () => {
  await using proxy = await openProxy({ upstreamPort: server.port });
  const client = await dial(proxy);
  const sent = randomBytes(1_000_000);
  client.socket.write(sent);
  await client.received(sent.length);
  expect(client.bytes().equals(sent)).toBe(true);
});

test("a client connects also when nobody listens upstream, and is closed then", async () => {
  using nobody = await claimPort();
  await using proxy = await openProxy({ upstreamPort: nobody.port });
  const client = await dial(proxy);
  expect(await client.closed).toBe("FIN");
});

test("a cut is a FIN to both ends, and the next dial works", async () => {
  await using proxy = await openProxy({ upstreamPort: server.port });
  const client = await dial(proxy);
  await client.echo(Buffer.from("before"));
  await proxy.cut();
  expect(await client.closed).toBe("FIN");
  expect(await server.peer(0).closed).toBe("FIN");
  const next = await dial(proxy);
  await next.echo(Buffer.from("after"));
});

test("while a proxy is down dials are refused, and the port stays", async () => {
  await using proxy = await openProxy({ upstreamPort: server.port });
  const client = await dial(proxy);
  await client.echo(Buffer.from("before"));
  await proxy.down();
  expect(await client.closed).toBe("FIN");
  await expect(dial(proxy)).rejects.toThrow("ECONNREFUSED");
  await proxy.up();
  await (await dial(proxy)).echo(Buffer.from("after"));
});

describe.for(["upstream", "downstream"] as const)("%s", (stream) => {
  const receiver = (client: Peer): Peer => (stream === "upstream" ? server.peer(0) : client);

  test.for([1, 7, 4096, 100_000])("limit_data closes after exactly %i bytes", async (bytes) => {
    await using proxy = await openProxy({ upstreamPort: server.port });
    if (stream === "upstream") {
      server.mute(); // its answers would make the close a RST, and a writer that meets a RST reads no further
    }
    await proxy.toxic("limit_data", { bytes }, { stream });
    const client = await dial(proxy);
    const sent = randomBytes(bytes + 1000);
    client.socket.write(sent);
    await client.closed;
    await receiver(client).closed;
    expect(receiver(client).bytes().equals(sent.subarray(0, bytes))).toBe(true);
  });

  test("latency delays by no less", async () => {
    await using proxy = await openProxy({ upstreamPort: server.port, latencyMs: 0 });
    const toxic = await proxy.toxic("latency", { latency: 200 }, { stream });
    const client = await dial(proxy);
    const roundTrip = async (): Promise<number> => {
      const start = performance.now();
      await client.echo(Buffer.from("ping"));
      return performance.now() - start;
    };
    expect(await roundTrip()).toBeGreaterThanOrEqual(200);
    await toxic.update({ latency: 300 });
    expect(await roundTrip()).toBeGreaterThanOrEqual(300);
    await toxic.update({ latency: 3_600_000 });
    await toxic.remove();
    await roundTrip();
  });

  test("bandwidth 0 stalls everything and loses nothing", async () => {
    await using proxy = await openProxy({ upstreamPort: server.port });
    const client = await dial(proxy);
    const first = randomBytes(100);
    await client.echo(first);
    const stall = await proxy.toxic("bandwidth", { rate: 0 }, { stream });
    const sent = randomBytes(1_000_000);
    client.socket.write(sent);
    await sleep(300); // that nothing comes has no event; the toxic itself wakes every 100 ms
    expect(receiver(client).bytes().length).toBe(first.length);
    await stall.remove();
    await client.received(first.length + sent.length);
    expect(client.bytes().equals(Buffer.concat([first, sent]))).toBe(true);
  });

  test("an armed reset spares a silent connection and resets it at the next chunk", async () => {
    await using proxy = await openProxy({ upstreamPort: server.port, resettable: true });
    const client = await dial(proxy);
    await client.echo(Buffer.from("before"));
    const reset = await proxy.armReset(stream);
    client.socket.write("lost");
    expect(await client.closed).toBe("ECONNRESET");
    expect(await server.peer(0).closed).toBe("ECONNRESET");
    expect(receiver(client).bytes().toString()).toBe("before");
    await reset.disarm();
    await (await dial(proxy)).echo(Buffer.from("after"));
  });
});

test("a cut of a resettable proxy is a RST to both ends at once, though they are silent", async () => {
  await using proxy = await openProxy({ upstreamPort: server.port, resettable: true });
  const client = await dial(proxy);
  await client.echo(Buffer.from("before"));
  await proxy.cut();
  expect(await client.closed).toBe("ECONNRESET");
  expect(await server.peer(0).closed).toBe("ECONNRESET");
  await (await dial(proxy)).echo(Buffer.from("after"));
});

// Plain peers ----------------------------------------------------------------------------------------------------------

interface Peer {
  readonly socket: Socket;
  /** "FIN" or the code of the error. */
  readonly closed: Promise<string>;
  /** All that was received. */
  bytes(): Buffer;
  /** Waits for that many bytes in all; rejects if the connection closes first. */
  received(total: number): Promise<void>;
  /** Sends and waits for as many bytes more. */
  echo(bytes: Buffer): Promise<void>;
}

interface Echo {
  readonly port: number;
  /** The nth connection since the start. */
  peer(index: number): Peer;
  /** New connections get no answers. */
  mute(): void;
  close(): Promise<void>;
}

async function echoServer(): Promise<Echo> {
  const peers: Peer[] = [];
  let mute = false;
  const listening: Server = createServer((socket) => {
    peers.push(peerOf(socket));
    if (!mute) {
      socket.pipe(socket);
    }
  });
  listening.listen(0, "127.0.0.1");
  await once(listening, "listening");
  return {
    port: (listening.address() as AddressInfo).port,
    peer: (index) => {
      const peer = peers[index];
      if (peer === undefined) {
        throw new Error(`${peers.length} connections, and none with index ${index}`);
      }
      return peer;
    },
    mute: () => {
      mute = true;
    },
    close: async () => {
      for (const peer of peers) {
        peer.socket.destroy();
      }
      listening.close();
      await once(listening, "close");
    },
  };
}

async function dial(proxy: ChaosProxy): Promise<Peer> {
  const socket = connect(proxy.port, proxy.host);
  await once(socket, "connect");
  return peerOf(socket);
}

function peerOf(socket: Socket): Peer {
  const chunks: Buffer[] = [];
  let total = 0;
  let code = "FIN";
  socket.on("data", (chunk: Buffer) => {
    chunks.push(chunk);
    total += chunk.length;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    code = error.code ?? error.message;
  });
  const closed = new Promise<string>((resolve) => {
    socket.on("close", () => resolve(code));
  });
  const received = (wanted: number): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (total >= wanted) {
          socket.off("data", look);
          resolve();
        }
      };
      socket.on("data", look);
      void closed.then((how) => reject(new Error(`closed by ${how} after ${total} of ${wanted} bytes`)));
      look();
    });
  return {
    socket,
    closed,
    bytes: () => Buffer.concat(chunks),
    received,
    echo: async (bytes) => {
      const wanted = total + bytes.length;
      socket.write(bytes);
      await received(wanted);
    },
  };
}
