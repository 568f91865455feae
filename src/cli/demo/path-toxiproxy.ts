/**
 * The demo's path through a real Toxiproxy 2.12. One thing differs from our relay: at the end of a black hole its
 * connections are closed (removing the toxic does that), so sockets notice the end of a silent fault.
 */
import type { Direction } from "../../testing/index.ts";
import { endsConnections, type Fault } from "./faults.ts";
import { nowMs } from "./messages.ts";
import { claimPort, type PortClaim } from "../../testing/port-claim.ts";
import { openRelay, type RelayWatch } from "../../testing/relay.ts";
import { BASE_LATENCY_MS, type FaultPath, type PathOptions, type PathTarget } from "./path.ts";
import type { Watch } from "./traffic.ts";
import { startToxiproxy } from "../toxiproxy/toxiproxy.ts";
import { ToxiproxyProxy, type ToxicStream } from "../toxiproxy/proxy.ts";

const LOOPBACK = "127.0.0.1";
const BOTH: readonly ToxicStream[] = ["upstream", "downstream"];

/** @param firstFault the fault that ends the first connection */
export async function openToxiproxyPath(
  { target, listenPort, watch }: PathOptions,
  firstFault: Fault,
  say: (line: string) => void,
): Promise<FaultPath> {
  const toxiproxy = await startToxiproxy({ onProgress: say });
  let claim: PortClaim | undefined;
  let proxy: ToxiproxyProxy | undefined;
  const relays: AsyncDisposable[] = [];
  const stop = async (): Promise<void> => {
    // Another's Toxiproxy goes on running: remove our proxy from it.
    await proxy?.remove().catch(() => {});
    await toxiproxy.stop().finally(() => claim?.release());
    for (const relay of relays) await relay[Symbol.asyncDispose]();
  };
  const between = async (to: PathTarget, listensAt: number, watching: RelayWatch): Promise<number> => {
    const relay = await openRelay({ ...to, listenPort: listensAt }, watching);
    relays.push(relay);
    return relay.port;
  };
  try {
    claim = await claimPort();
    const { port } = claim;
    const { host, port: upstream } =
      watch === undefined ? target : { host: LOOPBACK, port: await between(target, 0, atServer(watch)) };
    proxy = await ToxiproxyProxy.create(toxiproxy.url, {
      name: `resplice-demo-${process.pid}`,
      listen: `${LOOPBACK}:${port}`,
      upstream: `${host}:${upstream}`,
    });
    const own = watch === undefined ? port : await between({ host: LOOPBACK, port }, listenPort, atClient(watch));
    const path = new ToxiproxyPath(proxy, own, `Toxiproxy ${toxiproxy.version}, from ${toxiproxy.how}`, stop);
    await path.open(firstFault);
    return path;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** What a relay between Toxiproxy and the server sees. */
function atServer(watch: Watch): RelayWatch {
  return {
    onConnected: () => watch.connected(),
    onUnreachable: (error) => watch.unreachable(error),
    onPassed: (direction, bytes) => void (direction === "to-server" && watch.passed(direction, bytes)),
  };
}

/** What a relay between the client and Toxiproxy sees. */
function atClient(watch: Watch): RelayWatch {
  return {
    onPassed: (direction, bytes) => void (direction === "to-client" && watch.passed(direction, bytes)),
    onClosed: (sent) => watch.closed(sent),
  };
}

class ToxiproxyPath implements FaultPath {
  readonly port: number;
  readonly what: string;
  readonly #proxy: ToxiproxyProxy;
  readonly #stop: () => Promise<void>;
  #resets = false;
  #closed: Promise<void> | undefined;

  constructor(proxy: ToxiproxyProxy, port: number, what: string, stop: () => Promise<void>) {
    this.#proxy = proxy;
    this.port = port;
    this.what = what;
    this.#stop = stop;
  }

  /** The proxy was made disabled, so that its first connection has all toxics from its first byte on. */
  async open(firstFault: Fault): Promise<void> {
    for (const stream of BOTH) {
      await this.#proxy.addToxic(`base_${stream}`, "latency", stream, { latency: BASE_LATENCY_MS, jitter: 0 });
    }
    await this.#prepare(firstFault);
    await this.#proxy.enable(true);
  }

  async make(fault: Fault, next: Fault): Promise<number> {
    if (endsConnections(fault)) await this.#prepare(next);
    let carriesMs = nowMs();
    switch (fault.kind) {
      case "refuse":
        await this.#proxy.enable(false);
        break;
      case "fin":
      case "rst":
        await this.#proxy.enable(false);
        carriesMs = nowMs();
        await this.#proxy.enable(true);
        break;
      case "cut-after-bytes":
        await this.#proxy.addToxic("fault", "limit_data", "upstream", { bytes: fault.bytes });
        break;
      case "black-hole":
        for (const stream of BOTH) await this.#proxy.addToxic(`fault_${stream}`, "timeout", stream, { timeout: 0 });
        break;
      case "one-way-black-hole":
        await this.#proxy.addToxic("fault", "timeout", streamOf(fault.direction), { timeout: 0 });
        break;
      case "stall":
        for (const stream of BOTH) await this.#proxy.addToxic(`fault_${stream}`, "bandwidth", stream, { rate: 0 });
        break;
      case "latency":
        await this.#delay(fault.delayMs, fault.jitterMs);
        break;
    }
    return carriesMs;
  }

  async heal(fault: Fault): Promise<void> {
    switch (fault.kind) {
      case "fin":
      case "rst":
        break;
      case "refuse":
        await this.#proxy.enable(true);
        break;
      case "cut-after-bytes":
      case "one-way-black-hole":
        await this.#proxy.removeToxic("fault");
        break;
      case "black-hole":
      case "stall":
        for (const stream of BOTH) await this.#proxy.removeToxic(`fault_${stream}`);
        break;
      case "latency":
        await this.#delay(BASE_LATENCY_MS, 0);
        break;
    }
  }

  async #delay(latency: number, jitter: number): Promise<void> {
    for (const stream of BOTH) await this.#proxy.updateToxic(`base_${stream}`, { latency, jitter });
  }

  /**
   * Connections that are opened while there is a reset_peer toxic, even an idle one, are closed with RST, for whatever
   * reason; all others are closed with FIN.
   */
  async #prepare(next: Fault): Promise<void> {
    const resets = next.kind === "rst" || next.kind === "refuse";
    if (resets === this.#resets) return;
    this.#resets = resets;
    for (const stream of BOTH) {
      if (resets) await this.#proxy.addToxic(`reset_${stream}`, "reset_peer", stream, { timeout: 0 }, 0);
      else await this.#proxy.removeToxic(`reset_${stream}`);
    }
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#stop());
  }
}

function streamOf(direction: Direction): ToxicStream {
  return direction === "to-server" ? "upstream" : "downstream";
}
