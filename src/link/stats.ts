/** The counters and gauges of a link, and of many links together. */
import type { Totals } from "../telemetry/samples.ts";
import type { Incoming } from "./incoming.ts";
import type { Life } from "./life.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Protocol } from "./protocol.ts";
import type { LinkState, LinkStats, Traffic } from "./types.ts";
import { NONE_UNDELIVERED, type UndeliveredBook } from "./undelivered.ts";

export function linkStats(
  protocol: Protocol,
  life: Life,
  outgoing: Outgoing,
  incoming: Incoming,
  book: UndeliveredBook | undefined,
): LinkStats {
  const { queuedBytes } = protocol;
  const { backlog } = outgoing;
  return {
    state: life.state,
    stateForMs: life.stateForMs,
    rttMs: protocol.rttMs,
    reconnects: life.reconnects,
    recoveryMs: life.recoveryMs,
    taken: { messages: outgoing.takenMessages, bytes: outgoing.takenBytes },
    accepted: protocol.accepted(),
    received: { messages: incoming.messages, bytes: incoming.bytes },
    undelivered: { ...(book?.counts ?? NONE_UNDELIVERED) },
    queue: {
      messages: protocol.queuedMessages + (backlog?.messages ?? 0),
      bytes: queuedBytes + (backlog?.bytes ?? 0),
      oldestAgeMs: backlog?.oldestAgeMs,
    },
    logBytes: protocol.unackedBytes - queuedBytes,
    windowBytes: protocol.windowBytes,
    unacceptedBytes: protocol.unacceptedBytes,
  };
}

export function heldBytes(cores: Iterable<{ readonly heldBytes: number }>): number {
  let bytes = 0;
  for (const core of cores) bytes += core.heldBytes;
  return bytes;
}

/** How many links there are in each state. */
export function linksByState(links: Iterable<{ readonly state: LinkState }>): Record<LinkState, number> {
  const byState: Record<LinkState, number> = {
    created: 0,
    connecting: 0,
    connected: 0,
    suspect: 0,
    reconnecting: 0,
    idle: 0,
    draining: 0,
    closed: 0,
  };
  for (const { state } of links) byState[state]++;
  return byState;
}

/** What all links of a manager or supervisor have moved since the beginning, in the form that one link has. */
export function trafficOf(totals: Totals): Record<"taken" | "accepted" | "received", Traffic> {
  return {
    taken: { messages: totals.takenMessages, bytes: totals.takenBytes },
    accepted: { messages: totals.acceptedMessages, bytes: totals.acceptedBytes },
    received: { messages: totals.receivedMessages, bytes: totals.receivedBytes },
  };
}
