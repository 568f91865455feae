/** The options of one message: their names, and the connection that the message may be for. */
import { isSignal } from "./check.ts";
import {
  connectionLostError,
  invalidArgument,
  invalidOption,
  invalidWord,
  RespliceError,
  unknownOption,
} from "./errors.ts";
import type { Outbound } from "./protocol.ts";
import type { OnConnection, SendOptions } from "./types.ts";

export type MessageOptions = SendOptions & OnConnection;
export type SendCall = "send" | "trySend" | "request";

const OF_ALL: ReadonlyArray<keyof MessageOptions> = ["transfer", "key", "ttlMs", "priority", "onConnection"];
const NAMES: Readonly<Record<SendCall, ReadonlySet<string>>> = {
  send: new Set([...OF_ALL, "signal", "until"]),
  trySend: new Set(OF_ALL),
  request: new Set([...OF_ALL, "signal"]),
};

/**
 * Throws INVALID_ARGUMENT for what is no object, INVALID_OPTION for an option that the call does not have (a misspelled
 * one would do nothing) or with a value of a wrong type. What a queue looks at is checked there.
 */
export function checkSendOptions(options: MessageOptions, call: SendCall): void {
  const known = NAMES[call];
  if (typeof options !== "object" || options === null)
    throw invalidArgument(`the options of ${call}() are an object`, options, "not-sent");
  for (const name in options) {
    if (known.has(name)) continue;
    throw unknownOption("", name, options[name as keyof MessageOptions], [...known], "not-sent");
  }
  const { signal, transfer } = options;
  if (signal !== undefined && !isSignal(signal)) throw invalidOption("signal", signal, "an AbortSignal", "not-sent");
  if (transfer !== undefined && typeof transfer !== "boolean")
    throw invalidOption("transfer", transfer, "true or false", "not-sent");
}

/** Of a send(). Throws INVALID_OPTION. */
export function untilGiven(options: MessageOptions | undefined): "taken" | "accepted" {
  const until = options?.until;
  if (until === undefined || until === "taken" || until === "accepted") return until ?? "taken";
  throw invalidWord("until", until, '"taken", "accepted"', "not-sent");
}

/**
 * The connection that the message is for; undefined: any. Throws CONNECTION_LOST if it is not the one in use,
 * NOT_SUPPORTED where a message is for no connection.
 */
export function boundTo(options: OnConnection, outbound: Outbound): number | undefined {
  if (!("onConnection" in options)) return undefined;
  const { onConnection } = options;
  if (outbound.bind === undefined) {
    throw new RespliceError("NOT_SUPPORTED", "onConnection is an option of plain links", { delivery: "not-sent" });
  }
  if (onConnection !== undefined && typeof onConnection !== "number") {
    throw invalidOption("onConnection", onConnection, "what `link.connection` has answered", "not-sent");
  }
  if (onConnection === undefined || outbound.adopted?.id !== onConnection) throw connectionLostError("not-sent");
  return onConnection;
}
