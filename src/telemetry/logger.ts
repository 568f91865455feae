/** What is used of a logger: pino and console have it. */
export type Logger = Record<"debug" | "info" | "warn" | "error", (fields: object, message: string) => void>;
