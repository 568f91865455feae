import { describe, expect, test } from "vitest";
import { toEndpoints, EndpointChooser, resolveTarget, type Target } from "../../src/client/targets.ts";
import { refusal } from "../support.ts";

const [a, b, c] = [{ port: 1 }, { port: 2 }, { path: "/3" }] as const;
const all = [a, b, c];

describe("which endpoint is next", () => {
  test("in order: always the first that has not failed of late", () => {
    const chooser = new EndpointChooser("in-order");
    expect(chooser.choose(all, 0, 0)).toBe(a);
    chooser.failed(a, 0);
    expect(chooser.choose(all, 0, 0)).toBe(b);
    chooser.failed(b, 1_000);
    expect(chooser.choose(all, 2_000, 0)).toBe(c);
    expect(chooser.choose(all, 30_000, 0)).toBe(a);
  });

  test("when all have failed, the one that did longest ago", () => {
    const chooser = new EndpointChooser("in-order");
    chooser.failed(b, 0);
    chooser.failed(a, 10);
    chooser.failed(c, 20);
    expect(chooser.choose(all, 30, 0)).toBe(b);
    chooser.failed(b, 30);
    expect(chooser.choose(all, 40, 0)).toBe(a);
  });

  test("one that was connected to is as good as new", () => {
    const chooser = new EndpointChooser("in-order");
    chooser.failed(a, 0);
    chooser.connected(a);
    expect(chooser.choose(all, 1, 0)).toBe(a);
  });

  test("round-robin", () => {
    const chooser = new EndpointChooser("round-robin");
    expect([0, 1, 2, 3].map(() => chooser.choose(all, 0, 0))).toEqual([a, b, c, a]);
  });

  test("at random", () => {
    const chooser = new EndpointChooser("random");
    expect([0, 0.34, 0.99].map((random) => chooser.choose(all, 0, random))).toEqual([a, b, c]);
  });

  test("the same endpoint is known again in a new list", () => {
    const chooser = new EndpointChooser("in-order");
    chooser.failed({ port: 1 }, 0);
    expect(chooser.choose([{ port: 1, host: "localhost" }, { port: 2 }], 1, 0)).toEqual({ port: 2 });
    expect(chooser.choose([{ port: 1, host: "other" }, { port: 2 }], 1, 0)).toEqual({ port: 1, host: "other" });
  });
});

describe("what a target is", () => {
  test("a port, a path, endpoints, a function", () => {
    const connect = () => {
      throw new Error("not called");
    };
    expect(resolveTarget({ port: 5 })).toEqual({ kind: "endpoints", endpoints: [{ port: 5 }], order: "in-order" });
    expect(resolveTarget({ port: 5, host: "h" })).toMatchObject({ endpoints: [{ port: 5, host: "h" }] });
    expect(resolveTarget({ path: "/x" })).toMatchObject({ endpoints: [{ path: "/x" }] });
    expect(resolveTarget({ endpoints: [a], endpointOrder: "random" })).toMatchObject({ order: "random" });
    expect(resolveTarget({ connect })).toEqual({ kind: "connect", connect });
  });

  test.each<[string, unknown]>([
    ["port", {}],
    ["port", { port: 0 }],
    ["port", { port: 65_536 }],
    ["port", { port: "7000" }],
    ["host", { port: 1, host: 5 }],
    ["path", { path: "" }],
    ["path", { path: 5 }],
    ["endpoints", { endpoints: [] }],
    ["endpoints", { endpoints: {} }],
    ["port", { endpoints: [{ port: 0 }] }],
    ["endpointOrder", { endpoints: [a], endpointOrder: "sorted" }],
    ["connect", { connect: "host:1" }],
  ])("%s of %j is refused", (name, target) => {
    expect(refusal(() => resolveTarget(target as Target))).toMatchObject({ code: "INVALID_OPTION", option: { name } });
  });

  test.each<[unknown]>([[[null]], [[5]], [["host:1"]]])("endpoints of %j are refused", (endpoints) => {
    expect(refusal(() => toEndpoints(endpoints as never))).toMatchObject({ code: "INVALID_OPTION" });
  });

  test.each<[unknown]>([
    [{ port: 1, path: "/x" }],
    [{ port: 1, connect: () => {} }],
    [{ path: "/x", endpoints: [a] }],
    [{ path: "/x", host: "h" }],
    [{ port: 1, endpointOrder: "random" }],
  ])("two targets at once are refused: %j", (target) => {
    expect(refusal(() => resolveTarget(target as Target))).toMatchObject({ code: "INVALID_OPTION" });
  });
});
