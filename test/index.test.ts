/** The exports are a contract: a name that comes or goes is a change that users notice. */
import { expect, test } from "vitest";
import * as face from "../src/index.ts";

test("the main entry point", () => {
  expect(Object.keys(face).toSorted()).toEqual([
    "ConnectionManager",
    "GiB",
    "KiB",
    "MiB",
    "RespliceError",
    "ServerSupervisor",
    "bytes",
    "closeOnSignal",
    "delimited",
    "fixed",
    "lengthPrefixed",
    "lines",
    "monitor",
    "plain",
    "prometheus",
    "routeConnections",
    "srv",
    "supervise",
  ]);
});
