/** The text of a stream's error. A stream may fail with any value, not only an Error. */
export function describe(error: unknown): string {
  try {
    const { code, message } = Object(error) as { code?: unknown; message?: unknown };
    if (typeof code === "string" && code !== "") return code;
    return typeof message === "string" && message !== "" ? message : "failed";
  } catch {
    return "failed";
  }
}
