/** Either end of a byte stream that is cut short: what its application is told, and how much has really come. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { type Duplex, Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, type Link, MiB, RespliceError, ServerSupervisor } from "../../src/index.ts";
import { answerCalls } from "../../bench/calls.ts";
import { streamPiece } from "../soak/flow.ts";

/** What one end knows of what came to it. */
export interface Outcome {
  /** "whole": its application was told so. Else the code of the error that it got, or "nothing" if it waits still. */
  told: string;
  bytes: number;
  sha256: string;
}

export type StreamCommands = {
  /** With allowHalfOpen or without. Links do what their open payload says. */
  serve: (options: { allowHalfOpen?: boolean }) => Promise<number>;
  /** What became of the link that was served last; waits for it for a while. */
  served: () => Promise<Outcome>;
  /** Resolves when so many bytes have come to the link that is served. */
  servedBytes: (bytes: number) => Promise<void>;
  closeSupervisor: (deadlineMs: number) => Promise<number>;
  /** What it should have been. */
  digest: (bytes: number) => string;
  download: (options: { port: number; wish: string; bytes: number; cutShort: CutShort }) => Promise<Outcome>;
  upload: (options: { port: number; wish: string; bytes: number }) => Promise<Outcome>;
  /** Reads in frames of so many bytes, or characters, with read(n). */
  frames: (options: { port: number; frameBytes: number; bytes: number; encoding: boolean }) => Promise<Outcome>;
  /** A stream that nobody reads, whose link ends: which events it hears. */
  unread: (options: { port: number }) => Promise<string[]>;
  /** Opened, filled with what it does not read, and destroyed. */
  destroyUnread: (options: { port: number }) => Promise<void>;
  /** So many links whose abort meets the peer's last word. */
  crossing: (options: { port: number; times: number }) => Promise<void>;
};

export type CutShort = "abort" | "close" | "manager.close" | "no";

const PIECE_BYTES = 65_536;
const FLOW = 7;
const CUT_AFTER_BYTES = 4 * MiB;
const PATIENCE_MS = 8_000;
/** Longer than a round trip, shorter than what is left of a transfer. */
const CLOSE_MS = 300;

class Hashed extends Writable {
  bytes = 0;
  readonly #hash = createHash("sha256");
  onBytes: () => void = () => {};

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    this.take(chunk);
    callback();
  }

  take(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
    this.onBytes();
  }

  outcome(told: Outcome["told"]): Outcome {
    return { told, bytes: this.bytes, sha256: this.#hash.copy().digest("hex") };
  }
}

/** What flows, at a pace at which it does not all lie in buffers before anything is done to it. */
function source(bytes: number, isSlow = false): Readable {
  async function* pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < bytes; at += PIECE_BYTES) {
      if (isSlow) await sleep(1);
      yield streamPiece(FLOW, at, Math.min(PIECE_BYTES, bytes - at));
    }
  }
  return Readable.from(pieces(), { objectMode: false });
}

function digest(bytes: number): string {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes; at += PIECE_BYTES) hash.update(streamPiece(FLOW, at, Math.min(PIECE_BYTES, bytes - at)));
  return hash.digest("hex");
}

async function whatItSays(work: Promise<unknown>): Promise<string> {
  const ended = work.then(() => "whole", codeOf);
  return Promise.race([ended, sleep(PATIENCE_MS, "nothing")]);
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : String(error);
}

// ── the server's end ──────────────────────────────────────────────────────────────────────────────────────────────

let supervisor: ServerSupervisor;
let sink = new Hashed();
let served: Promise<string> = Promise.resolve("nothing");

async function serve(link: Link): Promise<void> {
  const [wish = "", size = "0"] = String(link.openPayload).split(" ");
  const bytes = Number(size);
  const stream = link.duplex();
  sink = new Hashed();
  try {
    switch (wish) {
      case "download":
        await (served = whatItSays(pipeline(source(bytes, true), stream)));
        break;
      case "upload":
        await (served = whatItSays(pipeline(stream, sink)));
        break;
      // Handed to code that works by events; the handler is done.
      case "download-by-events":
        served = whatItSays(once(stream, "finish"));
        stream.on("error", () => {});
        stream.resume();
        source(bytes, true).pipe(stream);
        break;
      case "upload-by-events":
        served = whatItSays(whenEnded(stream));
        stream.on("data", (chunk: Buffer) => sink.take(chunk));
        break;
      // All of it in one write, in the event of the request: later the stream may have ended itself, as in net.
      case "answer":
        stream.once("data", () => stream.end(streamPiece(FLOW, 0, bytes)));
        await (served = whatItSays(once(stream, "finish")));
        break;
      case "last-word":
        stream.on("error", () => {});
        stream.resume();
        stream.end("last word");
        await link.closed;
        break;
      case "abort-soon":
        stream.on("error", () => {});
        stream.write("something that nobody reads");
        await sleep(200);
        link.abort("enough");
        break;
      case "some-and-end":
        stream.on("error", () => {});
        stream.resume();
        // Less than a stream's buffer takes: its end lies there as well.
        stream.end(streamPiece(FLOW, 0, 20_000));
        await (served = whatItSays(once(stream, "finish")));
        break;
      default:
        throw new Error(`nobody serves ${wish}`);
    }
  } catch (error) {
    if (!(error instanceof RespliceError)) throw error;
  }
}

