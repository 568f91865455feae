/** A link in numbers. */
import type { LinkCore } from "../core/link-core.ts";
import type { Incoming } from "./incoming.ts";
import type { Life } from "./life.ts";
import type { Outgoing } from "./outgoing.ts";
import type { LinkStats } from "./types.ts";
import type { UndeliveredBook } from "./undelivered.ts";

export function linkStats(
  core: LinkCore,
  life: Life,
  outgoing: Outgoing,
  incoming: Incoming,
  book: UndeliveredBook,
): LinkStats {
  const { sender, receiver } = core.session;
  return {
    state: life.state,
    stateForMs: life.stateForMs,
    rttMs: core.adopted?.roundTrip.smoothedMs,
    reconnects: life.reconnects,
    recoveryMs: life.recoveryMs,
    taken: { messages: outgoing.takenMessages, bytes: outgoing.takenBytes },
    received: { messages: incoming.messages, bytes: incoming.bytes },
    undelivered: { ...book.counts },
    queue: { messages: sender.queuedMessages, bytes: sender.queuedBytes },
    logBytes: sender.unackedBytes - sender.queuedBytes,
    windowBytes: receiver.windowBytes,
    unacceptedBytes: receiver.unacceptedBytes,
  };
}
