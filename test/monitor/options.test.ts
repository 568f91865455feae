import { expect, test } from "vitest";
import { resolveMonitor, type MonitorOptions } from "../../src/monitor/options.ts";
import { manage } from "../support.ts";

test("the defaults", () => {
  const manager = manage();
  const { where, allowedHosts, register, logger, sources } = resolveMonitor({ port: 1, sources: [manager] });
  expect([where, [...allowedHosts], register, logger]).toEqual([
    { port: 1, host: "127.0.0.1" },
    [],
    undefined,
    undefined,
  ]);
  expect(sources.map(({ name }) => name)).toEqual([""]);
});

test.each([
  ["port", {}],
  ["port", { port: 65_536 }],
  ["port", { port: "9400" }],
  ["host", { port: 1, host: "" }],
  ["sources", { port: 1, sources: [] }],
  ["allowedHosts.0", { port: 1, allowedHosts: ["a b"] }],
  ["register", { port: 1, register: undefined }],
  ["logger", { port: 1, logger: {} }],
  ["hosts", { port: 1, hosts: [] }],
])("%s is refused: %j", (name, given) => {
  const options = { sources: [manage()], ...given } as unknown as MonitorOptions;
  const option = expect.objectContaining({ name }) as unknown;
  expect(() => resolveMonitor(options)).toThrow(expect.objectContaining({ code: "INVALID_OPTION", option }));
});
