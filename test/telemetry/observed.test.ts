import { expect, test } from "vitest";
import { observedOf } from "../../src/telemetry/observed.ts";
import { manage, serve } from "../support.ts";

test("managers and supervisors are observed, and nothing else is", async () => {
  const { supervisor } = await serve();
  const manager = manage();
  expect([observedOf(manager)?.kind, observedOf(supervisor)?.kind]).toEqual(["manager", "server"]);
  expect([{}, null, undefined, "manager", Object.create(manager)].map(observedOf)).toEqual(Array(5).fill(undefined));
});

test("health and limits are those of now", async () => {
  const { supervisor } = await serve({ limits: { connections: 7 } });
  const observed = observedOf(supervisor);
  expect(observed?.limits()).toMatchObject({ connections: 7 });
  expect(observed?.health().status).toBe("healthy");
  const closed = supervisor.close({ deadlineMs: 0 });
  expect(observed?.health().status).toBe("down");
  await closed;
  expect(observed?.telemetry.isClosed).toBe(true);
});
