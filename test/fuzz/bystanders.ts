/** Those who only want to talk while a server is attacked: links that stay, and links that come and go. */
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, type Link, type OpenOptions } from "../../src/index.ts";

const EVERY_MS = 5;
const NEWCOMER_EVERY_MS = 500;
const MESSAGE_BYTES = [16, 100, 2_000, 9_000];

export interface Talked {
  messages: number;
  newcomers: number;
  reconnects: number;
  problems: string[];
}

export class Bystanders {
  readonly #manager = new ConnectionManager();
  readonly #target: { host: string; port: number } & OpenOptions;
  readonly #stop = new AbortController();
  readonly #problems: string[] = [];
  readonly #link: Link;
  readonly #talks: Promise<void>[] = [];
  #coming: { stop: AbortController; over: Promise<void> } | undefined;
  #sent = 0;
  #received = 0;
  #newcomers = 0;

  constructor(port: number, tls: boolean) {
    this.#target = { host: "127.0.0.1", port, tls: tls && { rejectUnauthorized: false } };
    this.#link = this.#manager.open(this.#target);
    this.#link.on("undelivered", () => this.#problems.push("a message was not delivered"));
  }

  async begin(): Promise<void> {
    await this.#link.connected();
    this.#talks.push(this.#say(), this.#hear());
  }

  /** Somebody new comes now and then, until `letNobodyIn()`. */
  letIn(): void {
    const stop = new AbortController();
    this.#coming = { stop, over: this.#come(stop.signal) };
  }

  async letNobodyIn(): Promise<void> {
    this.#coming?.stop.abort();
    await this.#coming?.over;
  }

  async end(): Promise<Talked> {
    this.#stop.abort();
    await Promise.all(this.#talks);
    const { reconnects } = this.#link.stats();
    const { undelivered } = await this.#manager.close();
    if (undelivered.length > 0) this.#problems.push(`${undelivered.length} messages were not delivered`);
    if (this.#received !== this.#sent) this.#problems.push(`${this.#sent} messages sent, ${this.#received} came back`);
    // Nobody has done anything to its own connection.
    if (reconnects > 0) this.#problems.push(`a good link has lost its connection ${reconnects} times`);
    return { messages: this.#received, newcomers: this.#newcomers, reconnects, problems: this.#problems };
  }

  async #say(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      await this.#link.send(message(this.#sent++));
      await sleep(EVERY_MS);
    }
    this.#link.end();
  }

  async #hear(): Promise<void> {
    for await (const back of this.#link) {
      if (!back.equals(message(this.#received++))) this.#problems.push(`message ${this.#received - 1} is another one`);
    }
  }

  async #come(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const link = this.#manager.open(this.#target);
      const text = `newcomer ${this.#newcomers}`;
      await link.send(text);
      const answer = await link.receive();
      if (String(answer) !== text) this.#problems.push(`${text} was answered ${String(answer)}`);
      const { error } = await link.close();
      if (error !== undefined) this.#problems.push(`${text} ended with ${error.code}`);
      this.#newcomers++;
      await sleep(NEWCOMER_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }
}

function message(number: number): Buffer {
  const bytes = Buffer.alloc(MESSAGE_BYTES[number % MESSAGE_BYTES.length] as number, number & 0xff);
  bytes.writeUInt32BE(number, 0);
  return bytes;
}
