import { Writes1763800000000 } from './1763800000000-writes.js';

/** All of them, oldest first. */
export const MIGRATIONS = [Writes1763800000000];
