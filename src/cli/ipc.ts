/** The child's end of the channel between the demo's processes. */

/** Calls `onOrder` for what the parent says; answers how to speak to it. Without a parent the process ends. */
export function openIpc<Words extends { order: object; note: object }>(
  onOrder: (order: Words["order"]) => void,
): (note: Words["note"]) => void {
  if (process.send === undefined) throw new Error("only `resplice demo` starts this");
  // Ctrl-C at a terminal reaches all processes; what follows from it is the parent's to say.
  process.on("SIGINT", () => {});
  process.on("disconnect", () => process.exit(1));
  process.on("message", onOrder as (order: unknown) => void);
  return (note) => {
    if (process.connected) process.send?.(note, undefined, {}, () => {});
  };
}
