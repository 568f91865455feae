/** At each cap newcomers are refused, and clients that come back to a session of their own have room. */
import { describe, expect, test } from "vitest";
import { Admission } from "../../../src/core/server/admission.ts";
import { MOST_RETRY_MS } from "../../../src/core/server/come-back-times.ts";
import type { LimitName } from "../../../src/core/server/handshake-table.ts";
import type { ServerCoreOptions } from "../../../src/core/server/server.ts";
import { seeded } from "../../../src/testing/random.ts";
import { ByHand, type HandClient, type HandServer, Line, namesOf, only } from "../../sim/by-hand.ts";

const RATES = { acceptsPerSecond: 1_000, opensPerSecond: 1_000, resumesPerSecond: 1_000, standbysPerSecond: 1_000 };

function admission(rates: Partial<typeof RATES>): Admission {
  return new Admission({ ...RATES, ...rates }, seeded(1));
}

/** Connections that say nothing. */
function silence(world: ByHand, server: HandServer, times: number, peer: string): Line[] {
  return Array.from({ length: times }, () => new Line(world, server, undefined, peer));
}

function others(world: ByHand, server: HandServer, times: number): void {
  for (let n = 0; n < times; n++) world.client().connect(server);
}

interface Cap {
  limit: LimitName;
  options: () => Partial<ServerCoreOptions>;
  /** Others come until a newcomer is refused. One session is here already. */
  fill: (world: ByHand, server: HandServer) => void;
}

const CAPS: readonly Cap[] = [
  { limit: "connections", options: () => ({ maxConnections: 2 }), fill: (world, server) => others(world, server, 2) },
  {
    limit: "connectionsPerAddress",
    options: () => ({ maxConnectionsPerAddress: 2 }),
    fill: (world, server) => others(world, server, 2),
  },
  { limit: "sessions", options: () => ({ maxSessions: 3 }), fill: (world, server) => others(world, server, 2) },
  {
    limit: "opensPerSecond",
    options: () => ({ admission: admission({ opensPerSecond: 3 }) }),
    fill: (world, server) => others(world, server, 3),
  },
  {
    limit: "authenticating",
    // Of 8 handshakes two may be strangers that are being authenticated.
    options: () => ({ maxHandshakes: 8 }),
    fill: (world, server) => {
      server.authentication = "by hand";
      for (let n = 0; n < 2; n++) world.client().dial(server).up();
    },
  },
];

/** The limits that have turned clients away, and what those were told. */
function turnedAway(server: HandServer): Array<[string | undefined, string, string]> {
  return server.events.flatMap((event) => {
    if (event.type !== "close-connection" || event.reason === "cut") return [];
    const told = server.events.find((other) => other.type === "refused" && other.channel === event.channel);
    return told?.type === "refused" ? [[event.limit, told.code, told.reason]] : [];
  });
}

function isWelcomed(server: HandServer, line: Line): string[] {
  line.up();
  if (server.authentication === "by hand") server.verdict(line);
  return namesOf(line.down());
}

function refusedNewcomer(world: ByHand, server: HandServer, limit: LimitName): void {
  const before = turnedAway(server).length;
  const line = world.client().dial(server);
  line.up();
  const { code, retryAfterMs } = only(line.down(), "refuse");
  expect([code, retryAfterMs > 0, retryAfterMs <= MOST_RETRY_MS]).toEqual(["overloaded", true, true]);
  const [[met, , reason] = []] = turnedAway(server).slice(before);
  expect([met, reason !== ""]).toEqual([limit, true]);
}

describe.each(CAPS)("$limit", ({ limit, options, fill }) => {
  test("a session whose client was cut is resumed", () => {
    const world = new ByHand();
    const server = world.server(options());
    const client = world.client();
    client.connect(server).cut();
    fill(world, server);
    refusedNewcomer(world, server, limit);
    expect(isWelcomed(server, client.dial(server))).toContain("welcome");
    expect(client.connections).toEqual(["new: opened", "resumed: resumed"]);
  });

  test("a client whose connection is still here resumes on another", () => {
    const world = new ByHand();
    const server = world.server(options());
    const client = world.client();
    const line = client.connect(server);
    // The session that is here takes a place itself.
    fill(world, server);
    refusedNewcomer(world, server, limit);
    line.lose("client");
    expect(isWelcomed(server, client.dial(server))).toContain("welcome");
  });

  test("a connection that is suspect has a standby", () => {
    const world = new ByHand();
    const server = world.server(options());
    const client = suspectClient(world, server);
    fill(world, server);
    refusedNewcomer(world, server, limit);
    expect(isWelcomed(server, client.dial(server, "standby"))).toEqual(["ready"]);
  });
});

