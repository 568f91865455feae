/** The path between the demo's two processes, and its implementation with the fault relay of resplice/testing. */
import type { FaultRelay } from "../../testing/index.ts";
import { openRelay } from "../../testing/relay.ts";
import type { Fault } from "./faults.ts";
import { nowMs } from "./messages.ts";
import type { Watch } from "./traffic.ts";

/**
 * In each direction, during all faults. On bare loopback almost nothing is in flight at a cut, and losses would not
 * show.
 */
export const BASE_LATENCY_MS = 5;

export interface PathTarget {
  readonly host: string;
  readonly port: number;
}

export interface PathOptions {
  readonly target: PathTarget;
  /** 0: any free port. */
  readonly listenPort: number;
  /** Is told what passes. */
  readonly watch: Watch | undefined;
}

export interface FaultPath {
  /** Where the sender connects to. */
  readonly port: number;
  /** The path's description, for people. */
  readonly what: string;
  /**
   * Makes the fault. `next` is the next fault that ends connections: Toxiproxy must know when a connection is opened
   * whether it will be reset. Answers the time of the fault; for a cut the path carries again from then on.
   */
  make(fault: Fault, next: Fault): Promise<number>;
  /** Ends the fault. To be called after a cut, too. */
  heal(fault: Fault): Promise<void>;
  /** May be called again. */
  close(): Promise<void>;
}

export async function openRelayPath({ target, listenPort, watch }: PathOptions): Promise<FaultPath> {
  const relay = await openRelay(
    { ...target, listenPort },
    {
      onConnected: () => watch?.connected(),
      onUnreachable: (error) => watch?.unreachable(error),
      onPassed: (direction, bytes) => watch?.passed(direction, bytes),
      onCut: () => watch?.cut(),
    },
  );
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
    case "refuse":
      relay.refuse();
      return relay.cut("rst");
    case "latency":
      return relay.latency(fault.delayMs, { jitterMs: fault.jitterMs });
  }
}
