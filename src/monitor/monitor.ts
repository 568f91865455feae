/** monitor(): health, metrics and a live page over HTTP, for probes, for Prometheus, and for people. */
import http from "node:http";
import type { Socket } from "node:net";
import { checkWait } from "../link/check.ts";
import { CheckedEmitter } from "../link/emitter.ts";
import { RespliceError } from "../link/errors.ts";
import type { WaitOptions } from "../link/types.ts";
import { Once, Waits } from "../link/waits.ts";
import { realTime } from "../real-time.ts";
import { listenError } from "../server/listening/listen-error.ts";
import { publishRecords } from "../telemetry/channels.ts";
import { Journal } from "../telemetry/journal.ts";
import { logLines } from "../telemetry/log-line.ts";
import { warnOfFailures } from "../telemetry/warning.ts";
import { type Answer, answer, answerTo, plainText } from "./answers.ts";
import { BundledFiles } from "./live/files.ts";
import { LivePage } from "./live/live-page.ts";
import { MetricsPage } from "./metrics-page.ts";
import { type MonitorOptions, type ResolvedMonitor, resolveMonitor } from "./options.ts";
import { prometheus } from "./prometheus.ts";

/** `listenError`: the monitor cannot listen, and tries again after `nextTryMs`. */
export type MonitorEvents = {
  /** The monitor can be asked at this address. */
  listening: [address: { host: string; port: number }];
  /** It cannot listen, and tries again after `nextTryMs` milliseconds. */
  listenError: [event: { error: RespliceError; nextTryMs: number }];
};

const EVENT_NAMES: ReadonlySet<string> = new Set<keyof MonitorEvents>(["listening", "listenError"]);

/** More connections than these cost the oldest its place. */
const MOST_CONNECTIONS = 32;
const MOST_HEADER_BYTES = 8_192;
/** From the opening of a connection to the end of its request. */
const ASKED_WITHIN_MS = 5_000;
/** A client takes so long to read, at most, while nothing passes. */
const SILENT_MS = 15_000;
/** close() waits so long for answers that are under way. */
const ANSWERED_WITHIN_MS = 1_000;
/** Between two tries to listen: doubled each time, between these. */
const LEAST_PAUSE_MS = 250;
const MOST_PAUSE_MS = 30_000;

/**
 * Answers to GET and HEAD on loopback, unless `host` is another address:
 *
 * - `/healthz`: 200 while the process answers, with what health() says of each source, as JSON;
 * - `/readyz`: the same, and 503 while one of them is 'down', as each is from the beginning of its close();
 * - `/metrics`: the metrics for Prometheus; 501 without prom-client;
 * - `/`: the live page, which shows all links while they work, to eight viewers at most.
 *
 * Begins to listen at once. Where that fails (its port is in use), it tries again, and nothing else ends: see the event
 * 'listenError'. Keeps no process alive. Closes by itself when all of its sources are closed. Throws INVALID_OPTION.
 *
 * @example
 * ```ts
 * const watched = monitor({ port: 9400, sources: { edge: supervisor, upstream: manager } });
 * watched.on("listenError", ({ error }) => console.error(error.message));
 * ```
 */
export function monitor(options: MonitorOptions): Monitor {
  return new Monitor(resolveMonitor(options));
}

/** What monitor() answers: it tells where it listens, and can be closed. */
export class Monitor extends CheckedEmitter<MonitorEvents> implements AsyncDisposable {
  readonly #options: ResolvedMonitor;
  readonly #journal = new Journal();
  readonly #server: http.Server;
  /** The oldest first. */
  readonly #sockets = new Set<Socket>();
  readonly #waits = new Waits();
  readonly #closing: Once<void> = new Once();
  readonly #files = new BundledFiles();
  readonly #live: LivePage;
  #address: { host: string; port: number } | undefined;
  #page: MetricsPage | undefined;
  #again: NodeJS.Timeout | undefined;
  #pauseMs = LEAST_PAUSE_MS;

