/**
 * One way of a connection goes silent soon after speech, or when an application asks for a sign of life: that must be
 * noticed in time, whatever else happens.
 */
import type { Direction } from "../../src/testing/faults.ts";
import type { Wire } from "../../src/testing/network.ts";
import type { Channel } from "../../src/core/session/channel.ts";
import { ConnectionInUse } from "../../src/core/session/connection-in-use.ts";
import type { End } from "./end.ts";
import { Session } from "../../src/core/session/session.ts";
import type { Fault } from "../../src/core/wire/faults.ts";
import type { Flight } from "../../src/core/log/window.ts";
import type { FaultOf } from "./fault-kinds.ts";
import type { Side } from "./parameters.ts";
import type { SimClient } from "./sim-client.ts";
import { check } from "./stage.ts";
import type { World } from "./world.ts";

/**
 * A tenth of what users have: the first PING comes within 120 ms of the last DATA, and then 500 ms after it, at the
 * latest, it is unanswered for too long (`Stage.coreOptions()`).
 */
const PING_WITHIN_MS = 120;
const NOTICED_WITHIN_MS = 500;
/** And the answer to ping() is awaited for so long, at the most. */
const STALLED_WITHIN_MS = 400;
const MOST_PATIENCE_MS = 50_000;
const LOOK_EVERY_MS = 10;

/** When the client's session has sent or received so much DATA. One that replaces the session is left alone. */
export function laySilence(world: World, client: SimClient, fault: FaultOf<"silence after speech">): void {
  const { direction, nth, afterMs } = fault;
  let left: number = nth;
  const heard = onSpeech.get(client.core.session) ?? [];
  onSpeech.set(client.core.session, [
    ...heard,
    () => {
      left--;
      const spokenOn = client.wireInUse;
      if (left === 0) world.clock.schedule(afterMs, () => fallSilent(world, client, spokenOn, direction));
    },
  ]);
}

/** Speech is of one connection: another that has replaced it meanwhile is left alone. */
function fallSilent(world: World, client: SimClient, wire: Wire | undefined, direction: Direction): void {
  if (wire === undefined || wire !== client.wireInUse || client.suspects || world.healed) return;
  world.count("fault silence after speech");
  world.note(`${client.name}: silence ${direction}`);
  wire.swallow(direction);
  watch(world, client, wire);
}

/** Looks again and again whether the client has noticed, or has left the connection for another reason. */
function watch(world: World, client: SimClient, wire: Wire): void {
  const { clock } = world;
  let since = { evidence: evidenceOf(client), atMs: clock.nowMs };
  const look = (): void => {
    const { adopted, session } = client.core;
    if (client.suspects) world.count("silence after speech was noticed");
    if (client.suspects || client.wireInUse !== wire || adopted === undefined || session.phase !== "live") return;
    const evidence = evidenceOf(client);
    if (evidence !== since.evidence || client.isBlocked) since = { evidence, atMs: clock.nowMs };
    const silentMs = clock.nowMs - since.atMs;
    const mostMs = noticedWithinMs(world, adopted);
    check(silentMs <= mostMs, () => `${client.name}: silent after speech, and not noticed within ${mostMs} ms`);
    clock.schedule(LOOK_EVERY_MS, look);
  };
  look();
}

/** DATA that moves, the last proofs, which were on their way, and a clock that was set: each begins the time anew. */
function evidenceOf(client: SimClient): string {
  const { adopted, session } = client.core;
  const { receiver, sender } = session;
  const aheadMs = (client.nowMs - client.stage.clock.nowMs).toFixed(1);
  const answers = adopted === undefined ? 0 : (pongs.get(adopted) ?? 0);
  return [receiver.received, sender.sentNow, sender.peerReceived, answers, aheadMs].join(" ");
}

function noticedWithinMs(world: World, { roundTrip }: Channel): number {
  const { suspectAfterMs } = world.options;
  // A PING that was under way when DATA moved is awaited like any other.
  return Math.max(NOTICED_WITHIN_MS, suspectAfterMs, PING_WITHIN_MS + patienceMs(roundTrip)) + 2 * LOOK_EVERY_MS;
}

