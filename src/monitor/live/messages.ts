/**
 * What the live page is told. The whole of it is one frame, a tree of plain objects; the page gets it once, and then what
 * has changed, as patches (patch.ts). Times are of the wall clock of this process, in milliseconds since 1970. No object
 * has a value that is null or undefined, and none has a name that comes from outside.
 */
import type { LinkState } from "../../core/states.ts";

export type Level = "info" | "warn" | "error";

export interface Frame {
  atMs: number;
  /** Since when somebody watches: what was before is not known. */
  beganMs: number;
  pid: number;
  /** By their place in the options of the monitor, from 0. */
  sources: Record<string, SourceFrame>;
  /** By number, the oldest first: one for each second. */
  points: Record<string, Point>;
  /** By number, the oldest first. */
  happened: Record<string, Happening>;
  links: LinksFrame;
}

/** The sums over all links at a moment. Rates are of a second; round trips are in milliseconds. */
export type Point = readonly [
  atMs: number,
  sentMessages: number,
  receivedMessages: number,
  sentBytes: number,
  receivedBytes: number,
  rttMedianMs: number | null,
  rttMostMs: number | null,
  connected: number,
  away: number,
];

export interface SourceFrame {
  kind: string;
  /** Empty: it has none. */
  name: string;
  status: "healthy" | "degraded" | "down";
  reasons: string[];
  figures: Partial<Record<Figure, number>>;
  resources: ResourceFrame[];
}

/** `…PerS`: of the last second. `recoveryP50Ms`, `recoveryP99Ms`: at most so long, since the beginning. */
export type Figure =
  | "links"
  | "connected"
  | "sentPerS"
  | "sentBytesPerS"
  | "receivedPerS"
  | "receivedBytesPerS"
  | "queued"
  | "inFlightBytes"
  | "reconnects"
  | "recoveryP50Ms"
  | "recoveryP99Ms"
  | "connections"
  | "requests"
  | "refused"
  | "turnedAway"
  | "shed";

/** Amounts are in the unit of the resource. */
export interface ResourceFrame {
  name: string;
  state: string;
  /** Why it is not watched. */
  notWatched?: string;
  observed?: number;
  limit?: number;
  low?: number;
  high?: number;
  /** Actions that are in force. */
  holds: readonly string[];
  /** How often each action was taken. */
  steps: Readonly<Record<string, number>>;
}

export interface Happening {
  atMs: number;
  level: Level;
  source: number;
  /** The id of a link. */
  link?: string;
  text: string;
}

export interface LinksFrame {
  /** All links that are here, with those that have ended a moment ago. */
  total: number;
  /** Those that the viewer's words match, by state. */
  states: Partial<Record<LinkState, number>>;
  /** Those that the viewer's words and states match. */
  matching: number;
  /** The first row's place among those. */
  from: number;
  /** The keys of the rows, in their order. */
  order: number[];
  rows: Record<string, Row>;
}

export interface Row {
  id: string;
  source: number;
  state: LinkState;
  /** Since when it is in this state. */
  sinceMs: number;
  /** Why it is in this state; empty if it was so before somebody watched. */
  reason: string;
  /** At a server the identity of the client, at a client where the link goes; may be empty. */
  peer: string;
  address: string;
  rttMs?: number;
  queued: number;
  queuedBytes: number;
  inFlightBytes: number;
  sentPerS: number;
  receivedPerS: number;
  reconnects: number;
  /** The last one. */
  recoveryMs?: number;
  /** From when, which state, from when, which state, …: the places of states in `STATES`. */
  band: number[];
  /** When connections were lost. */
  cuts: number[];
}

/** The states of a link, by the numbers that a band has for them. */
export const STATES: readonly LinkState[] = [
  "created",
  "connecting",
  "connected",
  "suspect",
  "reconnecting",
  "idle",
  "draining",
  "closed",
];

/** A band, the points and what is told of happenings go back so far. */
export const SHOWN_MS = 300_000;

/** What rows can be ordered by; "opened": the oldest first. */
export const ORDERS = ["opened", "state", "rtt", "queue", "in-flight", "rate", "reconnects", "recovery"] as const;
export type Order = (typeof ORDERS)[number];