function whenEnded(stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once("end", resolve);
    stream.once("error", reject);
    stream.once("close", () => reject(Object.assign(new Error("closed"), { code: "closed early" })));
  });
}

// ── the client's end ──────────────────────────────────────────────────────────────────────────────────────────────

function open(port: number, openPayload: string): { manager: ConnectionManager; link: Link } {
  const manager = new ConnectionManager();
  const link = manager.open({ port, host: "127.0.0.1", mode: "bytes", allowHalfOpen: true, openPayload });
  return { manager, link };
}

answerCalls({
  serve: async ({ allowHalfOpen = false }) => {
    supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1", mode: "bytes", allowHalfOpen });
    supervisor.serve(serve);
    return (await supervisor.listen()).port;
  },
  served: async () => {
    const saying = await served;
    return sink.outcome(saying);
  },
  servedBytes: (bytes) =>
    new Promise((resolve) => {
      const timer = setInterval(() => {
        if (sink.bytes < bytes) return;
        clearInterval(timer);
        resolve();
      }, 2);
    }),
  closeSupervisor: async (deadlineMs) => {
    const fromMs = performance.now();
    await supervisor.close({ deadlineMs });
    return performance.now() - fromMs;
  },
  digest,
  download: async ({ port, wish, bytes, cutShort }) => {
    const { manager, link } = open(port, `${wish} ${bytes}`);
    const got = new Hashed();
    const stream = link.duplex();
    // A request, where there is one to be answered.
    if (wish === "answer") stream.end("request");
    got.onBytes = () => {
      if (got.bytes < CUT_AFTER_BYTES) return;
      got.onBytes = () => {};
      if (cutShort === "abort") link.abort("enough");
      else if (cutShort === "close") void link.close({ deadlineMs: CLOSE_MS });
      else if (cutShort === "manager.close") void manager.close({ deadlineMs: CLOSE_MS });
    };
    const saying = await whatItSays(pipeline(stream, got));
    const outcome = got.outcome(saying);
    void manager.close({ deadlineMs: 0 });
    return outcome;
  },
  upload: async ({ port, wish, bytes }) => {
    const { manager, link } = open(port, `${wish} ${bytes}`);
    const stream = link.duplex();
    stream.resume();
    const outcome = { told: await whatItSays(pipeline(source(bytes, true), stream)), bytes, sha256: digest(bytes) };
    void manager.close({ deadlineMs: 0 });
    return outcome;
  },
  frames: async ({ port, frameBytes, bytes, encoding }) => {
    const { manager, link } = open(port, `download ${bytes}`);
    const stream = link.duplex();
    const got = new Hashed();
    if (encoding) stream.setEncoding("latin1");
    stream.on("readable", () => {
      for (;;) {
        // The last frame may be a short one.
        const frame = stream.read(Math.min(frameBytes, bytes - got.bytes || 1)) as Buffer | string | null;
        if (frame === null) return;
        got.take(typeof frame === "string" ? Buffer.from(frame, "latin1") : frame);
      }
    });
    const saying = await whatItSays(whenEnded(stream));
    const outcome = got.outcome(saying);
    void manager.close({ deadlineMs: 0 });
    return outcome;
  },
  unread: async ({ port }) => {
    const { manager, link } = open(port, "abort-soon");
    const heard: string[] = [];
    const stream = link.duplex();
    stream.on("error", () => heard.push("error"));
    stream.on("close", () => heard.push("close"));
    await link.closed;
    await sleep(1_000);
    void manager.close({ deadlineMs: 0 });
    return heard;
  },
  destroyUnread: async ({ port }) => {
    const { link } = open(port, "some-and-end");
    const stream = link.duplex();
    stream.on("error", () => {});
    stream.end();
    await Promise.all([once(stream, "readable"), once(stream, "finish")]);
    await sleep(300);
    stream.destroy();
  },
  crossing: async ({ port, times }) => {
    for (let time = 0; time < times; time++) {
      const { link } = open(port, "last-word");
      const stream = link.duplex();
      stream.on("error", () => {});
      stream.on("data", () => {});
      stream.end();
      await Promise.race([once(stream, "end"), sleep(500)]);
      link.abort("crossing");
    }
  },
} satisfies StreamCommands);
