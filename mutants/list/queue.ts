/** What waits before the log under a policy: bounds, overflow, time to live, priorities. */
import type { Mutant } from "../mutant.ts";

const NAIVE = ["test/core/queue/policy-queue.property.test.ts"];
const POLICIES = ["test/core/queue/policy-queue.test.ts"];
const CLASSES = ["test/core/queue/classes.test.ts"];

export const QUEUE: readonly Mutant[] = [
  {
    name: "conflated message at the end",
    rule: "a message that replaces another has the old place, else a hot key starves",
    file: "src/core/queue/policy-queue.ts",
    find: "this.#classOf(old.priority).line.replace(old, entry);",
    replace: "this.#classOf(old.priority).line.remove(old);\n    this.#classOf(old.priority).line.append(entry);",
    tests: POLICIES,
  },
  {
    name: "conflated place forgets its age",
    rule: "a class is passed over for as long as its first place waits",
    file: "src/core/queue/policy-queue.ts",
    find: "entry.placeMs = old.placeMs;",
    replace: "",
    tests: POLICIES,
  },
  {
    name: "keys are kept",
    rule: "there are never more keys than messages",
    file: "src/core/queue/policy-queue.ts",
    find: "if (key !== undefined) this.#keys.delete(key);",
    replace: "",
    tests: POLICIES,
  },
  {
    name: "expired message taken",
    rule: "the time to live is looked at when a message is about to be taken",
    file: "src/core/queue/policy-queue.ts",
    find: "this.expire(nowMs);\n    return this.messages === 0",
    replace: "return this.messages === 0",
    tests: POLICIES,
  },
  {
    name: "time to live at the head only",
    rule: "messages expire in the middle of the queue as well",
    file: "src/core/queue/expiry-heap.ts",
    find: "if (above.expiresMs <= entry.expiresMs) break;",
    replace: "break;",
    tests: NAIVE,
  },
  {
    name: "dropped in vain",
    rule: "nothing is dropped for a message for which there would be no room all the same",
    file: "src/core/queue/policy-queue.ts",
    find: "if (!this.#couldFit(entry)) return false;",
    replace: "if (this.messages === 0) return false;",
    tests: POLICIES,
  },
  {
    name: "a high class gives way to a low one",
    rule: "eviction takes the lowest class first, and none above the new message's",
    file: "src/core/queue/policy-queue.ts",
    find: "for (let index = this.#classes.length - 1; index >= priority; index--) {",
    replace: "for (let index = 0; index < this.#classes.length; index++) {",
    tests: POLICIES,
  },
  {
    name: "a class without bounds of its own",
    rule: "a class that is full does not take the others' room",
    file: "src/core/queue/policy-queue.ts",
    find: "return own.hasRoom(messages, bytes) && this.#fitsTogether(",
    replace: "return own !== undefined && this.#fitsTogether(",
    tests: NAIVE,
  },
  {
    name: "waiting memory without a share",
    rule: "what waits is counted in the budget that all links share",
    file: "src/core/queue/policy-queue.ts",
    find: "return messages === 1 || this.#account.heldBytes + memory <= this.#account.mostBytes;",
    replace: "return true;",
    tests: POLICIES,
  },
  {
    name: "turns by messages",
    rule: "shares are of bytes",
    file: "src/core/queue/classes.ts",
    find: "return Math.max(0, Math.ceil((bytes + MESSAGE_BYTES - this.#deficit) / this.#quantum));",
    replace: "return Math.max(0, Math.ceil((1_024 - 0 * bytes - this.#deficit) / this.#quantum));",
    and: {
      find: "Math.max(0, this.#deficit - bytes - MESSAGE_BYTES);",
      replace: "Math.max(0, this.#deficit - 1_024 - 0 * bytes);",
    },
    tests: CLASSES,
  },
  {
    name: "an empty class saves its share",
    rule: "a class that has nothing to send has no claim to what it has not used",
    file: "src/core/queue/classes.ts",
    find: "this.#deficit = this.line.size === 0 ? 0 : Math.max(",
    replace: "this.#deficit = Math.max(",
    tests: CLASSES,
  },
  {
    name: "starvation",
    rule: "a class that was passed over for a second goes next",
    file: "src/core/queue/classes.ts",
    find: "const starved = this.#wasStarved ? undefined : this.#starved(nowMs);",
    replace: "const starved = nowMs < 0 ? this.#starved(nowMs) : undefined;",
    tests: CLASSES,
  },
  {
    name: "age above all shares",
    rule: "at most every second message is taken for its age",
    file: "src/core/queue/classes.ts",
    find: "this.#wasStarved = this.#isStarved;",
    replace: "this.#wasStarved = false;",
    tests: CLASSES,
  },
];
