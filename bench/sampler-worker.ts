/** Samples its own resources. */
import { openReaders } from "../src/io/resources/process.ts";
import { Sampler } from "../src/io/resources/sampler.ts";
import { answerCalls } from "./calls.ts";
import { fail, sample, type Sample } from "./worker.ts";

export type SamplerCommands = {
  start(): void;
  /** `costs`: how long each resource takes to be read. */
  read(): Sample & { costs: Array<{ name: string; us: number }> };
};

const sampler = new Sampler({ ...openReaders(), onSample: () => {}, onFailure: (_, thrown) => fail(thrown) });

answerCalls({
  start: () => sampler.start(),
  read: () => ({ ...sample(0), costs: Array.from(sampler.readings, ([name, { costUs: us }]) => ({ name, us })) }),
} satisfies SamplerCommands);
