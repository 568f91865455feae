import { expect, test } from "vitest";
import type { ForwardRegistry } from "../../../src/index.ts";
import { isAddress, resolveForward } from "../../../src/server/forward/options.ts";
import { resolveServerOptions } from "../../../src/server/options.ts";
import { certificate, refusal } from "../../support.ts";

const registry: ForwardRegistry = { announce: () => {}, find: () => undefined, withdraw: () => {} };
const listen = { host: "10.0.0.1", port: 0 };
const key = "k".repeat(32);

test("a folder", () => {
  expect(resolveForward({ dir: "/run/app" })).toEqual({ dir: "/run/app" });
  const longest = `/${"d".repeat(88)}`;
  expect(resolveForward({ dir: longest })).toEqual({ dir: longest });
});

test("between hosts", async () => {
  const resolved = resolveForward({ registry, listen: { host: "0.0.0.0", port: 1 }, announce: { host: "a" }, key });
  expect(resolved).toEqual({
    registry,
    listen: { host: "0.0.0.0", port: 1 },
    announce: { host: "a" },
    tls: undefined,
    key: Buffer.from(key),
  });
  const { cert, key: own } = await certificate();
  const tls = { cert, key: own, ca: cert, servername: undefined };
  expect(resolveForward({ registry, listen, tls })).toMatchObject({
    tls: { cert, key: own, ca: cert },
    key: undefined,
  });
});

test.each([
  ["forward", undefined],
  ["forward", null],
  ["forward", {}],
  ["forward", { dir: "/run", registry }],
  ["forward.dir", { dir: "" }],
  ["forward.dir", { dir: "run/links" }],
  ["forward.dir", { dir: `/${"d".repeat(89)}` }],
  ["forward.path", { dir: "/run", path: "/x" }],
  ["forward.registry", { registry: {}, listen, key }],
  ["forward.registry", { registry: null, listen, key }],
  ["forward.listen.host", { registry, listen: { port: 1 }, key }],
  ["forward.listen.port", { registry, listen: { host: "h" }, key }],
  ["forward.listen.tls", { registry, listen: { ...listen, tls: true }, key }],
  ["forward.announce.host", { registry, listen: { host: "::", port: 1 }, key }],
  ["forward.announce.host", { registry, listen, announce: { host: "" }, key }],
  ["forward.announce.port", { registry, listen, announce: { port: 0 }, key }],
  ["forward", { registry, listen }],
  ["forward", { registry, listen, key, tls: {} }],
  ["forward.key", { registry, listen, key: "k".repeat(31) }],
  ["forward.key", { registry, listen, key: undefined }],
  ["forward.tls", { registry, listen, tls: undefined }],
  ["forward.tls", { registry, listen, tls: { ca: "x" } }],
  ["forward.tls", { registry, listen, tls: { cert: "x", key: "x" } }],
  ["forward.tls", { registry, listen, tls: { ca: "x", cert: "x", key: "x" } }],
])("%s is refused: %j", (name, forward) => {
  const error = refusal(() => resolveServerOptions({ port: 0, forward: forward as never }));
  expect([error.code, error.option?.name]).toEqual(["INVALID_OPTION", name]);
});

test("a certificate of no authority that is named is refused", async () => {
  const { cert, key: own } = await certificate();
  const error = refusal(() => resolveForward({ registry, listen, tls: { cert, key: own } }));
  expect(error.option?.name).toBe("forward.tls");
});

test("only a server that listens forwards; without the option nothing is forwarded", () => {
  const error = refusal(() => resolveServerOptions({ forward: { dir: "/run/app" } }));
  expect(error.option?.name).toBe("forward");
  expect(resolveServerOptions({ port: 0 }).forward).toBeUndefined();
});

test("addresses", () => {
  expect(
    [
      { host: "h", port: 1 },
      { host: "h", port: 65_535, weight: 2 },
    ].map(isAddress),
  ).toEqual([true, true]);
  const wrong = [null, "h:1", {}, { host: "", port: 1 }, { host: "h", port: 0 }, { host: "h", port: "1" }];
  expect([...wrong, { host: "h".repeat(256), port: 1 }, { host: "h", port: 1.5 }].map(isAddress)).not.toContain(true);
});
