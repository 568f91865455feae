/** plain(): what is spoken on the connections of a link to a server, or from a client, that is not resplice. */
import type { ConnectionOptions } from "node:tls";
import { boolean, group, integer, integerOrInfinity, MOST_MS, payload } from "../link/check.ts";
import { invalidOption } from "../link/errors.ts";
import type { Message, Payload } from "../link/types.ts";
import type { Framing } from "./framing.ts";
import type { MessageId, ProbeOptions, RequestOptions } from "./options.ts";

/** Answers of plain(), for the option `protocol`. */
export interface PlainProtocol {
  /** For logs and errors: `plain, lines`. */
  readonly name: string;
}

/**
 * The options of plain(). Functions are called for each message: keep them short. One that throws ends its connection.
 */
export interface PlainOptions {
  /** Where messages begin and end: lines(), delimited(), lengthPrefixed(), fixed(), bytes(), or one of your own. */
  framing: Framing;
  /**
   * Called on each new connection, before anything else is sent on it. It has `timeouts.handshakeMs`. If it throws
   * LOGIN_REFUSED, the link ends; after any other error the link dials again. At a server it is called for each client,
   * who is let in when it has returned: if it throws, that connection is closed. What it has sent goes out first, for
   * at most 2 s.
   */
  login?: (connection: LoginConnection) => Promise<void>;
  /** Sent when nothing has arrived for `keepalive.pingAfterMs`. Without it only the kernel notices a dead path. */
  probe?: PlainProbe;
  /** The server answers messages: enables request(). */
  requests?: PlainRequests;
  /**
   * After a message for which this is true the connection is given up, and its address rests for 30 s if there is
   * another (Redis: READONLY). The message is handed out. Not at a server.
   */
  reconnectWhen?: (message: Message) => boolean;
  /**
   * Default false: messages that were written on a connection that was lost, and neither answered nor proven, are
   * reported in the event 'undelivered'. true: they are sent again, before newer ones. Danger: the server may get them
   * twice. Not at a server.
   */
  resendInFlight?: boolean;
  /**
   * Default 16 MiB, at a server 64 KiB for each client. The most that is kept, to be reported, of what was written and
   * is neither answered nor proven: in bytes of payload, and 100 more for each message. Older messages are counted as
   * `untracked`. Danger if it is smaller than what a kernel takes (some MiB): messages may be lost and not be reported.
   */
  inDoubtBytes?: number;
  /**
   * Default Infinity: never. A connection on which nothing was sent or received for so long, and nothing is awaited, is
   * closed; the next message dials again. At a server the link ends. At a client choose less than the server's own
   * limit: what is sent while the server closes is in doubt.
   */
  idleCloseMs?: number;
  /**
   * Default Infinity: never. A connection so old is replaced when nothing is in flight, up to 2.5 % earlier, so that
   * changes of DNS and of certificates reach links that never fail. At a server the link ends: its handler has 4 s to
   * answer what it was handed, and the client 5 s to take that.
   */
  maxConnectionAgeMs?: number;
}

/** A question that proves that the peer is there. */
export interface PlainProbe {
  /** What is sent. At most 64 KiB. */
  message: Payload;
  /**
   * A message for which this is true answers the probe, and is not handed out. Default: any bytes that arrive prove
   * that the server is there. Where answers come in order it is not asked: the probe's answer is known by its place.
   */
  isAnswer?: (message: Message) => boolean;
  /**
   * Default false. true: the server works in order, so an answer to the probe proves that it has everything that was
   * written before. Needs `isAnswer`, or answers in order.
   */
  proves?: boolean;
}

/** How requests and their answers belong together. */
export interface PlainRequests {
  /** Default 1,000. How many requests may wait for their answers; further ones wait to be written. */
  maxInFlight?: number;
  /**
   * The id that a message and its answer share; undefined: it has none. Default: the server answers every message, in
   * order.
   */
  idOf?: (message: Message) => MessageId | undefined;
  /**
   * The kind of a message that arrives: an "answer", or its last part; a part of an answer that has "more"; or a
   * "push", which goes to the consumer. Default: an answer, unless `idOf` gives it no id.
   */
  classify?: (message: Message) => "answer" | "push" | "more";
  /** Default: `maxMessageBytes`. The parts of one answer together, in bytes. */
  maxAnswerBytes?: number;
}

/** The connection that login() works on. */
export interface LoginConnection {
  /**
   * Sends the message now, before everything that waits in the link. Throws INVALID_ARGUMENT if it cannot be framed.
   */
  send(message: Payload): void;
  /** The next message. Rejects CONNECTION_LOST when the connection is gone, TIMED_OUT when the time is over. */
  receive(): Promise<Message>;
  /** Sends bytes as they are, without the framing (PostgreSQL's SSLRequest). */
  sendRaw(bytes: Payload): void;
  /** The next `bytes` bytes that arrive, whatever the framing is, at most 65,536. Call it before they are here. */
  receiveRaw(bytes: number): Promise<Message>;
  /**
   * Begins TLS on the connection (SMTP's STARTTLS, PostgreSQL's SSLRequest), after the message by which the server
   * agreed. Only at a client. Rejects NOT_SUPPORTED at a server, CERTIFICATE_INVALID, PROTOCOL_ERROR if bytes came
   * behind that message, TIMED_OUT after `timeouts.tlsMs`. Default: Node's options, with the endpoint's host as the
   * server's name.
   */
  startTls(options?: ConnectionOptions): Promise<void>;
  /** The peer's address, "" where it has none; undefined once the connection is gone. */
  readonly remoteAddress: string | undefined;
  /** Aborted when the connection is given up. */
  readonly signal: AbortSignal;
}

/** Every option of plain() with its value. */
export interface ResolvedPlainOptions extends GivenPlainOptions {
  readonly inDoubtBytes: number;
}

