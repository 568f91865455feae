/** `npm run fuzz`: bytes that nobody would send, into the decoder and to a server. */
import { ProgressLine } from "../../scripts/progress.ts";
import { EXIT_USAGE, type NumberOption, readNumbers, runCommand, seedOption } from "../endurance/command-line.ts";
import { type Allowed, grown, table } from "../endurance/footprint.ts";
import { type ConnectionsRun, fuzzConnections } from "./connections.ts";
import { type DecoderRun, fuzzDecoder } from "./decoder.ts";

const OPTIONS = {
  inputs: { least: 0, most: 10 ** 12, byDefault: 1_000_000, help: "into the decoder" },
  connections: { least: 0, most: 10 ** 9, byDefault: 10_000, help: "to a server, from addresses in 127.0.0.0/8" },
  seed: seedOption("what is drawn from it is the same again"),
} satisfies Record<string, NumberOption>;

const HELP = `npm run fuzz -- [options]

  --inputs N        ${OPTIONS.inputs.help}; 0: none. Default ${OPTIONS.inputs.byDefault}
  --connections N   ${OPTIONS.connections.help}; 0: none. Default ${OPTIONS.connections.byDefault}
  --seed S          ${OPTIONS.seed.help}. Default: a new one
  --help            this

Exits with 0 if nothing was found, 1 if something was, ${EXIT_USAGE} if the options make no sense.`;

/** The decoder keeps nothing: only what V8 knows of the code may have grown. */
const DECODER_ALLOWED: Allowed = {
  heapBytes: 2 ** 20,
  externalBytes: 2 ** 20,
  rssBytes: 64 * 2 ** 20,
  resources: { Timeout: 1 },
};

await runCommand("fuzz", HELP, async () => {
  const options = readNumbers(process.argv.slice(2), OPTIONS);
  if (options === "help") return "help";
  const { inputs, connections, seed } = options;
  console.log(`seed ${seed}`);
  const problems: string[] = [];
  const summaries: string[] = [];
  if (inputs > 0) {
    const { result, seconds } = await timed(inputs, "inputs", (onProgress) => fuzzDecoder(inputs, seed, onProgress));
    problems.push(...result.problems, ...grown(result.before, result.after, DECODER_ALLOWED));
    console.log(decoderReport(result).join("\n"));
    summaries.push(`${inputs} inputs in ${seconds.toFixed(1)} s`);
  }
  if (connections > 0) {
    const { result, seconds } = await timed(connections, "connections", (onProgress) =>
      fuzzConnections(connections, seed, onProgress),
    );
    problems.push(...result.problems);
    console.log(connectionsReport(result).join("\n"));
    summaries.push(`${connections} connections in ${seconds.toFixed(1)} s`);
  }
  for (const problem of problems) console.error(`fuzz: ${problem}`);
  console.log(`${summaries.join(", ")}: ${problems.length} problems (--seed ${seed})`);
  return problems.length === 0 ? 0 : 1;
});

async function timed<T>(
  of: number,
  what: string,
  run: (onProgress: (done: number) => void) => Promise<T>,
): Promise<{ result: T; seconds: number }> {
  const beganMs = performance.now();
  const seconds = (): number => (performance.now() - beganMs) / 1_000;
  const progress = new ProgressLine();
  const say = (done: number): void =>
    progress.at(done, of, () => `${done} of ${of} ${what}, ${Math.round(done / seconds())} a second`);
  say(0);
  try {
    return { result: await run(say), seconds: seconds() };
  } finally {
    progress.end();
  }
}

function decoderReport({ inputs, bytes, frames, faults, largestHeldBytes, before, after }: DecoderRun): string[] {
  const mean = (bytes / inputs).toFixed(0);
  return [
    `decoder: ${inputs} inputs of ${mean} bytes each on average; at most ${largestHeldBytes} bytes held for a frame`,
    `  frames: ${counts(frames)}`,
    `  faults: ${counts(faults)}`,
    ...table("the decoder's process", { before, after }),
  ];
}

function connectionsReport({ connections, kinds, tls, refused, talked, footprints }: ConnectionsRun): string[] {
  return [
    `server: ${connections} connections, ${tls} of them to one that speaks TLS`,
    `  ${counts(kinds)}`,
    `  refused: ${counts(new Map(Object.entries(refused)))}`,
    `  meanwhile good links exchanged ${talked.messages} messages both ways and lost ${talked.reconnects} connections; ` +
      `${talked.newcomers} newcomers were served`,
    ...table("the server's process", footprints),
  ];
}

function counts(of: ReadonlyMap<string, number>): string {
  return [...of]
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");
}
