/** A strict parser of Prometheus' text format, version 0.0.4, which also checks what `promtool check metrics` does. */

export interface Sample {
  name: string;
  labels: Readonly<Record<string, string>>;
  value: number;
}

export interface Family {
  name: string;
  type: string;
  help: string;
  samples: Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/u;
const SUFFIXES = ["_bucket", "_sum", "_count"];

/** Throws for anything that the format does not have. */
export function parse(text: string): Map<string, Family> {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let family: Family | undefined;
  for (const line of text.split("\n").filter((each) => each !== "")) {
    const [, keyword, name = "", rest = ""] = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`, "u").exec(line) ?? [];
    if (keyword === "HELP") {
      if (families.has(name)) throw new Error(`twice: ${name}`);
      family = { name, type: "", help: rest, samples: [] };
      families.set(name, family);
    } else if (keyword === "TYPE") {
      if (family?.name !== name || family.type !== "") throw new Error(`out of place: ${line}`);
      if (!["counter", "gauge", "histogram"].includes(rest)) throw new Error(`no type: ${line}`);
      family.type = rest;
    } else {
      if (family === undefined) throw new Error(`out of place: ${line}`);
      const sample = parseSample(line);
      if (!belongs(sample.name, family)) throw new Error(`not of ${family.name}: ${line}`);
      const series = `${sample.name} ${JSON.stringify(Object.entries(sample.labels).toSorted(([a], [b]) => (a < b ? -1 : 1)))}`;
      if (seen.has(series)) throw new Error(`twice: ${line}`);
      seen.add(series);
      family.samples.push(sample);
    }
  }
  for (const each of families.values()) checkFamily(each);
  return families;
}

function parseSample(line: string): Sample {
  const match = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`, "u").exec(line);
  if (match === null) throw new Error(`no sample: ${line}`);
  const [, name = "", inBraces = "", number = ""] = match;
  return { name, labels: parseLabels(inBraces, line), value: parseNumber(number, line) };
}

function parseLabels(text: string, line: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== "";) {
    const match = LABEL.exec(rest);
    if (match === null) throw new Error(`wrong labels: ${line}`);
    const [all, name = "", value = ""] = match;
    if (Object.hasOwn(labels, name) || name.startsWith("__")) throw new Error(`wrong label ${name}: ${line}`);
    labels[name] = value.replaceAll(/\\(.)/gu, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
    rest = rest.slice(all.length);
  }
  return labels;
}

function parseNumber(text: string, line: string): number {
  if (text === "+Inf") return Infinity;
  if (!/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/u.test(text)) throw new Error(`no number: ${line}`);
  return Number(text);
}

function belongs(name: string, { name: family, type }: Family): boolean {
  return type === "histogram" ? SUFFIXES.some((suffix) => name === family + suffix) : name === family;
}

function checkFamily({ name, type, help, samples }: Family): void {
  if (type === "" || help === "") throw new Error(`${name} has no type or no help`);
  if ((type === "counter") !== name.endsWith("_total")) throw new Error(`${name} is a ${type}`);
  if (/(?:_ms|milliseconds|kilobytes|_kb|minutes)/u.test(name)) throw new Error(`${name} is not in a base unit`);
  if (/[A-Z]/u.test(name)) throw new Error(`${name} has capitals`);
  if (type !== "gauge" && samples.some(({ value }) => value < 0)) throw new Error(`${name} is negative`);
  if (type === "histogram") checkHistogram(name, samples);
}

/** Of each series the classes rise, in this order, up to the count. */
function checkHistogram(name: string, samples: readonly Sample[]): void {
  const bySeries = Map.groupBy(samples, ({ labels: { le: _, ...labels } }) => JSON.stringify(Object.entries(labels)));
  for (const of of bySeries.values()) {
    const buckets = of.filter((sample) => sample.name === `${name}_bucket`);
    const bounds = buckets.map(({ labels }) => (labels["le"] === "+Inf" ? Infinity : Number(labels["le"])));
    const counts = buckets.map(({ value }) => value);
    const rising = (numbers: number[]): boolean =>
      numbers.every((each, at) => at === 0 || each >= (numbers[at - 1] ?? 0));
    if (!rising(bounds) || !rising(counts) || bounds.at(-1) !== Infinity) throw new Error(`${name}: wrong classes`);
    const count = of.find((sample) => sample.name === `${name}_count`)?.value;
    if (count !== counts.at(-1)) throw new Error(`${name}: ${count} counted, ${counts.at(-1)} in the classes`);
    if (of.filter((sample) => sample.name === `${name}_sum`).length !== 1) throw new Error(`${name} has no sum`);
  }
}

/** The value of the series with these labels, which are some of its labels; undefined if there is none. */
export function valueOf(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const samples = [...families.values()].flatMap((family) => family.samples).filter((sample) => sample.name === name);
  const found = samples.filter((sample) => Object.entries(labels).every(([label, is]) => sample.labels[label] === is));
  if (found.length > 1) throw new Error(`several: ${name} ${JSON.stringify(labels)}`);
  return found[0]?.value;
}
