/**
 * Every state and every transition, as data. Client and server share these tables. The diagrams in ARCHITECTURE.md
 * and docs/overload.md are generated from them (`npm run diagrams`).
 */

type Transitions<State extends string, Input extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Input, State>>>>
>;

/** A link, as its application sees it. */
export type LinkState =
  | "created"
  | "connecting"
  | "connected"
  | "suspect"
  | "reconnecting"
  /** Without a connection, as none is needed: the next message dials. Only a plain link is ever idle. */
  | "idle"
  | "draining"
  | "closed";
export type LinkInput =
  /** A first attempt begins. */
  | "dial"
  /** A connection is adopted: the session is new or resumed. */
  | "adopted"
  /** Evidence is lacking in one direction. */
  | "suspected"
  /** The connection that was suspect has answered. */
  | "recovered"
  /** There is no connection, and another attempt will be made (or, on a server, awaited). */
  | "disconnected"
  /** This end has closed the connection, which was not used. */
  | "unused"
  /** close(), or the server is going away. */
  | "drain"
  /** The session that was draining is replaced by another, and the link goes on. */
  | "moved"
  | "end";

export const LINK_TRANSITIONS: Transitions<LinkState, LinkInput> = {
  created: { dial: "connecting", adopted: "connected", drain: "draining", end: "closed" },
  connecting: { adopted: "connected", disconnected: "reconnecting", drain: "draining", end: "closed" },
  connected: {
    // A connection that this end has closed is replaced at once. Durable links close none so.
    dial: "connecting",
    suspected: "suspect",
    disconnected: "reconnecting",
    unused: "idle",
    drain: "draining",
    end: "closed",
  },
  suspect: {
    recovered: "connected",
    adopted: "connected",
    disconnected: "reconnecting",
    drain: "draining",
    end: "closed",
  },
  reconnecting: { dial: "connecting", adopted: "connected", drain: "draining", end: "closed" },
  idle: { dial: "connecting", disconnected: "reconnecting", drain: "draining", end: "closed" },
  draining: { moved: "connecting", end: "closed" },
  closed: {},
};

/** A session at either end. Provisional ones exist on servers only. */
export type SessionPhase = "provisional" | "live" | "done" | "reset" | "gone";
export type SessionInput =
  /** CONFIRM answered the nonce. */
  | "confirmed"
  /** Both directions are complete: the end of each was accepted, or its reader reads no more. */
  | "through"
  /** We reset it, and the peer is still to be told. */
  | "reset"
  /** Both ends know the outcome, or nobody can be told any more. */
  | "forgotten";

export const SESSION_TRANSITIONS: Transitions<SessionPhase, SessionInput> = {
  provisional: { confirmed: "live", forgotten: "gone" },
  live: { through: "done", reset: "reset", forgotten: "gone" },
  done: { forgotten: "gone" },
  reset: { forgotten: "gone" },
  gone: {},
};

/** A server's listener and all its links. */
export type SupervisorState = "created" | "bound" | "listening" | "draining" | "closed";
export type SupervisorInput = "bind" | "listen" | "listen-failed" | "drain" | "end";

export const SUPERVISOR_TRANSITIONS: Transitions<SupervisorState, SupervisorInput> = {
  created: { bind: "bound", "listen-failed": "closed", drain: "draining", end: "closed" },
  bound: { listen: "listening", "listen-failed": "closed", drain: "draining", end: "closed" },
  listening: { drain: "draining", end: "closed" },
  draining: { end: "closed" },
  closed: {},
};

/** A resource that is watched for overload. */
export type ResourceState =
  /** Nothing is done. */
  | "normal"
  /** Steps are taken while the reading is high, and stay in force until it is low. */
  | "overloaded"
  /** As overloaded, without further steps: the last ones have not helped. */
  | "ineffective"
  | "unwatched";
export type ResourceInput =
  /** The first step is taken. */
  | "step"
  /** Steps in a row were without effect. */
  | "given-up"
  /** The reading has risen far above where steps were given up, or is judged by another rule from now on. */
  | "rose"
  /** The reading was low for long enough. */
  | "recovered"
  /** The resource could not be read for too long. */
  | "unreadable"
  | "removed";

export const RESOURCE_TRANSITIONS: Transitions<ResourceState, ResourceInput> = {
  normal: { step: "overloaded", removed: "unwatched" },
  overloaded: { "given-up": "ineffective", recovered: "normal", unreadable: "normal", removed: "unwatched" },
  ineffective: { rose: "overloaded", recovered: "normal", unreadable: "normal", removed: "unwatched" },
  unwatched: {},
};

/** The state after `input`; undefined where it changes nothing. */
export function nextLinkState(state: LinkState, input: LinkInput): LinkState | undefined {
  return LINK_TRANSITIONS[state][input];
}

/** Throws if the table has no such transition: that is a bug of this package. */
export function nextPhase(phase: SessionPhase, input: SessionInput): SessionPhase {
  const next = SESSION_TRANSITIONS[phase][input];
  if (next === undefined) throw new Error(`no transition from ${phase} on ${input}`);
  return next;
}

export function nextSupervisorState(state: SupervisorState, input: SupervisorInput): SupervisorState | undefined {
  return SUPERVISOR_TRANSITIONS[state][input];
}

export function nextResourceState(state: ResourceState, input: ResourceInput): ResourceState | undefined {
  return RESOURCE_TRANSITIONS[state][input];
}
