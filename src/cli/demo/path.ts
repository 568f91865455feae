/** The path between the demo's two processes, and how a fault is made on it: here by the fault relay of resplice/testing. */
import { faultRelay, type FaultRelay } from "../../testing/index.ts";
import type { Fault } from "./faults.ts";
import { nowMs } from "./messages.ts";

/**
 * Each way, in all faults: on bare loopback next to nothing is in flight when it is cut, and losses would not show.
 */
export const BASE_LATENCY_MS = 5;

export interface FaultPath {
  /** Where the sender connects to. */
  readonly port: number;
  /** For people. */
  readonly what: string;
  /**
   * Makes the fault. `next` is the one after which connections end next: some can only be ended in the right way if that is
   * known when they are opened. Answers when the path carried again, where it does at once: from a cut on.
   */
  make(fault: Fault, next: Fault): Promise<number>;
  /** Ends the fault; a cut needs that too. */
  heal(fault: Fault): Promise<void>;
  /** May be called again. */
  close(): Promise<void>;
}

export async function openRelayPath(receiverPort: number): Promise<FaultPath> {
  const relay = await faultRelay({ port: receiverPort });
  relay.latency(BASE_LATENCY_MS);
  return {
    port: relay.port,
    what: "our own fault relay",
    make: (fault) => {
      const sinceMs = nowMs();
      strike(relay, fault);
      return Promise.resolve(sinceMs);
    },
    heal: () => {
      relay.heal();
      relay.latency(BASE_LATENCY_MS);
      return Promise.resolve();
    },
    close: () => relay.close(),
  };
}

function strike(relay: FaultRelay, fault: Fault): void {
  switch (fault.kind) {
    case "fin":
    case "rst":
      return relay.cut(fault.kind);
    case "cut-after-bytes":
      return relay.cutAfterBytes(fault.bytes, { direction: "to-server" });
    case "black-hole":
      return relay.blackHole();
    case "one-way-black-hole":
      return relay.blackHole({ direction: fault.direction });
    case "stall":
      return relay.stall();
    case "latency":
      return relay.latency(fault.delayMs, { jitterMs: fault.jitterMs });
  }
}
