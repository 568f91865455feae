/** The child's end of the channel between the demo's processes. */

/**
 * Calls `onOrder` for each of the parent's orders; returns a function that sends notes. The process ends with its
 * parent.
 */
export function openIpc<Words extends { order: object; note: object }>(
  onOrder: (order: Words["order"]) => void,
): (note: Words["note"]) => void {
  if (process.send === undefined) throw new Error("only `resplice demo` starts this");
  // Ctrl-C at a terminal reaches all three processes, and so does the SIGTERM of `timeout` or of systemd: the parent
  // decides what the children do.
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => {});
  process.on("disconnect", () => process.exit(1));
  process.on("message", onOrder as (order: unknown) => void);
  return (note) => {
    if (process.connected) process.send?.(note, undefined, {}, () => {});
  };
}