function patienceMs({ smoothedMs }: Channel["roundTrip"]): number {
  return Math.min(MOST_PATIENCE_MS, 4 * (smoothedMs ?? 0));
}

// ── ping() ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** At one end of the client's link; at a server of the newest link. */
export function ask(world: World, client: SimClient, fault: FaultOf<"ping">): boolean {
  const { from: side, silent, times, everyMs } = fault;
  const wire = client.wireInUse;
  if (silent !== "neither") wire?.swallow(silent);
  for (let n = 0; n < times; n++) {
    world.clock.schedule(n * everyMs, () => {
      const end = world.endOf(client, side);
      if (end !== undefined && !end.isBlocked) askFrom(world, client, end, side);
    });
  }
  return true;
}

function askFrom(world: World, client: SimClient, end: End, side: Side): void {
  const { core } = end;
  const { adopted } = core;
  const hadFrames = adopted?.hasFrames === true;
  core.ping(end.nowMs);
  if (adopted === undefined) world.count("ping had no connection");
  else if (!hadFrames) world.count(adopted.hasFrames ? "ping was sent" : "ping was under way already");
  if (adopted !== undefined && end.life.state === "connected") watchAsked(world, client, end, side, adopted);
  world.pump();
}

/** As long as nothing else comes: then the end is suspect in time, or has left the connection. */
function watchAsked(world: World, client: SimClient, end: End, side: Side, adopted: Channel): void {
  const { clock } = world;
  const before = { atMs: clock.nowMs, aheadMs: end.nowMs - clock.nowMs, shown: shownTo(end) };
  const mostMs = answeredWithinMs(adopted);
  const look = (): void => {
    const isSame = world.endOf(client, side) === end && end.core.adopted === adopted && shownTo(end) === before.shown;
    const ranOn = !end.isBlocked && Math.abs(end.nowMs - clock.nowMs - before.aheadMs) < 1;
    if (!isSame || !ranOn || end.core.session.phase !== "live") return;
    if (end.life.state === "suspect") world.count(`silence after a ping was noticed by the ${side}`);
    if (end.life.state !== "connected") return;
    const silentMs = clock.nowMs - before.atMs;
    check(silentMs <= mostMs, () => `${end.name}: asked for a sign of life, and heard of none within ${mostMs} ms`);
    clock.schedule(LOOK_EVERY_MS, look);
  };
  look();
}

/** All that shows that the way out works. */
function shownTo({ core }: End): string {
  const { adopted, session } = core;
  return `${adopted === undefined ? 0 : pongs.get(adopted)} ${session.sender.peerReceived}`;
}

function answeredWithinMs({ roundTrip }: Channel): number {
  return Math.max(STALLED_WITHIN_MS, patienceMs(roundTrip)) + 2 * LOOK_EVERY_MS;
}

// ── what a core does not tell anybody ────────────────────────────────────────────────────────────────────────────────

const pongs = new WeakMap<Channel, number>();
const onSpeech = new WeakMap<Session, ReadonlyArray<() => void>>();

const { onPong } = ConnectionInUse.prototype;
ConnectionInUse.prototype.onPong = function (token: number, nowMs: number): boolean {
  pongs.set(this.channel, (pongs.get(this.channel) ?? 0) + 1);
  return onPong.call(this, token, nowMs);
};

const { onData, write } = Session.prototype;
Session.prototype.onData = function (offset: number, bytes: Buffer, flags: number): Fault | undefined {
  const problem = onData.call(this, offset, bytes, flags);
  if (problem === undefined) for (const hear of onSpeech.get(this) ?? []) hear();
  return problem;
};
Session.prototype.write = function (out: Buffer[], maxBytes: number, flight: Flight, nowMs: number): number {
  const bytes = write.call(this, out, maxBytes, flight, nowMs);
  if (bytes > 0) for (const hear of onSpeech.get(this) ?? []) hear();
  return bytes;
};
