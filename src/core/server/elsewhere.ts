/**
 * Sessions that another server has opened. The first bytes of an incarnation name its server, so any server can forward
 * a resume or a STANDBY to the one that has the session. Nothing is proven by a name: the other server checks the proof.
 */
import type { HelloFrame } from "../wire/frames.ts";
import { serverIdOf } from "../session/proof.ts";
import type { Handshake } from "./handshake-table.ts";
import type { ServerState } from "./state.ts";

/** A forwarded connection is not forwarded again: two servers that disagree would pass it to each other for ever. */
export function isElsewhere({ options }: ServerState, { isForwarded }: Handshake, { hello }: HelloFrame): boolean {
  if (options.forwards !== true || isForwarded || !hello.resume) return false;
  return serverIdOf(hello.incarnation) !== options.serverId;
}

/** Has the named server be reached. Meanwhile nothing more is read. */
export function sendOn(state: ServerState, handshake: Handshake, said: HelloFrame, nowMs: number): void {
  if (!state.entrance.mayForward(handshake, said, state.taken, nowMs)) return;
  const serverId = serverIdOf(said.hello.incarnation);
  state.events.push({ type: "elsewhere", channel: handshake.channel.id, serverId });
}

/** The connection is in no handshake here any more. Answers what was said on it. */
export function toElsewhere(state: ServerState, id: number): Buffer[] | undefined {
  const waiting = fetchBack(state, id);
  if (waiting === undefined) return undefined;
  const { handshake, said, rest } = waiting;
  state.handshakes.forwarded(handshake);
  return rest.length === 0 ? [said.raw] : [said.raw, rest];
}

/** The connection that waits, its HELLO and the bytes behind that. Undefined if it does not wait any more. */
export function fetchBack(
  { handshakes }: ServerState,
  id: number,
): { handshake: Handshake; said: HelloFrame; rest: Buffer } | undefined {
  const handshake = handshakes.get(id);
  if (handshake?.state.name !== "elsewhere") return undefined;
  return { handshake, said: handshake.state.said, rest: handshake.channel.decoder.release() };
}

/** The client comes back later, if the connection still waits. */
export function giveUpForward({ entrance, handshakes }: ServerState, id: number, reason: string, nowMs: number): void {
  const handshake = handshakes.get(id);
  if (handshake?.state.name === "elsewhere") entrance.comeBackLater(handshake, "overloaded", reason, nowMs);
}
