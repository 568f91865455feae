// One proxy of Toxiproxy. Written from the source of 2.12.0; each trap is noted where it bites.

import { setTimeout as sleep } from "node:timers/promises";

import { type Proxy, type Toxic, Toxiproxy } from "toxiproxy-node-client";

import { claimPort, type PortClaim } from "../../../src/testing/port-claim.ts";

/** `upstream` is what the client sends, `downstream` what the server sends. */
type Stream = "upstream" | "downstream";

/** The toxics of Toxiproxy with their attributes. Milliseconds, unless the comment says otherwise. */
interface ToxicAttributes {
  /** Per chunk, in order. Delays neither the connect nor the FIN. Holds up to 1,024 chunks of 32 KiB at most each. */
  latency: { readonly latency: number; readonly jitter?: number };
  /**
   * Kilobytes per second. 0 is a lossless stall, the nearest to a pulled plug; but only once a chunk waits in it: before
   * that a FIN goes through. Removing it while the receiver has stalled for more than 5 s loses a chunk.
   */
  bandwidth: { readonly rate: number };
  slow_close: { readonly delay: number };
  /**
   * Drops what it gets, which the sender's TCP takes for delivered: a NAT entry that died. 0 never closes; a positive
   * timeout starts again with each chunk. Removing it closes the connections.
   */
  timeout: { readonly timeout: number };
  /** See `resettable`. */
  reset_peer: { readonly timeout: number };
  /** Bytes, bytes, and microseconds. */
  slicer: { readonly average_size: number; readonly size_variation: number; readonly delay: number };
  /**
   * Closes both ways after exactly that many bytes; counts anew on each connection. 0 closes at the first chunk. If the
   * receiver is sending meanwhile, the close is a RST, and it may see less of what reached its kernel, never more.
   */
  limit_data: { readonly bytes: number };
}

type ToxicType = keyof ToxicAttributes;

interface ToxicOptions {
  /** Default: `downstream`, as in Toxiproxy. */
  readonly stream?: Stream;
  /**
   * Default: 1. The odds, drawn anew for each connection and each time a toxic is added or changed; never
   * reproducible. 0 is an idle toxic.
   */
  readonly toxicity?: number;
  /** Default: `TYPE_STREAM`. */
  readonly name?: string;
}

interface ChaosToxic<T extends ToxicType> {
  /** Changes what is named, also for open connections. */
  update(attributes: Partial<ToxicAttributes[T]>, toxicity?: number): Promise<void>;
  /** May be called again. */
  remove(): Promise<void>;
}

export interface ProxyOptions {
  /** Where it dials, on 127.0.0.1, once for each client, after having accepted it. */
  readonly upstreamPort: number;
  /** Where clients dial. Default: one of its own, which it keeps until it is closed. */
  readonly claim?: PortClaim;
  /** Default: none. Makes the name in Toxiproxy's own log telling. */
  readonly name?: string;
  /**
   * Each way. Default: 5, since bare loopback has next to nothing in flight when it is cut, which hides losses. Set 0
   * where it matters that a stalled reader is felt by the writer: the latency toxic takes up to 1,024 chunks in.
   */
  readonly latencyMs?: number;
  /**
   * Default: false. True makes each close by Toxiproxy, for whatever reason, a RST in both directions: `cut()` and
   * `down()` too, and the passing on of a peer's own FIN (with the loss of what the kernel has not sent). It is done by
   * idle `reset_peer` toxics that are there before the first connection.
   */
  readonly resettable?: boolean;
}

export interface ChaosProxy extends AsyncDisposable {
  readonly host: "127.0.0.1";
  /** Where clients dial. It stays the same for good. */
  readonly port: number;
  /** Closes all connections, with FIN as a rule, with RST if `resettable`; then accepts again. */
  cut(): Promise<void>;
  /** Closes all connections; dials are refused from now on. */
  down(): Promise<void>;
  up(): Promise<void>;
  /** For open connections and for new ones. Add it before the first dial if each byte counts. */
  toxic<T extends ToxicType>(type: T, attributes: ToxicAttributes[T], options?: ToxicOptions): Promise<ChaosToxic<T>>;
  /**
   * Needs `resettable`. From now on the next chunk in that stream is dropped and resets its connection, on open and new
   * connections; a silent one stays. Ends with `disarm()`. For a RST at once, use `cut()`.
   */
  armReset(stream: Stream): Promise<{ disarm(): Promise<void> }>;
  /** Closes all connections and forgets the proxy. May be called again. */
  close(): Promise<void>;
}

