import { isTimeZone } from './calendar.js';
import { Refused } from './fault-orders.js';
import { type Json, type JsonObject, listOf, objectOf } from './json.js';
import { rulesOf } from './limits.js';
import { DEFAULT_OPTIONS, licenceNames, type OpenPoints, type SimulatorOptions } from './options.js';

/** Options that may be null, and what they are when they are not. */
const NULLABLE: Readonly<Record<string, 'number' | 'boolean'>> = {
  limitPerMinute: 'number',
  limitPerDay: 'number',
  closeSolvedAfterMs: 'number',
  highVolume: 'boolean',
};

/** Options and open points that are one of a few words. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  licence: licenceNames(),
  headerSpelling: ['current', 'old', 'none'],
  headerCase: ['lower', 'title'],
  requesterPhoneAlone: ['create', 'reject', 'ignore'],
  idempotencyKeeps: ['success', 'processed', 'everything'],
  updateManyStamp: ['optional', 'required'],
  updateManyDraws: ['call', 'tickets', 'nothing'],
  perTicketWindow: ['wall-clock', 'first-update'],
  jobLimitScope: ['account', 'job-kind'],
  createConflicts: ['same-requester', 'never'],
  undescribedNulls: ['omit', 'null'],
};

/** Numbers that may be below zero. */
const SIGNED: readonly string[] = ['clockOffsetMs', 'seed'];

/** The options with these changes. Throws `Refused` where a change makes no sense; then nothing has changed. */
export function changedOptions(options: SimulatorOptions, changes: JsonObject): SimulatorOptions {
  for (const [name, value] of Object.entries(changes))
    if (name !== 'open') checkOption(DEFAULT_OPTIONS as unknown as JsonObject, name, value ?? null);
  const open = objectOf(changes['open'] ?? {});
  if (!open) throw new Refused('open must be an object');
  for (const [name, value] of Object.entries(open))
    checkOption(DEFAULT_OPTIONS.open as unknown as JsonObject, name, value ?? null);
  const next = { ...options, ...changes, open: { ...options.open, ...open } as OpenPoints } as SimulatorOptions;
  if (!isTimeZone(next.dayTimeZone)) throw new Refused(`unknown time zone ${next.dayTimeZone}`);
  checkEndpointLimits(objectOf(changes['endpointLimits']) ?? {});
  return next;
}

function checkOption(known: JsonObject, name: string, value: Json): void {
  if (!Object.hasOwn(known, name)) throw new Refused(`unknown option ${name}`);
  const words = WORDS[name];
  if (words && !(typeof value === 'string' && words.includes(value)))
    throw new Refused(`${name} must be one of ${words.join(', ')}`);
  const nullable = NULLABLE[name];
  if (nullable !== undefined && value === null) return;
  const type = nullable ?? kindOf(known[name] ?? null);
  if (kindOf(value) !== type) throw new Refused(`${name} must be a ${type}`);
  if (typeof value === 'number' && value < 0 && !SIGNED.includes(name))
    throw new Refused(`${name} must not be negative`);
}

function checkEndpointLimits(limits: JsonObject): void {
  const known = rulesOf({ ...DEFAULT_OPTIONS, limitPerDay: 1 }).map(({ name }) => name);
  for (const [name, max] of Object.entries(limits)) {
    if (!known.includes(name)) throw new Refused(`unknown limit ${name}; known: ${known.join(', ')}`);
    if (max !== null && (typeof max !== 'number' || max < 0))
      throw new Refused(`limit ${name} must be a number or null`);
  }
}

function kindOf(value: Json): string {
  return listOf(value) ? 'list' : typeof value;
}
