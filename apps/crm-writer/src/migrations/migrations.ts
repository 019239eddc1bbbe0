import { Writes1763800000000 } from './1763800000000-writes.js';
import { Doubts1763850000000 } from './1763850000000-doubts.js';

/** All of them, oldest first. */
export const MIGRATIONS = [Writes1763800000000, Doubts1763850000000];
