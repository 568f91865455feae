/** Transfers the memory of a view elsewhere, which leaves it empty. */
export function detach(view: Uint8Array): void {
  structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
}
