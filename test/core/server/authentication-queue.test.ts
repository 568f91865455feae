import { expect, test } from "vitest";
import { AuthenticationQueue } from "../../../src/core/server/authentication-queue.ts";

interface Options {
  maxAuthenticating: number;
  handshakeMs: number;
  maxHandshakes: number;
}

/** An application's function that takes so long, and clients that say when they come. */
class Bench {
  nowMs = 0;
  readonly line: AuthenticationQueue;
  readonly begun: number[] = [];
  readonly refused = new Map<number, number>();
  mostAtOnce = 0;
  readonly #due: Array<{ id: number; atMs: number }> = [];
  #callMs: number;

  constructor(options: Partial<Options>, callMs: number) {
    this.line = new AuthenticationQueue(
      { maxAuthenticating: 8, handshakeMs: 60_000, maxHandshakes: 400, ...options },
      () => 0.5,
    );
    this.#callMs = callMs;
  }

  ask(id: number, who = "a", isKnown = false): void {
    this.line.ask(id, who, isKnown, this.nowMs);
    this.#proceed();
  }

  #proceed(): void {
    for (let id = this.line.next(this.nowMs); id !== undefined; id = this.line.next(this.nowMs)) {
      this.begun.push(id);
      this.#due.push({ id, atMs: this.nowMs + this.#callMs });
    }
    this.mostAtOnce = Math.max(this.mostAtOnce, this.line.size);
    for (let late = this.line.hopeless(this.nowMs); late !== undefined; late = this.line.hopeless(this.nowMs)) {
      this.refused.set(late.id, late.retryAfterMs);
    }
  }

  pass(ms: number): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; this.nowMs++) {
      while (this.#due[0] !== undefined && this.#due[0].atMs <= this.nowMs) {
        this.line.answered(this.#due.shift()?.id ?? 0, this.nowMs);
      }
      this.line.tick(this.nowMs);
      this.#proceed();
    }
  }
}

test("so many calls at once, and the others in order", () => {
  const bench = new Bench({ maxAuthenticating: 8 }, 100);
  for (let id = 0; id < 20; id++) bench.ask(id);
  // A quarter is kept for sessions that are here.
  expect(bench.begun).toEqual([0, 1, 2, 3, 4, 5]);
  bench.pass(1_000);
  expect(bench.begun).toEqual(Array.from({ length: 20 }, (_, id) => id));
  expect(bench.mostAtOnce).toBe(6);
  expect(bench.refused.size).toBe(0);
});

test("who is known finds room at once, and goes before strangers that came earlier", () => {
  const bench = new Bench({ maxAuthenticating: 8 }, 1_000);
  for (let id = 0; id < 20; id++) bench.ask(id);
  for (let id = 100; id < 104; id++) bench.ask(id, "b", true);
  expect(bench.begun.slice(6)).toEqual([100, 101]);
  bench.pass(1_002);
  expect(bench.begun.slice(8, 10)).toEqual([102, 103]);
});

test("known ones that come without a pause leave a quarter of the calls to strangers; who waits too long is told so", () => {
  const bench = new Bench({ maxAuthenticating: 4 }, 100);
  let known = 1_000;
  const hurry = (ms: number): void => {
    for (const untilMs = bench.nowMs + ms; bench.nowMs < untilMs; bench.pass(10)) bench.ask(known++, "greedy", true);
  };
  hurry(500);
  bench.ask(1, "stranger");
  hurry(200);
  expect(bench.begun).toContain(1);
  expect(bench.mostAtOnce).toBe(4);
});

test("a stranger that never has its turn is told when to come back, though calls are quick", () => {
  const bench = new Bench({ maxAuthenticating: 8 }, 50);
  // Two calls hang, which are all that is kept for strangers.
  for (const id of [-1, -2]) {
    bench.line.ask(id, "a", false, 0);
    expect(bench.line.next(0)).toBe(id);
  }
  let known = 1_000;
  const hurry = (ms: number): void => {
    for (const untilMs = bench.nowMs + ms; bench.nowMs < untilMs; bench.pass(10)) {
      for (let n = 0; n < 2; n++) bench.ask(known++, "greedy", true);
    }
  };
  hurry(200);
  bench.ask(1, "stranger");
  hurry(3_800);
  expect(bench.refused.has(1)).toBe(false);
  hurry(400);
  expect(bench.refused.get(1)).toBeGreaterThan(0);
  expect(bench.begun).not.toContain(1);
});

