import { expect, test } from "vitest";
import { answerAll, Asker } from "../../examples/request-response.ts";
import { failure, openTo, relayTo, serve, turned } from "../support.ts";
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
