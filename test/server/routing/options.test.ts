import { expect, test } from "vitest";
import { resolveRoute, type RouteOptions } from "../../../src/server/routing/options.ts";
import { resolveServerOptions } from "../../../src/server/options.ts";
import { certificate, refusal } from "../../support.ts";

test("defaults", () => {
  expect(resolveRoute({ port: 7000 })).toEqual({ port: 7000, handshakeMs: 10_000, waiting: 1_000 });
  expect(resolveRoute({ port: 0, host: "::1" })).toMatchObject({ port: 0, host: "::1" });
});

test.each<[string, object]>([
  ["port", {}],
  ["port", { port: 65_536 }],
  ["host", { port: 1, host: "" }],
  ["handshakeMs", { port: 1, handshakeMs: 0 }],
  ["waiting", { port: 1, waiting: 0 }],
  ["tls", { port: 1, tls: {} }],
])("%s: %j", (name, given) => {
  const error = refusal(() => resolveRoute(given as RouteOptions));
  expect([error.code, error.message.split(":")[0]]).toEqual(["INVALID_OPTION", expect.stringContaining(name)]);
});

test("a server is routed by its port", () => {
  expect(resolveServerOptions({ port: 7000, routed: true }).routedPort).toBe(7000);
  expect(resolveServerOptions({ port: 7000, routed: false }).routedPort).toBeUndefined();
  expect(resolveServerOptions({ port: 7000 }).routedPort).toBeUndefined();
});

test("where the router could not read a HELLO, or nothing would come of an option", async () => {
  const tls = await certificate();
  const options = [
    { routed: true },
    { routed: true, path: "/run/socket" },
    { routed: true, port: 7000, host: "127.0.0.1" },
    { routed: true, port: 7000, tls },
    { routed: true, port: 7000, proxyProtocol: { from: ["127.0.0.1"] } },
    { routed: "yes" as unknown as boolean, port: 7000 },
  ];
  for (const given of options) {
    const error = refusal(() => resolveServerOptions(given));
    expect([error.code, error.message]).toEqual(["INVALID_OPTION", expect.stringContaining("routed")]);
  }
});