  constructor(options: ResolvedMonitor) {
    super(EVENT_NAMES);
    this.#options = options;
    this.#live = new LivePage(options.sources);
    const { logger, sources, register } = options;
    this.#journal.subscribe(logger === undefined ? warnOfFailures : logLines(logger));
    this.#journal.subscribe(publishRecords(this));
    // A registry that is given has the metrics from now on, whether /metrics is asked or not.
    if (register !== undefined) this.#page = new MetricsPage(prometheus({ sources: options.given, register }));
    this.#server = http.createServer(
      {
        maxHeaderSize: MOST_HEADER_BYTES,
        headersTimeout: ASKED_WITHIN_MS,
        requestTimeout: ASKED_WITHIN_MS,
        connectionsCheckingInterval: 1_000,
      },
      (request, response) => {
        this.#answer(request, response).catch((thrown: unknown) => {
          this.#journal.record({ event: "monitor.metrics-failed", thrown });
          response.destroy();
        });
      },
    );
    this.#server.setTimeout(SILENT_MS);
    this.#server.on("connection", (socket: Socket) => this.#onConnection(socket));
    this.#server.on("listening", () => this.#onListening());
    this.#server.on("error", (error) => this.#onError(error));
    this.#listen();
    const closed = sources.map(({ observed }) => observed.telemetry.closed);
    void Promise.all(closed).then(() => this.close());
  }

  /** Undefined while it does not listen. */
  get address(): { host: string; port: number } | undefined {
    return this.#address && { ...this.#address };
  }

  /** Resolves when the monitor listens, after failed tries too. Rejects ABORTED; INVALID_STATE when it is closed. */
  async listening(options: WaitOptions = {}): Promise<{ host: string; port: number }> {
    checkWait("listening()", options);
    if (this.#closing.isBegun) throw isClosed();
    if (this.#address === undefined) await this.#waits.wait(options.signal);
    return this.address as { host: string; port: number };
  }

  #listen(): void {
    // In a worker of node:cluster the port is its own: the primary would hand requests to any of the workers.
    this.#server.listen({ ...this.#options.where, exclusive: true });
    this.#server.unref();
  }

  #onListening(): void {
    const address = this.#server.address();
    // close() was called while a name was looked up.
    if (this.#closing.isBegun || typeof address !== "object" || address === null) return void this.#server.close();
    this.#pauseMs = LEAST_PAUSE_MS;
    this.#address = { host: address.address, port: address.port };
    this.#journal.record({ event: "monitor.listening", ...this.#address });
    this.#waits.resolve();
    this.emit("listening", { ...this.#address });
  }

  #onError(cause: NodeJS.ErrnoException): void {
    // An error of a server that goes on listening.
    if (this.#closing.isBegun || this.#server.listening) return;
    this.#address = undefined;
    const nextTryMs = Math.round(this.#pauseMs * (0.5 + 0.5 * Math.random()));
    this.#pauseMs = Math.min(MOST_PAUSE_MS, 2 * this.#pauseMs);
    const error = listenError(cause, this.#options.where);
    this.#again = realTime.setTimeout(() => this.#listen(), nextTryMs).unref();
    const { code } = error;
    this.#journal.record({ event: "monitor.listen-failed", code, message: `monitor: ${error.message}`, nextTryMs });
    this.emit("listenError", { error, nextTryMs });
  }

  #onConnection(socket: Socket): void {
    socket.unref();
    this.#sockets.add(socket);
    socket.once("close", () => this.#sockets.delete(socket));
    const [oldest] = this.#sockets;
    if (this.#sockets.size > MOST_CONNECTIONS) oldest?.destroy();
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const { method = "", url: path = "", headersDistinct, headers } = request;
    const { sources, allowedHosts } = this.#options;
    const given = await answerTo(
      { method, path, hosts: headersDistinct.host ?? [], site: headers["sec-fetch-site"] },
      {
        sources,
        allowedHosts,
        metrics: () => this.#metrics(),
        files: this.#files,
        isFull: () => this.#live.isFull,
      },
    );
    // One request for each connection: none is held by a client that asks nothing.
    response.shouldKeepAlive = false;
    if ("view" in given) {
      // It has a place of its own among the viewers, and does not give way to requests.
      this.#sockets.delete(request.socket);
      response.writeHead(given.status, given.headers);
      response.flushHeaders();
      return this.#live.add(given.view, response);
    }
    response.writeHead(given.status, { ...given.headers, "Content-Length": Buffer.byteLength(given.body) });
    response.end(given.body);
  }

  async #metrics(): Promise<Answer> {
    try {
      this.#page ??= new MetricsPage(prometheus({ sources: this.#options.given }));
      return answer(200, this.#page.contentType, await this.#page.text());
    } catch (thrown) {
      if (thrown instanceof RespliceError) return plainText(501, thrown.message);
      this.#journal.record({ event: "monitor.metrics-failed", thrown });
      return plainText(503, "metrics cannot be read: the log says why");
    }
  }

  /** Resolves when the port is free. Answers that are under way have a second. Never rejects. */
  close(): Promise<void> {
    return this.#closing.run(() => this.#close());
  }

  async #close(): Promise<void> {
    realTime.clearTimeout(this.#again);
    this.#address = undefined;
    this.#waits.reject(isClosed());
    this.#live.close();
    const { promise, resolve } = Promise.withResolvers<void>();
    const cutOff = realTime.setTimeout(() => this.#server.closeAllConnections(), ANSWERED_WITHIN_MS);
    // The callback also comes, with an error, if the server did not listen.
    this.#server.close(() => resolve());
    await promise;
    realTime.clearTimeout(cutOff);
    this.#options.logger?.flush();
  }

  /** close(): for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function isClosed(): RespliceError {
  return new RespliceError("INVALID_STATE", "the monitor is closed");
}