test("nobody waits longer than a client waits for the answer: it is told when to come, and costs no call", () => {
  const bench = new Bench({ maxAuthenticating: 8, maxHandshakes: 4_000 }, 2_000);
  for (let id = 0; id < 900; id++) bench.ask(id);
  bench.pass(20_000);
  // 6 at a time, 2 s each: those of the first 4 s, before it is known how long a call takes.
  expect(bench.begun.length).toBeLessThanOrEqual(18);
  expect(bench.begun.length + bench.refused.size).toBe(900);
  const waits = [...bench.refused.values()];
  expect(Math.min(...waits)).toBeGreaterThan(0);
  expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
  expect(new Set(waits).size).toBeGreaterThan(80);
  // From then on that is known, and what cannot be answered in time is refused at once.
  bench.begun.length = 0;
  bench.refused.clear();
  for (let id = 1_000; id < 1_900; id++) bench.ask(id);
  expect(bench.begun).toHaveLength(6);
  expect(bench.refused.size).toBeGreaterThanOrEqual(880);
});

test("clients that come back when they were told are all let in, though a call takes 2 s", () => {
  const bench = new Bench({ maxAuthenticating: 200, maxHandshakes: 1_000 }, 2_000);
  const due = new Map(Array.from({ length: 1_000 }, (_, id) => [id, 0]));
  const admitted = (): number => new Set(bench.begun).size;
  for (let ms = 0; ms < 60_000 && admitted() < 1_000; ms += 10) {
    for (const [id, atMs] of due) {
      if (atMs > ms) continue;
      due.delete(id);
      bench.ask(id);
    }
    bench.pass(10);
    for (const [id, waitMs] of bench.refused) due.set(id, ms + waitMs * 1.05);
    bench.refused.clear();
  }
  expect(admitted()).toBe(1_000);
  expect(bench.begun).toHaveLength(1_000);
  expect(bench.mostAtOnce).toBeLessThanOrEqual(150);
});

test("of a line that is full the newest of whoever has most gives way", () => {
  const bench = new Bench({ maxAuthenticating: 4, maxHandshakes: 40 }, 100);
  for (let id = 0; id < 10; id++) bench.ask(id, "crowd");
  expect(bench.refused.size).toBe(0);
  bench.ask(20, "one");
  expect([...bench.refused.keys()]).toEqual([9]);
  bench.pass(150);
  // Its turn comes before those of the crowd that came earlier.
  expect(bench.begun.slice(0, 6)).toContain(20);
});

test("who leaves waits no more; its call, if it has begun, still counts until it is answered", () => {
  const bench = new Bench({ maxAuthenticating: 1 }, 100);
  bench.ask(1);
  bench.ask(2);
  bench.ask(3);
  bench.line.left(2);
  bench.line.left(1);
  expect([bench.line.size, bench.line.waiting]).toEqual([1, 1]);
  bench.pass(150);
  expect(bench.begun).toEqual([1, 3]);
});

test("a call that is never answered holds its place no longer than a handshake may last", () => {
  const bench = new Bench({ maxAuthenticating: 1, handshakeMs: 10_000 }, Infinity);
  bench.ask(1);
  bench.pass(9_000);
  bench.ask(2);
  expect(bench.begun).toEqual([1]);
  expect(bench.line.nextTimeoutMs).toBe(10_000);
  bench.pass(2_000);
  expect(bench.line.size).toBe(0);
  bench.ask(3);
  expect(bench.begun).toEqual([1, 3]);
});

test("one call that hangs keeps nobody from waiting for the others", () => {
  const bench = new Bench({ maxAuthenticating: 8 }, 50);
  bench.line.ask(-1, "a", false, 0);
  bench.line.next(0);
  bench.pass(3_000);
  for (let id = 0; id < 30; id++) bench.ask(id);
  bench.pass(1_000);
  expect(bench.refused.size).toBe(0);
  expect(bench.begun).toHaveLength(30);
});

test("calls of one that are never answered leave the last ones to others, one each", () => {
  const bench = new Bench({ maxAuthenticating: 32 }, Infinity);
  for (let id = 0; id < 100; id++) bench.ask(id, "hanging");
  // 24 are for strangers, and 3 of them for those that have none.
  expect(bench.begun).toHaveLength(21);
  for (const id of [200, 201]) bench.ask(id, "other");
  bench.ask(300, "another");
  expect(bench.begun.slice(21)).toEqual([200, 300]);
});
