/** Who knows more than a stranger can: frames written into a connection, and a process with a session's secret. */
import { type FaultCode } from "../../src/core/wire/faults.ts";
import {
  DATA_END_FINAL,
  encodeConfirm,
  encodeDataHeader,
  encodePositionsFrame,
  FRAME_HEADER_BYTES,
  FrameType,
  type Hello,
} from "../../src/core/wire/frames.ts";
import { encodeProvenHello } from "../../src/core/session/proof.ts";
import type { End } from "./end.ts";
import type { FaultOf, TRESPASSES } from "./fault-kinds.ts";
import type { SimSocket } from "../../src/testing/network.ts";
import { seededEntropy } from "../../src/testing/random.ts";
import type { Random } from "./random.ts";
import { credentialsOf, type SimClient } from "./sim-client.ts";
import type { SimServer } from "./sim-server.ts";
import { openPayloadOf } from "./stage.ts";
import type { World } from "./world.ts";

/** Beyond everything that is ever sent here. */
const NOWHERE = 1_000_000_000;

/** Between the frames of whatever connections the client has then. */
export function forge(world: World, client: SimClient, fault: FaultOf<"forgery">, random: Random): void {
  const { direction, what, times, everyMs } = fault;
  for (let n = 0; n < times; n++) {
    world.clock.schedule(n * everyMs * (0.5 + random()), () => {
      for (const server of world.servers) {
        for (const wire of world.network.wires(server.name, client.name)) {
          const writer = direction === "to-server" ? wire.client : wire.server;
          const receiver = direction === "to-client" ? client.end : endAt(server, client);
          if (what === "beyond-credit" && !hasHeard(receiver)) continue;
          if (server.forwarding.isRelayed(writer)) continue;
          world.misled.add(client.name);
          writer.write(forged(what));
          world.count(`forged ${what} ${direction}`);
        }
      }
    });
  }
}

/** An end at 0 contradicts what was received; before that it would be believed. */
function hasHeard(end: End | undefined): boolean {
  return end !== undefined && end.core.session.receiver.handed > 0;
}

/** None while the server is still to fetch the session from its store. */
function endAt(server: SimServer, client: SimClient): End | undefined {
  return [...server.ends.values()].find((end) => end.client === client.number);
}

function forged(what: FaultCode): Buffer {
  const nothing = { received: 0, accepted: 0, window: 0, stop: false, done: false };
  switch (what) {
    case "bad-frame":
      return header(0x7f, 0);
    case "oversized":
      return header(FrameType.reset, 0x7fff_ffff);
    case "gap":
      return Buffer.concat([encodeDataHeader(NOWHERE, 1, 0), Buffer.from("x")]);
    case "beyond-credit":
      return encodeDataHeader(0, 0, DATA_END_FINAL);
    case "impossible-position":
      return encodePositionsFrame("ack", { ...nothing, received: NOWHERE });
    case "wrong-proof":
      return encodeConfirm(Buffer.alloc(32));
  }
}

function header(type: number, bytes: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES);
  frame[0] = type;
  frame.writeUInt32BE(bytes, 4);
  return frame;
}

/** Resumes the client's session, as a process with a copy of what it knows. Without one to resume there is nothing to do. */
export function usurp(world: World, client: SimClient, later: boolean, random: Random): boolean {
  return speakFor(world, client, random, (socket, server) => {
    world.note(`another process resumes the session of ${client.name}`);
    const hello = helloOf(world, client, server, later);
    // It need not say what the session was opened for.
    if (random() < 0.5) hello.openPayload = openPayloadOf(client.number);
    socket.write(proven(client, "hello", hello, random));
  });
}

/** Wants the session, or one in its place, for something else than it was opened for: that must come to nothing. */
export function trespass(world: World, client: SimClient, how: (typeof TRESPASSES)[number], random: Random): boolean {
  return speakFor(world, client, random, (socket, server) => {
    world.trespassers.add(socket.wire);
    world.note(`another process wants the session of ${client.name}: ${how}`);
    const hello = helloOf(world, client, server, true);
    if (how !== "fallback without a payload") hello.openPayload = Buffer.from("for nobody");
    if (how !== "resume" && how !== "standby") hello.fallback = { id: "66".repeat(16), secret: Buffer.alloc(32, 6) };
    socket.write(proven(client, how === "standby" ? "standby" : "hello", hello, random));
  });
}

function speakFor(
  world: World,
  client: SimClient,
  random: Random,
  speak: (socket: SimSocket, server: SimServer) => void,
): boolean {
  const server = world.servers.find((each) => endAt(each, client) !== undefined);
  if (server === undefined || !client.core.sessionKnown) return false;
  world.network.dial(
    server.name,
    (socket) => {
      world.beware(socket.wire);
      speak(socket, server);
      world.clock.schedule(10_000 * random(), () => socket.destroy());
    },
    () => {},
  );
  return true;
}

function proven(client: SimClient, type: "hello" | "standby", hello: Hello, random: Random): Buffer {
  return encodeProvenHello(seededEntropy(random), type, hello, client.core.session.keys.secret);
}

function helloOf(world: World, client: SimClient, server: SimServer, later: boolean): Hello {
  const { session } = client.core;
  const link = [...server.ends.keys()].find(({ session: { keys } }) => keys.id === session.keys.id);
  const acked = link?.session.sender.acked ?? 0;
  return {
    version: 1,
    mode: world.options.mode,
    resume: true,
    sessionId: session.keys.id,
    incarnation: session.incarnation,
    generation: { epoch: later ? 2 : 1, counter: 1_000 },
    instance: "99".repeat(16),
    positions: { received: acked, accepted: acked, window: 65_536, stop: false, done: false },
    maxMessageBytes: world.options.maxMessageBytes.client,
    secretOrProof: Buffer.alloc(0),
    fallback: undefined,
    credentials: Buffer.from(credentialsOf(client.number)),
    openPayload: Buffer.alloc(0),
  };
}
