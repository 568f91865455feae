/** The demo's two child processes, as the parent process uses them. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { LinkState } from "../../index.ts";
import type { FromReceiver, FromSender, StateNote, Tally, ToReceiver, ToSender } from "./messages.ts";

/** The figures that are shown while the demo runs. */
export interface Live {
  state: LinkState;
  sent: number;
  received: number;
  inFlightBytes: number;
  rttMs: number | undefined;
}

/** The final counts of the two ends. */
export interface Ends {
  readonly sent: number;
  readonly undelivered: number;
  readonly tally: Tally;
  readonly errors: readonly string[];
}

const MOST_SAMPLES = 2_000;

/** By then so many messages had arrived. */
export interface Sample {
  readonly atMs: number;
  readonly count: number;
}

/** A count over time. Of too many samples every other one is let go, and so they are of twice the time. */
export class Samples {
  #all: Sample[] = [];
  #everyth = 1;
  #skipped = 0;

  add(atMs: number, count: number): void {
    if (++this.#skipped < this.#everyth) return;
    this.#skipped = 0;
    this.#all.push({ atMs, count });
    if (this.#all.length <= MOST_SAMPLES) return;
    this.#all = this.#all.filter((_, at) => at % 2 === 0);
    this.#everyth *= 2;
  }

  get all(): readonly Sample[] {
    return this.#all;
  }
}

/** Longer than the sender's close() may take. */
const FINISH_MS = 40_000;

export class DemoProcesses {
  readonly #sender: ChildProcess;
  readonly #receiver: ChildProcess;
  readonly #exits: Promise<unknown>;
  readonly #listening = Promise.withResolvers<number>();
  readonly #pages = { sender: Promise.withResolvers<string>(), receiver: Promise.withResolvers<string>() };
  readonly #exhausted = Promise.withResolvers<void>();
  readonly #senderDone = Promise.withResolvers<Extract<FromSender, { type: "done" }>>();
  readonly #receiverDone = Promise.withResolvers<Extract<FromReceiver, { type: "done" }>>();
  readonly #answers = new Map<number, (atMs: number) => void>();
  #ids = 0;
  #onLoss: ((atMs: number) => void) | undefined;
  #finishing = false;
  readonly live: Live = { state: "created", sent: 0, received: 0, inFlightBytes: 0, rttMs: undefined };
  /** How many messages had arrived when. */
  readonly samples: Samples = new Samples();
  /** The receiver's port. */
  readonly listening: Promise<number> = this.#listening.promise;
  /** Resolves when all messages of --messages are sent. */
  readonly exhausted: Promise<void> = this.#exhausted.promise;
  /** Rejects when a process or its link ends before it was told to. */
  readonly failed: Promise<never>;

  constructor(options: { verbose: boolean; page: boolean }) {
    this.#receiver = start("demo-receiver", options);
    this.#sender = start("demo-sender", options);
    this.#sender.on("message", (note: FromSender) => this.#onSender(note));
    this.#receiver.on("message", (note: FromReceiver) => this.#onReceiver(note));
    this.failed = this.#watchForFailure();
    this.failed.catch(() => {}); // each wait of the demo races with it
    this.#exits = Promise.all([this.#sender, this.#receiver].map((child) => once(child, "exit")));
    process.on("exit", this.kill);
  }

  #watchForFailure(): Promise<never> {
    return new Promise((_resolve, reject) => {
      const fail = (what: string): void => {
        if (!this.#finishing) reject(new Error(what));
      };
      for (const [name, child] of [
        ["sender", this.#sender],
        ["receiver", this.#receiver],
      ] as const) {
        child.on("error", (error) => fail(`the ${name} could not be started: ${error.message}`));
        child.on("exit", (code, signal) => fail(`the ${name} ended too early (${code ?? signal})`));
      }
      void this.#senderDone.promise.then(({ error }) => fail(`the sender's link ended: ${error ?? "closed"}`));
      void this.#receiverDone.promise.then(({ error }) => fail(`the receiver's link ended: ${error ?? "closed"}`));
    });
  }

  #onSender(note: FromSender): void {
    switch (note.type) {
      case "state":
        this.live.state = note.to;
        this.#noteLoss(note);
        break;
      case "page":
        this.#pages.sender.resolve(note.address);
        break;
      case "stats":
        this.live.sent = note.sent;
        this.live.inFlightBytes = note.inFlightBytes;
        this.live.rttMs = note.rttMs;
        break;
      case "flushed":
        this.#answer(note.id, 0);
        break;
      case "exhausted":
        this.#exhausted.resolve();
        break;
      case "done":
        this.#senderDone.resolve(note);
        break;
    }
  }

  #onReceiver(note: FromReceiver): void {
    switch (note.type) {
      case "state":
        this.#noteLoss(note);
        break;
      case "page":
        this.#pages.receiver.resolve(note.address);
        break;
      case "listening":
        this.#listening.resolve(note.port);
        break;
      case "stats":
        this.live.received = note.received;
        this.samples.add(note.atMs, note.received);
        break;
      case "handed":
        this.#answer(note.id, note.atMs);
        break;
      case "done":
        this.live.received = note.tally.received;
        this.#receiverDone.resolve(note);
        break;
    }
  }

  #noteLoss({ to, atMs }: StateNote): void {
    if (to === "reconnecting") this.#onLoss?.(atMs);
  }

  #answer(id: number, atMs: number): void {
    this.#answers.get(id)?.(atMs);
    this.#answers.delete(id);
  }

