/** What is done to a server. Each goes on until it is told to stop, or has done all that it wanted. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import {
  encodeDataHeader,
  encodePositionsFrame,
  encodeToken,
  FrameType,
  MAX_DATA_BYTES,
} from "../../src/core/wire/frames.ts";
import { newKeys } from "../../src/core/session/proof.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { Draw } from "../fuzz/draw.ts";
import { anyFrame } from "../fuzz/inputs.ts";
import { RawSession, type SessionOptions, type Where, Wire, writePinned } from "./wire.ts";

export interface Plan extends SessionOptions {
  where: Where;
  /** How many: sessions, sockets, clients. */
  times: number;
}

export interface Attack {
  plan: Plan;
  signal: AbortSignal;
  count(name: string, by?: number): void;
  /** Keeps the largest. */
  most(name: string, value: number): void;
  /** It is where it wants to be, and only goes on. */
  ready(): void;
}

const U32_MAX = 0xffff_ffff;
const MOST_BYTES = 64 * 2 ** 20;
const EMPTY_BYTES_A_SECOND = 12e6;
const AT_ONCE = 50;
const REOPEN_AFTER_MS = 50;

/** The first of these is DATA: it brings one byte, and then nothing new. */
export const FLOODS = {
  again: Buffer.concat([encodeDataHeader(0, 1, 0), Buffer.alloc(1)]),
  ack: encodePositionsFrame("ack", { received: 0, accepted: 0, window: 0, stop: false, done: false }),
  ping: encodeToken("ping", 1),
  extension: Buffer.from([0x80, 0, 0, 0, 0, 0, 0, 0]),
};
export type FloodName = keyof typeof FLOODS;

export type AttackName = keyof typeof ATTACKS;
export const ATTACKS = {
  /** Credit used up with as much memory as can be pinned for it. */
  pinned,
  empty,
  stuck,
  abandoned,
  flood,
  unconfirmed,
  resumes,
  opens,
  crowd,
  sockets,
  silent,
  garbage,
  tenants,
  controls,
} satisfies Record<string, (attack: Attack) => Promise<void>>;

async function pinned({ plan, signal, count, ready }: Attack): Promise<void> {
  const wire = Wire.dial(plan.where);
  if ((await RawSession.opened(wire, { ...plan, openPayload: "stuck" })) === undefined) return;
  await writePinned(wire, signal, MOST_BYTES, (bytes) => count("creditBytes", bytes));
  await acknowledged(wire, signal);
  ready();
  await stopped(signal);
  wire.leave();
}

/** As many messages as there are prefixes in a frame, all of length zero, as fast as credit and pace allow. */
async function empty({ plan, signal, count, ready }: Attack): Promise<void> {
  const wire = Wire.dial(plan.where);
  if ((await RawSession.opened(wire, { ...plan, openPayload: "swallow" })) === undefined) return;
  ready();
  const zeros = Buffer.alloc(MAX_DATA_BYTES);
  const fromMs = performance.now();
  for (let at = 0; !signal.aborted && !wire.isOver;) {
    const due = ((performance.now() - fromMs) / 1_000) * EMPTY_BYTES_A_SECOND;
    const bytes = Math.min(zeros.length, wire.limit - at);
    if (bytes <= 0) await Promise.race([wire.news(), sleep(20)]);
    else if (at > due) await sleep(1);
    else {
      await wire.write(encodeDataHeader(at, bytes, 0), zeros.subarray(0, bytes));
      at += bytes;
      count("bytes", bytes);
    }
  }
  count("ms", performance.now() - fromMs);
  wire.leave();
}

/** Sessions that give all the credit there is and read nothing, and fill what credit they are given themselves. */
async function stuck({ plan, signal, count, ready }: Attack): Promise<void> {
  const wires = Array.from({ length: plan.times }, () => Wire.dial(plan.where));
  const whole = Buffer.alloc(MAX_DATA_BYTES);
  whole.writeUInt32BE(MAX_DATA_BYTES - 4, 0);
  await Promise.all(
    wires.map(async (wire) => {
      if ((await RawSession.opened(wire, { ...plan, openPayload: "flood" })) === undefined) return;
      count("sessions");
      await wire.write(
        encodePositionsFrame("ack", { received: 0, accepted: 0, window: U32_MAX, stop: false, done: false }),
      );
      wire.socket.pause();
      const { limit } = wire;
      for (let at = 0; at + whole.length <= limit && !wire.isOver; at += whole.length) {
        await wire.write(encodeDataHeader(at, whole.length, 0), whole);
        count("bytes", whole.length);
      }
    }),
  );
  // Until the server has taken for them all that it takes.
  await sleep(1_500, undefined, { signal }).catch(() => {});
  ready();
  await stopped(signal);
  for (const wire of wires) wire.leave();
}

