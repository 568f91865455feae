/// <reference types="node" preserve="true" />
// Since version 6 TypeScript loads no types that nobody names.
/** resplice/testing: what you need to test your own service. Nothing here is imported by the main entry point. */
export type { Direction, Faults } from "./faults.ts";
export { linkPair, type LinkPair, type LinkPairOptions, type VirtualClock } from "./pair.ts";
export { type FaultRelay, faultRelay } from "./relay.ts";
