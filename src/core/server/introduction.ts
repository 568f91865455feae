/** A connection has said HELLO or STANDBY: whether it may be authenticated, and whether a verdict is still about it. */
import { ownerOf } from "../session/proof.ts";
import type { HelloFrame } from "../wire/frames.ts";
import type { Handshake } from "./handshake-table.ts";
import type { ServerLinkCore } from "./link-core.ts";
import type { ServerState } from "./state.ts";
import { canStandBy, mayOwn } from "./takeover.ts";

export function introduce(state: ServerState, handshake: Handshake, frame: HelloFrame, nowMs: number): void {
  const { entrance, handshakes, taken } = state;
  const link = sessionOf(state, frame);
  if (link !== undefined && !link.isFor(frame)) {
    handshakes.refuse(handshake, "authentication", "wrong proof or open payload", 0);
  } else if (
    link === undefined ? mayKnock(state, handshake, frame) : mayComeBack(state, handshake, frame, link, nowMs)
  ) {
    entrance.introduce(handshake, frame, link, taken, nowMs);
  }
}

/** The session that a resume or a standby names, if it is here. */
export function sessionOf({ sessions }: ServerState, { type, hello }: HelloFrame): ServerLinkCore | undefined {
  if (type === "hello" && !hello.resume) return undefined;
  return sessions.find(hello.sessionId, hello.incarnation);
}

/** Checked before authentication, which is spared where the client would be refused after it. */
function mayKnock(
  { entrance, refusing, sessions }: ServerState,
  handshake: Handshake,
  { type, hello }: HelloFrame,
): boolean {
  const isNew = type === "hello" && !hello.resume && sessions.get(hello.sessionId) === undefined;
  return !isNew || entrance.mayEnter(handshake, refusing.sessions);
}

/** Checked before authentication: a client that comes too often costs no call. */
function mayComeBack(
  state: ServerState,
  handshake: Handshake,
  { type, hello }: HelloFrame,
  link: ServerLinkCore,
  nowMs: number,
): boolean {
  if (type === "standby" && !canStandBy(link)) {
    state.handshakes.refuse(handshake, "no-standby", "no such session here", 0);
    return false;
  }
  // A HELLO that was replayed does not count as the session's coming back.
  if (!mayOwn(state, handshake, link, ownerOf(hello), nowMs)) return false;
  const { entrance, refusing } = state;
  if (type === "standby" && !entrance.mayEnter(handshake, refusing.standbys)) {
    link.extend(ownerOf(hello), nowMs);
    return false;
  }
  return entrance.mayComeBack(handshake, link, type === "standby" ? "standby" : "resume", hello, nowMs);
}

/** The session may have come here since authentication began: answers whether the verdict is about this session. */
export function isAnswerFor(
  { entrance, handshakes }: ServerState,
  handshake: Handshake,
  said: HelloFrame,
  link: ServerLinkCore | undefined,
  asked: ServerLinkCore | undefined,
  nowMs: number,
): boolean {
  if (link === asked || link === undefined) return true;
  const openPayload = asked?.openPayload ?? said.hello.openPayload;
  if (!link.isFor(said)) handshakes.refuse(handshake, "authentication", "wrong proof or open payload", 0);
  else if (openPayload.equals(link.openPayload)) return true;
  else entrance.comeBackLater(handshake, "authentication-unavailable", "asked of another", nowMs);
  return false;
}