/** Opened, confirmed, and left. A # in the credentials stands for a number, so that each comes as another. */
async function abandoned({ plan, signal, count }: Attack): Promise<void> {
  let number = 0;
  await many(plan.times, signal, async () => {
    const wire = Wire.dial(plan.where);
    const credentials = plan.credentials?.replace("#", String(number++)) ?? "";
    count((await RawSession.opened(wire, { ...plan, credentials })) === undefined ? "refused" : "sessions");
    // CONFIRM has arrived when something is answered.
    await wire.write(encodePositionsFrame("ack", { received: 0, accepted: 0, window: 0, stop: false, done: false }));
    wire.socket.end();
    await overOrStopped(wire, signal);
  });
}

/** Frames that change nothing, the smallest of a kind, as fast as they are read. */
async function flood({ plan, signal, count, ready }: Attack): Promise<void> {
  const frame = FLOODS[plan.openPayload as FloodName];
  const frames = Buffer.concat(Array.from({ length: Math.floor(MAX_DATA_BYTES / frame.length) }, () => frame));
  const wires = Array.from({ length: plan.times }, () => Wire.dial(plan.where));
  ready();
  await Promise.all(
    wires.map(async (wire) => {
      if ((await RawSession.opened(wire, { ...plan, openPayload: "stuck" })) === undefined) return;
      await wire.write(FLOODS.again);
      while (!signal.aborted && (await wire.write(frames))) count("frames", frames.length / frame.length);
    }),
  );
  for (const wire of wires) wire.leave();
}

async function unconfirmed({ plan, signal, count, ready }: Attack): Promise<void> {
  await many(plan.times, signal, async () => {
    const wire = Wire.dial(plan.where);
    const answer = await new RawSession(plan).open(wire);
    count(answer?.type ?? "closed");
    wire.leave();
  });
  ready();
  await stopped(signal);
}

/** A few sessions, each resumed again and again by who may do so. */
async function resumes({ plan, signal, count, ready }: Attack): Promise<void> {
  const sessions: RawSession[] = [];
  for (let number = 0; number < plan.times; number++) {
    const wire = Wire.dial(plan.where);
    const session = await RawSession.opened(wire, plan);
    if (session !== undefined) sessions.push(session);
    await wire.write(encodePositionsFrame("ack", { received: 0, accepted: 0, window: 0, stop: false, done: false }));
  }
  ready();
  // Several connections of each at a time: one does not wait for the answer of another.
  await Promise.all(
    Array.from({ length: AT_ONCE }, async (_, number) => {
      const session = sessions[number % sessions.length];
      if (session === undefined) return;
      while (!signal.aborted) {
        const wire = Wire.dial(plan.where);
        await wire.write(session.resuming());
        const answer = await answered(wire, signal);
        count("resumes");
        count(answer);
        wire.leave();
      }
    }),
  );
}

/** New sessions, as many as there is time for. `longestWaitMs`: what a client was told to wait. */
async function opens({ plan, signal, count, most, ready }: Attack): Promise<void> {
  ready();
  await many(plan.times, signal, async () => {
    const wire = Wire.dial(plan.where);
    const answer = await new RawSession(plan).open(wire);
    count("opens");
    count(answer?.type ?? "closed");
    if (answer?.type === "refuse") most("longestWaitMs", answer.retryAfterMs);
    wire.leave();
  });
}

/** So many clients that open a session and wait patiently for the answer; who is turned away comes again. */
async function crowd({ plan, signal, count, ready }: Attack): Promise<void> {
  const come = async (): Promise<void> => {
    while (!signal.aborted) {
      const wire = Wire.dial(plan.where);
      const session = new RawSession(plan);
      await wire.write(session.opening());
      const answer = await Promise.race([wire.next(), stopped(signal)]);
      if (answer?.type === "welcome") {
        await session.confirm(wire, answer.welcome);
        count("admitted");
        // Inside, and silent.
        await stopped(signal);
      } else if (answer?.type === "refuse") {
        count("refused");
        // Half of them are in no hurry, the others do not listen.
        await sleep(Math.min(1_000, answer.retryAfterMs), undefined, { signal }).catch(() => {});
      } else if (!signal.aborted) {
        count("closedUnheard");
        await sleep(REOPEN_AFTER_MS, undefined, { signal }).catch(() => {});
      }
      wire.leave();
    }
  };
  ready();
  await Promise.all(Array.from({ length: plan.times }, come));
}

/** Silent, a byte a second, garbage, half of TLS, impossible lengths, resumes of sessions that are guessed; each comes again. */
async function sockets({ plan, signal, count, ready }: Attack): Promise<void> {
  const header = Buffer.alloc(8);
  header[0] = FrameType.hello;
  header.writeUInt32BE(U32_MAX, 4);
  const clientHello = Buffer.from("16030100f8010000f40303", "hex");
  const says: Array<(wire: Wire) => Promise<unknown>> = [
    async () => {},
    async (wire) => {
      for (const byte of new RawSession().opening()) {
        if (signal.aborted || !(await wire.write(Buffer.of(byte)))) return;
        await sleep(1_000, undefined, { signal }).catch(() => {});
      }
    },
    (wire) => wire.write(randomBytes(300)),
    (wire) => wire.write(clientHello),
    (wire) => wire.write(header),
    (wire) => wire.write(new RawSession().resuming({ secret: newKeys(SYSTEM_ENTROPY).secret })),
  ];
  const come = async (number: number): Promise<void> => {
    const say = says[number % says.length] as (wire: Wire) => Promise<unknown>;
    while (!signal.aborted) {
      const wire = Wire.dial(plan.where);
      count("connections");
      void say(wire);
      await overOrStopped(wire, signal);
      wire.leave();
      await sleep(REOPEN_AFTER_MS, undefined, { signal }).catch(() => {});
    }
  };
  ready();
  await Promise.all(Array.from({ length: plan.times }, (_, number) => come(number)));
}

