import { expect, test } from "vitest";
import { answerAll, Asker } from "../../examples/request-response.ts";
import type { CloseReport, Link } from "../../src/index.ts";
import { eventually, failure, manage, openTo, QUICK, relayTo, serve, turned, unusedPort } from "../support.ts";
import { example } from "./support/program.ts";

test("as a program: each question has its answer over a path that is cut", { timeout: 30_000 }, async () => {
  const server = example("request-response", "serve", 0);
  const relay = await relayTo(await server.port());
  const client = example("request-response", "ask", relay.port);
  await client.line(/^connected/u);
  client.write("one", "two");
  relay.cut("rst");
  client.write("three", "");
  client.process.stdin.end();
  expect(await client.exited).toBe(1); // the empty question is an error
  const answers = client.lines.filter((line) => /^(one|two|three|): /u.test(line));
  expect(answers.toSorted()).toEqual([": Error: no question", "one: ONE", "three: THREE", "two: TWO"]);
  expect(await server.kill("SIGTERM")).toBe(0);
});

test("each question is answered once, though the path is cut again and again", async () => {
  const asked: string[] = [];
  const { port } = await serve({}, (link) =>
    answerAll(link, async (question) => {
      asked.push(question);
      if (asked.length % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 5)); // overtaken by others
      return `answer to ${question}`;
    }),
  );
  const relay = await relayTo(port);
  for (let cut = 1; cut <= 5; cut++) relay.cutAfterBytes(15_000 * cut);
  const asker = new Asker(openTo(relay.port));
  const questions = Array.from({ length: 1_000 }, (_, number) => `question ${number}`);
  const answers = await Promise.all(questions.map((question) => asker.ask(question)));
  expect(answers).toEqual(questions.map((question) => `answer to ${question}`));
  expect(asked.toSorted()).toEqual(questions.toSorted());
  expect(relay.connections).toBe(6);
});

test("no more than a hundred of a client's questions are at work at once", async () => {
  let atWork = 0;
  let most = 0;
  const { port } = await serve({}, (link) =>
    answerAll(link, async (question) => {
      most = Math.max(most, ++atWork);
      await new Promise((resolve) => setImmediate(resolve));
      atWork--;
      return question;
    }),
  );
  const asker = new Asker(openTo(port));
  await Promise.all(Array.from({ length: 500 }, () => asker.ask("")));
  expect(most).toBe(100);
});

test("a server that has died: the questions that it had are in doubt, the others are answered by the next", async () => {
  const first = await serve({}, (link) => answerAll(link, () => new Promise(() => {})));
  const relay = await relayTo(first.port);
  const link = openTo(relay.port);
  const asker = new Asker(link);
  const had = failure(asker.ask("had"));
  await link.flush();
  relay.refuse();
  relay.cut("rst");
  await turned(link, "reconnecting");
  const waited = asker.ask("waited");
  await first.supervisor.close({ deadlineMs: 0 });
  await serve({ port: first.port }, (next) => answerAll(next, (question) => Promise.resolve(question)));
  relay.heal();
  expect(await had).toMatchObject({ code: "SESSION_LOST", delivery: "maybe" });
  expect(await waited).toBe("waited");
});

test("a link that ends rejects what waits, and says what is known of it", async () => {
  const { port } = await serve({}, (link) => answerAll(link, () => new Promise(() => {})));
  const link = openTo(port);
  const asker = new Asker(link);
  const had = failure(asker.ask("had"));
  await link.flush();
  link.abort();
  expect(await had).toMatchObject({ code: "LINK_ENDED", delivery: "maybe" });
  expect(await failure(asker.ask("late"))).toMatchObject({ code: "LINK_ENDED", delivery: "not-sent" });
});

/** So that questions can be taken out of it. */
const queue = { ttlMs: 60_000 };

test("a server that goes away answers what it has, the next one the rest: each question once, with cuts", async () => {
  const asked: string[] = [];
  const answering = (name: string) => (link: Link) =>
    answerAll(link, async (question) => {
      asked.push(question);
      await new Promise((resolve) => setImmediate(resolve));
      return `${question} by ${name}`;
    });
  const [first, second] = [await serve({}, answering("first")), await serve({}, answering("second"))];
  const relays = [await relayTo(first.port), await relayTo(second.port)];
  for (const relay of relays) for (let cut = 1; cut <= 2; cut++) relay.cutAfterBytes(10_000 * cut);
  const endpoints = relays.map(({ port }) => ({ port, host: "127.0.0.1" }));
  const link = manage().open({ endpoints, reconnect: QUICK, queue });
  const asker = new Asker(link);
  const questions = Array.from({ length: 600 }, (_, number) => `question ${number}`);
  const answers: Array<Promise<string>> = [];
  let closing: Promise<CloseReport> | undefined;
  for (const [number, question] of questions.entries()) {
    answers.push(asker.ask(question));
    if (number % 20 === 0) await answers.at(-1);
    if (number === 300) closing = first.supervisor.close({ deadlineMs: 20_000 });
  }
  expect(await closing).toEqual({ left: 0, undelivered: [] });
  const by = (await Promise.all(answers)).map((answer) => answer.split(" by ")[1]);
  expect(asked.toSorted()).toEqual(questions.toSorted());
  expect(by.indexOf("second")).toBe(by.lastIndexOf("first") + 1);
  expect(by.indexOf("second")).toBeGreaterThan(300);
});

test("a question that was not written when its time is over is taken back: no server ever sees it", async () => {
  const asked: string[] = [];
  const port = await unusedPort();
  const asker = new Asker(openTo(port, { queue }));
  const late = await failure(asker.ask("late", { withinMs: 10 }));
  expect(late).toMatchObject({ code: "ABORTED", delivery: "not-sent", cause: { message: "no answer within 10 ms" } });
  const gone = new AbortController();
  const unwanted = failure(asker.ask("unwanted", { signal: gone.signal }));
  gone.abort();
  expect(await unwanted).toMatchObject({ code: "ABORTED", delivery: "not-sent" });
  const waited = asker.ask("waited");
  await serve({ port }, (link) =>
    answerAll(link, (question) => {
      asked.push(question);
      return Promise.resolve(question);
    }),
  );
  expect([await waited, asked]).toEqual(["waited", ["waited"]]);
});

test("one that the server has is in doubt when its time is over, and its answer is dropped", async () => {
  const answers: Array<(answer: string) => void> = [];
  const { port } = await serve({}, (link) => answerAll(link, () => new Promise((resolve) => answers.push(resolve))));
  const link = openTo(port, { queue });
  const asker = new Asker(link);
  const gone = new AbortController();
  const unwanted = failure(asker.ask("unwanted", { signal: gone.signal }));
  const wanted = asker.ask("wanted");
  await link.flush();
  await eventually(() => expect(answers.length).toBe(2));
  gone.abort();
  expect(await unwanted).toMatchObject({ code: "ABORTED", delivery: "maybe" });
  for (const answer of answers) answer("here it is");
  expect(await wanted).toBe("here it is");
});
