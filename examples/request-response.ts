// Questions and answers over a durable link: each question has an id, and its answer has the same. Cables may be cut,
// and each question is still answered once. A question has a time limit: one that was not written by then is taken
// back. Only one that the server had, and has not answered, is in doubt; then it rejects, and says so.
//
//     npm run example -- examples/request-response.ts serve 7900
//     npm run example -- examples/request-response.ts ask 7900        and type
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, type Link, RespliceError, ServerSupervisor } from "resplice";

interface Question {
  id: number;
  question: string;
}
type Answer = { id: number } & ({ answer: string } | { error: string });

interface Waiting {
  resolve(answer: string): void;
  reject(error: Error): void;
  /** The server has taken the question. */
  accepted: boolean;
}

interface AskOptions {
  /** Default 30,000. */
  withinMs?: number;
  /** The answer is not wanted any more. */
  signal?: AbortSignal;
}

/** The end that asks. It is the consumer of its link. The queue has a policy: what was not written can be taken back. */
export class Asker {
  readonly #link: Link;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;

  constructor(link: Link) {
    this.#link = link;
    link.onMessage((message) => this.#onAnswer(JSON.parse(String(message)) as Answer));
    // A server that has forgotten the session does not answer what it had; the link sends the new one what it had not.
    link.on("state", (change) => {
      if (change.to === "connected" && change.session === "new") this.#rejectAccepted("SESSION_LOST");
    });
    void link.closed.then(() => this.#rejectAccepted("LINK_ENDED"));
  }

  /**
   * Rejects with the server's error; or with a RespliceError: ABORTED when the time is over or the signal is aborted,
   * SESSION_LOST, LINK_ENDED. Its `delivery` says what is known: "not-sent", and the server will never see the
   * question, or "maybe".
   */
  async ask(question: string, { withinMs = 30_000, signal }: AskOptions = {}): Promise<string> {
    const message: Question = { id: ++this.#lastId, question };
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error(`no answer within ${withinMs} ms`)), withinMs);
    try {
      return await this.#ask(message, signal === undefined ? late.signal : AbortSignal.any([late.signal, signal]));
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(message.id);
    }
  }

  #ask(message: Question, limit: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { resolve, reject, accepted: false };
      this.#waiting.set(message.id, waiting);
      // Once the server has taken the question, only the wait for its answer can be given up.
      limit.addEventListener("abort", () => {
        if (waiting.accepted) reject(inDoubt("ABORTED", limit.reason));
      });
      // Until then the link is told: what waits in its queue still is taken out.
      this.#link.send(JSON.stringify(message), { until: "accepted", signal: limit }).then(() => {
        waiting.accepted = true;
      }, reject);
    });
  }

  /** An answer that nobody waits for any more is dropped. */
  #onAnswer(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id);
    if ("error" in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.answer);
  }

  /** Those that were not accepted are rejected by the link, or still wait in it. */
  #rejectAccepted(code: "SESSION_LOST" | "LINK_ENDED"): void {
    for (const waiting of this.#waiting.values()) if (waiting.accepted) waiting.reject(inDoubt(code));
  }
}

function inDoubt(code: "ABORTED" | "SESSION_LOST" | "LINK_ENDED", cause?: unknown): RespliceError {
  return new RespliceError(code, "the server had the question, and its answer is not awaited any more", {
    delivery: "maybe",
    cause,
  });
}

/** Of one link's questions; the others wait at the client. */
const MOST_AT_WORK = 100;

/** The end that answers, several questions at a time. Give its promise to serve(). */
export async function answerAll(link: Link, answer: (question: string) => Promise<string>): Promise<void> {
  const atWork = new Set<Promise<void>>();
  for await (const message of link) {
    const work = answerOne(link, JSON.parse(String(message)) as Question, answer);
    atWork.add(work);
    void work.then(() => atWork.delete(work));
    // A client that ends, and a server that closes, wait for the answer.
    link.waitUntil(work);
    if (atWork.size === MOST_AT_WORK) await Promise.race(atWork);
  }
}

async function answerOne(
  link: Link,
  { id, question }: Question,
  answer: (question: string) => Promise<string>,
): Promise<void> {
  let reply: Answer;
  try {
    reply = { id, answer: await answer(question) };
  } catch (error) {
    reply = { id, error: (error as Error).message };
  }
  await link.send(JSON.stringify(reply)).catch(() => {}); // the link has ended: the client has been told
}

if (import.meta.main) {
  const [role, port = "7900"] = process.argv.slice(2);
  await (role === "serve" ? serve(Number(port)) : ask(Number(port)));
}

async function serve(at: number): Promise<void> {
  const supervisor = new ServerSupervisor({ port: at });
  supervisor.serve((link) =>
    answerAll(link, async (question) => {
      if (question === "") throw new Error("no question");
      await sleep(100 * Math.random()); // the answers come in another order
      return question.toUpperCase();
    }),
  );
  const { port } = await supervisor.listen();
  console.log(`listening on ${port}`);
  process.once("SIGTERM", () => void supervisor.close());
}

async function ask(port: number): Promise<void> {
  const manager = new ConnectionManager();
  // A queue with a policy, so that questions can be taken out of it.
  const link = manager.open({ port, queue: { ttlMs: 60_000 } });
  link.on("state", ({ to, reason }) => console.error(`${to}: ${reason}`));
  const asker = new Asker(link);
  const answers: Promise<void>[] = [];
  for await (const question of createInterface({ input: process.stdin })) {
    const answer = asker.ask(question).catch((error: unknown) => {
      process.exitCode = 1;
      return error instanceof RespliceError ? `${error.delivery}, ${error.code}` : String(error);
    });
    answers.push(answer.then((text) => console.log(`${question}: ${text}`)));
  }
  await Promise.all(answers);
  await manager.close();
}
