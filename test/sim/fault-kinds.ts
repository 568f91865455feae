/** Every kind of fault, as data: what it may cost, and its parameters. What it does is `faults.ts`. */
import type { RefuseCode } from "../../src/core/wire/frames.ts";
import { amount, choice, count, direction, odd, type Parameter, side, which, whose, yesOrNo } from "./parameters.ts";

/**
 * - lossless: nothing is lost, unless it lasts longer than a session waits
 * - moving: the link goes on elsewhere, and nothing is in doubt
 * - losing: a session may be lost
 * - ending: the application, or what poses as the other end, ends a link
 */
export type Cost = "lossless" | "moving" | "losing" | "ending";

/** Mostly short. */
const forMs = amount(50, 4_050, 3);
/** Within which a server that goes away asks its clients to go on elsewhere. */
const spreadMs = amount(0, 1_000, 2);
/** Longer than some sessions wait. */
const longMs = amount(100, 15_100, 3);

/** After which a server that refuses wants to be asked again: sense, nonsense, and what its frame can hold at the most. */
const retryAfterMs = odd(amount(1, 1_000), 1, 600_000, 0xffff_ffff);

/** At once, or as soon as the link is next in that state. */
const when = choice("now", "connecting", "connecting", "suspect", "suspect", "reconnecting");

/** Those that end the link, and some that do not. */
const REFUSALS: readonly RefuseCode[] = [
  "stale",
  "session-lost",
  "draining",
  "taken-over",
  "authentication",
  "mismatch",
];

export const TRESPASSES = ["resume", "resume with a fallback", "fallback without a payload", "standby"] as const;

/** Frames that are written when the connection in use has gone silent. */
const OF_STANDBYS = ["standby", "ready", "commit", "committed"] as const;

/** Frames whose loss matters; "end" is DATA that ends its direction, "done" an ACK that says so. */
export const TRAPPED = [
  ...(["hello", "welcome", "confirm", "data", "ack", "end", "done", "reset"] as const),
  ...OF_STANDBYS,
  "goaway",
  "later",
] as const;
export type TrappedFrame = (typeof TRAPPED)[number];

export function isOfStandbys(frame: TrappedFrame): boolean {
  return OF_STANDBYS.some((each) => each === frame);
}

