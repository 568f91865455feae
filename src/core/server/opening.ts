/** How a session is opened: it is unconfirmed until CONFIRM answers the nonce of a WELCOME. */
import { attach, mayOwn } from "./takeover.ts";
import { whoOf } from "./entrance.ts";
import { type Fault, fault } from "../wire/faults.ts";
import { type Hello, NONCE_BYTES, type Positions, type Welcome } from "../wire/frames.ts";
import { ownerOf, secretBytes } from "../session/proof.ts";
import type { Handshake } from "./handshake-table.ts";
import type { ServerLinkCore } from "./link-core.ts";
import type { ServerState } from "./state.ts";

/** A new session's client states its window with its first ACK. */
const NO_POSITIONS: Positions = { received: 0, accepted: 0, window: 0, stop: false, done: false };

/** An open ("new"), or the fallback of a resume whose session is not known ("lost"). `id`: of the session to open. */
export function open(
  state: ServerState,
  handshake: Handshake,
  hello: Hello,
  id: string,
  identity: string,
  result: "new" | "lost",
  nowMs: number,
): void {
  const { entrance, goneMs, refusing, sessions } = state;
  const secret = result === "new" ? hello.secretOrProof : hello.fallback?.secret;
  if (secret === undefined) throw new Error("a fallback without a secret");
  const known = sessions.get(id);
  if (known !== undefined) return openAgain(state, handshake, hello, known, secret, identity, result, nowMs);
  if (goneMs !== undefined) return entrance.comeBackLater(handshake, "draining", "draining", nowMs);
  if (!entrance.mayEnter(handshake, refusing.sessions)) return;
  const who = whoOf(identity, handshake.peer);
  if (!entrance.mayOpen(handshake, identity, who, nowMs)) return;
  const link = sessions.open({ id, secret: secret.toString("latin1") }, hello, identity, who, nowMs);
  welcomeProvisional(state, handshake, hello, link, result, nowMs);
}

function openAgain(
  state: ServerState,
  handshake: Handshake,
  hello: Hello,
  known: ServerLinkCore,
  secret: Buffer,
  identity: string,
  result: "new" | "lost",
  nowMs: number,
): void {
  const { entrance, entropy, handshakes } = state;
  if (!entropy.equal(secret, secretBytes(known.session.keys.secret)) || known.identity !== identity) {
    handshakes.refuse(handshake, "authentication", "another session's id", 0);
  } else if (!known.openPayload.equals(hello.openPayload)) {
    handshakes.refuse(handshake, "authentication", "another open payload than the session's", 0);
  } else if (known.session.phase !== "provisional") {
    // The session was confirmed, so its client has read a WELCOME, and would resume it rather than open it.
    handshakes.refuse(handshake, "stale", "opened before", 0);
  } else if (
    mayOwn(state, handshake, known, ownerOf(hello), nowMs) &&
    entrance.mayComeBack(handshake, known, "resume", hello, nowMs)
  ) {
    welcomeProvisional(state, handshake, hello, known, result, nowMs);
  }
}

/** The caller has checked the identity and the owner. */
export function welcomeProvisional(
  state: ServerState,
  handshake: Handshake,
  hello: Hello,
  link: ServerLinkCore,
  result: Welcome["result"],
  nowMs: number,
): void {
  const { entropy, handshakes, sessions } = state;
  const nonce = entropy.randomBytes(NONCE_BYTES);
  link.owner = ownerOf(hello);
  sessions.keep(link, nowMs);
  // If a resume is answered with its fallback, the positions in its HELLO are those of the lost session.
  handshakes.confirming(handshake, link, nonce, result === "lost" ? NO_POSITIONS : hello.positions);
  handshake.channel.send(link.welcome(result, nonce));
}

/** CONFIRM has come: the application is given the link. */
export function confirm(state: ServerState, handshake: Handshake, mac: Buffer, nowMs: number): Fault | undefined {
  const { goneMs } = state;
  const { channel, state: waiting } = handshake;
  if (waiting.name !== "confirming") throw new Error(`CONFIRM on a connection that is ${waiting.name}`);
  const { link, nonce, positions } = waiting;
  if (link.session.phase !== "provisional") {
    // The client was too slow.
    state.handshakes.close(handshake, "confirmed too late", undefined);
    return undefined;
  }
  if (positions.received > 0) {
    link.forgetProvisional();
    return fault("impossible-position", "something received in a session that has sent nothing");
  }
  if (!link.isConfirmed(mac, nonce)) {
    link.forgetProvisional();
    return fault("wrong-proof", "wrong MAC in CONFIRM");
  }
  state.sessions.confirmed(link);
  link.confirm();
  state.events.push({ type: "link", channel: channel.id, link });
  const problem = attach(state, handshake, link, positions, false, nowMs);
  if (goneMs !== undefined) link.goAway(goneMs - nowMs);
  link.checkThrough();
  return problem;
}
