/** What of the attacks can be judged without a clock: memory, answers, and what applications are told. */
import { expect, test } from "vitest";
import { command } from "../endurance/support.ts";
import { type Row, table, toRow } from "../endurance/rows.ts";

const hostile = command("../hostile/main.ts");

const ATTACKS = ["pinned-1", "client-pinned-1", "stuck", "opens", "tenants", "controls-client", "transferred"];

test.each(ATTACKS)("%s stays within its bounds", { timeout: 60_000 }, async (name) => {
  const { stdout } = await hostile(["--only", name, "--seconds", "1", "--untimed", "--json"], 60_000);
  const { rows } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as { rows: Row[] };
  expect(rows).not.toEqual([]);
  expect(rows.filter(({ met }) => !met).map((row) => table([row])[1])).toEqual([]);
});

test.each([
  [["--seconds", "0"], "--seconds 0: a whole number from 1 to"],
  [["--only", "nothing"], "--only nothing: no attack begins so"],
  [["--fast"], "There are --seconds, --json, --untimed"],
])("options that make no sense are refused, and nothing is begun: %s", async (args, what) => {
  const { code, stdout, stderr } = await hostile(args, 10_000);
  expect([code, stdout]).toEqual([64, ""]);
  expect(stderr).toContain(what);
});

test("a figure meets its bound from its own side, and one that is none meets nothing", () => {
  const draft = { what: "memory held", unit: "MiB", bound: 2 ** 20 };
  expect(toRow("a", { ...draft, figure: 2 ** 20 }).met).toBe(true);
  expect(toRow("a", { ...draft, figure: 2 ** 20 + 1 }).met).toBe(false);
  expect(toRow("a", { ...draft, figure: 2 ** 20, is: "at least" }).met).toBe(true);
  expect(toRow("a", { ...draft, figure: 2 ** 20 - 1, is: "at least" }).met).toBe(false);
  expect(toRow("a", { ...draft, figure: Number.NaN }).met).toBe(false);
});

test("the table shows what was missed, with its unit and its side", () => {
  const row = toRow("stuck", { what: "memory held", figure: 3 * 2 ** 20, bound: 2 ** 20, unit: "MiB", note: "why" });
  expect(table([row])).toEqual([
    "        scenario  what          figure  bound",
    "MISSED  stuck     memory held  3.0 MiB  at most 1.0 MiB  why",
  ]);
});
