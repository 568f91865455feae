/** The clients of the tunnel and of the plain relay, in a process of their own. */
import { once } from "node:events";
import net, { type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { answerCalls } from "../../../bench/calls.ts";
import { median, percentile } from "../../../bench/statistics.ts";

export type LoadCommands = {
  /** From a source, over all connections together. `measured`: what came in the last `ms`. */
  download(options: { port: number; connections: number; warmMs: number; forMs: number }): Promise<Downloaded>;
  /** To an echo, one after the other on one connection. In milliseconds. */
  roundTrips(options: { port: number; warmMs: number; forMs: number }): Promise<{ p50: number; p99: number }>;
  /** To a greeter, `atOnce` at any time, each closed after its first byte. Answers how many there were. */
  connections(options: { port: number; atOnce: number; forMs: number }): Promise<{ made: number; ms: number }>;
  /** To an echo: open, and used once. They stay until `release`. */
  hold(options: { port: number; connections: number }): Promise<void>;
  release(): Promise<void>;
  /** From the beginning of the connection until the first byte has come, one after the other. The median, in milliseconds. */
  firstByte(options: { port: number; times: number; everyMs: number; speaks: boolean }): Promise<number>;
  /** To a greeter, all at the same moment. In milliseconds, until the last one has its byte. */
  burst(options: { port: number; connections: number }): Promise<{ ms: number; failures: string[] }>;
};

interface Downloaded {
  mib: { all: number; measured: number };
  ms: number;
}

const MIB = 1_048_576;
const MESSAGE = Buffer.alloc(64, "?");
const held: Socket[] = [];

answerCalls({
  download: async ({ port, connections, warmMs, forMs }) => {
    let bytes = 0;
    const sockets = Array.from({ length: connections }, () => connect(port));
    for (const socket of sockets) {
      socket.on("data", (chunk) => {
        bytes += chunk.length;
      });
    }
    await sleep(warmMs);
    const [before, fromMs] = [bytes, performance.now()];
    await sleep(forMs);
    const ms = performance.now() - fromMs;
    const mib = { all: bytes / MIB, measured: (bytes - before) / MIB };
    for (const socket of sockets) socket.resetAndDestroy();
    return { mib, ms };
  },
  roundTrips: async ({ port, warmMs, forMs }) => {
    const socket = connect(port);
    const times: number[] = [];
    const beginMs = performance.now();
    while (performance.now() < beginMs + warmMs + forMs) {
      const fromMs = performance.now();
      await echoed(socket);
      if (fromMs > beginMs + warmMs) times.push(performance.now() - fromMs);
    }
    socket.end();
    return { p50: percentile(times, 0.5), p99: percentile(times, 0.99) };
  },
  connections: async ({ port, atOnce, forMs }) => {
    let made = 0;
    const fromMs = performance.now();
    const one = async (): Promise<void> => {
      while (performance.now() < fromMs + forMs) {
        const socket = connect(port);
        await once(socket, "data");
        socket.end();
        await once(socket, "close");
        made++;
      }
    };
    await Promise.all(Array.from({ length: atOnce }, one));
    return { made, ms: performance.now() - fromMs };
  },
  hold: async ({ port, connections }) => {
    const one = async (): Promise<void> => {
      const socket = connect(port);
      held.push(socket);
      await echoed(socket);
    };
    // Not all at once: that is another measurement.
    for (let opened = 0; opened < connections; opened += 20) await Promise.all(Array.from({ length: 20 }, one));
  },
  release: async () => {
    const closing = held.splice(0).map((socket) => once(socket.end(), "close"));
    await Promise.all(closing);
  },
  firstByte: async ({ port, times, everyMs, speaks }) => {
    const took: number[] = [];
    for (let n = 0; n < times; n++) {
      const fromMs = performance.now();
      const socket = connect(port);
      if (speaks) socket.write(MESSAGE);
      await once(socket, "data");
      took.push(performance.now() - fromMs);
      socket.end();
      await sleep(everyMs);
    }
    return median(took);
  },
  burst: async ({ port, connections }) => {
    const fromMs = performance.now();
    let lastMs = fromMs;
    const failures: string[] = [];
    const one = async (): Promise<void> => {
      const socket = connect(port);
      try {
        await once(socket, "data");
        lastMs = performance.now();
        socket.end();
        await once(socket, "close");
      } catch (error) {
        failures.push(String(error));
      }
    };
    await Promise.all(Array.from({ length: connections }, one));
    return { ms: lastMs - fromMs, failures };
  },
} satisfies LoadCommands);

function connect(port: number): Socket {
  return net.connect({ port, host: "127.0.0.1", noDelay: true });
}

/** One message, and its echo. */
async function echoed(socket: Socket): Promise<void> {
  socket.write(MESSAGE);
  for (let bytes = 0; bytes < MESSAGE.length;) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    bytes += chunk.length;
  }
}
