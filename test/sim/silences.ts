/** One way of a connection goes silent soon after speech: its client must notice that in time, whatever else happens. */
import type { Direction } from "../../src/testing/faults.ts";
import type { Wire } from "../../src/testing/network.ts";
import type { Channel } from "../../src/core/session/channel.ts";
import { ConnectionInUse } from "../../src/core/session/connection-in-use.ts";
import { Session } from "../../src/core/session/session.ts";
import type { Fault } from "../../src/core/wire/faults.ts";
import type { Flight } from "../../src/core/log/window.ts";
import type { FaultOf } from "./fault-kinds.ts";
import type { SimClient } from "./sim-client.ts";
import { check } from "./stage.ts";
import type { World } from "./world.ts";

/**
 * A tenth of what users have: the first PING comes within 120 ms of the last DATA, and then 500 ms after it, at the
 * latest, it is unanswered for too long (`Stage.coreOptions()`).
 */
const PING_WITHIN_MS = 120;
const NOTICED_WITHIN_MS = 500;
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
  const patienceMs = Math.min(MOST_PATIENCE_MS, 4 * (roundTrip.smoothedMs ?? 0));
  // A PING that was under way when DATA moved is awaited like any other.
  return Math.max(NOTICED_WITHIN_MS, suspectAfterMs, PING_WITHIN_MS + patienceMs) + 2 * LOOK_EVERY_MS;
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
