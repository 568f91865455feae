/** The counters and gauges of a link, and their sums over many links. */
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

/** The sums over all links of a manager or supervisor. */
export function sumStats(links: Iterable<{ stats(): LinkStats }>): {
  links: Record<LinkState, number>;
  taken: Traffic;
  accepted: Traffic;
  received: Traffic;
} {
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
  const sums = {
    taken: { messages: 0, bytes: 0 },
    accepted: { messages: 0, bytes: 0 },
    received: { messages: 0, bytes: 0 },
  };
  for (const link of links) {
    const stats = link.stats();
    byState[stats.state]++;
    for (const name of ["taken", "accepted", "received"] as const) {
      sums[name].messages += stats[name].messages;
      sums[name].bytes += stats[name].bytes;
    }
  }
  return { links: byState, ...sums };
}