/** They connect and say nothing. `open`: how many of them are connected when it ends. */
async function silent({ plan, signal, count, ready }: Attack): Promise<void> {
  // The beginnings of a TLS handshake take no part in one.
  const wires = Array.from({ length: plan.times }, () => Wire.dial({ ...plan.where, tls: false }));
  await sleep(500, undefined, { signal }).catch(() => {});
  ready();
  await stopped(signal);
  count("open", wires.filter((wire) => !wire.isOver).length);
  for (const wire of wires) wire.leave();
}

/** Each says something that is no frame at all, and is closed for it. */
async function garbage({ plan, signal, count, ready }: Attack): Promise<void> {
  const draw = new Draw(1);
  ready();
  await many(plan.times, signal, async () => {
    const wire = Wire.dial(plan.where);
    count("connections");
    await wire.write(draw.oneIn(2) ? draw.bytes(200) : anyFrame(draw), draw.bytes(100));
    await Promise.race([overOrStopped(wire, signal), sleep(200)]);
    wire.leave();
  });
}

/** One that was opened for tenant-a is resumed for tenant-b, by who has the right to resume it and by who has not. */
async function tenants({ plan, signal, count }: Attack): Promise<void> {
  for (let time = 0; time < plan.times && !signal.aborted; time++) {
    const first = Wire.dial(plan.where);
    const session = await RawSession.opened(first, { ...plan, openPayload: "tenant-a" });
    if (session === undefined) return;
    await first.write(encodePositionsFrame("ack", { received: 0, accepted: 0, window: 0, stop: false, done: false }));
    for (const [name, change] of Object.entries({
      withFallback: { openPayload: "tenant-b", withFallback: true },
      withoutFallback: { openPayload: "tenant-b" },
      standby: { openPayload: "", type: "standby" as const },
      unproven: { openPayload: "tenant-c", secret: newKeys(SYSTEM_ENTROPY).secret },
    })) {
      const wire = Wire.dial(plan.where);
      await wire.write(session.resuming(change));
      count(`${name}: ${await answered(wire, signal)}`);
      wire.leave();
    }
    first.leave();
  }
}

/** Resets with reasons that a terminal obeys. */
async function controls({ plan, signal, count }: Attack): Promise<void> {
  const reason = Buffer.from('gone\n{"level":"info"}\u001b[2J\u001b]0;owned\u0007\u009b2J\r\n');
  await many(plan.times, signal, async () => {
    const wire = Wire.dial(plan.where);
    if ((await RawSession.opened(wire, plan)) === undefined) return;
    const reset = Buffer.alloc(8 + 12 + reason.length);
    reset[0] = FrameType.reset;
    reset.writeUInt32BE(12 + reason.length, 4);
    reset.writeUInt32BE(1, 8);
    reason.copy(reset, 20);
    await wire.write(reset);
    count("resets");
    await Promise.race([overOrStopped(wire, signal), sleep(500)]);
    wire.leave();
  });
}

/** One after the other, several at a time. */
async function many(times: number, signal: AbortSignal, once: () => Promise<void>): Promise<void> {
  let begun = 0;
  const one = async (): Promise<void> => {
    while (!signal.aborted && begun < times) {
      begun++;
      await once();
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, times) }, one));
}

async function answered(wire: Wire, signal: AbortSignal): Promise<string> {
  const answer = await Promise.race([wire.next(), stopped(signal), sleep(5_000)]);
  if (answer === undefined) return signal.aborted ? "stopped" : "closed";
  return answer.type === "welcome" ? answer.welcome.result : answer.type === "refuse" ? answer.code : answer.type;
}

/** Until what was written has been taken: the other end has answered an ACK's worth, or nothing more comes. */
async function acknowledged(wire: Wire, signal: AbortSignal): Promise<void> {
  while (wire.socket.writableLength > 0 && !signal.aborted && !wire.isOver) await sleep(20);
  await sleep(300);
}

async function overOrStopped(wire: Wire, signal: AbortSignal): Promise<void> {
  while (!wire.isOver && !signal.aborted) await Promise.race([wire.news(), stopped(signal)]);
}

const STOPPED = new WeakMap<AbortSignal, Promise<undefined>>();

/** One promise for each signal: thousands wait for it. */
function stopped(signal: AbortSignal): Promise<undefined> {
  let promise = STOPPED.get(signal);
  if (promise === undefined) {
    promise = new Promise((resolve) => {
      if (signal.aborted) resolve(undefined);
      else signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
    STOPPED.set(signal, promise);
  }
  return promise;
}
