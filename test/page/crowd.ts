/** Very many links in memory, with messages and cuts, and their monitor: a process of its own. */
import { type Duplex, duplexPair } from "node:stream";
import { answerCalls } from "../../bench/calls.ts";
import { ConnectionManager, type Link, monitor, ServerSupervisor } from "../../src/index.ts";

export type CrowdCommands = {
  /** Answers the address of the live page of their server. */
  open: (crowd: Crowd) => Promise<string>;
};

export interface Crowd {
  links: number;
  messagesPerSecond: number;
  cutsPerSecond: number;
}

const RATE = 100_000;
/** So many handshakes are under way at the same time. */
const OPENED_AT_ONCE = 100;
/** Messages and cuts come so many times in a second. */
const TURNS = 10;

async function open({ links: number, messagesPerSecond, cutsPerSecond }: Crowd): Promise<string> {
  const most = 2 * number;
  const supervisor = new ServerSupervisor({
    limits: {
      sessions: most,
      connections: most,
      handshakes: most,
      opensPerSecond: RATE,
      resumesPerSecond: RATE,
      acceptsPerSecond: RATE,
    },
    // The process shares its machine with a browser.
    resources: { lag: false },
  });
  supervisor.serve((link) => link.onMessage(() => {}));
  const manager = new ConnectionManager({ maxDialsPerSecond: RATE, maxDialsInFlight: OPENED_AT_ONCE });
  const streams: Duplex[] = [];
  const links: Link[] = [];
  const openOne = (at: number): Link =>
    manager.open({
      connect: () => {
        const [near, far] = duplexPair();
        streams[at] = near;
        supervisor.accept(far, { remoteAddress: `10.0.${at >> 8}.${at & 255}` });
        return near;
      },
    });
  while (links.length < number) {
    const group = Array.from({ length: OPENED_AT_ONCE }, (_, at) => openOne(links.length + at));
    await Promise.all(group.map((link) => link.connected()));
    links.push(...group);
  }
  let next = 0;
  setInterval(() => {
    for (let sent = 0; sent < messagesPerSecond / TURNS; sent++) {
      links[next++ % links.length]?.trySend("a message of some length");
    }
    for (let cut = 0; cut < cutsPerSecond / TURNS; cut++) {
      streams[Math.floor(Math.random() * streams.length)]?.destroy();
    }
  }, 1_000 / TURNS);
  const { host, port } = await monitor({ port: 0, sources: { edge: supervisor } }).listening();
  return `http://${host}:${port}/`;
}

answerCalls({ open } satisfies CrowdCommands);
