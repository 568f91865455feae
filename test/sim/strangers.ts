/** Who is no part of the link, and what they write to a server, or answer to a client. */
import {
  encodeConfirm,
  encodeHello,
  encodePositionsFrame,
  encodeRefuse,
  encodeToken,
  type Hello,
  type RefuseCode,
} from "../../src/core/wire/frames.ts";
import type { SimSocket, Wire } from "../../src/testing/network.ts";
import { pick, type Random } from "./random.ts";
import { credentialsOf } from "./sim-client.ts";
import { type Flight, instanceOf, openPayloadOf } from "./stage.ts";
import type { World } from "./world.ts";

/**
 * Says again, on a connection of its own, what a client once wrote: as a frame that is late, or as somebody who listened. To
 * the server that it was written to, or one that shares its store. Another may still have the session that the client has
 * given up, and would take what is said of the next for it: against that only TLS helps.
 */
export function replay(world: World, address: string, random: Random): void {
  const overheard = world.options.sharesStore
    ? world.overheard
    : world.overheard.filter((flight) => flight.address === address);
  // Mostly the newest: it may have been lost on its way, and come before the client dials again.
  const flight = random() < 0.6 ? overheard.at(-1) : overheard[Math.floor(random() * overheard.length)];
  if (flight !== undefined) visit(world, address, takeSome(flight, random), random);
}

function takeSome({ bytes }: Flight, random: Random): Buffer[] {
  return random() < 0.5 ? [...bytes] : bytes.slice(0, 1 + Math.floor(random() * bytes.length));
}

/** Writes what no client would. */
export function pester(world: World, address: string, random: Random): void {
  const bytes = nonsense(world, random);
  visit(world, address, random() < 0.3 ? [bytes, noise(random)] : [bytes], random, (wire) =>
    world.trespassers.add(wire),
  );
}

/** One of many: it says nothing, or opens a session that it does not confirm, and stays. */
export function crowd(world: World, address: string, what: "silent" | "unconfirmed", random: Random): void {
  const { network, clock } = world;
  network.dial(
    address,
    (socket) => {
      world.beware(socket.wire);
      if (what === "unconfirmed") socket.write(encodeHello("hello", openOf(world, random)));
      clock.schedule(20_000 * random(), () => socket.destroy());
    },
    () => {},
    "crowd",
  );
}

function openOf(world: World, random: Random): Hello {
  const id = (): string => Array.from({ length: 32 }, () => Math.floor(16 * random()).toString(16)).join("");
  return {
    version: 1,
    mode: world.options.mode,
    resume: false,
    sessionId: id(),
    incarnation: "00".repeat(16),
    generation: { epoch: 1, counter: 1 },
    instance: id(),
    positions: NOTHING,
    maxMessageBytes: 1_000,
    secretOrProof: Buffer.alloc(32, 7),
    fallback: undefined,
    credentials: Buffer.from("I am mallory"),
    openPayload: Buffer.from("hello"),
  };
}

/** Speaks first, or what it hears, or nothing: a server of another kind that listens where ours did. */
export function answerOddly(socket: SimSocket, random: Random): void {
  const dice = random();
  if (dice < 0.2) socket.end();
  else if (dice < 0.4) socket.write(noise(random));
  else if (dice < 0.5) socket.write(encodeToken("ping", 7));
  else if (dice < 0.6) socket.write(encodePositionsFrame("committed", NOTHING));
  else if (dice < 0.7) socket.write(encodeRefuse("overloaded", 10));
  else if (dice < 0.9) socket.events.onData = (chunk) => socket.write(chunk);
}

/** Refuses whoever says HELLO, for a reason of its own. */
export function refuseFalsely(socket: SimSocket, code: RefuseCode, retryAfterMs: number): void {
  socket.events.onData = () => {
    socket.write(encodeRefuse(code, retryAfterMs));
    socket.end();
  };
}

function visit(
  world: World,
  address: string,
  bytes: readonly Buffer[],
  random: Random,
  mark: (wire: Wire) => void = () => {},
): void {
  const { network, clock } = world;
  network.dial(
    address,
    (socket) => {
      world.beware(socket.wire);
      mark(socket.wire);
      const pauseMs = random() < 0.5 ? 0 : 200;
      for (const [n, piece] of bytes.entries()) clock.schedule(n * pauseMs * random(), () => socket.write(piece));
      clock.schedule(20_000 * random() ** 2, () => socket.destroy());
    },
    () => {},
  );
}

const NOTHING = { received: 0, accepted: 0, window: 0, stop: false, done: false };

function noise(random: Random): Buffer {
  return Buffer.from(Array.from({ length: 1 + Math.floor(200 * random()) }, () => Math.floor(256 * random())));
}

function nonsense(world: World, random: Random): Buffer {
  const client = pick(random, world.clients);
  const { session, sessionKnown: isKnown } = client.core;
  const hello: Hello = {
    version: 1,
    mode: world.options.mode,
    resume: true,
    sessionId: session.keys.id,
    incarnation: session.incarnation,
    generation: { epoch: 1 + Math.floor(2 * random()), counter: Math.floor(100 * random()) },
    instance: "22".repeat(16),
    positions: NOTHING,
    maxMessageBytes: 1_000,
    secretOrProof: Buffer.alloc(32, Math.floor(256 * random())),
    fallback: undefined,
    credentials: Buffer.from(
      pick(random, [credentialsOf(client.number), credentialsOf(client.number), "I am mallory", "you know me"]),
    ),
    openPayload: pick(random, [Buffer.from("hello"), openPayloadOf(client.number)]),
  };
  const kinds: Array<() => Buffer> = [
    () => noise(random),
    () => encodeToken("ping", 1),
    () => encodePositionsFrame("ack", NOTHING),
    () => encodePositionsFrame("commit", NOTHING),
    () => encodeConfirm(Buffer.alloc(32)),
    // Somebody else's session, without its secret.
    () => encodeHello("hello", hello),
    () =>
      encodeHello("hello", { ...hello, generation: { epoch: 1, counter: 1_000 }, instance: instanceOf(client.number) }),
    () => encodeHello("standby", hello),
    () => encodeHello("hello", { ...hello, resume: false, sessionId: isKnown ? session.keys.id : "55".repeat(16) }),
    // A session of its own that it cannot or will not confirm.
    () => encodeHello("hello", { ...hello, resume: false, sessionId: "33".repeat(16) }),
    () =>
      Buffer.concat([
        encodeHello("hello", { ...hello, resume: false, sessionId: "44".repeat(16) }),
        encodeConfirm(Buffer.alloc(32)),
      ]),
    () => encodeHello("hello", { ...hello, version: 9 }),
    () => encodeHello("hello", { ...hello, mode: hello.mode === "bytes" ? "messages" : "bytes" }),
    // A beginning.
    () => encodeHello("hello", hello).subarray(0, 1 + Math.floor(100 * random())),
  ];
  return pick(random, kinds)();
}
