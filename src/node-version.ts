/** The versions of Node that the package runs on. Imports nothing, and uses nothing that an old Node cannot read. */

/** What to tell the user of a Node that is too old. Undefined if it is new enough. */
export function nodeTooOld(node: string = process.versions.node): string | undefined {
  const [major = 0, minor = 0] = node.split(".").map(Number);
  if (major > 22 || (major === 22 && minor >= 12)) return undefined;
  return `needs Node 22.12 or newer, and this is Node ${node} (${process.execPath})`;
}
