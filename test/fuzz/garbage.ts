/** What comes to a port that is open to the world: everything that a server must get over without a trace. */
import { setImmediate as turn } from "node:timers/promises";
import {
  encodeConfirm,
  encodeDataHeader,
  encodeHello,
  encodePositionsFrame,
  FRAME_HEADER_BYTES,
  FrameType,
} from "../../src/core/wire/frames.ts";
import { newKeys } from "../../src/core/session/proof.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { comeBack, helloOf, type Opened, type RawClient } from "./client.ts";
import type { Draw } from "./draw.ts";
import { anyFrame } from "./inputs.ts";

export interface Place {
  port: number;
  /** Connects from an address of its own, in TLS where the server speaks that. */
  connect(half?: boolean): Promise<RawClient | undefined>;
}

/** One or two connections. `closed` must be fulfilled in the end: the server has deadlines. */
type Act = (place: Place, draw: Draw) => Promise<RawClient | undefined>;

const CREDENTIALS_REFUSED = Buffer.from("refuse");
const CREDENTIALS_UNAVAILABLE = Buffer.from("unavailable");
const HTTP = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n";
/** The beginning of any ClientHello: record of type 22, TLS 1.0 for compatibility, then the handshake. */
const CLIENT_HELLO = Buffer.from("16030100f8010000f40303", "hex");

const ACTS = {
  /** Nothing at all, and gone. */
  async touch(place, draw) {
    const client = await place.connect();
    client?.leave(draw);
    return client;
  },
  async "random bytes"(place, draw) {
    const client = await place.connect();
    for (let pieces = draw.between(1, 4); pieces > 0; pieces--) {
      client?.write(draw.bytes(draw.between(1, 700)));
      if (draw.oneIn(2)) await turn();
    }
    return client;
  },
  async http(place) {
    const client = await place.connect();
    client?.write(HTTP);
    return client;
  },
  async "tls client hello"(place, draw) {
    const client = await place.connect();
    client?.write(Buffer.concat([CLIENT_HELLO, draw.bytes(240)]));
    return client;
  },
  /** It hangs up in the middle. */
  async "half a hello"(place, draw) {
    const client = await place.connect();
    const hello = encodeHello("hello", helloOf(newKeys(SYSTEM_ENTROPY), draw));
    const part = hello.subarray(0, draw.between(1, hello.length - 1));
    if (draw.oneIn(8)) {
      for (const byte of part.subarray(0, 20)) {
        client?.write(Buffer.of(byte));
        await turn();
      }
    } else client?.write(part);
    if (draw.oneIn(2)) await turn();
    client?.leave(draw);
    return client;
  },
  async "oversized length"(place, draw) {
    const client = await place.connect();
    const header = Buffer.alloc(FRAME_HEADER_BYTES);
    header[0] = draw.of([FrameType.hello, FrameType.standby, FrameType.data, 0x90]);
    header.writeUInt32BE(draw.of([20_661, 65_537, 2 ** 31, 2 ** 32 - 1]), 4);
    client?.write(header);
    client?.write(draw.bytes(100));
    return client;
  },
  async "frames out of place"(place, draw) {
    const client = await place.connect();
    for (let frames = draw.between(1, 4); frames > 0; frames--) client?.write(anyFrame(draw));
    return client;
  },
  /** Sound but for a byte or three. */
  async "mutated hello"(place, draw) {
    const client = await place.connect();
    const opened = await client?.open(draw, (hello) => damaged(hello, draw));
    if (opened !== undefined) client?.confirm(opened);
    client?.write(draw.bytes(30));
    if (client !== undefined && draw.oneIn(3)) client.leave(draw);
    return client;
  },
  async "credentials refused"(place, draw) {
    const client = await place.connect();
    const credentials = draw.oneIn(2) ? CREDENTIALS_REFUSED : CREDENTIALS_UNAVAILABLE;
    client?.write(encodeHello("hello", { ...helloOf(newKeys(SYSTEM_ENTROPY), draw), credentials }));
    // Gone while the server asks, or there to hear the answer.
    if (draw.oneIn(3)) client?.leave(draw);
    return client;
  },
  async "wrong mac"(place, draw) {
    const client = await place.connect();
    if ((await client?.open(draw)) !== undefined) client?.write(encodeConfirm(draw.bytes(32)));
    return client;
  },
  /** The session stays provisional until the server forgets it. */
  async "no confirm"(place, draw) {
    const client = await place.connect();
    await client?.open(draw);
    client?.leave(draw);
    return client;
  },
  async "wrong proof"(place, draw) {
    const opened = await openedAndLeft(place, draw);
    const client = await place.connect();
    if (opened !== undefined)
      client?.write(comeBack(draw.of(["hello", "standby"]), opened, newKeys(SYSTEM_ENTROPY).secret));
    else client?.leave(draw);
    await client?.next();
    client?.leave(draw);
    return client;
  },
  async "unknown session"(place, draw) {
    const client = await place.connect();
    const keys = newKeys(SYSTEM_ENTROPY);
    const welcome = { incarnation: draw.bytes(16).toString("hex") } as Opened["welcome"];
    client?.write(comeBack(draw.of(["hello", "standby"]), { keys, hello: helloOf(keys, draw), welcome }, keys.secret));
    return client;
  },
  async "garbage in a session"(place, draw) {
    const client = await place.connect();
    const opened = await client?.open(draw);
    if (client === undefined || opened === undefined) return client;
    client.confirm(opened);
    client.write(inSession(draw));
    client.write(draw.bytes(60));
    // What happens to be sound so far waits for more.
    await Promise.race([client.closed, client.next().then(() => client.next())]);
    client.leave(draw);
    return client;
  },
  /** Two connections for one session, of which neither says anything of use. */
  async "resumed and damaged"(place, draw) {
    const opened = await openedAndLeft(place, draw);
    const client = await place.connect();
    if (opened === undefined) client?.leave(draw);
    else client?.write(damaged(comeBack(draw.of(["hello", "standby"]), opened, opened.keys.secret), draw, 100));
    client?.write(anyFrame(draw));
    await client?.next();
    client?.leave(draw);
    return client;
  },
} satisfies Record<string, Act>;

