/** Numbers as people read them. Every text of one kind has the same digits, so that columns stay aligned. */

/** A dash where there is none. */
export const NONE = "–";

/** 0 to 9,999 as they are, then 12.3 k, 4.56 M. */
export function count(value: number | undefined): string {
  if (value === undefined) return NONE;
  if (value < 10_000) return Math.round(value).toLocaleString("en");
  return scaled(value, 1_000, ["", " k", " M", " G", " T"]);
}

export function bytes(value: number | undefined): string {
  if (value === undefined) return NONE;
  return scaled(value, 1_024, [" B", " KiB", " MiB", " GiB", " TiB"]);
}

function scaled(value: number, step: number, units: readonly string[]): string {
  let [at, rest] = [0, value];
  while (rest >= step && at < units.length - 1) [at, rest] = [at + 1, rest / step];
  return `${at === 0 ? Math.round(rest) : digits(rest)}${units[at]}`;
}

/** Three digits. */
function digits(value: number): string {
  return value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0);
}

/** 0.42 ms, 13.0 ms, 1.20 s, 2 m 05 s. */
export function milliseconds(value: number | null | undefined): string {
  if (value === undefined || value === null) return NONE;
  if (value < 1_000) return `${digits(value)} ms`;
  return value < 10_000 ? `${digits(value / 1_000)} s` : duration(value);
}

/** 7 s, 2 m 05 s, 3 h 07 m, 2 d 04 h. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000));
  const two = (part: number): string => String(part).padStart(2, "0");
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3_600) return `${Math.floor(seconds / 60)} m ${two(seconds % 60)} s`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3_600)} h ${two(Math.floor(seconds / 60) % 60)} m`;
  return `${Math.floor(seconds / 86_400)} d ${two(Math.floor(seconds / 3_600) % 24)} h`;
}

/** 13:04:59, by the clock of whoever looks. */
export function timeOfDay(ms: number): string {
  return new Date(ms).toLocaleTimeString("en-GB");
}

const IN_BYTES: ReadonlySet<string> = new Set(["heap", "memory", "bufferBytes"]);

/** The reading of a resource, in its unit. */
export function amount(resource: string, value: number | undefined): string {
  if (IN_BYTES.has(resource)) return bytes(value);
  return resource === "lag" ? milliseconds(value) : count(value);
}

/** One link, 2 links. */
export function plural(number: number, one: string): string {
  return `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
}
