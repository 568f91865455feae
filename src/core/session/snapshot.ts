/**
 * A session as plain data: what a store keeps of it, and what another process of the server goes on with. It has no
 * connection, and no bytes that the application has not accepted: the peer sends those again.
 */
import type { ReceiverSnapshot } from "../log/receiver.ts";
import type { SenderSnapshot } from "../log/sender.ts";
import type { Owner, SessionKeys } from "./proof.ts";
import type { Session } from "./session.ts";

/** The client that a session belongs to, and the size of messages that was agreed with it. */
export interface SessionClient {
  readonly identity: string;
  readonly openPayload: Buffer;
  /** The process and the generation of the connection that was let in last. */
  readonly owner: Owner;
  readonly maxMessageBytes: number;
}

export interface SessionSnapshot extends SessionClient {
  readonly keys: SessionKeys;
  readonly incarnation: string;
  readonly phase: "live" | "done";
  readonly receiver: ReceiverSnapshot;
  readonly sender: SenderSnapshot;
}

/**
 * The session as data. Undefined if there is nothing to go on with: nobody has confirmed it, it was reset or is gone,
 * or one end reads no more, so that messages may be in doubt already.
 */
export function snapshotOf(session: Session, client: SessionClient): SessionSnapshot | undefined {
  const { keys, incarnation, phase, receiver, sender, peerStopped } = session;
  const { identity, openPayload, owner, maxMessageBytes } = client;
  const about = { keys, incarnation, identity, openPayload, owner, maxMessageBytes, receiver: receiver.snapshot() };
  if (phase === "live" && !receiver.stopped && !peerStopped) return { ...about, phase, sender: sender.snapshot() };
  if (phase === "done" && receiver.endAccepted) return { ...about, phase, sender: sender.tombstone() };
  return undefined;
}

/** Puts what a snapshot holds into a new session. */
export function restoreSession(session: Session, { phase, receiver, sender }: SessionSnapshot): void {
  session.phase = phase;
  session.receiver.restore(receiver);
  if (phase === "live") return session.sender.restore(sender);
  session.sender.restoreTombstone(sender);
  session.release();
}
