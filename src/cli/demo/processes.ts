/** The demo's two child processes, as the parent process uses them. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type Fault, stopsMessages } from "./faults.ts";
import {
  type FromReceiver,
  type FromSender,
  nowMs,
  type StateNote,
  type ToReceiver,
  type ToSender,
} from "./messages.ts";
import { Samples } from "./samples.ts";
import type { Ends, Live, Traffic } from "./traffic.ts";

/** Longer than the sender's close() may take. */
const FINISH_MS = 40_000;
const BEGIN_MS = 30_000;

export class DemoProcesses implements Traffic {
  readonly #sender: ChildProcess;
  readonly #receiver: ChildProcess;
  /** Each resolves when its process has ended, and what it had told has arrived. */
  readonly #gone: Readonly<Record<"sender" | "receiver", Promise<void>>>;
  readonly #listening = Promise.withResolvers<number>();
  readonly #pages = { sender: Promise.withResolvers<string>(), receiver: Promise.withResolvers<string>() };
  readonly #exhausted = Promise.withResolvers<void>();
  readonly #senderDone = Promise.withResolvers<Extract<FromSender, { type: "done" }>>();
  readonly #receiverDone = Promise.withResolvers<Extract<FromReceiver, { type: "done" }>>();
  readonly #answers = new Map<number, (atMs: number) => void>();
  #ids = 0;
  #onLoss: ((atMs: number) => void) | undefined;
  #finishing = false;
  /** What `failed` has rejected with. */
  #failure: string | undefined;
  readonly live: Live = { state: "created", sent: 0, received: 0, inFlightBytes: 0, rttMs: undefined };
  /** How many messages had arrived when. */
  readonly samples: Samples = new Samples();
  readonly target: Traffic["target"] = this.#listening.promise.then((port) => ({ host: "127.0.0.1", port }));
  readonly listenPort = 0;
  readonly watch: undefined;
  readonly beginsWithinMs: number = BEGIN_MS;
  readonly #hasPage: boolean;
  /** Resolves when all messages of --messages are sent. */
  readonly exhausted: Promise<void> = this.#exhausted.promise;
  /** Rejects when a process or its link ends before it was told to. */
  readonly failed: Promise<never>;

  constructor(options: { verbose: boolean; page: boolean }) {
    this.#hasPage = options.page;
    this.#receiver = start("demo-receiver", options);
    this.#sender = start("demo-sender", options);
    this.#sender.on("message", (note: FromSender) => this.#onSender(note));
    this.#receiver.on("message", (note: FromReceiver) => this.#onReceiver(note));
    this.failed = this.#watchForFailure();
    this.failed.catch(() => {}); // each wait of the demo races with it
    this.#gone = { sender: gone(this.#sender), receiver: gone(this.#receiver) };
    process.on("exit", this.kill);
  }

  #watchForFailure(): Promise<never> {
    return new Promise((_resolve, reject) => {
      const fail = (what: string): void => {
        if (this.#finishing) return;
        this.#failure ??= what;
        reject(new Error(what));
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
  async beginning(port: number): Promise<string | undefined> {
    if (!this.#hasPage) return undefined;
    const [sender, receiver] = await Promise.all([this.#pages.sender.promise, this.#pages.receiver.promise]);
    return `the sender, live: ${sender}\nthe receiver, live: ${receiver}\nthe path between them: 127.0.0.1:${port}`;
  }

  async begin(port: number, perSecond: number, messages: number | undefined): Promise<void> {
    this.#tellSender({ type: "open", port, perSecond, messages });
    await this.arrivedSince(nowMs());
  }

  striking(): void {}

  isStoppedBy(fault: Fault): boolean {
    return stopsMessages(fault);
  }

  /** Answers when the first message that was sent at `sinceMs` or later was handed to the receiver's consumer. */
  arrivedSince(sinceMs: number): Promise<number> {
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

  /**
   * Tells the sender to close its link, and waits until both processes have ended. Nobody waits for the other end of a
   * link when one of them is gone.
   */
  async finish(): Promise<Ends> {
    this.#finishing = true;
    this.#tellSender({ type: "finish" });
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, FINISH_MS)));
    const within = <T>(done: Promise<T>, ...ends: Array<Promise<void>>): Promise<T | undefined> =>
      Promise.race([done, ...[late, ...ends].map((end) => end.then(() => undefined))]);
    try {
      const sender = await within(this.#senderDone.promise, this.#gone.sender, this.#gone.receiver);
      // A link on which nothing was sent may not have come to the receiver at all.
      if (sender === undefined || sender.error !== undefined || sender.sent === 0) {
        tell(this.#receiver, { type: "finish" });
      }
      const receiver = await within(this.#receiverDone.promise, this.#gone.receiver);
      const both = { sender, receiver };
      const problems = (["sender", "receiver"] as const).flatMap((name) => {
        const end = both[name];
        if (end === undefined) return `the ${name} did not say how its link has ended`;
        return end.error === undefined ? [] : `the ${name}'s link: ${end.error}`;
      });
      // What follows from an end that was too early is no news.
      const errors = this.#failure === undefined ? problems : [this.#failure];
      if (sender !== undefined) await within(Promise.all([this.#gone.sender, this.#gone.receiver]));
      const counted = sender && receiver && { sent: sender.sent, tally: receiver.tally };
      return { counted, gaps: receiver?.gaps, passed: undefined, errors };
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
  // Detached, so that Ctrl-C at the terminal does not reach it, not even while it starts: it ends when we tell it to, or
  // when we are gone.
  return fork(entry, args, { stdio: ["ignore", "ignore", "inherit", "ipc"], detached: true, windowsHide: true });
}

/** Resolves when the process has ended and no note of it is under way any more, or when it could not be started. */
async function gone(child: ChildProcess): Promise<void> {
  await Promise.all([once(child, "exit"), once(child, "disconnect")]).catch(() => {});
}

/** Sends an order, unless the process has ended: its 'exit' event reports that. */
function tell(child: ChildProcess, order: ToSender | ToReceiver): void {
  if (child.connected) child.send(order, () => {});
}