/** The same, where the default of one depends on the end. */
export interface GivenPlainOptions {
  readonly framing: Framing;
  readonly login: ((connection: LoginConnection) => Promise<void>) | undefined;
  readonly probe: ProbeOptions | undefined;
  readonly requests: (Omit<RequestOptions, "maxAnswerBytes"> & { maxAnswerBytes: number | undefined }) | undefined;
  readonly reconnectWhen: ((message: Buffer) => boolean) | undefined;
  readonly resendInFlight: boolean;
  readonly inDoubtBytes: number | undefined;
  readonly idleCloseMs: number;
  readonly maxConnectionAgeMs: number;
}

const OPTION_NAMES = [
  "framing",
  "login",
  "probe",
  "requests",
  "reconnectWhen",
  "resendInFlight",
  "inDoubtBytes",
  "idleCloseMs",
  "maxConnectionAgeMs",
] as const;
/** A probe is written whole, beside everything else that waits. */
const MOST_PROBE_BYTES = 65_536;

class Plain implements PlainProtocol {
  readonly name: string;
  readonly options: GivenPlainOptions;

  constructor(options: GivenPlainOptions) {
    this.name = `plain, ${options.framing.name}`;
    this.options = options;
  }
}

/**
 * The protocol of a link to a server that is not resplice:
 * `manager.open({ port, protocol: plain({ framing: lines() }) })`, or of a server's links to such clients:
 * `new ServerSupervisor({ port, protocol: plain({ framing: lines() }) })`.
 *
 * Throws INVALID_OPTION.
 *
 * @example
 * ```ts
 * const link = manager.open({ port: 4000, protocol: plain({ framing: lines(), requests: {} }) });
 * console.log(String(await link.request("temperature?")));
 * ```
 */
export function plain(options: PlainOptions): PlainProtocol {
  const given = group("plain", options, OPTION_NAMES);
  const probe = resolveProbe(given.probe);
  const requests = resolveRequests(given.requests);
  if (
    probe?.proves === true &&
    probe.isAnswer === undefined &&
    (requests === undefined || requests.idOf !== undefined)
  ) {
    throw invalidOption(
      "plain.probe.proves",
      true,
      "only with probe.isAnswer, or with requests that are answered in order",
    );
  }
  return new Plain({
    framing: framing(given.framing),
    login: aFunction("plain.login", given.login),
    probe,
    requests,
    reconnectWhen: aFunction("plain.reconnectWhen", given.reconnectWhen) as ResolvedPlainOptions["reconnectWhen"],
    resendInFlight: boolean("plain.resendInFlight", given.resendInFlight ?? false),
    inDoubtBytes:
      given.inDoubtBytes === undefined
        ? undefined
        : integer("plain.inDoubtBytes", given.inDoubtBytes, 0, Number.MAX_SAFE_INTEGER),
    idleCloseMs: duration("plain.idleCloseMs", given.idleCloseMs),
    maxConnectionAgeMs: duration("plain.maxConnectionAgeMs", given.maxConnectionAgeMs),
  });
}

/** The options of what plain() has given. Throws INVALID_OPTION for anything else. */
export function plainOptions(protocol: unknown): GivenPlainOptions {
  if (protocol instanceof Plain) return protocol.options;
  throw invalidOption("protocol", protocol, "what plain() gives");
}

function framing(given: unknown): Framing {
  const { name, encode, decoder } = Object(given) as Partial<Framing>;
  if (typeof name === "string" && typeof encode === "function" && typeof decoder === "function")
    return given as Framing;
  throw invalidOption("plain.framing", given, "lines(), or another framing: name, encode() and decoder()");
}

function resolveProbe(given: PlainProbe | undefined): ProbeOptions | undefined {
  if (given === undefined) return undefined;
  const { message, isAnswer, proves } = group("plain.probe", given, ["message", "isAnswer", "proves"]);
  const probe: ProbeOptions = {
    message: payload("plain.probe.message", message, MOST_PROBE_BYTES),
    proves: boolean("plain.probe.proves", proves ?? false),
  };
  const check = aFunction("plain.probe.isAnswer", isAnswer);
  if (check !== undefined) probe.isAnswer = check as NonNullable<ProbeOptions["isAnswer"]>;
  return probe;
}

function resolveRequests(given: PlainRequests | undefined): ResolvedPlainOptions["requests"] {
  if (given === undefined) return undefined;
  const names = ["maxInFlight", "idOf", "classify", "maxAnswerBytes"] as const;
  const { maxInFlight, idOf, classify, maxAnswerBytes } = group("plain.requests", given, names);
  if (maxAnswerBytes !== undefined)
    integer("plain.requests.maxAnswerBytes", maxAnswerBytes, 1, Number.MAX_SAFE_INTEGER);
  const requests: NonNullable<ResolvedPlainOptions["requests"]> = {
    maxInFlight: integer("plain.requests.maxInFlight", maxInFlight ?? 1_000, 1, 1_000_000),
    maxAnswerBytes,
  };
  if (aFunction("plain.requests.idOf", idOf) !== undefined) requests.idOf = idOf as NonNullable<RequestOptions["idOf"]>;
  if (aFunction("plain.requests.classify", classify) !== undefined) {
    requests.classify = classify as NonNullable<RequestOptions["classify"]>;
  }
  return requests;
}

function duration(name: string, given: number | undefined): number {
  const ms = integerOrInfinity(name, given ?? Infinity, 1);
  if (ms !== Infinity) integer(name, ms, 1, MOST_MS);
  return ms;
}

function aFunction<T>(name: string, given: T | undefined): T | undefined {
  if (given !== undefined && typeof given !== "function") throw invalidOption(name, given, "a function");
  return given;
}
