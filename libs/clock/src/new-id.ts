import { randomUUID } from 'node:crypto';

/** Makes a new id on every call; handed in, so that tests know the ids beforehand. */
export type NewId = () => string;

/** Random 128-bit ids (UUID version 4), safe in subjects, URLs and file names. */
export const randomId: NewId = () => randomUUID();
