/** docs/timeouts.md has each time of a link, with the value that the code has. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { resolveManagerOptions, resolveOpenOptions } from "../../src/client/options.ts";
import { resolveOpenPlainOptions } from "../../src/client/plain-options.ts";
import { bytes, plain } from "../../src/index.ts";
import { resolveServerOptions } from "../../src/server/options.ts";
import { resolvePlainServerOptions } from "../../src/server/plain-options.ts";
import { allowed } from "./options.ts";
import { read, rows } from "./tables.ts";

const ROOT = new URL("../../", import.meta.url);
const PAGE = read("docs/timeouts.md");

const shown = (ms: number): string => (ms === Infinity ? "Infinity" : ms.toLocaleString("en"));

// ── options ───────────────────────────────────────────────────────────────────────────────────────────────────────────

type Resolve = (options: object) => object;
const framing = bytes();
const durable: Resolve = (options) => resolveOpenOptions({ port: 1, ...options });
const server: Resolve = (options) => resolveServerOptions({ port: 1, ...options });
const protocol = plain({ framing });
const ofPlain: Resolve = (options) => resolveOpenPlainOptions({ port: 1, protocol, ...options }, {});
const plainServer: Resolve = (options) => resolvePlainServerOptions({ port: 1, protocol, ...options });

const GROUPS = ["timeouts", "keepalive", "reconnect", "queue", "socket"];
/** A time that is none by its name. */
const KEEP_ALIVE = "socket.keepAlive";

/** The options that are times, each by its group and its name. */
function times(resolve: Resolve): string[] {
  const names = allowed(resolve);
  const inGroups = GROUPS.filter((group) => names.includes(group)).flatMap((group) =>
    allowed((given) => resolve({ [group]: given })).map((name) => `${group}.${name}`),
  );
  const failing = allowed((given) => resolve({ queue: { whileDisconnected: given } }));
  const all = [...names, ...inGroups, ...failing.map((name) => `queue.whileDisconnected.${name}`)];
  return all.filter((name) => (name.endsWith("Ms") || name === KEEP_ALIVE) && isTaken(resolve, name));
}

/** An option may have its name in a list, and be refused whatever its value is. */
function isTaken(resolve: Resolve, path: string): boolean {
  const given = path.split(".").reduceRight<unknown>((value, name) => ({ [name]: value }), 1_000);
  try {
    resolve(given as object);
    return true;
  } catch {
    return false;
  }
}

/** The value at a path of names, in one of the objects. */
function at(objects: readonly object[], path: string): unknown {
  for (const object of objects) {
    let value: unknown = object;
    for (const name of path.split(".")) value = (value as Record<string, unknown> | undefined)?.[name];
    if (value !== undefined) return value;
  }
  return undefined;
}

/** As the resolved options have it. With a policy of the queue they have the times of one. */
function defaults(resolve: Resolve, others: string[], beside: readonly object[]): Map<string, string> {
  const resolved = resolve({ queue: { overflow: "drop-oldest" } }) as { link?: object };
  const link = resolved.link ?? resolved;
  const { policy } = at([link], "queue") as { policy: object };
  const objects = [resolved, link, ...beside, { queue: policy }];
  const found = [...times(resolve), ...others].map((name): [string, string] => {
    if (name.startsWith("queue.whileDisconnected")) return [name, "none"];
    const value = at(objects, name) ?? at(objects, name.split(".").at(-1) as string);
    return [name, shown(value as number)];
  });
  return new Map(found);
}

test("each option that is a time has a row, with the default of each kind of link", () => {
  const manager = [resolveManagerOptions({})];
  const ofProtocol = allowed((given) => plain({ framing, ...given })).filter((name) => name.endsWith("Ms"));
  const { plain: resolvedPlain } = ofPlain({}) as { plain: object };
  // The options of plain() come in the protocol.
  const ofServed = ofProtocol.filter((name) =>
    isTaken((given) => plainServer({ protocol: plain({ framing, ...given }) }), name),
  );
  const { plain: servedPlain } = plainServer({}) as { plain: object };
  const kinds = [
    defaults(durable, ["metricsIntervalMs"], manager),
    defaults(ofPlain, [...ofProtocol, "metricsIntervalMs"], [resolvedPlain, ...manager]),
    defaults(server, [], []),
    defaults(plainServer, ofServed, [servedPlain]),
  ];
  const expected = new Map<string, string[]>();
  for (const name of new Set(kinds.flatMap((kind) => [...kind.keys()]))) {
    expected.set(
      `\`${name}\``,
      kinds.map((kind) => kind.get(name) ?? "–"),
    );
  }
  const listed = rows(PAGE, "Options").map(([name = "", ...cells]): [string, string[]] => [name, cells.slice(0, 4)]);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(expected));
  // With what it guards, what happens then, what is dangerous, and what happens when it is late.
  expect(rows(PAGE, "Options").filter((cells) => cells.length !== 9 || cells.includes(""))).toEqual([]);
});

// ── fixed times ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** They limit what is done in one turn, or what a timer can be set to: nothing waits for them. */
const NO_TIMERS = new Set([
  "`MOST_MS` in `link/check.ts`",
  "`MOST_DELAY_MS` in `io/clock.ts`",
  "`BURST_MS` in `client/gate.ts`",
  "`SPREAD_MS` in `io/clock.ts`",
  "`TURN_MS` in `link/turn.ts`",
  "`SOON_MS` in `link/turn.ts`",
  "`LATE_MS` in `link/turn.ts`",
  "`RESOLUTION_MS` in `io/resources/lag.ts`",
  "`SPREAD_LESS_MS` in `io/clock.ts`",
  "`ALONE_MS` in `io/reading-line.ts`",
  "`TOGETHER_MS` in `io/reading-line.ts`",
  "`STANDING_QUEUE_MS` in `core/log/window.ts`",
  "`SWEEP_MS` in `core/server/sweep.ts`",
  "`SERVING_MS` in `server/rates.ts`",
  "`SHOWN_MS` in `monitor/live/messages.ts`",
  "`PIECE_MS` in `monitor/live/watch.ts`",
]);

/** The constants of a file that are times: by name, the numbers as they would be listed. */
function constants(file: string): Array<[string, string]> {
  const found = read(`src/${file}`).matchAll(/^(?:export )?const (\w+_MS) = (.*?);$/gmu);
  return [...found].map(([, name, value = ""]) => {
    const numbers = value.match(/[\d_.]+/gu) ?? [];
    return [`\`${name}\` in \`${file}\``, numbers.map((each) => shown(Number(each.replaceAll("_", "")))).join(", ")];
  });
}

test("each fixed time has a row with its value, and no other has", () => {
  const files = ["core", "link", "io", "plain", "plain-link", "client", "server", "monitor"].flatMap((folder) =>
    readdirSync(new URL(`src/${folder}`, ROOT), { encoding: "utf8", recursive: true })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => `${folder}/${name}`),
  );
  const inCode = new Map(files.flatMap(constants));
  for (const name of NO_TIMERS) expect([name, inCode.delete(name)]).toEqual([name, true]);
  const listed = rows(PAGE, "Fixed times");
  expect(Object.fromEntries(listed.map(([name = "", ms]) => [name, ms]))).toEqual(Object.fromEntries(inCode));
  expect(listed.filter((cells) => cells.length !== 5 || cells[2] === "" || cells[3] === "")).toEqual([]);
  expect(inCode.size).toBeGreaterThan(30);
});
