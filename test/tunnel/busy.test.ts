import { expect, test } from "vitest";
import { Busy } from "../../src/tunnel/busy.ts";
import { TargetRefused } from "../../src/tunnel/targets.ts";

/** "" if there was room. */
function refusal(busy: Busy, identity: string | undefined): string {
  try {
    busy.add(identity);
    return "";
  } catch (error) {
    expect(error).toBeInstanceOf(TargetRefused);
    expect(error).toHaveProperty("code", "too-many-connections");
    return (error as Error).message;
  }
}

test("an identity leaves a tenth of the connections to others", () => {
  const busy = new Busy({ most: 20, mostEach: undefined });
  for (let n = 0; n < 18; n++) busy.add("greedy");
  expect(refusal(busy, "greedy")).toBe("this client has 18");
  expect(refusal(busy, "modest")).toBe("");
  expect(refusal(busy, "other")).toBe("");
  expect(refusal(busy, "other")).toBe("the far end has 20");
  expect(busy.count).toBe(20);
});

test("a connection that has ended makes room for one of the same identity", () => {
  const busy = new Busy({ most: 100, mostEach: 2 });
  busy.add("one");
  busy.add("one");
  for (let n = 0; n < 3; n++) {
    expect(refusal(busy, "one")).toBe("this client has 2");
    busy.delete("one");
    expect(busy.count).toBe(1);
    expect(refusal(busy, "one")).toBe("");
  }
});

test("of the only connection that there may be nothing is left to others", () => {
  expect(refusal(new Busy({ most: 1, mostEach: undefined }), "one")).toBe("");
});

test("where clients have no identity only the sum counts", () => {
  const busy = new Busy({ most: 10, mostEach: 1 });
  for (let n = 0; n < 10; n++) busy.add(undefined);
  expect(refusal(busy, undefined)).toBe("the far end has 10");
  busy.delete(undefined);
  expect(refusal(busy, undefined)).toBe("");
});

test("without a bound there is room", () => {
  const busy = new Busy({ most: Infinity, mostEach: undefined });
  for (let n = 0; n < 1_000; n++) busy.add("one");
  expect(busy.count).toBe(1_000);
});
