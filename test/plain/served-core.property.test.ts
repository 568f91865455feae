/** Whatever happens to a served link, its report is never wrong, and nothing that has arrived is lost. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { runs } from "../properties.ts";
import { ServedHand } from "./support.ts";

type Act =
  | { type: "send"; bytes: number }
  | { type: "write"; room: number }
  | { type: "hear"; parts: number }
  | { type: "written" | "read" | "fin" | "cut" | "end" | "leave" };

const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant("send" as const), bytes: fc.nat(300) }) },
    {
      weight: 4,
      arbitrary: fc.record({ type: fc.constant("write" as const), room: fc.integer({ min: 1, max: 400 }) }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant("hear" as const), parts: fc.integer({ min: 1, max: 3 }) }) },
    { weight: 4, arbitrary: fc.constant({ type: "written" as const }) },
    { weight: 2, arbitrary: fc.constant({ type: "read" as const }) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Act>({ type: "fin" }, { type: "cut" }, { type: "end" }, { type: "leave" }),
    },
  ),
  { maxLength: 60 },
);

test("each message is in one account, and what was heard is read", () => {
  fc.assert(
    fc.property(acts, fc.integer({ min: 0, max: 2_000 }), (steps, inDoubtBytes) => {
      const hand = new ServedHand({ inDoubtBytes });
      let sent = 0;
      let heard = 0;
      let onWire = "";
      const read: string[] = [];
      for (const act of steps) {
        const { core } = hand;
        if (act.type === "send" && !core.sendingEnded) hand.send(`<${sent++}>${"x".repeat(act.bytes)}`);
        if (act.type === "write") onWire += hand.write(act.room);
        if (act.type === "written" && core.adopted !== undefined) hand.written();
        if (act.type === "read") read.push(...hand.read());
        if (act.type === "fin") hand.fin();
        if (act.type === "cut") hand.cut();
        if (act.type === "end" && !core.sendingEnded) core.end();
        if (act.type === "leave") core.leave();
        if (act.type !== "hear") continue;
        const isHeard = core.adopted !== undefined && !core.takesNoMore;
        for (let n = 0; n < act.parts; n++) hand.hear(isHeard ? `${heard++}\n` : "too late\n");
      }
      read.push(...hand.read());
      if (hand.outcome === undefined) hand.cut();
      read.push(...hand.read());
      const { outcome, lost, untracked } = hand.outcome ?? { outcome: "none", lost: [], untracked: 0 };
      expect(["closed", "connection-lost"]).toContain(outcome);
      expect(hand.all("ended")).toHaveLength(1);
      expect(lost.length + untracked).toBe(sent);
      // They are written in order, so this many were given to the kernel, the last perhaps in part.
      const begun = onWire.split("<").length - 1;
      for (const message of lost) {
        const [, id, delivery] = /^<(\d+)>x* (maybe|not-sent)$/u.exec(message) ?? [];
        expect([message, delivery]).toEqual([message, Number(id) < begun ? "maybe" : "not-sent"]);
      }
      if (outcome === "closed") expect(lost).toEqual([]);
      expect(read).toEqual(Array.from({ length: heard }, (_, n) => String(n)));
      expect([hand.core.heldBytes, hand.core.unacceptedBytes]).toEqual([0, 0]);
    }),
    { numRuns: runs(1_000) },
  );
});
