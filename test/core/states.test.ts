import { describe, expect, test } from "vitest";
import {
  LINK_TRANSITIONS,
  nextLinkState,
  nextPhase,
  nextResourceState,
  nextSupervisorState,
  RESOURCE_TRANSITIONS,
  SESSION_TRANSITIONS,
  type SessionInput,
  type SessionPhase,
  SUPERVISOR_TRANSITIONS,
} from "../../src/core/states.ts";

type Table = Readonly<Record<string, Readonly<Partial<Record<string, string>>>>>;

const TABLES: ReadonlyArray<[of: string, table: Table, first: string, last: string]> = [
  ["link", LINK_TRANSITIONS, "created", "closed"],
  ["session", SESSION_TRANSITIONS, "provisional", "gone"],
  ["supervisor", SUPERVISOR_TRANSITIONS, "created", "closed"],
  ["resource", RESOURCE_TRANSITIONS, "normal", "unwatched"],
];

function reachable(table: Table, from: string): Set<string> {
  const found = new Set([from]);
  for (const state of found) for (const next of Object.values(table[state] ?? {})) found.add(next as string);
  return found;
}

describe.each(TABLES)("a %s", (_, table, first, last) => {
  test("can come to every state of its table", () => {
    expect([...reachable(table, first)].toSorted()).toEqual(Object.keys(table).toSorted());
  });

  test("can come to its end from every state, and never leaves it", () => {
    for (const state of Object.keys(table)) expect(reachable(table, state)).toContain(last);
    expect(table[last]).toEqual({});
  });

  test("has no transition that changes nothing", () => {
    for (const [state, inputs] of Object.entries(table)) expect(Object.values(inputs)).not.toContain(state);
  });
});

test("a link ends from every state by one input", () => {
  for (const state of Object.keys(LINK_TRANSITIONS) as Array<keyof typeof LINK_TRANSITIONS>) {
    expect(nextLinkState(state, "end")).toBe(state === "closed" ? undefined : "closed");
  }
});

test("a link that drains is neither suspect nor reconnecting to its application, and leaves only by a move or its end", () => {
  expect(LINK_TRANSITIONS.draining).toEqual({ moved: "connecting", end: "closed" });
});

test("a suspect link is connected again whether its own connection answers or a replacement takes over", () => {
  expect(nextLinkState("suspect", "recovered")).toBe("connected");
  expect(nextLinkState("suspect", "adopted")).toBe("connected");
  expect(nextLinkState("connecting", "recovered")).toBeUndefined();
});

test.each<[SessionPhase, SessionInput, SessionPhase]>([
  ["provisional", "confirmed", "live"],
  ["provisional", "forgotten", "gone"],
  ["live", "through", "done"],
  ["live", "reset", "reset"],
  ["live", "forgotten", "gone"],
  ["done", "forgotten", "gone"],
  ["reset", "forgotten", "gone"],
])("a %s session that is %s is %s", (phase, input, next) => {
  expect(nextPhase(phase, input)).toBe(next);
});

test("any other step of a session is a mistake of ours, and throws", () => {
  const inputs: readonly SessionInput[] = ["confirmed", "through", "reset", "forgotten"];
  let impossible = 0;
  for (const phase of Object.keys(SESSION_TRANSITIONS) as SessionPhase[]) {
    for (const input of inputs) {
      if (SESSION_TRANSITIONS[phase][input] !== undefined) continue;
      impossible++;
      expect(() => nextPhase(phase, input)).toThrow(`no transition from ${phase} on ${input}`);
    }
  }
  expect(impossible).toBe(5 * 4 - 7);
});

test("a supervisor that drains or is closed does not listen again", () => {
  expect(nextSupervisorState("created", "bind")).toBe("bound");
  expect(nextSupervisorState("bound", "listen")).toBe("listening");
  for (const state of ["draining", "closed"] as const) {
    for (const input of ["bind", "listen", "listen-failed"] as const) {
      expect(nextSupervisorState(state, input)).toBeUndefined();
    }
  }
});

test("a resource whose steps were given up takes more only when it has risen, or after its recovery", () => {
  expect(nextResourceState("ineffective", "step")).toBeUndefined();
  expect(nextResourceState("ineffective", "rose")).toBe("overloaded");
  expect(nextResourceState("ineffective", "recovered")).toBe("normal");
});
