import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { type Reader, ReadingLine } from "../../src/io/reading-line.ts";

function readers(line: ReadingLine, names: readonly string[]) {
  const heard: string[] = [];
  const made = names.map((name): Reader & { took(ms: number): void } => ({
    wait: () => void heard.push(`${name} waits`),
    goOn: () => void heard.push(`${name} goes on`),
    took(ms) {
      line.took(this, ms);
    },
  }));
  return { heard, made };
}

test("who has taken its share in one go waits for the next turn; one that is read now and then does not", async () => {
  const line = new ReadingLine();
  const { heard, made } = readers(line, ["busy", "quiet"]);
  const [busy, quiet] = made;
  for (let n = 0; n < 10; n++) {
    busy?.took(0.9);
    quiet?.took(0.9);
  }
  expect(heard).toEqual([]);
  quiet?.took(0.05);
  busy?.took(0.6);
  busy?.took(0.6);
  expect(heard).toEqual(["busy waits"]);
  // It has had its turn: what it took before is not counted again.
  await nextTurn();
  busy?.took(0.9);
  expect(heard).toEqual(["busy waits", "busy goes on"]);
});

test("what was taken in turns before is not counted", async () => {
  const line = new ReadingLine();
  const { heard, made } = readers(line, ["alone"]);
  for (let turn = 0; turn < 5; turn++) {
    made[0]?.took(0.9);
    await nextTurn();
  }
  expect(heard).toEqual([]);
});

test("who has had enough for this turn waits, however little it took", async () => {
  const line = new ReadingLine();
  const { heard, made } = readers(line, ["full"]);
  line.wait(made[0] as Reader, 0.01);
  expect(heard).toEqual(["full waits"]);
  await nextTurn();
  expect(heard).toEqual(["full waits", "full goes on"]);
});

test("those that go on together share a turn; who is alone again has all of it", async () => {
  const line = new ReadingLine();
  const { heard, made } = readers(line, ["a", "b", "c", "d"]);
  for (const reader of made) line.wait(reader, 0.05);
  await nextTurn();
  heard.splice(0);
  for (const reader of made) reader.took(0.1);
  expect(heard).toEqual([]);
  made[0]?.took(0.15);
  expect(heard.splice(0)).toEqual(["a waits"]);
  await nextTurn();
  heard.splice(0);
  made[0]?.took(0.9);
  expect(heard).toEqual([]);
});

test("of those that wait only so many go on in one turn, in the order in which they came", async () => {
  const line = new ReadingLine();
  const names = ["a", "b", "c", "d", "e"];
  const { heard, made } = readers(line, names);
  for (const reader of made) line.wait(reader, 0.2);
  expect(heard.splice(0)).toEqual(names.map((name) => `${name} waits`));
  await nextTurn();
  expect(heard.splice(0)).toEqual(["a goes on", "b goes on", "c goes on"]);
  // Behind those that have waited longer.
  made[0]?.took(20);
  expect(heard.splice(0)).toEqual(["a waits"]);
  await nextTurn();
  expect(heard.splice(0)).toEqual(["d goes on", "e goes on", "a goes on"]);
  await nextTurn();
  expect(heard).toEqual([]);
});

test("while less is to be read, a connection has a quarter of its time, for as long as anybody wants it so", () => {
  const line = new ReadingLine();
  const { heard, made } = readers(line, ["busy"]);
  const [one, other] = [{}, {}];
  line.readLess(one, true);
  line.readLess(other, true);
  line.readLess(one, false);
  made[0]?.took(0.2);
  expect(heard).toEqual([]);
  made[0]?.took(0.2);
  expect(heard).toEqual(["busy waits"]);
});

test("and again all of it", () => {
  const line = new ReadingLine();
  const { heard, made } = readers(line, ["busy"]);
  const holder = {};
  line.readLess(holder, true);
  line.readLess(holder, false);
  made[0]?.took(0.9);
  expect(heard).toEqual([]);
});

test("those that wait are read a few at a time, fewer while less is to be read", async () => {
  const line = new ReadingLine();
  const { heard, made } = readers(line, ["a", "b", "c", "d"]);
  line.readLess({}, true);
  for (const reader of made) line.wait(reader, 0.1);
  await nextTurn();
  expect(heard.filter((what) => what.endsWith("goes on"))).toEqual(["a goes on", "b goes on"]);
});
