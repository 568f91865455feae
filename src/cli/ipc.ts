/** The child's end of the channel between the demo's processes. */

/**
 * Calls `onOrder` for each of the parent's orders; returns a function that sends notes. The process ends with its
 * parent.
 */
export function openIpc<Words extends { order: object; note: object }>(
  onOrder: (order: Words["order"]) => void,
): (note: Words["note"]) => void {
  if (process.send === undefined) throw new Error("only `resplice demo` starts this");
  // A service manager may send its signal to all three processes: the parent decides what the children do.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  process.on("disconnect", () => process.exit(1));
  // It may have gone while we were starting.
  if (!process.connected) process.exit(1);
  process.on("message", onOrder as (order: unknown) => void);
  return (note) => {
    if (process.connected) process.send?.(note, undefined, {}, () => {});
  };
}
