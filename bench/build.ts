/** What is measured is what is published: a process that holds the TypeScript sources has one heap more to collect. */
import { execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const COMPILER = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));

/** Compiles a checkout's sources into its `dist`, where its benchmarks find "resplice". */
export function build(folder: string): void {
  rmSync(join(folder, "dist"), { recursive: true, force: true });
  execFileSync(process.execPath, [COMPILER, "-p", join(folder, "tsconfig.build.json")], {
    stdio: ["ignore", "inherit", "inherit"],
  });
}
