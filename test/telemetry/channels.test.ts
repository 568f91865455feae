import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { expect, onTestFinished, test, vi } from "vitest";
import { CHANNEL_PREFIX, publishRecords } from "../../src/telemetry/channels.ts";
import * as logLine from "../../src/telemetry/log-line.ts";
import { echo, manage, receiveText, serve } from "../support.ts";

const ids = { link: "l", session: "s" };

/** What is published for an event until the end of the test. */
function published(event: string): object[] {
  const messages: object[] = [];
  const listener = (message: unknown): void => void messages.push(message as object);
  subscribe(CHANNEL_PREFIX + event, listener);
  onTestFinished(() => void unsubscribe(CHANNEL_PREFIX + event, listener));
  return messages;
}

test("a message has the fields of the log line, its level and text, and the source", () => {
  const messages = published("link.undelivered");
  const source = {};
  publishRecords(source)({ event: "link.undelivered", ids, reason: "overflow", maybe: 0, notSent: 2 });
  const fields = { event: "link.undelivered", ...ids, reason: "overflow", maybe: 0, notSent: 2 };
  expect(messages).toEqual([{ ...fields, level: "warn", message: "messages undelivered: overflow", source }]);
});

test("a recovery, which has no line", () => {
  const messages = published("link.recovered");
  publishRecords(messages)({ event: "link.recovered", ids, recoveryMs: 12 });
  expect(messages).toEqual([{ event: "link.recovered", ...ids, recoveryMs: 12, source: messages }]);
});

test("nothing is made where nobody has subscribed to that event", () => {
  const messages = published("link.state");
  const lineOf = vi.spyOn(logLine, "lineOf");
  const reader = publishRecords({});
  reader({ event: "server.state", from: "created", to: "bound", reason: "r" });
  expect([lineOf.mock.calls.length, messages]).toEqual([0, []]);
});

test("each event has a channel of its own", () => {
  const [links, servers] = [published("link.state"), published("server.state")];
  publishRecords({})({ event: "server.state", from: "created", to: "bound", reason: "r" });
  expect([links.length, servers.length]).toEqual([0, 1]);
});

test("managers and supervisors publish, without a logger", async () => {
  const changes = published("link.state");
  const states = published("server.state");
  const { supervisor, port } = await serve({}, echo);
  const manager = manage();
  const link = manager.open({ port, host: "127.0.0.1" });
  await link.send("one");
  await receiveText(link);
  expect(states.map((message) => (message as { to: string }).to)).toEqual(["bound", "listening"]);
  const of = (source: object): unknown[] =>
    changes.filter((message) => (message as { source: object }).source === source);
  expect(of(manager)).toMatchObject([{ to: "connecting" }, { to: "connected", link: link.id, level: "info" }]);
  expect(of(supervisor)).toMatchObject([{ to: "connected", reason: "new" }]);
});
