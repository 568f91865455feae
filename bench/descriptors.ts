/** How many connections the limit on open files allows a process. */

/** Beside connections: what Node has open itself, and a listener. */
const OTHERS = 100;

/** So many as wanted, or as many as the limit allows, which it says. `each`: descriptors that a process needs for one. */
export function descriptorsFor(wanted: number, each: number): number {
  const allowed = Math.floor((openFilesMax() - OTHERS) / each);
  if (allowed >= wanted) return wanted;
  process.stderr.write(`${allowed} connections instead of ${wanted}: raise the limit on open files (ulimit -n)\n`);
  return allowed;
}

/** Node raises its soft limit to the hard one when it starts. */
function openFilesMax(): number {
  const { userLimits } = process.report.getReport() as { userLimits?: { open_files?: { soft: number | "unlimited" } } };
  const soft = userLimits?.open_files?.soft ?? "unlimited";
  return soft === "unlimited" ? Infinity : soft;
}
