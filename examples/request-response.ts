// Questions and answers over a durable link: each question has an id, and its answer has the same. Cables may be cut, and
// each question is still answered once. Only when the server has forgotten the session is a question in doubt; then it
// rejects, and says so.
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

/** The end that asks. It is the consumer of its link. */
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

  /** Rejects with the server's error; or with a RespliceError, of which `delivery` says whether the server has the question. */
  ask(question: string): Promise<string> {
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { resolve, reject, accepted: false };
      this.#waiting.set(id, waiting);
      const message: Question = { id, question };
      this.#link.send(JSON.stringify(message), { until: "accepted" }).then(
        () => (waiting.accepted = true),
        (error: unknown) => this.#take(id)?.reject(error as Error),
      );
    });
  }

  #onAnswer(answer: Answer): void {
    const waiting = this.#take(answer.id);
    if ("error" in answer) waiting?.reject(new Error(answer.error));
    else waiting?.resolve(answer.answer);
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    return waiting;
  }

  /** Those that were not accepted are rejected by the link, or still wait in it. */
  #rejectAccepted(code: "SESSION_LOST" | "LINK_ENDED"): void {
    for (const [id, waiting] of this.#waiting) {
      if (!waiting.accepted) continue;
      this.#waiting.delete(id);
      waiting.reject(
        new RespliceError(code, "the server had the question, and will not answer it", { delivery: "maybe" }),
      );
    }
  }
}

/** Of one link's questions; the others wait at the client. */
const MOST_AT_WORK = 100;

/** The end that answers. Give its promise to serve(): a server that closes then waits for the answers. */
export async function answerAll(link: Link, answer: (question: string) => Promise<string>): Promise<void> {
  const atWork = new Set<Promise<void>>();
  for await (const message of link) {
    const work = answerOne(link, JSON.parse(String(message)) as Question, answer);
    atWork.add(work);
    void work.then(() => atWork.delete(work));
    if (atWork.size === MOST_AT_WORK) await Promise.race(atWork);
  }
  await Promise.all(atWork);
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
  const link = manager.open({ port });
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