/** A client whose PING was not answered. */
function suspectClient(world: ByHand, server: HandServer): HandClient {
  const client = world.client();
  const line = client.connect(server);
  world.pass(30_000);
  line.takeUp();
  expect(client.core.wantsStandby).toBe(true);
  return client;
}

describe("handshakes", () => {
  test("connections that say nothing give way to a resume and to a standby, and are told when to come back", () => {
    const world = new ByHand();
    const server = world.server({ maxHandshakes: 8 });
    const cut = world.client();
    cut.connect(server).cut();
    const suspect = suspectClient(world, server);
    silence(world, server, 8, "crowd");
    expect(isWelcomed(server, cut.dial(server))).toContain("welcome");
    silence(world, server, 1, "crowd");
    expect(isWelcomed(server, suspect.dial(server, "standby"))).toEqual(["ready"]);
    expect(turnedAway(server)).toEqual([
      ["handshakes", "overloaded", "too many handshakes"],
      ["handshakes", "overloaded", "too many handshakes"],
    ]);
  });
});

describe("acceptsPerSecond", () => {
  const crowded = (): { world: ByHand; server: HandServer; clients: [HandClient, HandClient] } => {
    const world = new ByHand();
    const server = world.server({ admission: admission({ acceptsPerSecond: 20 }) });
    const clients: [HandClient, HandClient] = [world.client(), suspectClient(world, server)];
    clients[0].connect(server).cut();
    silence(world, server, 60, "crowd");
    return { world, server, clients };
  };

  test("an address that takes all of it leaves room for the resumes and standbys of others", () => {
    const { server, clients } = crowded();
    expect(isWelcomed(server, clients[0].dial(server))).toContain("welcome");
    expect(isWelcomed(server, clients[1].dial(server, "standby"))).toEqual(["ready"]);
  });

  test("one above it is told to come back within a second, and nobody gives way to it", () => {
    const { world, server } = crowded();
    const before = server.core.handshakes;
    const line = new Line(world, server, world.client().core, "crowd");
    const { code, retryAfterMs } = only(line.down(), "refuse");
    expect([code, retryAfterMs >= 250, retryAfterMs <= 1_000]).toEqual(["overloaded", true, true]);
    expect(server.core.handshakes).toBe(before);
    expect(turnedAway(server).at(-1)).toEqual(["acceptsPerSecond", "overloaded", "too many accepts"]);
    world.pass(1_000);
    expect(new Line(world, server, undefined, "crowd").isOpen).toBe(true);
  });
});

describe("connectionsPerAddress", () => {
  test("connections of that address that say nothing give way, and those of others are not counted", () => {
    const world = new ByHand();
    const server = world.server({ maxConnectionsPerAddress: 2 });
    // Two more for introductions.
    silence(world, server, 4, "one");
    const spared = silence(world, server, 4, "another");
    expect(turnedAway(server)).toEqual([]);
    silence(world, server, 8, "one");
    const away = ["connectionsPerAddress", "overloaded", "too many connections of this address"];
    expect([server.core.handshakes, turnedAway(server)]).toEqual([8, Array.from({ length: 8 }, () => away)]);
    expect(spared.map(({ isOpen }) => isOpen)).toEqual([true, true, true, true]);
  });

  test("clients without an address, as on a Unix socket, are not one client", () => {
    const world = new ByHand();
    const server = world.server({ maxConnectionsPerAddress: 1 });
    silence(world, server, 20, "");
    expect([server.core.handshakes, turnedAway(server)]).toEqual([20, []]);
  });

  test("a place is free when a connection has ended, in whatever way", () => {
    const world = new ByHand();
    const server = world.server({ maxConnectionsPerAddress: 1, handshakeMs: 10_000 });
    for (let n = 0; n < 5; n++) {
      // A connection of a session, which is cut; one that another takes over from; one that says nothing, twice.
      world.client().connect(server).cut();
      const client = world.client();
      client.connect(server).lose("client");
      client.connect(server).cut();
      new Line(world, server).lose("server");
      // One whose client makes a mistake, and one whose session the server ends.
      world.client().connect(server).give(Buffer.alloc(100));
      world.client().connect(server);
      server.links.at(-1)?.abandon("closed");
      server.drain();
      silence(world, server, 1, "");
      world.pass(10_000);
    }
    expect([server.core.handshakes, server.core.attached, turnedAway(server)]).toEqual([0, 0, []]);
    others(world, server, 1);
    refusedNewcomer(world, server, "connectionsPerAddress");
  });
});
