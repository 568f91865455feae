/** A netcat that survives lost connections: stdin and stdout through one durable link of mode "bytes". */
import { fstatSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, type Link, type LinkReport, RespliceError, ServerSupervisor } from "../../index.ts";
import { formatAddress } from "../address.ts";
import type { PipeArguments } from "../arguments.ts";
import { EXIT } from "../exit-codes.ts";
import { stderrLogger } from "../log.ts";
import { describeChange, formatBytes } from "../words.ts";
import { clientProtection, serverProtection } from "./protection.ts";

/** After Ctrl-C, or when stdout is lost: how long to wait until everything read from stdin is delivered. */
const DRAIN_MS = 10_000;
const PROGRESS_EVERY_MS = 1_000;
const LINK_OPTIONS = { mode: "bytes", allowHalfOpen: true } as const;

export async function listen({ address, progress, verbose, resumeForMs, ...given }: PipeArguments): Promise<number> {
  checkStdin();
  const protection = await serverProtection(given);
  const interrupts = new Interrupts();
  const server = new ServerSupervisor({
    ...LINK_OPTIONS,
    port: address.port,
    ...(address.host === undefined ? {} : { host: address.host }),
    ...(verbose ? { logger: await stderrLogger() } : {}),
    ...(resumeForMs === undefined ? {} : { resumeForMs }),
    ...protection,
    // One link only: any other client is told to come back later.
    limits: { sessions: 1 },
  });
  // Read ahead, so that we know whether our input has ended when the link comes, however soon the client ends its own.
  process.stdin.on("error", () => {}).read(0);
  try {
    const arrived = new Promise<Link>((resolve) => {
      server.serve(resolve);
    });
    say(`listening on ${formatAddress(await server.listen())}`);
    const link = await Promise.race([arrived, interrupts.first]);
    if (typeof link === "number") return link;
    return await joinToStdio(link, interrupts, progress);
  } catch (error) {
    return failed(error);
  } finally {
    // A client whose connection was cut in the last moment comes back within the deadline, and hears of the end.
    await server.close();
    interrupts.dispose();
  }
}

export async function connect({ address, progress, verbose, giveUpMs, ...given }: PipeArguments): Promise<number> {
  checkStdin();
  const protection = await clientProtection(given);
  const interrupts = new Interrupts();
  const manager = new ConnectionManager(verbose ? { logger: await stderrLogger() } : {});
  try {
    const { host, port } = address;
    const link = manager.open({
      ...LINK_OPTIONS,
      port,
      ...(host === undefined ? {} : { host }),
      ...(giveUpMs === undefined ? {} : { reconnect: { maxElapsedMs: giveUpMs } }),
      ...protection,
    });
    say(`connecting to ${formatAddress(address)}`);
    sayIfTaken(link);
    return await joinToStdio(link, interrupts, progress);
  } catch (error) {
    return failed(error);
  } finally {
    await manager.close({ deadlineMs: 0 });
    interrupts.dispose();
  }
}

/** Of a directory node:process makes a stdin that is empty: a mistyped `< FOLDER` would look like a file that was sent. */
function checkStdin(): void {
  let isDirectory = false;
  try {
    isDirectory = fstatSync(0).isDirectory();
  } catch {
    // It is closed: reading it says so.
  }
  if (isDirectory) throw new Error("stdin cannot be read: it is a directory");
}

/** A link that is turned away waits, and hears why: once. */
function sayIfTaken(link: Link): void {
  let isSaid = false;
  link.on("state", (change) => {
    if (isSaid || change.to !== "reconnecting" || change.error?.code !== "OVERLOADED") return;
    isSaid = true;
    say("the other end has its link already (listen takes one): waiting");
  });
}

function failed(error: unknown): number {
  if (!(error instanceof RespliceError)) throw error;
  say(error.message);
  return EXIT.failed;
}

function say(line: string): void {
  process.stderr.write(`resplice: ${line}\n`);
}

