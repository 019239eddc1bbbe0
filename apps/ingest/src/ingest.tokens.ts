/** Nest tokens of what is handed in to the ingest service's parts. */

/** The service's `Clock`. */
export const CLOCK = Symbol('CLOCK');
/** The service's `Log`. */
export const LOG = Symbol('LOG');
/** `IngestLimits`. */
export const INGEST_LIMITS = Symbol('INGEST_LIMITS');
/** The `InteractionBus`. */
export const INTERACTION_BUS = Symbol('INTERACTION_BUS');
