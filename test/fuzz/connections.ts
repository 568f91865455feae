/**
 * Connections with garbage to a real server, which must close each of them within its deadlines, serve everybody else as if
 * nothing were the matter, and hold in the end what it held before.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { Child } from "../endurance/child.ts";
import { type Allowed, type Footprint, grown } from "../endurance/footprint.ts";
import { Bystanders, type Talked } from "./bystanders.ts";
import { RawClient } from "./client.ts";
import { Draw } from "./draw.ts";
import { drawKind, type Kind, KINDS, misbehave, type Place } from "./garbage.ts";
import type { ServerCommands } from "./server.ts";

const AT_ONCE = 100;
/** One connection in so many goes to the server that speaks TLS. */
const TLS_ONE_IN = 10;
/** From so many on each kind must have occurred. */
const ENOUGH = 10_000;
const QUIET_WITHIN_MS = 20_000;
/** Each server has one good link. */
const GOOD = 1;

export interface ConnectionsRun {
  connections: number;
  kinds: Map<Kind, number>;
  tls: number;
  refused: Record<string, number>;
  talked: Talked;
  footprints: { before: Footprint; peak: Partial<Footprint>; after: Footprint; closed: Footprint };
  problems: string[];
}

export async function fuzzConnections(
  connections: number,
  seed: number,
  onProgress: (done: number) => void,
): Promise<ConnectionsRun> {
  const server = new Child<ServerCommands>(new URL("server.ts", import.meta.url), "the server");
  try {
    const ports = await server.call("listen");
    const attack = new Attack(ports, seed);
    const bystanders = [new Bystanders(ports.plain, false), new Bystanders(ports.tls, true)];
    // Everything that is made once, and the first growth of everything, is not a leak.
    await attack.run(Math.min(2_000, Math.ceil(connections / 4)), onProgress);
    for (const each of bystanders) await each.begin();
    await quiet(server);
    const before = await server.call("footprint");
    await server.call("peak");
    for (const each of bystanders) each.letIn();
    await attack.run(connections, onProgress);
    for (const each of bystanders) await each.letNobodyIn();
    const { problems } = attack;
    problems.push(...(await quiet(server)));
    const peak = await server.call("peak");
    const after = await server.call("footprint");
    const { plain, tls } = await server.call("stats");
    const talked = await Promise.all(bystanders.map((each) => each.end()));
    const closed = await server.call("close");
    problems.push(...grown(before, after, ALLOWED).map((what) => `the server: ${what}`));
    problems.push(...stillOpen(closed), ...talked.flatMap((each) => each.problems));
    if (connections >= ENOUGH) problems.push(...attack.missing());
    return {
      connections,
      kinds: attack.kinds,
      tls: attack.tls,
      refused: sum(plain.refused, tls.refused),
      talked: {
        messages: talked.reduce((all, each) => all + each.messages, 0),
        newcomers: talked.reduce((all, each) => all + each.newcomers, 0),
        reconnects: talked.reduce((all, each) => all + each.reconnects, 0),
        problems: [],
      },
      footprints: { before, peak, after, closed },
      problems,
    };
  } finally {
    await server.stop();
  }
}

/** What V8 keeps of code and feedback grows a little with all that it sees; memory of the process is given back late. */
const ALLOWED: Allowed = {
  heapBytes: 1.75 * 2 ** 20,
  externalBytes: 1.5 * 2 ** 20,
  rssBytes: 64 * 2 ** 20,
  // One for all deadlines of each server, unless it is due just now.
  resources: { Timeout: 2 },
};

class Attack {
  readonly kinds = new Map<Kind, number>();
  readonly problems: string[] = [];
  tls = 0;
  readonly #ports: { plain: number; tls: number };
  readonly #seed: number;
  #begun = 0;
  #addresses = 0;

  constructor(ports: { plain: number; tls: number }, seed: number) {
    this.#ports = ports;
    this.#seed = seed;
  }

  /** Until so many were made in all. */
  async run(upTo: number, onProgress: (done: number) => void): Promise<void> {
    const one = async (): Promise<void> => {
      while (this.#begun < upTo && this.problems.length === 0) {
        const number = this.#begun++;
        await this.#attack(number);
        onProgress(number);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
  }

  /** What each does depends on the seed and its number, whatever the others do meanwhile. */
  async #attack(number: number): Promise<void> {
    const draw = new Draw(this.#seed + 7_919 * number);
    const isTls = draw.oneIn(TLS_ONE_IN);
    const kind = drawKind(draw);
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    if (isTls) this.tls++;
    const place: Place = isTls ? this.#securePlace(draw) : this.#place(this.#ports.plain);
    if ((await misbehave(kind, place, draw)) === "stuck") {
      this.problems.push(`connection ${number} (${kind}${isTls ? ", TLS" : ""}) was not closed by the server`);
    }
  }

  #place(port: number): Place {
    return { port, connect: (half = false) => RawClient.connect(port, this.#nextAddress(), half) };
  }

  /** Half of them never come as far as the handshake in TLS: to that server, what they say is garbage from the first byte. */
  #securePlace(draw: Draw): Place {
    const place = this.#place(this.#ports.tls);
    if (draw.oneIn(2)) return place;
    return {
      port: place.port,
      connect: async (half) => {
        const client = await place.connect(half);
        return client?.secure();
      },
    };
  }

  /** 127.1.0.1, 127.1.0.2, ...: all of 127.0.0.0/8 is this machine. */
  #nextAddress(): string {
    const next = this.#addresses++;
    return `127.${1 + (Math.floor(next / 62_500) % 250)}.${Math.floor(next / 250) % 250}.${1 + (next % 250)}`;
  }

  missing(): string[] {
    return KINDS.filter((kind) => !this.kinds.has(kind)).map((kind) => `no connection was of the kind "${kind}"`);
  }
}

/** Nothing is left of the others but the good links. Answers what does not go away. */
async function quiet(server: Child<ServerCommands>): Promise<string[]> {
  let left: string[] = [];
  for (const untilMs = performance.now() + QUIET_WITHIN_MS; performance.now() < untilMs; await sleep(50)) {
    const stats = Object.entries(await server.call("stats"));
    left = stats.flatMap(([name, { connections, sessions }]) =>
      [
        leftOf(`${name}: connections`, connections.open, GOOD),
        leftOf(`${name}: handshakes`, connections.handshaking, 0),
        leftOf(`${name}: sessions without a client`, sessions.waiting, 0),
        leftOf(`${name}: sessions with a client`, sessions.connected, GOOD),
      ].flat(),
    );
    if (left.length === 0) return [];
  }
  return left;
}

function leftOf(what: string, count: number, most: number): string[] {
  return count > most ? [`${what}: ${count} were left`] : [];
}

/** When both servers are closed there are no sockets and no timers any more. */
function stillOpen({ resources }: Footprint): string[] {
  return Object.entries(resources)
    .filter(([name]) => /TCP|TLS|Timeout/u.test(name))
    .map(([name, count]) => `after the servers were closed: ${count} ${name}`);
}

function sum(...all: Record<string, number>[]): Record<string, number> {
  const total: Record<string, number> = {};
  for (const [name, count] of all.flatMap((each) => Object.entries(each))) total[name] = (total[name] ?? 0) + count;
  return total;
}