/** Listens for Ctrl-C, SIGTERM, and the end of the terminal. */
class Interrupts {
  /** The exit code of the first signal. */
  readonly first: Promise<number>;
  /** Called at the second signal. */
  onSecond: () => void = () => {};
  #count = 0;
  #resolve: (code: number) => void = () => {};
  readonly #handlers = Object.entries({
    SIGINT: EXIT.interrupted,
    SIGTERM: EXIT.terminated,
    SIGHUP: EXIT.hungUp,
  }).map(([signal, code]) => [signal as NodeJS.Signals, (): void => this.#on(code)] as const);

  constructor() {
    this.first = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  #on(code: number): void {
    this.#count++;
    if (this.#count === 1) this.#resolve(code);
    else this.onSecond();
  }

  dispose(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }
}

async function joinToStdio(link: Link, interrupts: Interrupts, progress: boolean): Promise<number> {
  const joint = new Joint(link, process.stdin, process.stdout);
  // A server's link is connected from the beginning, and emits no transition to that.
  if (link.state === "connected") say(`connected with ${link.remoteAddress ?? "a client"}`);
  link.on("state", (change) => say(describeChange(change)));
  link.on("stalled", () => say("stalled: what reads our stdout has taken nothing for 10 s"));
  void interrupts.first.then(() => {
    say(`interrupted: delivering what was read, for up to ${DRAIN_MS / 1_000} s; once more gives up`);
    interrupts.onSecond = () => joint.giveUp();
    joint.stop();
  });
  const timer = progress ? setInterval(() => joint.progress().forEach(say), PROGRESS_EVERY_MS) : undefined;
  const ending = await joint.run();
  clearInterval(timer);
  if (progress) joint.progress().forEach(say);
  if (ending.what !== "whole") say(ending.why);
  switch (ending.what) {
    case "whole":
      return EXIT.ok;
    case "stopped":
      return await interrupts.first;
    case "broken-pipe":
      return EXIT.brokenPipe;
    case "failed":
      return EXIT.failed;
  }
}

type Ending =
  | { readonly what: "whole" }
  | { readonly what: "stopped" | "broken-pipe" | "failed"; readonly why: string };

/** Joins a link to an input and an output. */
class Joint {
  readonly #link: Link;
  readonly #input: Readable;
  readonly #output: Writable;
  #readBytes = 0;
  #wroteBytes = 0;
  #reading: "reading" | "ended" | "stopped" | "failed" = "reading";
  #writing: "writing" | "ended" | "stopped" | "broken" = "writing";
  #stopped = false;
  #gaveUp = false;
  #readingDone: Promise<void> | undefined;
  /** Bytes that stdin had read ahead when it was stopped. */
  #rest: Buffer | undefined;
  #fault = "";
  #shown = { atMs: performance.now(), readBytes: 0, wroteBytes: 0 };

  constructor(link: Link, input: Readable, output: Writable) {
    this.#link = link;
    this.#input = input;
    this.#output = output;
  }

  async run(): Promise<Ending> {
    const both = Promise.all([this.#read(), this.#write()]);
    const report = await this.#link.closed;
    this.#input.destroy();
    await both;
    return this.#ending(report);
  }

  /** Reads no more, and ends when everything that was read is delivered, or after DRAIN_MS. */
  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    // destroy() would discard bytes that the stream has read ahead.
    this.#rest = (this.#input.read() as Buffer | null) ?? undefined;
    this.#input.destroy();
    void this.#drain();
  }

  /** Ends at once. */
  giveUp(): void {
    this.#gaveUp = true;
    this.#link.abort("interrupted");
  }

  async #drain(): Promise<void> {
    const sinceMs = performance.now();
    this.#link.retryNow();
    // A chunk may still wait for room.
    await Promise.race([this.#read(), this.#link.closed, sleep(DRAIN_MS, undefined, { ref: false })]);
    const leftMs = Math.max(0, Math.round(DRAIN_MS - (performance.now() - sinceMs)));
    if (this.#reading === "ended") {
      await this.#link.close({ deadlineMs: leftMs });
      return;
    }
    await this.#flush(leftMs);
    // Not end() or close(): the peer would take the part that it has for the whole.
    this.#link.abort("interrupted");
  }

  /** Resolves when all taken bytes are delivered, and after `withinMs` in any case. Never rejects. */
  async #flush(withinMs: number): Promise<void> {
    await this.#link.flush({ signal: AbortSignal.timeout(withinMs) }).catch(() => {});
  }

  /** Two lines, each of which fits into 60 columns. */
  progress(): string[] {
    const nowMs = performance.now();
    const seconds = Math.max(0.001, (nowMs - this.#shown.atMs) / 1_000);
    const rate = (bytes: number): string => `${formatBytes(Math.max(0, bytes) / seconds)}/s`;
    const { state, writableLength } = this.#link;
    const accepted = formatBytes(Math.max(0, this.#readBytes - writableLength));
    const sent = `${formatBytes(this.#readBytes)} (${rate(this.#readBytes - this.#shown.readBytes)})`;
    const received = `${formatBytes(this.#wroteBytes)} (${rate(this.#wroteBytes - this.#shown.wroteBytes)})`;
    this.#shown = { atMs: nowMs, readBytes: this.#readBytes, wroteBytes: this.#wroteBytes };
    return [`sent ${sent}, accepted ${accepted}`, `received ${received}, ${state}`];
  }

  /** Fulfils when nothing more is read. */
  #read(): Promise<void> {
    return (this.#readingDone ??= this.#readAll());
  }

  async #readAll(): Promise<void> {
    try {
      for await (const chunk of this.#input as AsyncIterable<Buffer>) await this.#take(chunk);
    } catch (error) {
      if (error instanceof RespliceError) {
        // The link takes no more: its report says why.
        this.#reading = "stopped";
        return;
      }
      if (!this.#over) {
        this.#reading = "failed";
        this.#fault = `stdin cannot be read: ${(error as Error).message}`;
        // Not end(): the peer would take the part that it has for the whole.
        this.#link.abort("stdin-failed");
        return;
      }
      // We have destroyed stdin ourselves.
    }
    this.#reading = this.#over ? "stopped" : "ended";
    try {
      if (this.#rest !== undefined) await this.#take(this.#rest);
      if (this.#reading === "ended") this.#link.end();
    } catch {
      // The link takes no more: its report says why.
    }
  }

  async #take(chunk: Buffer): Promise<void> {
    await this.#link.send(chunk, { transfer: true });
    this.#readBytes += chunk.length;
  }

  /** Whether we have ended reading ourselves. */
  get #over(): boolean {
    return this.#stopped || this.#writing === "broken" || this.#link.state === "closed";
  }

  async #write(): Promise<void> {
    try {
      for await (const chunk of this.#link) {
        // The chunk is accepted when the loop comes back: as long as only this process has it, it is not delivered.
        const error = await written(this.#output, chunk);
        if (error === undefined) {
          this.#wroteBytes += chunk.length;
          continue;
        }
        this.#writing = "broken";
        this.#fault = `stdout cannot be written: ${error.message}`;
        await this.#giveUpOutput();
        return;
      }
      this.#writing = "ended";
    } catch {
      // The link's error is in its report.
      this.#writing = "stopped";
    }
  }

  /** Nobody reads our stdout any more. Delivers what was read from stdin, accepts nothing more, and aborts the link. */
  async #giveUpOutput(): Promise<void> {
    this.#input.destroy();
    await this.#flush(DRAIN_MS);
    this.#link.abort("stdout-closed");
  }

  #ending({ error, undelivered }: LinkReport): Ending {
    if (this.#writing === "broken") return { what: "broken-pipe", why: this.#fault };
    if (this.#gaveUp) return { what: "failed", why: "given up" };
    if (this.#reading === "failed") return { what: "failed", why: this.#fault };
    if (error !== undefined) return { what: "failed", why: error.message };
    const bytes = undelivered.reduce((sum, { message }) => sum + message.length, 0);
    if (bytes > 0) return { what: "failed", why: `${formatBytes(bytes)} were not delivered` };
    if (this.#stopped) return { what: "stopped", why: "all that was read has been delivered" };
    if (this.#reading === "ended" && this.#writing === "ended") return { what: "whole" };
    return { what: "failed", why: "the peer closed the link before our input had ended" };
  }
}

/** Resolves when the system has taken the chunk; with the error if it could not be written. */
function written(output: Writable, chunk: Buffer): Promise<Error | undefined> {
  return new Promise((resolve) => {
    output.write(chunk, (error) => resolve(error ?? undefined));
  });
}