/** They last until the server has had enough, so there are few of them. */
const SLOW_ACTS = {
  async silence(place) {
    return place.connect();
  },
  async "half a hello, kept"(place, draw) {
    const client = await place.connect();
    client?.write(encodeHello("hello", helloOf(newKeys(SYSTEM_ENTROPY), draw)).subarray(0, draw.between(1, 180)));
    return client;
  },
  /** Does not close after the server has, and goes on: only a reset tells it that there is nobody. */
  async "never hangs up"(place, draw) {
    const client = await place.connect(true);
    const timer = setInterval(() => client?.write(draw.bytes(300)), 100);
    void client?.closed.then(() => clearInterval(timer));
    return client;
  },
  async "unconfirmed, kept"(place, draw) {
    const client = await place.connect();
    await client?.open(draw);
    return client;
  },
} satisfies Record<string, Act>;

export type Kind = keyof typeof ACTS | keyof typeof SLOW_ACTS;
export const KINDS: readonly Kind[] = [...Object.keys(ACTS), ...Object.keys(SLOW_ACTS)] as Kind[];
const SLOW_ONE_IN = 300;

export function drawKind(draw: Draw): Kind {
  const acts = draw.oneIn(SLOW_ONE_IN) ? SLOW_ACTS : ACTS;
  return draw.of(Object.keys(acts) as Kind[]);
}

/** Fulfils when its connections are gone; "stuck" if the server has kept one beyond all its deadlines. */
export async function misbehave(kind: Kind, place: Place, draw: Draw): Promise<"closed" | "stuck"> {
  const acts: Record<Kind, Act> = { ...ACTS, ...SLOW_ACTS };
  const client = await acts[kind](place, draw);
  return client === undefined ? "closed" : client.closed;
}

async function openedAndLeft(place: Place, draw: Draw): Promise<Opened | undefined> {
  const client = await place.connect();
  const opened = await client?.open(draw);
  if (client !== undefined && opened !== undefined) client.confirm(opened);
  client?.leave(draw);
  await client?.closed;
  return opened;
}

/** A frame of a session at a place, or of a size, that it has no right to. */
function inSession(draw: Draw): Buffer {
  switch (draw.below(4)) {
    case 0: // a gap
      return Buffer.concat([encodeDataHeader(draw.between(1, 10_000), 10, 0), draw.bytes(10)]);
    case 1: // a message that is larger than agreed
      return Buffer.concat([encodeDataHeader(0, 8, 0), Buffer.from("ffffffff00000000", "hex")]);
    case 2: // accepted more than was ever sent
      return encodePositionsFrame("ack", {
        received: 2 ** 40,
        accepted: draw.below(2 ** 40),
        window: 0,
        stop: draw.oneIn(2),
        done: draw.oneIn(2),
      });
    default:
      return anyFrame(draw);
  }
}

function damaged(frame: Buffer, draw: Draw, within: number = frame.length): Buffer {
  const bytes = Buffer.from(frame);
  for (let changes = draw.between(1, 3); changes > 0; changes--) bytes[draw.below(within)] = draw.below(256);
  return bytes;
}
