/** Whatever links do, come and go: no count of a manager or of a server falls. */
import net from "node:net";
import fc from "fast-check";
import { expect, onTestFinished, test } from "vitest";
import { type ConnectionManager, type Link, prometheus, type ServerSupervisor } from "../src/index.ts";
import { faultRelay } from "../src/testing/index.ts";
import { parse } from "./monitor/prometheus-text.ts";
import { runs } from "./properties.ts";
import { echo, manage, QUICK, serve } from "./support.ts";

const host = "127.0.0.1";

const OPS = ["open", "send", "close", "abort", "peer aborts", "cut", "stranger", "no server"] as const;

/** A link that has carried something ends. */
const BEGINNING: ReadonlyArray<(typeof OPS)[number]> = ["open", "open", "send", "abort", "close"];

/** By name, whatever counts from the beginning on; levels are left out. */
function countsOf(manager: ConnectionManager, supervisor: ServerSupervisor): Record<string, number> {
  const { taken, accepted, received, totals, events, lines } = manager.stats();
  const { listening, refused, refusedFor, turnedAway, rejected, shed, held, ...rest } = supervisor.stats();
  const ofServer = {
    refused,
    refusedFor,
    turnedAway,
    rejected,
    shed,
    held,
    listening: listening.map(({ accepted: sockets, restarts }) => ({ sockets, restarts })),
    taken: rest.taken,
    accepted: rest.accepted,
    received: rest.received,
    totals: rest.totals,
    events: rest.events,
    lines: rest.lines,
  };
  return flat("", { manager: { taken, accepted, received, totals, events, lines }, ofServer });
}

function flat(path: string, value: unknown): Record<string, number> {
  if (typeof value === "number") return { [path]: value };
  return Object.assign({}, ...Object.entries(value as object).map(([name, each]) => flat(`${path}.${name}`, each)));
}

test("counts only rise", async () => {
  const { supervisor, port, links: served } = await serve({}, (link) => echo(link).catch(() => {}));
  const manager = manage();
  const register = prometheus({ sources: [manager, supervisor] });
  const relay = await faultRelay({ port });
  onTestFinished(() => relay.close());
  const open: Link[] = [];
  const atServer: Link[] = [];
  const acts: Record<(typeof OPS)[number], () => unknown> = {
    open: async () => {
      open.push(manager.open({ port: relay.port, host, reconnect: QUICK }));
      atServer.push(await served.next());
    },
    send: async () => {
      for (const link of open) await link.send("x".repeat(10)).catch(() => {});
      await Promise.all(open.map((link) => link.receive().catch(() => {})));
    },
    close: () => open.shift()?.close({ deadlineMs: 100 }),
    abort: () => open.shift()?.abort(),
    "peer aborts": () => atServer.pop()?.abort("enough"),
    cut: () => relay.cut("rst"),
    stranger: () =>
      new Promise((resolve) =>
        net
          .connect(port, host)
          .on("close", resolve)
          .on("error", () => {})
          .write("GET / HTTP/1.1\r\n\r\n"),
      ),
    "no server": () => manager.open({ path: "/none/of/these", reconnect: { maxAttempts: 1 } }).closed,
  };
  let before = countsOf(manager, supervisor);
  let shown = new Map<string, number>();
  const look = async (after: string): Promise<void> => {
    const now = countsOf(manager, supervisor);
    const fallen = Object.entries(before).filter(([name, count]) => !((now[name] ?? 0) >= count));
    expect([after, fallen]).toEqual([after, []]);
    before = now;
    const counters = new Map<string, number>();
    for (const { type, samples } of parse(await register.metrics()).values()) {
      if (type === "gauge") continue;
      for (const { name: series, labels, value } of samples) counters.set(`${series} ${JSON.stringify(labels)}`, value);
    }
    for (const [name, count] of shown)
      expect([after, name, (counters.get(name) ?? 0) >= count]).toEqual([after, name, true]);
    shown = counters;
  };
  await fc.assert(
    fc.asyncProperty(fc.array(fc.constantFrom(...OPS), { minLength: 5, maxLength: 10 }), async (ops) => {
      for (const op of [...BEGINNING, ...ops]) {
        await acts[op]();
        await look(op);
      }
    }),
    { numRuns: runs(2) },
  );
  for (const owner of ["manager", "ofServer"]) expect(before[`.${owner}.received.messages`]).toBeGreaterThan(0);
});
