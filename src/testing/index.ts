/** resplice/testing: what you need to test your own service. Nothing here is imported by the main entry point. */
export type { Direction, Faults } from "./faults.ts";
export { type FaultRelay, faultRelay } from "./relay.ts";