export const FAULTS = {
  // ── the path ──────────────────────────────────────────────────────────────────────────────────────────────────────
  cut: { cost: "lossless", parameters: { server: which, whose, withinMs: amount(0, 200) } },
  "cut after bytes": { cost: "lossless", parameters: { server: which, whose, bytes: amount(0, 600) } },
  /** Only one end hears of it. */
  "cut at one end": { cost: "lossless", parameters: { server: which, whose, end: side } },
  swallow: { cost: "lossless", parameters: { server: which, whose } },
  "swallow one way": { cost: "lossless", parameters: { server: which, whose, direction } },
  stall: { cost: "lossless", parameters: { server: which, forMs } },
  "stall one way": { cost: "lossless", parameters: { server: which, direction, forMs } },
  /** One connection's bytes come late, after those of newer connections. */
  hold: { cost: "lossless", parameters: { server: which, whose, direction, forMs } },
  latency: {
    cost: "lossless",
    parameters: {
      server: which,
      latencyMs: amount(0, 500),
      jitterMs: amount(0, 100),
      dialDelayMs: amount(0, 2_000),
      forMs,
    },
  },
  "hanging dials": { cost: "lossless", parameters: { server: which, cuts: yesOrNo, forMs } },
  refuse: { cost: "lossless", parameters: { server: which, cuts: yesOrNo, forMs } },
  /** When one of the client's connections carries that frame for so many times, either way. */
  trap: {
    cost: "lossless",
    parameters: {
      client: which,
      // The rarer ones more often.
      frame: choice(...TRAPPED, ...OF_STANDBYS, "committed", "committed", "reset", "reset", "goaway", "later"),
      nth: count(2),
      how: choice("cut", "swallow", "swallow the answer", "hold"),
      forMs: amount(0, 500, 2),
    },
  },
  /** One way, soon after a frame of DATA has passed in either, when nothing may be in flight: noticed in time. */
  "silence after speech": {
    cost: "lossless",
    parameters: { client: which, direction, nth: count(10), afterMs: amount(0, 95) },
  },
  /**
   * The application asks the peer for a sign of life, again and again, while one way of the connection may have gone
   * silent: it is told in time that there was none.
   */
  ping: {
    cost: "lossless",
    parameters: {
      client: which,
      from: side,
      silent: choice("neither", "to-server", "to-client"),
      times: count(3),
      everyMs: amount(0, 1_000, 2),
    },
  },
  /** Again and again: a client that comes back more often than others. */
  flapping: { cost: "lossless", parameters: { client: which, times: count(40), everyMs: amount(1, 300, 2) } },
  // ── processes and applications ────────────────────────────────────────────────────────────────────────────────────
  "slow consumer": { cost: "lossless", parameters: { client: which, end: side, forMs } },
  /** Goes on when the faults are over. */
  "stopped consumer": { cost: "lossless", parameters: { client: which, end: side } },
  "blocked client": { cost: "lossless", parameters: { client: which, forMs: longMs } },
  "blocked server": { cost: "lossless", parameters: { server: which, forMs: longMs } },
  "clock jump": { cost: "lossless", parameters: { who: side, which, byMs: longMs } },
  /** Another dial at once, whatever is under way: it connects when it does. */
  "extra dial": { cost: "lossless", parameters: { client: which, role: choice("primary", "standby"), afterMs: forMs } },
  "half-close": { cost: "lossless", parameters: { client: which, end: side } },
  "no verdicts": { cost: "lossless", parameters: { client: whose, forMs: longMs } },
  overload: { cost: "lossless", parameters: { server: which, forMs: longMs, retryAfterMs } },
  /** The client's server asks it to come back later; by the client's state, as the server may see another. */
  shed: {
    cost: "lossless",
    parameters: { client: which, when: choice("now", "now", "now", "suspect", "reconnecting"), retryAfterMs },
  },
  /** The server protects itself, for a while: who is new is refused, or who stands by, or no memory is lent. */
  protection: {
    cost: "lossless",
    parameters: { server: which, what: choice("sessions", "standbys", "memory", "memory"), forMs: longMs },
  },
  "dropped handshakes": { cost: "lossless", parameters: { server: which, most: count(5) } },
  /** The client's server forgets what it has received and not handed out. */
  forget: { cost: "lossless", parameters: { client: which, when: choice("now", "reconnecting", "reconnecting") } },
  /** The client's server closes its connection as one that makes no progress. */
  hopeless: { cost: "lossless", parameters: { client: which } },
  // ── who is no part of it ──────────────────────────────────────────────────────────────────────────────────────────
  replay: { cost: "lossless", parameters: { server: which, times: count(5), withinMs: amount(1, 2_000, 2) } },
  stranger: { cost: "lossless", parameters: { server: which, times: count(5), withinMs: amount(1, 2_000, 2) } },
  /** Another process with the session's secret, that wants it for something else than it was opened for. */
  trespasser: { cost: "lossless", parameters: { client: which, how: choice(...TRESPASSES) } },
  /** Many at once, from one place, that want nothing but places. */
  crowd: {
    cost: "lossless",
    parameters: {
      server: which,
      what: choice("silent", "unconfirmed"),
      times: count(40),
      withinMs: amount(1, 2_000, 2),
    },
  },
  impostor: { cost: "lossless", parameters: { server: which, cuts: yesOrNo, forMs } },
  // ── what a session does not survive, or not here ──────────────────────────────────────────────────────────────────
  /** The server goes away, has all the time that it needs, and is back when its sessions are through. */
  move: { cost: "moving", parameters: { server: which, spreadMs } },
  /** At once, or as soon as a session there is through and waits for its client to hear so. */
  restart: {
    cost: "losing",
    parameters: { server: which, forMs: amount(0, 4_000, 3), when: choice("now", "done") },
  },
  /** It is there for `readyForMs` more, and then goes away; at the end of its time it is cut off. */
  drain: { cost: "losing", parameters: { server: which, readyForMs: amount(0, 1_000, 3), forMs, spreadMs } },
  /** The client's server ends its session, as nobody speaks for it. */
  evict: { cost: "losing", parameters: { client: which, when: choice("now", "reconnecting", "reconnecting") } },
  route: { cost: "losing", parameters: { client: which, to: which } },
  /** Longer than the shorter sessions wait. */
  absence: { cost: "losing", parameters: { server: which, forMs: amount(4_500, 9_000) } },
  credentials: { cost: "losing", parameters: { client: which, verdict: choice("refused", "another"), forMs } },
  "false refusal": {
    cost: "losing",
    parameters: { server: which, code: choice(...REFUSALS), retryAfterMs, cuts: yesOrNo, forMs },
  },
  /** Another process with the session's secret: of a later epoch, or a copy of the same one. */
  usurper: { cost: "losing", parameters: { client: which, later: yesOrNo } },
  /** Somebody on the path writes a frame that no peer would. */
  forgery: {
    cost: "losing",
    parameters: {
      client: which,
      direction,
      what: choice("bad-frame", "oversized", "gap", "beyond-credit", "impossible-position", "wrong-proof"),
      times: count(4),
      everyMs: amount(0, 400),
    },
  },
  // ── endings ───────────────────────────────────────────────────────────────────────────────────────────────────────
  reset: {
    cost: "ending",
    parameters: { client: which, end: side, when, code: choice("aborted", "handler-failed", "close-timeout") },
  },
  close: { cost: "ending", parameters: { client: which, end: side, when } },
  /** The end says nothing to its peer. */
  abandon: { cost: "ending", parameters: { client: which, end: side, when } },
  "throwing consumer": { cost: "ending", parameters: { client: which, end: side } },
  "give up": { cost: "ending", parameters: { client: which } },
} as const satisfies Record<string, { cost: Cost; parameters: Record<string, object> }>;

export type FaultKind = keyof typeof FAULTS;
export const FAULT_KINDS = Object.keys(FAULTS) as FaultKind[];

type Values<Parameters> = {
  -readonly [Name in keyof Parameters]: Parameters[Name] extends Parameter<infer T> ? T : never;
};

/** What happens, when. What it draws by itself comes from `seed` alone: to take another fault away changes nothing in it. */
export type FaultOf<Kind extends FaultKind> = { atMs: number; kind: Kind; seed: number } & Values<
  (typeof FAULTS)[Kind]["parameters"]
>;
export type Fault = { [Kind in FaultKind]: FaultOf<Kind> }[FaultKind];

export function kindsOf(cost: Cost): FaultKind[] {
  return FAULT_KINDS.filter((kind) => FAULTS[kind].cost === cost);
}

export function parametersOf(kind: FaultKind): Array<[string, Parameter<unknown>]> {
  return Object.entries<Parameter<unknown>>(FAULTS[kind].parameters);
}
