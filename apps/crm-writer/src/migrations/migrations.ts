import { Writes1763800000000 } from './1763800000000-writes.js';
import { Doubts1763850000000 } from './1763850000000-doubts.js';
import { Rehearsals1763900000000 } from './1763900000000-rehearsals.js';

/** All of them, oldest first. */
export const MIGRATIONS = [Writes1763800000000, Doubts1763850000000, Rehearsals1763900000000];
