/**
 * The store that several processes share: one of them has a session at a time. Each adoption is a conditional write
 * there, which answers a new token if the session comes from another process. The core asks for it with an event, and
 * the connection waits. After the answer everything is decided again, as if the frame had come now.
 */
import type { HelloFrame, Positions } from "../wire/frames.ts";
import { isFor, type Owner, ownerOf, type Provable } from "../session/proof.ts";
import type { SessionSnapshot } from "../session/snapshot.ts";
import type { AdoptionRequest, Handshake } from "./handshake-table.ts";
import type { ServerLinkCore } from "./link-core.ts";
import type { ServerState } from "./state.ts";
import { commit } from "./takeover.ts";

/**
 * The store's answer. "unknown": the store has no such session, or `mayAdopt()` says no. "stale", "taken-over": the
 * owner is not newer than the one let in last. "kept": the token is the store's, so what is in memory goes on.
 * "unavailable": there was no answer. Else the session comes from the store, with a token higher than any before, and
 * the owner that was let in before this one.
 */
export type StoreAnswer =
  | "unknown"
  | "stale"
  | "taken-over"
  | "kept"
  | "unavailable"
  | { token: number; snapshot: SessionSnapshot };

/**
 * Whether the store has to say who may speak for the session that a resume names. A session without a token is not in
 * the store yet, so no other process can have it.
 */
export function isAskedAbout({ options }: ServerState, { type, hello }: HelloFrame, link?: ServerLinkCore): boolean {
  return isShared(options, link) && type === "hello" && hello.resume;
}

/** Takes the COMMIT of a standby, whose session may be gone: it may have come to another process meanwhile. */
export function takeCommit(state: ServerState, handshake: Handshake, positions: Positions, nowMs: number): void {
  const { state: waiting } = handshake;
  if (waiting.name !== "standing-by") throw new Error(`COMMIT on a connection that is ${waiting.name}`);
  const { link, owner } = waiting;
  if (!isShared(state.options, link.gone ? undefined : link)) {
    return commit(state, handshake, link, owner, positions, nowMs);
  }
  askStore(state, handshake, { by: "commit", link, owner, positions }, nowMs);
}

function isShared({ sharesStore = false }: ServerState["options"], link: ServerLinkCore | undefined): boolean {
  // A session that was reset here answers so from memory, whatever the store says.
  return sharesStore && (link === undefined || (link.token !== undefined && link.session.phase !== "reset"));
}

/** Asks the store. A server that goes away takes no session that it does not have. */
export function askStore(state: ServerState, handshake: Handshake, request: AdoptionRequest, nowMs: number): void {
  const { id: sessionId, incarnation, owner } = namedBy(request);
  const link = state.sessions.find(sessionId, incarnation);
  if (link === undefined && state.goneMs !== undefined) {
    return state.entrance.comeBackLater(handshake, "draining", "draining", nowMs);
  }
  if (state.handshakes.isStoreBusy) {
    link?.extend(owner, nowMs);
    return state.entrance.comeBackLater(handshake, "overloaded", "too many ask the store", nowMs, "handshakes");
  }
  const { by } = request;
  state.handshakes.adopting(handshake, request, link?.token);
  state.events.push({ type: "adopt", channel: handshake.channel.id, sessionId, owner, by, token: link?.token });
}

export function namedBy(request: AdoptionRequest): { id: string; incarnation: string; owner: Owner } {
  if (request.by === "resume") {
    const { hello } = request.said;
    return { id: hello.sessionId, incarnation: hello.incarnation, owner: ownerOf(hello) };
  }
  const { keys, incarnation } = request.link.session;
  return { id: keys.id, incarnation, owner: request.owner };
}

/** Whether the connection that waits has proven that its client may speak for the session that the store has. */
export function proves({ entropy, handshakes }: ServerState, channel: number, stored: Provable): boolean {
  const waiting = handshakes.get(channel)?.state;
  if (waiting?.name !== "adopting") return false;
  const { request } = waiting;
  // A standby has proven that it knows the secret of the session in memory, which is that of the same incarnation.
  if (request.by === "commit") return request.link.session.incarnation === stored.incarnation;
  return isFor(entropy, request.said, stored);
}

/** Brings what is in memory up to date with the store's answer. Answers whether the request may be decided now. */
export function heedStore(
  state: ServerState,
  handshake: Handshake,
  request: AdoptionRequest,
  token: number | undefined,
  answer: StoreAnswer,
  nowMs: number,
): boolean {
  const { id, incarnation, owner } = namedBy(request);
  const link = state.sessions.find(id, incarnation);
  switch (answer) {
    case "unavailable":
      link?.extend(owner, nowMs);
      state.entrance.comeBackLater(handshake, "overloaded", "no answer from the store", nowMs);
      return false;
    case "stale":
    case "taken-over":
      state.handshakes.refuse(handshake, answer, "not newer than the owner in the store", 0);
      return false;
    case "unknown":
      // If it has come here again since, the answer is about an earlier time.
      if (link !== undefined && link.token === token && link.session.phase !== "done") fence(state, link);
      return true;
    case "kept":
      if (link !== undefined) return true;
      // The session was let go meanwhile, and only the store knows whether there is something to go on with.
      state.entrance.comeBackLater(handshake, "overloaded", "the session has just gone from here", nowMs);
      return false;
    default:
      if (isAnothers(state.sessions.get(id), incarnation)) {
        state.handshakes.refuse(handshake, "authentication", "another session's id", 0);
        return false;
      }
      bringIn(state, link, answer.token, answer.snapshot, nowMs);
      return true;
  }
}

/** The id was opened again here, and confirmed, as the id of another session. */
function isAnothers(link: ServerLinkCore | undefined, incarnation: string): boolean {
  return link !== undefined && link.session.incarnation !== incarnation && link.session.phase !== "provisional";
}

function bringIn(
  state: ServerState,
  link: ServerLinkCore | undefined,
  token: number,
  snapshot: SessionSnapshot,
  nowMs: number,
): void {
  // The answer to a later request was here first: what it has brought is newer.
  if (link?.token !== undefined && link.token >= token) return;
  if (link !== undefined) fence(state, link);
  restore(state, snapshot, nowMs).token = token;
}

/** The session waits for its client. If the server is going away, its client is asked to go on elsewhere. */
export function restore(state: ServerState, snapshot: SessionSnapshot, nowMs: number): ServerLinkCore {
  const link = state.sessions.restore(snapshot, nowMs);
  state.events.push({ type: "restored", link });
  if (state.goneMs !== undefined) link.goAway(state.goneMs - nowMs);
  return link;
}

/** Another process has the session now, or nobody: what is in memory here and not in the store has not happened. */
function fence(state: ServerState, link: ServerLinkCore): void {
  link.abandon("session-lost");
  state.events.push({ type: "changed", link });
}
