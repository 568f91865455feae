import { describe, expect, test } from "vitest";
import type { Outbound } from "../../src/link/protocol.ts";
import { boundTo, checkSendOptions } from "../../src/link/send-options.ts";
import { failure, pair, refusal } from "../support.ts";

describe("the names of options", () => {
  test.each([
    ["send", ["until", "signal", "transfer", "key", "ttlMs", "priority", "onConnection"]],
    ["request", ["signal", "transfer", "key", "ttlMs", "priority", "onConnection"]],
    ["trySend", ["transfer", "key", "ttlMs", "priority", "onConnection"]],
  ] as const)("of %s()", (call, names) => {
    checkSendOptions(Object.fromEntries(names.map((name) => [name, undefined])), call);
    const all = ["until", "signal", "untill", "ttl", "onConection", "\u001B[2J"];
    for (const name of all.filter((each) => !(names as readonly string[]).includes(each))) {
      const error = refusal(() => checkSendOptions({ [name]: undefined }, call));
      expect(error).toMatchObject({ code: "INVALID_OPTION", delivery: "not-sent" });
      expect(error.message).not.toContain("\u001B");
    }
  });

  test.each([[null], ["accepted"], [5], [true]])("%j is no object with options", (given) => {
    expect(refusal(() => checkSendOptions(given as never, "send")).code).toBe("INVALID_ARGUMENT");
  });

  test.each([
    ["signal", 1],
    ["signal", { aborted: false }],
    ["signal", new AbortController()],
    ["transfer", "yes"],
  ])("%s: %j is of a wrong type", (name, value) => {
    const error = refusal(() => checkSendOptions({ [name]: value }, "send"));
    expect(error).toMatchObject({ code: "INVALID_OPTION", delivery: "not-sent", option: { name } });
  });

  test("a link refuses them, and takes nothing", async () => {
    const { client } = await pair();
    const wrong = { transfr: true } as object;
    expect(await failure(client.send("x", wrong))).toMatchObject({ code: "INVALID_OPTION", delivery: "not-sent" });
    expect(refusal(() => client.trySend("x", wrong)).message).toBe(
      "there is no option transfr (did you mean transfer?); allowed: transfer, key, ttlMs, priority, onConnection",
    );
    expect(await failure(client.send("x", null as never))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(client.stats().taken.messages).toBe(0);
  });
});

describe("onConnection", () => {
  const outbound = (id: number | undefined): Outbound =>
    ({ adopted: id === undefined ? undefined : { id }, bind: () => {} }) as Outbound;

  test("left out, the message is for any connection", () => {
    expect([boundTo({}, outbound(1)), boundTo({}, outbound(undefined))]).toEqual([undefined, undefined]);
  });

  test("is that of the connection in use", () => {
    expect(boundTo({ onConnection: 7 }, outbound(7))).toBe(7);
  });

  test.each([
    ["another", 7, 8],
    ["one, and there is none", 7, undefined],
    ["none, and there is one", undefined, 7],
    ["none, and there is none", undefined, undefined],
  ])("%s: the message is not sent", (_, onConnection, id) => {
    const error = refusal(() => boundTo({ onConnection }, outbound(id)));
    expect(error).toMatchObject({ code: "CONNECTION_LOST", delivery: "not-sent", retryable: true });
  });

  test("what is no connection is INVALID_OPTION", () => {
    expect(refusal(() => boundTo({ onConnection: "7" as never }, outbound(7))).code).toBe("INVALID_OPTION");
  });

  test("a durable link has messages for its session alone", async () => {
    const { client } = await pair();
    const options = { onConnection: 1 } as object;
    expect(await failure(client.send("x", options))).toMatchObject({ code: "NOT_SUPPORTED", delivery: "not-sent" });
    expect(client.stats().taken.messages).toBe(0);
  });
});
