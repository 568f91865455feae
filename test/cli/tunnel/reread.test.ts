import { describe, expect, onTestFinished, test } from "vitest";
import { onHangUp, Reread } from "../../../src/cli/tunnel/reread.ts";
import { Arrivals } from "../../support.ts";

interface Given {
  file: string;
  listen: number;
  tokens: string;
}

/** Files that the test changes. */
function files(first: Record<string, string>) {
  let given: Given = { file: "a", listen: 1, tokens: "t" };
  const read = async ({ file }: Given, before: string | undefined): Promise<string> => {
    const text = first[file];
    if (text === undefined) throw new Error(`${file} cannot be read`);
    return before === undefined ? text : `${before}, then ${text}`;
  };
  const begin = async (): Promise<Reread<Given, string>> => Reread.begin(given, () => given, read);
  return { begin, texts: first, give: (changed: Partial<Given>) => (given = { ...given, ...changed }) };
}

test("what cannot be read at first is told", async () => {
  await expect(files({}).begin()).rejects.toThrow("a cannot be read");
});

describe("reading again", () => {
  test("puts what was read in place of what was there, once it is used", async () => {
    const { begin, texts } = files({ a: "old" });
    const reread = await begin();
    texts["a"] = "new";
    const applied: string[] = [];
    expect(await reread.reload((state) => applied.push(`${state} | ${reread.state}`))).toEqual([]);
    expect([applied, reread.state]).toEqual([["old, then new | old"], "old, then new"]);
  });

  test.for(["a file", "the arguments", "the use"])("with %s that fails changes nothing", async (what) => {
    const { begin, texts, give } = files({ a: "old" });
    const reread = await begin();
    if (what === "a file") delete texts["a"];
    if (what === "the arguments") give({ file: "b" });
    const apply = (): void => {
      if (what === "the use") throw new Error("no use");
    };
    await expect(reread.reload(apply)).rejects.toThrow(/cannot be read|no use/);
    expect(reread.state).toBe("old");
    // The next time it works.
    texts["a"] = "new";
    give({ file: "a" });
    await reread.reload(() => {});
    expect(reread.state).toBe("old, then new");
  });

  test("names the arguments that it cannot change", async () => {
    const { begin, give } = files({ a: "old", b: "other" });
    const reread = await begin();
    give({ file: "b", listen: 2, tokens: "u" });
    expect(await reread.reload(() => {})).toEqual(["file", "listen"]);
  });

  test("happens one time after the other", async () => {
    const { begin, texts } = files({ a: "1" });
    const reread = await begin();
    const reloads = ["2", "3"].map((text) => {
      texts["a"] = text;
      return reread.reload(() => {});
    });
    await Promise.all(reloads);
    expect(reread.state).toBe("1, then 3, then 3");
  });
});

test("SIGHUP reads again, and says what became of it", async () => {
  const { begin, texts, give } = files({ a: "old" });
  const reread = await begin();
  const said = new Arrivals<string>();
  const before = process.listenerCount("SIGHUP");
  const dispose = onHangUp(
    reread,
    () => {},
    (line) => said.put(line),
  );
  onTestFinished(dispose);
  // Not a real one: in a thread of a test runner that would end the process.
  const hangUp = (): boolean => process.emit("SIGHUP", "SIGHUP");
  texts["a"] = "new";
  give({ listen: 2 });
  hangUp();
  expect(await said.next()).toBe("SIGHUP: the files are read again, and in use");
  expect(await said.next()).toBe("only a restart changes: listen");
  delete texts["a"];
  hangUp();
  expect(await said.next()).toBe("SIGHUP: all stays as it was: a cannot be read");
  expect(reread.state).toBe("old, then new");
  dispose();
  expect(process.listenerCount("SIGHUP")).toBe(before);
});
