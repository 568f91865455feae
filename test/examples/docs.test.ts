/** What the documents name exists, and what exists by name is in the documents. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { resolveManagerOptions, resolveOpenOptions } from "../../src/client/options.ts";
import { asError } from "../../src/client/failure.ts";
import { TERMINAL_REFUSALS } from "../../src/core/client/introduction.ts";
import { LIMIT_NAMES } from "../../src/core/server/handshake-table.ts";
import { REFUSE_CODES, type RefuseCode, RESET_CODES } from "../../src/core/wire/frames.ts";
import { DialError } from "../../src/io/dial-error.ts";
import { attemptError } from "../../src/link/errors.ts";
import { MOST_HEADER_BYTES } from "../../src/io/proxy-protocol.ts";
import { LISTENING_OPTION_NAMES } from "../../src/server/listening-options.ts";
import { resolveOpenPlainOptions } from "../../src/client/plain-options.ts";
import { bytes, plain, supervise } from "../../src/index.ts";
import { resolveServerOptions } from "../../src/server/options.ts";
import { PLAIN_LIMIT_NAMES, resolvePlainServerOptions } from "../../src/server/plain-options.ts";
import { publishRecords } from "../../src/telemetry/channels.ts";
import { type LogLine, lineOf } from "../../src/telemetry/log-line.ts";
import { RATES } from "../../src/telemetry/logger.ts";
import type { LoggedRecord, MetricsEvent } from "../../src/telemetry/record.ts";
import { echo, eventually, logKeeper, manage, receiveText, serve } from "../support.ts";
import { allowed } from "./options.ts";

const ROOT = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, ROOT), "utf8");
const DOCUMENTS = [
  "README.md",
  "README.ko.md",
  "ARCHITECTURE.md",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "SECURITY.md",
  ...readdirSync(new URL("docs", ROOT)).map((name) => `docs/${name}`),
].filter((path) => path.endsWith(".md"));

/** As GitHub makes them of headings. */
function anchors(markdown: string): string[] {
  return [...markdown.matchAll(/^#+ (.*)$/gmu)].map(([, heading = ""]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

/** The members of a union of strings, as its source has them. */
function union(path: string, name: string): string[] {
  // Without comments, which may have semicolons and quotation marks of their own.
  const source = read(path).replaceAll(/\/\*\*.*?\*\//gsu, "");
  const [, members = ""] = new RegExp(`type ${name} =([^;]*);`, "u").exec(source) ?? [];
  return [...members.matchAll(/"([^"]+)"/gu)].map(([, member = ""]) => member);
}

test.each(DOCUMENTS)("the links of %s lead somewhere", (path) => {
  const markdown = read(path);
  const dead = [...markdown.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/gu)].filter(([, file = "", anchor]) => {
    const target = new URL(file === "" ? path.replace(/.*\//u, "") : file, new URL(path, ROOT));
    if (!existsSync(target)) return true;
    return anchor !== undefined && !anchors(readFileSync(target, "utf8")).includes(anchor);
  });
  expect(dead.map(([link]) => link)).toEqual([]);
});

test.each(DOCUMENTS)("the scripts and files that %s names exist", (path) => {
  const markdown = read(path);
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const missing = [
    ...[...markdown.matchAll(/npm run (?:--silent )?([\w:]+)/gu)].filter(([, name = ""]) => !(name in scripts)),
    ...[...markdown.matchAll(/\b(?:examples|src|scripts|test)\/[\w/.-]+\.ts\b/gu)].filter(
      ([file]) => !existsSync(new URL(file, ROOT)),
    ),
  ];
  expect(missing.map(([name]) => name)).toEqual([]);
});

test("docs/reliability.md has a row for each command that tests by itself", () => {
  const { scripts } = JSON.parse(read("package.json")) as { scripts: Record<string, string> };
  const parts = new Set(["test:unit", "test:sim", "test:table"]);
  const commands = Object.keys(scripts).filter((name) => /^(?:test:|sim|fuzz|soak|model|mutants)/u.test(name));
  const rows = read("docs/reliability.md")
    .split("\n")
    .filter((line) => line.startsWith("| `npm run "));
  const listed = new Set(
    rows.flatMap((row) => [...(row.split("|")[1] ?? "").matchAll(/`npm run ([\w:]+)`/gu)].map(([, name]) => name)),
  );
  expect(commands.filter((name) => !parts.has(name) && !listed.has(name))).toEqual([]);
});

test.each([
  ["What is in the core", ["core"]],
  [
    "What is above the core",
    ["plain", "plain-link", "link", "io", "client", "server", "supervise", "tunnel", "monitor"],
  ],
])("ARCHITECTURE.md, %s: every file, and no other", (title, folders) => {
  const [, section = ""] = new RegExp(`### ${title}\n\n((?:\\|.*\n)+)`, "u").exec(read("ARCHITECTURE.md")) ?? [];
  const listed = [...section.matchAll(/`([\w/-]+\.ts)`/gu)].map(([, name]) => name);
  const files = folders.flatMap((folder) =>
    readdirSync(new URL(`src/${folder}`, ROOT), { encoding: "utf8", recursive: true })
      .filter((name) => name.endsWith(".ts"))
      .map((name) => (folder === "core" ? name : `${folder}/${name}`)),
  );
  // Another folder's file is named where it does what one might look for here.
  expect(new Set(listed.filter((name) => folders[0] === "core" || name?.startsWith("core/") === false))).toEqual(
    new Set(files),
  );
});

test("docs/delivery.md lists every error code, and no other", () => {
  const [, section = ""] = /\n## Errors(.*)/su.exec(read("docs/delivery.md")) ?? [];
  const listed = [...section.matchAll(/^\| `([A-Z_]+)`/gmu)].map(([, code]) => code);
  expect(new Set(listed)).toEqual(new Set(union("src/link/errors.ts", "ErrorCode")));
  expect(listed.length).toBeGreaterThan(20);
});

test("docs/reconnecting.md says of every failure of an attempt whether it is retried, as the code has it", () => {
  const [, section = ""] = /\n## Retried or not\n(.*?)\n## /su.exec(read("docs/reconnecting.md")) ?? [];
  const rows = [...section.matchAll(/^\| `([A-Z_]+)` \|[^|]+\| (yes|no) \| (decides|is not asked) \|$/gmu)];
  const refusals = (Object.keys(REFUSE_CODES) as RefuseCode[]).map((refused) => ({
    error: attemptError({ reason: "", refused, retryAfterMs: 0, fault: undefined }),
    // A link that takes no new session ends by the core's word, too.
    isFinal: refused in TERMINAL_REFUSALS || refused === "session-lost",
  }));
  const dials = (["failed", "timed-out", "certificate", "certificate-dates"] as const).map((kind) => ({
    error: asError(new DialError(kind, "")),
    isFinal: false,
  }));
  const inCode = [...refusals, ...dials].map(({ error, isFinal }) =>
    [error.code, error.retryable ? "yes" : "no", isFinal ? "is not asked" : "decides"].join(" "),
  );
  expect(new Set(rows.map(([, ...cells]) => cells.join(" ")))).toEqual(new Set(inCode));
  expect(rows.length).toBe(new Set(inCode).size);
});

test("docs/metrics.md lists every log line, ending and refusal", () => {
  const document = read("docs/metrics.md");
  const events = Object.keys(RATES);
  const listed = [...document.matchAll(/^\| `([a-z]+\.[a-z-]+)`/gmu)].map(([, event]) => event);
  expect(events.length).toBeGreaterThan(10);
  expect(new Set(listed)).toEqual(new Set(events));
  const names = [
    ...union("src/core/session/link-events.ts", "Outcome"),
    ...union("src/core/wire/faults.ts", "FaultCode"),
    ...Object.keys(REFUSE_CODES),
  ];
  expect(names.length).toBeGreaterThan(20);
  expect(names.filter((name) => !document.includes(`\`${name}\``))).toEqual([]);
});

test("docs/protocol.md has the number of every code", () => {
  const document = read("docs/protocol.md");
  const codes = [...Object.entries(REFUSE_CODES), ...Object.entries(RESET_CODES)];
  expect(codes.filter(([name, number]) => !document.includes(`\n| ${number} | ${name} |`))).toEqual([]);
});

/** The names that the text does not have in backticks, alone or as a part of a path such as `limits.connections`. */
function unnamed(text: string, names: readonly string[]): string[] {
  const code = new Set([...text.matchAll(/`([^`\n]*)`/gu)].flatMap(([, quoted = ""]) => quoted.split(/[^\w-]+/u)));
  return names.filter((name) => !code.has(name));
}

test("docs/protocol.md names every fault", () => {
  const [, section = ""] = /\n## Faults\n(.*?)\n## /su.exec(read("docs/protocol.md")) ?? [];
  const faults = union("src/core/wire/faults.ts", "FaultCode");
  expect(faults.length).toBeGreaterThan(5);
  expect(faults.filter((name) => !section.includes(`\n| ${name} | `))).toEqual([]);
});

// ── log lines, metrics, stats() ───────────────────────────────────────────────────────────────────────────────────────

/** With every optional field: a field that is new does not compile before it is here. */
type Complete<T> = T extends object ? { [K in keyof T]-?: Complete<Exclude<T[K], undefined>> } : T;
type Logged = Exclude<LoggedRecord, { event: MetricsEvent }>;
type AnyOf<E> = Complete<Extract<Logged, { event: E }>>;

const ids = { link: "l", session: "s", identity: "i" };
const { limits } = resolveServerOptions({ port: 1 });
const RECORDS: { [E in Logged["event"]]: AnyOf<E> } = {
  "link.state": {
    event: "link.state",
    ids,
    change: {
      from: "connecting",
      to: "connected",
      reason: "opened",
      attempt: 1,
      nextDelayMs: 0,
      session: "new",
      error: { code: "GAVE_UP", message: "gave up" },
    },
  },
  "link.undelivered": { event: "link.undelivered", ids, reason: "ended", maybe: 1, notSent: 1, untracked: 1 },
  "link.handler-failed": { event: "link.handler-failed", ids, thrown: {}, isHeard: true },
  "link.hook-failed": { event: "link.hook-failed", link: "l", failure: { hook: "tls", thrown: {} } },
  "server.state": { event: "server.state", from: "created", to: "bound", reason: "listen() was called" },
  "server.listening": {
    event: "server.listening",
    host: "::",
    port: 1,
    addresses: ["[::]:1"],
    limits,
    sessionsMayHoldBytes: 1,
    descriptorLimit: 1,
  },
  "server.limits": { event: "server.limits", limits, sessionsMayHoldBytes: 1, descriptorLimit: 1 },
  "server.memory": {
    event: "server.memory",
    sessions: 2,
    connections: 2,
    fitting: 1,
    sessionsMayHoldBytes: 1,
    memoryBytes: 1,
    oldGenerationBytes: 1,
  },
  "server.descriptors": { event: "server.descriptors", connections: 1, open: 1, needed: 2, descriptorLimit: 1 },
  "server.listener": {
    event: "server.listener",
    type: "lost",
    host: "::",
    port: 1,
    reason: "closed",
    downMs: 0,
  },
  "server.listener-failed": { event: "server.listener-failed", code: "LISTEN_FAILED", message: "EMFILE" },
  "server.refused": {
    event: "server.refused",
    code: "stale",
    reason: "",
    sessionId: "s",
    remoteAddress: "",
    retryAfterMs: 0,
  },
  "process.closing": { event: "process.closing", signal: "SIGTERM", deadlineMs: 1, readyDelayMs: 1 },
  "process.close-failed": { event: "process.close-failed", failure: { hook: "close", thrown: {} } },
  "process.closed": { event: "process.closed", code: 1, left: 1, undelivered: 1, failed: 1, ms: 1 },
  "process.interrupted": { event: "process.interrupted", signal: "SIGINT", code: 130 },
  "server.shed": {
    event: "server.shed",
    ids: { link: "l", session: "s", identity: "i" },
    reason: "memory",
    retryAfterMs: 1,
  },
  "server.forward-failed": { event: "server.forward-failed", part: "find", thrown: new Error("x") },
  "server.overload": {
    event: "server.overload",
    type: "act",
    resource: "heap",
    observed: 2,
    threshold: 1,
    limit: 3,
    ageMs: 0,
    action: "evict-waiting",
    victims: ["l"],
    released: 1,
    dryRun: false,
  },
  "server.unwatched": { event: "server.unwatched", resource: "tcpMemory", reason: "no such file" },
  "server.rejected": {
    event: "server.rejected",
    reason: "bad-frame",
    detail: "",
    remoteAddress: "",
    failure: { hook: "authenticate", thrown: {} },
  },
  "server.hook-failed": { event: "server.hook-failed", failure: { hook: "onDrain", thrown: {} } },
  "monitor.listening": { event: "monitor.listening", host: "127.0.0.1", port: 1 },
  "monitor.listen-failed": { event: "monitor.listen-failed", code: "LISTEN_FAILED", message: "in use", nextTryMs: 1 },
  "monitor.metrics-failed": { event: "monitor.metrics-failed", thrown: {} },
};

describe("docs/metrics.md", () => {
  const document = read("docs/metrics.md");
  const section = (heading: string): string =>
    new RegExp(`\\n## ${heading}\\n(.*?)(?:\\n## |$)`, "su").exec(document)?.[1] ?? "";

  test.each(Object.values(RECORDS))("the row of $event has its level and all of its fields", (record) => {
    const row =
      section("Lines")
        .split("\n")
        .find((line) => line.startsWith(`| \`${record.event}\` `)) ?? "";
    const { level, fields }: LogLine = lineOf(record);
    const { event: _, ...others } = fields;
    expect(Object.keys(others).length).toBeGreaterThan(0);
    expect(unnamed(row, Object.keys(others))).toEqual([]);
    expect(row.split("|")[2]).toContain(`\`${level}\``);
  });

  test.each(Object.values(RECORDS))("a message of resplice:$event has the fields of the line", (record) => {
    const { level, fields, message }: LogLine = lineOf(record);
    const heard: unknown[] = [];
    const listener = (each: unknown): void => void heard.push(each);
    subscribe(`resplice:${record.event}`, listener);
    onTestFinished(() => void unsubscribe(`resplice:${record.event}`, listener));
    publishRecords(heard)(record);
    expect(heard).toEqual([{ ...fields, level, message, source: heard }]);
  });

  test("every field of the metrics lines, and of stats()", async () => {
    const { lines, logger } = logKeeper();
    const { supervisor, port } = await serve({ logger, metricsIntervalMs: 5 }, echo);
    const manager = manage({ logger, metricsIntervalMs: 5 });
    const link = manager.open({ port, host: "127.0.0.1" });
    await link.send("one");
    await receiveText(link);
    const supervised = supervise(net.createServer(), { logger, metricsIntervalMs: 5 });
    onTestFinished(() => void supervised.close());
    for (const event of ["manager.metrics", "server.metrics", "supervised.metrics"]) {
      await eventually(() => expect(lines.find((line) => line.event === event)).toBeDefined());
      const {
        event: _,
        level,
        message,
        ...fields
      } = lines.find((line) => line.event === event) ?? { level: "", message: "" };
      expect([level, message, Object.keys(fields).length > 10]).toEqual(["info", "metrics", true]);
      expect(unnamed(section("Metrics"), Object.keys(fields))).toEqual([]);
    }
    for (const stats of [link.stats(), manager.stats(), supervisor.stats()]) {
      expect(unnamed(section("Asking"), Object.keys(stats))).toEqual([]);
    }
    const own = supervised.stats();
    const seen = /\n## Seen from outside\n(.*)/su.exec(read("docs/supervise.md"))?.[1] ?? "";
    expect(unnamed(seen, [own, own.connections, own.requests].flatMap(Object.keys))).toEqual([]);
    const { connections, sessions, lines: counted } = supervisor.stats();
    const { totals, events } = supervisor.stats();
    const parts = [connections, sessions, counted, totals, events, events.unfinished, events.recoveries];
    expect(
      unnamed(
        section("Asking"),
        parts.flatMap((part) => Object.keys(part)),
      ),
    ).toEqual([]);
  });
});

// ── options ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const open = (options: object): unknown => resolveOpenOptions({ port: 1, ...options });
const listen = (options: object): unknown => resolveServerOptions({ port: 1, ...options });
const GROUPS = ["queue", "keepalive", "timeouts", "window", "manualAcceptance", "reconnect", "socket"];
const PRIORITY = { name: "urgent" };
const OPTIONS: Array<[string, string[]]> = [
  ["a manager", allowed(resolveManagerOptions)],
  ["open()", allowed(open)],
  ["a supervisor", allowed(listen)],
  ["limits", allowed((given) => listen({ limits: given }))],
  ...GROUPS.map((name): [string, string[]] => [name, allowed((given) => open({ [name]: given }))]),
  ["a priority", allowed((given) => open({ queue: { priorities: [{ ...PRIORITY, ...given }] } }))],
  ["proxyProtocol", allowed((given) => listen({ proxyProtocol: given }))],
  ["whileDisconnected", allowed((given) => open({ queue: { whileDisconnected: given } }))],
];

/** The page of an option, if it is not docs/reconnecting.md. */
const PAGES: Readonly<Record<string, readonly string[]>> = {
  "docs/delivery.md": [
    "allowHalfOpen",
    "bufferBytes",
    "manualAcceptance",
    "maxBatchBytes",
    "maxBufferBytes",
    "maxBytes",
    "maxMessageBytes",
    "maxMessages",
    "minBytes",
    "mode",
    "queue",
    "whenSessionLost",
    "window",
  ],
  "docs/listening.md": ["addresses", "allow", "deny", "from", "proxyProtocol", "selfProbeMs"],
  "docs/metrics.md": ["logger", "metricsIntervalMs"],
  "docs/overload.md": ["dryRun", "resources"],
  "docs/scaling.md": ["forward", "routed"],
  "docs/queue.md": ["failAfterMs", "name", "overflow", "priorities", "ttlMs", "weight", "whileDisconnected"],
};
const elsewhere = new Set(Object.values(PAGES).flat());

test.each(OPTIONS)("every option of %s is on its page", (_, names) => {
  expect(names.length).toBeGreaterThan(0);
  for (const [page, options] of Object.entries(PAGES)) {
    expect([
      page,
      unnamed(
        read(page),
        options.filter((name) => names.includes(name)),
      ),
    ]).toEqual([page, []]);
  }
  const others = names.filter((name) => !elsewhere.has(name));
  expect(unnamed(read("docs/reconnecting.md"), others)).toEqual([]);
});

test("docs/plain.md: the table has each option of plain(), and of a plain link that others do not have", () => {
  const framing = bytes();
  const ofPlain = allowed((given) => plain({ framing, ...given }));
  const inGroups = (["probe", "requests"] as const).flatMap((group) =>
    allowed((given) => plain({ framing, [group]: given })).map((name) => `${group}.${name}`),
  );
  const link = (options: object): unknown =>
    resolveOpenPlainOptions({ port: 1, protocol: plain({ framing }), ...options }, {});
  const timing = (["keepalive", "timeouts"] as const).flatMap((group) => allowed((given) => link({ [group]: given })));
  const rows = [...read("docs/plain.md").matchAll(/^\| (`[^|]*`) \|[^|\n]*\| (.{10,}) \|$/gmu)];
  const named = new Set(rows.flatMap(([, names = ""]) => [...names.matchAll(/`([\w.]+)`/gu)].map(([, name]) => name)));
  const expected = [...ofPlain, ...inGroups, ...timing, "windowBytes"];
  expect(expected.length).toBeGreaterThan(20);
  expect(expected.filter((name) => !named.has(name))).toEqual([]);
  const others = allowed(link).filter((name) => !["keepalive", "timeouts", "protocol", "windowBytes"].includes(name));
  expect(others.filter((name) => !allowed(open).includes(name))).toEqual([]);
});

test("docs/plain.md: a server's options are those of a link and of any server, or are in its table", () => {
  const listenPlain = (options: object): unknown =>
    resolvePlainServerOptions({ protocol: plain({ framing: bytes() }), ...options });
  const [, section = ""] = /\n## At a server\n(.*?)\n## /su.exec(read("docs/plain.md")) ?? [];
  const rows = [...section.matchAll(/^\| `([\w.]+)` \|[^|\n]*\| (.{10,}) \|$/gmu)].map(([, name]) => name);
  const ofLimits = allowed((given) => listenPlain({ limits: given })).map((name) => `limits.${name}`);
  expect(new Set(rows)).toEqual(new Set([...ofLimits, "allowHalfOpen"]));
  const others = allowed(listenPlain).filter((name) => !["limits", "protocol", "windowBytes"].includes(name));
  expect(others.filter((name) => !allowed(listen).includes(name))).toEqual([]);
  expect(PLAIN_LIMIT_NAMES.filter((name) => !ofLimits.includes(`limits.${name}`))).toEqual([]);
  // The log line has them all.
  expect(
    unnamed(
      read("docs/metrics.md"),
      Object.keys(resolvePlainServerOptions({ protocol: plain({ framing: bytes() }) }).limits),
    ),
  ).toEqual([]);
});

test("docs/listening.md: the table has each option of where a server listens and who may connect", () => {
  const rows = [
    ...read("docs/listening.md").matchAll(/^\| `([\w.]+)` \|([^|\n]+)\| ([^|\n]{20,}) \| ([^|\n]{20,}) \|$/gmu),
  ];
  const ofProxies = allowed((given) => listen({ proxyProtocol: given })).map((name) => `proxyProtocol.${name}`);
  const elsewhereTold = new Set<string>(["docs/metrics.md", "docs/overload.md"].flatMap((page) => PAGES[page] ?? []));
  const names = LISTENING_OPTION_NAMES.filter((name) => !elsewhereTold.has(name));
  expect(new Set(rows.map(([, name]) => name))).toEqual(new Set([...names, ...ofProxies]));
  const { tls } = resolveServerOptions({ port: 1 });
  expect([rows.find(([, name]) => name === "tls")?.[2]?.trim(), tls]).toEqual(["false", false]);
  expect(read("docs/listening.md")).toContain(`${MOST_HEADER_BYTES.toLocaleString("en")} bytes`);
});

test("docs/queue.md: the table has each option of a queue, of a class and of a message, with a default and a consequence", () => {
  const { policy } = resolveOpenOptions({ port: 1, queue: { ttlMs: Infinity, priorities: [PRIORITY] } }).queue;
  const rows = [
    ...read("docs/queue.md").matchAll(/^\| `([\w.[\]]+)` \|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|$/gmu),
  ];
  const queue = allowed((given) => open({ queue: given })).map((name) => `queue.${name}`);
  const ofClass = allowed((given) => open({ queue: { priorities: [{ ...PRIORITY, ...given }] } }));
  const ofMessage = ["key", "ttlMs", "priority"];
  expect(new Set(rows.map(([, name]) => name))).toEqual(
    new Set([...queue, ...ofClass.map((name) => `priorities[].${name}`), ...ofMessage]),
  );
  for (const [, name, unit, byDefault, consequence] of rows) {
    expect([name, unit?.trim() !== "", byDefault?.trim() !== "", (consequence?.trim().length ?? 0) > 20]).toEqual([
      name,
      true,
      true,
      true,
    ]);
  }
  const defaults = Object.fromEntries(rows.map(([, name = "", , byDefault = ""]) => [name, byDefault.trim()]));
  expect([defaults["queue.overflow"], defaults["queue.ttlMs"]]).toEqual([
    `"${policy?.overflow}"`,
    String(policy?.ttlMs),
  ]);
  expect(defaults["queue.maxMessages"]).toBe(policy?.maxMessages.toLocaleString("en"));
  expect(defaults["queue.maxBytes"]).toBe(`${(policy?.maxBytes ?? 0) / 1_048_576} MiB`);
});

test("the pages are of options that there are, and a limit that turns clients away is an option", () => {
  const names = new Set(OPTIONS.flatMap(([, options]) => options));
  expect([...elsewhere, ...LIMIT_NAMES].filter((name) => !names.has(name))).toEqual([]);
  expect(names.size).toBeGreaterThan(45);
});
