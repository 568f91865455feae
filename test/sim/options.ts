/** What a world is made of, and what of it would be simpler. */
import type { Mode } from "../../src/core/wire/frames.ts";

export interface WorldOptions {
  mode: Mode;
  /** Each with a link of its own. */
  clients: number;
  servers: number;
  whenSessionLost: "report" | "resend" | "end";
  maxMessageBytes: { client: number; server: number };
  window: { minBytes: number; maxBytes: number };
  queue: { maxMessages: number; maxBytes: number };
  /**
   * Of the clients' queues, in mode "messages"; "none": there is no policy. A `ttlMs` of 0 is none, and one class are
   * no priorities. With "conflate" two of three messages have one of so many keys.
   */
  policy: {
    overflow: "none" | "wait" | "drop-oldest" | "drop-newest" | "conflate";
    maxMessages: number;
    ttlMs: number;
    classes: number;
    keys: number;
  };
  /** For the windows of all links together, and for their logs, above the floors. */
  budgetBytes: number;
  /** Of the log. */
  blockBytes: number;
  ackDelayMs: number;
  kernelBytes: number;
  /** What lies around each chunk in the memory that it was read into. */
  slackBytes: number;
  /** One way, when no fault makes it longer. */
  latencyMs: number;
  pingAfterMs: number;
  suspectAfterMs: number;
  resumeForMs: number;
  handshakeMs: number;
  /** How long the authentication of a connection takes at most; 0: it is answered at once. */
  authenticateMs: number;
  /** How often, of all times, a verdict can't be had, a server has no room, and it forgets what no consumer was handed. */
  shares: { unavailable: number; overloaded: number; forgetful: number };
  /** Servers keep their sessions in a store, which takes up to so long, there and back; 0: they have none. */
  commitMs: number;
  /** All of them the same one: a session may go on at any of them. */
  sharesStore: boolean;
  /**
   * A client is sent to any server, which forwards it to the one that has its session; so often, of all times, that is
   * not reached. Without a store: a server that was restarted has another id.
   */
  forward: { isOn: boolean; unreachable: number };
  /** What a server has room for until the faults are over. */
  room: {
    connections: number;
    handshakes: number;
    authenticating: number;
    sessions: number;
    perIdentity: number;
    /** Connections of one client. */
    perAddress: number;
    /** Opens, resumes and standbys, each; and four times as many connections. */
    perSecond: number;
  };
  /** How many messages each side of a link wants to send. */
  messages: { client: number; server: number };
  payloadBytes: number;
  /** A sender thinks so long on average before it goes on; 0: it sends what it can. */
  thinkMs: number;
  /** And then says so much. */
  burst: number;
  /** A consumer takes a message every so many milliseconds on average; 0: as they come. */
  consumerMs: number;
  /** A consumer accepts by hand, so many messages behind what it was handed. */
  lag: number;
  /** Who ends its direction when all is sent. Both: the link closes by itself. */
  ends: { client: boolean; server: boolean };
  /** Nobody ends before the faults are over. */
  staysOpen: boolean;
}

/** A world without any difficulty. */
export const SIMPLE: WorldOptions = {
  mode: "messages",
  clients: 1,
  servers: 1,
  whenSessionLost: "report",
  maxMessageBytes: { client: 1_000, server: 1_000 },
  window: { minBytes: 4_096, maxBytes: 65_536 },
  queue: { maxMessages: 100, maxBytes: 65_536 },
  policy: { overflow: "none", maxMessages: 100, ttlMs: 0, classes: 1, keys: 1 },
  budgetBytes: 1_000_000,
  blockBytes: 65_536,
  ackDelayMs: 25,
  kernelBytes: 100_000,
  slackBytes: 0,
  latencyMs: 1,
  pingAfterMs: 1_000,
  suspectAfterMs: 500,
  resumeForMs: 3_600_000,
  handshakeMs: 60_000,
  authenticateMs: 0,
  shares: { unavailable: 0, overloaded: 0, forgetful: 0 },
  commitMs: 0,
  sharesStore: false,
  forward: { isOn: false, unreachable: 0 },
  room: {
    connections: 400,
    handshakes: 400,
    authenticating: 100,
    sessions: 100,
    perIdentity: 100,
    perAddress: 400,
    perSecond: 1_000,
  },
  messages: { client: 0, server: 0 },
  payloadBytes: 4,
  thinkMs: 0,
  burst: 1,
  consumerMs: 0,
  lag: 0,
  ends: { client: true, server: true },
  staysOpen: false,
};