let count = 0;

/** A proxy on a port of its own. Use `await using`, or call `close()`. `url`: of Toxiproxy's HTTP interface. */
export async function openProxyAt(url: string, options: ProxyOptions): Promise<ChaosProxy> {
  if (options.claim !== undefined) return open(url, options, options.claim.port);
  const claim = await claimPort();
  try {
    const proxy = await open(url, options, claim.port);
    const close = (): Promise<void> => proxy.close().finally(() => claim.release());
    return { ...proxy, close, [Symbol.asyncDispose]: close };
  } catch (error) {
    claim.release();
    throw error;
  }
}

async function open(url: string, options: ProxyOptions, port: number): Promise<ChaosProxy> {
  const latencyMs = options.latencyMs ?? 5;
  const name = `${options.name ?? "proxy"}-${process.pid}-${++count}`;
  const listen = `127.0.0.1:${port}`;
  const upstream = `127.0.0.1:${options.upstreamPort}`;
  // Created disabled: connections get no toxic that is added later in full (a reset_peer, a limit_data).
  const created = new Toxiproxy(url).createProxy({ name, listen, upstream, enabled: false });
  const proxy = await answered(`create ${name}`, created);
  const enable = async (enabled: boolean): Promise<void> => {
    await answered(`${enabled ? "enable" : "disable"} ${name}`, proxy.update({ enabled, listen, upstream }));
  };
  const add = <T extends ToxicType>(type: T, attributes: ToxicAttributes[T], toxicOptions?: ToxicOptions) =>
    addToxic(proxy, type, attributes, toxicOptions);

  const resets = new Map<Stream, ChaosToxic<"reset_peer">>();
  for (const stream of ["upstream", "downstream"] as const) {
    if (latencyMs > 0) {
      await add("latency", { latency: latencyMs }, { stream, name: `base_${stream}` });
    }
    if (options.resettable === true) {
      resets.set(stream, await add("reset_peer", { timeout: 0 }, { stream, name: `reset_${stream}`, toxicity: 0 }));
    }
  }
  await enable(true);

  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => (closed ??= answered(`remove ${name}`, proxy.remove()));
  return {
    host: "127.0.0.1",
    port,
    cut: async () => {
      await enable(false);
      await enable(true);
    },
    down: () => enable(false),
    up: () => enable(true),
    toxic: add,
    armReset: async (stream) => {
      const reset = resets.get(stream);
      if (reset === undefined) {
        throw new Error("armReset() needs openProxy({ resettable: true })");
      }
      await reset.update({}, 1);
      return { disarm: () => reset.update({}, 0) };
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function addToxic<T extends ToxicType>(
  proxy: Proxy,
  type: T,
  attributes: ToxicAttributes[T],
  options: ToxicOptions = {},
): Promise<ChaosToxic<T>> {
  const { stream = "downstream", toxicity = 1, name = `${type}_${stream}` } = options;
  const what = `toxic ${name} on ${proxy.name}`;
  // A plain body, with all its fields: `new Toxic(proxy, body)` throws.
  let toxic: Toxic<ToxicAttributes[T]> = await answered(
    `add ${what}`,
    proxy.addToxic({ name, type, stream, toxicity, attributes }),
  );
  let removed: Promise<void> | undefined;
  return {
    update: async (changed, newToxicity = toxic.toxicity) => {
      const body = { name, type, stream, toxicity: newToxicity, attributes: { ...toxic.attributes, ...changed } };
      toxic = await answered(`update ${what}`, toxic.update(body));
    },
    remove: () => (removed ??= answered(`remove ${what}`, toxic.remove())),
  };
}

const ANSWER_MS_MAX = 10_000;

/**
 * The client has no timeouts, and its errors say neither what was asked nor what was answered. Toxiproxy itself waits
 * for ever to change the toxics of a connection whose receiver has stalled: resume the receiver first.
 */
async function answered<T>(what: string, answer: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = async (): Promise<never> => {
    await sleep(ANSWER_MS_MAX, undefined, { signal: timer.signal });
    throw new Error(`no answer within ${ANSWER_MS_MAX} ms (does a receiver stall?)`);
  };
  try {
    return await Promise.race([answer, late()]);
  } catch (cause) {
    throw new Error(`Toxiproxy: ${what}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  } finally {
    timer.abort();
  }
}
