import { expect, test } from "vitest";
import { ActivatedSockets } from "../../../src/server/listening/systemd.ts";
import { refusal } from "../../support.ts";

function activated(env: Record<string, string>, pid = 7) {
  const given: Record<string, string | undefined> = { HOME: "/root", ...env };
  return { sockets: new ActivatedSockets({ env: given, pid }), env: given };
}

test("all sockets, from descriptor 3 on; the environment says nothing of them afterwards", () => {
  const { sockets, env } = activated({ LISTEN_PID: "7", LISTEN_FDS: "3", LISTEN_FDNAMES: "a:b:a" });
  expect(sockets.take(true)).toEqual([[3, 4, 5]]);
  expect(Object.keys(env)).toEqual(["HOME"]);
});

test("by name, and each socket once", () => {
  const { sockets } = activated({ LISTEN_PID: "7", LISTEN_FDS: "3", LISTEN_FDNAMES: "a:b:a" });
  expect(sockets.take("a")).toEqual([[3, 5]]);
  expect(refusal(() => sockets.take("a")).message).toContain("none of its sockets is named a; there are: b");
  expect(sockets.take(true)).toEqual([[4]]);
  expect(refusal(() => sockets.take(true)).message).toContain("none is left");
});

test("of several names: the sockets of each, or none at all", () => {
  const { sockets } = activated({ LISTEN_PID: "7", LISTEN_FDS: "3", LISTEN_FDNAMES: "a:b:a" });
  expect(refusal(() => sockets.take("a", "c")).message).toContain("none of its sockets is named c; there are: b");
  expect(sockets.take("b", "a")).toEqual([[4], [3, 5]]);
  expect(sockets.take()).toEqual([]);
});

test("sockets without a name are called unknown, as systemd does", () => {
  const { sockets } = activated({ LISTEN_PID: "7", LISTEN_FDS: "2", LISTEN_FDNAMES: "a" });
  expect(sockets.take("unknown")).toEqual([[4]]);
});

test.each<[string, Record<string, string>, string]>([
  ["nothing", {}, "are not set"],
  ["no process", { LISTEN_FDS: "1" }, "are not set"],
  ["another process", { LISTEN_PID: "8", LISTEN_FDS: "1" }, "for process 8, and this is 7"],
  ["no number", { LISTEN_PID: "7", LISTEN_FDS: "x" }, "LISTEN_FDS is x"],
  ["none", { LISTEN_PID: "7", LISTEN_FDS: "0" }, "LISTEN_FDS is 0"],
  ["more than a service has", { LISTEN_PID: "7", LISTEN_FDS: "1025" }, "LISTEN_FDS is 1025"],
])("%s: LISTEN_FAILED", (_, env, why) => {
  const { sockets } = activated(env);
  const error = refusal(() => sockets.take(true));
  expect(error.code).toBe("LISTEN_FAILED");
  expect(error.message).toContain(why);
});

test("what is for another process stays in the environment", () => {
  const { sockets, env } = activated({ LISTEN_PID: "8", LISTEN_FDS: "1" });
  refusal(() => sockets.take(true));
  expect(env).toMatchObject({ LISTEN_PID: "8", LISTEN_FDS: "1" });
});
