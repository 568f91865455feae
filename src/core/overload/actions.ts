/** The actions against overload, by name. The names are stable: events, log lines and metrics have them. */

export type OverloadAction =
  /** No link is lent memory above its minimum: peers may have less under way, and queues take less. */
  | "shrink-windows"
  /** Messages that were received and not handed out are forgotten, of sessions that wait: they are sent again. */
  | "forget-received"
  /** Connections are closed on which nobody waits for anything. A server of links has none such. */
  | "close-idle"
  /** Connections are closed that have bytes to write, and have not written any for `writeStallMs`. */
  | "close-hopeless"
  /** New sessions are refused. A plain server and any other server refuse new connections. */
  | "refuse-sessions"
  /** Sessions that wait for their client are ended. */
  | "evict-waiting"
  /** Connections are closed whose clients are told when to come back. */
  | "shed"
  /** Second connections are refused. */
  | "refuse-standbys"
  /** Refused connections are closed without waiting for the peer to have read why. */
  | "drop-lingering"
  /** The oldest connections that are not let in yet are closed. */
  | "drop-handshakes"
  /** Less is read in each turn of the event loop. */
  | "read-less";

/** A condition holds until it is taken back; an act is done once, and can be repeated. */
export const OVERLOAD_ACTIONS: Readonly<Record<OverloadAction, "condition" | "act">> = {
  "shrink-windows": "condition",
  "forget-received": "act",
  "close-idle": "act",
  "close-hopeless": "act",
  "refuse-sessions": "condition",
  "evict-waiting": "act",
  shed: "act",
  "refuse-standbys": "condition",
  "drop-lingering": "act",
  "drop-handshakes": "act",
  "read-less": "condition",
};

export function isCondition(action: OverloadAction): boolean {
  return OVERLOAD_ACTIONS[action] === "condition";
}