const POLICIES: ReadonlySet<WorldOptions["policy"]["overflow"]> = new Set([
  "none",
  "wait",
  "drop-oldest",
  "drop-newest",
  "conflate",
]);

type Plain = string | number | boolean | { [name: string]: Plain };

/** Each answer differs from `options` in one respect, in which it is simpler. */
export function simplerOptions(options: WorldOptions): WorldOptions[] {
  const simpler: WorldOptions[] = [];
  const all = options as unknown as Record<string, Plain>;
  for (const [name, simple] of Object.entries(SIMPLE) as Array<[string, Plain]>) {
    for (const value of between(all[name] as Plain, simple)) {
      const changed = { ...all, [name]: value } as unknown as WorldOptions;
      if (isLegal(changed)) simpler.push(changed);
    }
  }
  return simpler;
}

/** From a value to a simpler one: that at once, else half of the way. */
function between(value: Plain, simple: Plain): Plain[] {
  if (typeof value === "object" && typeof simple === "object") {
    const parts = value;
    return Object.entries(simple).flatMap(([name, part]) =>
      between(parts[name] as Plain, part).map((changed) => Object.assign({}, parts, { [name]: changed })),
    );
  }
  if (value === simple) return [];
  if (typeof value !== "number" || typeof simple !== "number" || value < simple) return [simple];
  const half = Number.isInteger(value) ? Math.floor((value + simple) / 2) : (value + simple) / 2;
  const oneLess = Number.isInteger(value) ? [value - 1] : [];
  return [simple, half, ...oneLess].filter((each, at, list) => each !== value && list.indexOf(each) === at);
}

/** What src/link/options.ts asks of the options of a link, and what the numbers need to mean anything. */
export function isLegal(options: WorldOptions): boolean {
  const { clients, servers, maxMessageBytes, window, queue, blockBytes, kernelBytes, payloadBytes, mode } = options;
  const largest = Math.max(maxMessageBytes.client, maxMessageBytes.server);
  return (
    clients >= 1 &&
    servers >= 1 &&
    blockBytes >= 64 &&
    kernelBytes >= 1 &&
    options.burst >= 1 &&
    Math.min(...Object.values(options.room)) >= 1 &&
    payloadBytes >= 4 &&
    !(options.forward.isOn && options.commitMs > 0) &&
    Math.min(maxMessageBytes.client, maxMessageBytes.server) >= 4 &&
    window.minBytes <= window.maxBytes &&
    (mode === "bytes" || windowFloor(options) <= window.maxBytes) &&
    queue.maxMessages >= 1 &&
    POLICIES.has(options.policy.overflow) &&
    Math.min(options.policy.maxMessages, options.policy.classes, options.policy.keys) >= 1 &&
    (mode === "messages" || options.policy.overflow === "none") &&
    // What a sender gives a byte stream in one go is to fit, too.
    queue.maxBytes >= Math.max(largest, mode === "bytes" ? payloadBytes : 0) + 4
  );
}

/** One message of the larger end, and what its consumer may leave unaccepted. */
function windowFloor({ maxMessageBytes, lag, payloadBytes }: WorldOptions): number {
  return 4 + Math.max(maxMessageBytes.client, maxMessageBytes.server) + lag * (payloadBytes + 4);
}
