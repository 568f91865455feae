/**
 * Aborts `controller` when `signal` is aborted, with the same reason, until the function that it answers is called.
 * `AbortSignal.any()` does that as well, but what it makes leaves weak references behind, in each link and connection.
 */
export function abortWith(signal: AbortSignal, controller: AbortController): () => void {
  const abort = (): void => controller.abort(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return () => signal.removeEventListener("abort", abort);
}