  #ask(order: (id: number) => void): Promise<number> {
    const id = ++this.#ids;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      order(id);
    });
  }

  /** With --page: the addresses of the pages of both. */
  get pages(): Promise<[sender: string, receiver: string]> {
    const { sender, receiver } = this.#pages;
    return Promise.all([sender.promise, receiver.promise]);
  }

  open(port: number, perSecond: number, messages: number | undefined): void {
    this.#tellSender({ type: "open", port, perSecond, messages });
  }

  /** Answers when the first message that was sent at `sinceMs` or later was handed to the receiver's consumer. */
  handedSince(sinceMs: number): Promise<number> {
    return this.#ask((id) => tell(this.#receiver, { type: "watch", id, sinceMs } satisfies ToReceiver));
  }

  /** Resolves when everything that was sent until now is accepted, and the sender knows that. */
  async flushed(): Promise<void> {
    await this.#ask((id) => this.#tellSender({ type: "flush", id }));
  }

  /** Answers when the first of the two ends noticed that its connection is gone. To be called before that happens. */
  lost(): Promise<number> {
    return new Promise((resolve) => {
      this.#onLoss = (atMs) => {
        this.#onLoss = undefined;
        resolve(atMs);
      };
    });
  }

  /** Tells the sender to close its link, and waits until both processes have ended. */
  async finish(): Promise<Ends> {
    this.#finishing = true;
    this.#tellSender({ type: "finish" });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`the processes did not finish within ${FINISH_MS} ms`)), FINISH_MS);
    });
    const gone = this.#exits.then(() => new Error("a process ended without saying how its link did"));
    try {
      const both = Promise.all([this.#senderDone.promise, this.#receiverDone.promise]);
      const ends = await Promise.race([both, gone, late]);
      if (ends instanceof Error) throw ends;
      const [{ sent, undelivered, error }, receiver] = ends;
      const errors = [
        ...(error === undefined ? [] : [`the sender's link: ${error}`]),
        ...(receiver.error === undefined ? [] : [`the receiver's link: ${receiver.error}`]),
      ];
      await Promise.race([this.#exits, late]);
      return { sent, undelivered, tally: receiver.tally, errors };
    } finally {
      clearTimeout(timer);
    }
  }

  #tellSender(order: ToSender): void {
    tell(this.#sender, order);
  }

  /** Kills both processes at once. May be called again. */
  readonly kill = (): void => {
    this.#finishing = true;
    this.#sender.kill("SIGKILL");
    this.#receiver.kill("SIGKILL");
    process.off("exit", this.kill);
  };
}

function start(command: string, { verbose, page }: { verbose: boolean; page: boolean }): ChildProcess {
  // The entry point that we were started from: main.ts beside the sources, main.js when published.
  const here = fileURLToPath(import.meta.url);
  const entry = fileURLToPath(new URL(`../main${extname(here)}`, import.meta.url));
  const args = [command, ...(verbose ? ["--verbose"] : []), ...(page ? ["--page"] : [])];
  return fork(entry, args, { stdio: ["ignore", "ignore", "inherit", "ipc"] });
}

/** Sends an order, unless the process has ended: its 'exit' event reports that. */
function tell(child: ChildProcess, order: ToSender | ToReceiver): void {
  if (child.connected) child.send(order, () => {});
}
