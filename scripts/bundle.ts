/** What the bundles of the package have in common: the licenses of other packages' code in them. */
import { globSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** A comment with the licenses of the packages that these modules are of. */
export function licensesOf(modules: readonly string[]): string {
  const names = new Set(modules.flatMap((id) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//u.exec(id)?.[1] ?? []));
  const licenses = [...names].map((name) => `${name}:\n${licenseOf(name)}`);
  return licenses.length === 0 ? "" : `/*!\nWith code of other packages.\n\n${licenses.join("\n")}*/`;
}

function licenseOf(name: string): string {
  const [file] = globSync(`node_modules/${name}/{license,LICENSE}`, { cwd: ROOT });
  if (file === undefined) throw new Error(`the package ${name} has no license`);
  return readFileSync(`${ROOT}${file}`, "utf8");
}
