/** Nest tokens of what is handed in to the command planner's parts. */

/** The service's `Clock`. */
export const CLOCK = Symbol('CLOCK');
/** The service's `Log`. */
export const LOG = Symbol('LOG');
/** The `CommandBus`. */
export const COMMAND_BUS = Symbol('COMMAND_BUS');
/** The `Render` of templates. */
export const RENDER = Symbol('RENDER');
/** `FindPolicy`. */
export const FIND_POLICY = Symbol('FIND_POLICY');
/** Longest time, ms, that an event of an unknown account is tried. */
export const UNKNOWN_ACCOUNT_WAIT_MS = Symbol('UNKNOWN_ACCOUNT_WAIT_MS');
