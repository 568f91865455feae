/** The options of one message: their names, and the connection that the message may be for. */
import { printable } from "../telemetry/printable.ts";
import { connectionLostError, RespliceError } from "./errors.ts";
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
const MOST_NAME_CHARACTERS = 100;

/** Throws INVALID_ARGUMENT for an option that the call does not have: a misspelled one would do nothing. */
export function checkSendNames(options: object, call: SendCall): void {
  const known = NAMES[call];
  if (typeof options !== "object" || options === null) throw invalid(`the options of ${call}() are an object`);
  for (const name in options) {
    if (known.has(name)) continue;
    const shown = printable(name, MOST_NAME_CHARACTERS);
    throw invalid(`${call}() has no option ${shown}; its options: ${[...known].join(", ")}`);
  }
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
    throw invalid("onConnection is what `link.connection` has answered");
  }
  if (onConnection === undefined || outbound.adopted?.id !== onConnection) throw connectionLostError("not-sent");
  return onConnection;
}

function invalid(what: string): RespliceError {
  return new RespliceError("INVALID_ARGUMENT", what, { delivery: "not-sent" });
}
