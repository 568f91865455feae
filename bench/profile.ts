/** Profiles that workers wrote with --cpu-prof, as lists of the functions that took the most time themselves. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

interface CpuProfile {
  nodes: { id: number; callFrame: { functionName: string; url: string; lineNumber: number } }[];
  samples: number[];
  /** Microseconds before each sample. */
  timeDeltas: number[];
}

const LINES = 25;

export function topLists(folder: string): string {
  const files = readdirSync(folder).filter((file) => file.endsWith(".cpuprofile"));
  return files
    .toSorted()
    .map((file) => topList(join(folder, file)))
    .join("\n");
}

function topList(file: string): string {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, "utf8")) as CpuProfile;
  const places = new Map(nodes.map(({ id, callFrame }) => [id, place(callFrame)]));
  const selfUs = new Map<string, number>();
  for (const [at, id] of samples.entries()) {
    const where = places.get(id) ?? "?";
    selfUs.set(where, (selfUs.get(where) ?? 0) + (timeDeltas[at] ?? 0));
  }
  const idleUs = selfUs.get("(idle)") ?? 0;
  selfUs.delete("(idle)");
  const busyUs = [...selfUs.values()].reduce((sum, us) => sum + us, 0);
  const top = [...selfUs].toSorted((a, b) => b[1] - a[1]).slice(0, LINES);
  return [
    `${basename(file, ".cpuprofile")}: busy for ${(busyUs / 1e3).toFixed(0)} ms, idle for ${(idleUs / 1e3).toFixed(0)} ms`,
    ...top.map(([where, us]) => `  ${((100 * us) / busyUs).toFixed(1).padStart(5)} %  ${where}`),
    "",
  ].join("\n");
}

function place({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (url === "") return name;
  const file = url.startsWith("file:") ? fileURLToPath(url).replace(`${process.cwd()}/`, "") : url;
  return `${name}  ${file}:${lineNumber + 1}`;
}
