/** How a connection comes to speak for a session that is here: a resume, a standby, and the COMMIT of a standby. */
import type { Fault } from "../wire/faults.ts";
import { encodeReady, encodeRefuse, type HelloFrame, NONCE_BYTES, type Positions } from "../wire/frames.ts";
import { compareOwners, type Owner, ownerOf } from "../session/proof.ts";
import { mostRetryMs } from "./come-back-times.ts";
import type { Handshake } from "./handshake-table.ts";
import { ADOPTED_FRAMES, type ServerLinkCore } from "./link-core.ts";
import type { ServerState } from "./state.ts";

/**
 * Answers whether the connection may speak for the session instead of its owner. Refuses it if it may not: its owner is
 * newer, or its client was asked to come back later, unless the server goes away meanwhile. The session waits on.
 */
export function mayOwn(
  { goneMs, handshakes, options }: ServerState,
  handshake: Handshake,
  link: ServerLinkCore,
  owner: Owner,
  nowMs: number,
): boolean {
  const verdict = compareOwners(owner, link.owner);
  if (verdict !== "newer") {
    handshakes.refuse(handshake, verdict, "not newer than the session's owner", 0);
    return false;
  }
  const awayMs = goneMs === undefined ? link.awayForMs(nowMs) : 0;
  if (awayMs === 0) return true;
  link.extend(owner, nowMs);
  // The difference of two times may be above what the client was told, by a rounding error.
  handshakes.refuse(handshake, "overloaded", "shed", Math.min(mostRetryMs(options.resumeForMs), Math.ceil(awayMs)));
  return false;
}

/**
 * Asks the link's client to come back after `retryAfterMs`, at most half a minute and half of what the session waits.
 * Answers the time that the client was told; undefined if it cannot be asked now, see `maySendAway`. Throws a RangeError
 * if the time is no number: a session that waits for such a time would never be resumed.
 */
export function shed(
  { events, goneMs, handshakes, options }: ServerState,
  link: ServerLinkCore,
  retryAfterMs: number,
  nowMs: number,
): number | undefined {
  if (Number.isNaN(retryAfterMs)) throw new RangeError("retryAfterMs is not a number");
  if (goneMs !== undefined || !link.maySendAway) return undefined;
  const toldMs = Math.ceil(Math.max(1, Math.min(retryAfterMs, mostRetryMs(options.resumeForMs))));
  handshakes.sendAway(link, toldMs);
  link.sendAway(toldMs, nowMs);
  events.push({ type: "changed", link });
  return toldMs;
}

export function refuseAnother({ handshakes }: ServerState, handshake: Handshake): void {
  handshakes.refuse(handshake, "authentication", "another identity than the session's", 0);
}

/** Only a live session can have a standby, or a tombstone whose client may not know yet that it is done. */
export function canStandBy({ session: { phase } }: ServerLinkCore): boolean {
  return phase === "live" || phase === "done";
}

/** The caller has checked the identity and the owner. */
export function resume(
  state: ServerState,
  handshake: Handshake,
  said: HelloFrame,
  link: ServerLinkCore,
  owner: Owner,
  nowMs: number,
): void {
  if (!takeOver(state, handshake, link, owner, said.hello.positions, false, nowMs)) return;
  link.nonce = state.entropy.randomBytes(NONCE_BYTES);
  handshake.channel.send(link.welcome("resumed", link.nonce));
  link.checkThrough();
}

export function standBy(
  state: ServerState,
  handshake: Handshake,
  { hello }: HelloFrame,
  link: ServerLinkCore | undefined,
  identity: string,
  nowMs: number,
): void {
  if (link === undefined || !canStandBy(link)) {
    return state.handshakes.refuse(handshake, "no-standby", "no such session here", 0);
  }
  if (link.identity !== identity) return refuseAnother(state, handshake);
  const owner = ownerOf(hello);
  if (!mayOwn(state, handshake, link, owner, nowMs)) return;
  state.handshakes.standingBy(handshake, link, owner);
  handshake.channel.send(encodeReady());
}

export function commit(
  state: ServerState,
  handshake: Handshake,
  link: ServerLinkCore,
  owner: Owner,
  positions: Positions,
  nowMs: number,
): void {
  const { handshakes } = state;
  const { channel } = handshake;
  if (link.session.phase === "gone") return handshakes.refuse(handshake, "session-lost", "it has ended", 0);
  if (!mayOwn(state, handshake, link, owner, nowMs)) return;
  if (link.session.phase === "reset") {
    channel.send(link.resetAnswer());
    return handshakes.close(handshake, "reset", undefined);
  }
  if (!takeOver(state, handshake, link, owner, positions, true, nowMs)) return;
  link.nonce = undefined;
  link.sendCommitted(channel);
  link.checkThrough();
}

/**
 * Answers whether the takeover succeeded. Not with a verdict from before the server asked again who the client is; and an
 * impossible position ends the session at both ends.
 */
function takeOver(
  state: ServerState,
  handshake: Handshake,
  link: ServerLinkCore,
  owner: Owner,
  positions: Positions,
  late: boolean,
  nowMs: number,
): boolean {
  if (handshake.asks < link.asks) {
    link.extend(owner, nowMs);
    state.entrance.comeBackLater(handshake, "authentication-unavailable", "asked again meanwhile", nowMs);
    return false;
  }
  // Another process has taken the session over: the first must not fight for it.
  if (owner.epoch > link.owner.epoch) link.adopted?.send(encodeRefuse("taken-over", 0));
  link.owner = owner;
  const problem = attach(state, handshake, link, positions, late, nowMs);
  if (problem === undefined) return true;
  link.onImpossibleResume(handshake.channel, problem, nowMs);
  state.events.push({ type: "changed", link });
  state.handshakes.close(handshake, problem.code, problem);
  return false;
}

/** The connection speaks for the link from now on, unless its client has stated an impossible position. */
export function attach(
  state: ServerState,
  handshake: Handshake,
  link: ServerLinkCore,
  positions: Positions,
  late: boolean,
  nowMs: number,
): Fault | undefined {
  const { channel } = handshake;
  const problem = link.takeOver(channel, positions, late, nowMs);
  if (problem !== undefined) return problem;
  link.claims = handshake.claims;
  state.attach(handshake, link);
  channel.decoder.expect = ADOPTED_FRAMES;
  state.events.push({ type: "attached", channel: channel.id, link });
  return undefined;
}
