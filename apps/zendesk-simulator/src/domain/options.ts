import type { OperationKind } from './operations.js';
import type { ShownClock } from './shown-clock.js';

/** What a licence allows an account. */
export interface Licence {
  readonly name: string;
  /** Calls a minute, all integrations together. */
  readonly limitPerMinute: number;
  /** The High Volume add-on raises some of the limits below the account's. */
  readonly highVolume: boolean;
}

/** The licences Zendesk sells, as data (docs/zendesk.md). */
export const LICENCES: readonly Licence[] = [
  { name: 'essential', limitPerMinute: 10, highVolume: false },
  { name: 'team', limitPerMinute: 200, highVolume: false },
  { name: 'growth', limitPerMinute: 400, highVolume: false },
  { name: 'professional', limitPerMinute: 400, highVolume: false },
  { name: 'enterprise', limitPerMinute: 700, highVolume: false },
  { name: 'enterprise-plus', limitPerMinute: 2500, highVolume: false },
  { name: 'high-volume', limitPerMinute: 2500, highVolume: true },
];

/** A credential that the simulated account accepts. */
export interface Credential {
  /** `basic`: value is `user:secret` (an API token: `email/token:secret`). `bearer`: value is the token. */
  readonly kind: 'basic' | 'bearer';
  readonly value: string;
  /** Kinds of call that answer 403 with this credential. */
  readonly forbids?: readonly OperationKind[];
}

/** A business rule of the account that mails somebody when a ticket is made or updated. */
export interface TriggerRule {
  readonly id: number;
  readonly title: string;
  readonly on: 'create' | 'update';
  /** Fires only where the comment is public. */
  readonly publicCommentOnly: boolean;
  /** Does not fire on tickets that carry one of these tags. */
  readonly unlessTags: readonly string[];
}

/** Somebody else who uses the same licence. */
export interface ForeignTraffic {
  readonly caller: string;
  readonly callsPerMinute: number;
  /** What they call; `ui.update` is an agent who edits tickets by hand: it draws on `tickets-update` only. */
  readonly kind: OperationKind | 'ui.update';
}

/** How answers spell the headers that tell of limits. */
export type HeaderSpelling = 'current' | 'old' | 'none';

/**
 * Points that nobody outside Zendesk is sure of; either answer can be chosen (docs/simulator.md says which is the
 * default and why).
 */
export interface OpenPoints {
  readonly tooManyJobsStatus: number;
  /** Whether a ticket's requester may have a phone alone: made anew, refused, or ignored. */
  readonly requesterPhoneAlone: 'create' | 'reject' | 'ignore';
  /** Which answers an Idempotency-Key brings back: of success, of all but 429 and 5xx, or all. */
  readonly idempotencyKeeps: 'success' | 'processed' | 'everything';
  /** Whether items of `update_many` need `safe_update` with `updated_stamp`. */
  readonly updateManyStamp: 'optional' | 'required';
  /** Whether an item of `update_many` fails where its ticket changed between submission and execution. */
  readonly updateManyConflicts: boolean;
  /** What `update_many` draws on the limit of ticket updates: one a call, one a ticket, or nothing. */
  readonly updateManyDraws: 'call' | 'tickets' | 'nothing';
  /** Whether a ticket's ten minutes are the wall clock's, or begin with its first update. */
  readonly perTicketWindow: 'wall-clock' | 'first-update';
  /** Whether 30 jobs may be in flight in all, or 30 of each kind. */
  readonly jobLimitScope: 'account' | 'job-kind';
  /** Whether two creations for one requester at once end in 409 for the second. */
  readonly createConflicts: 'same-requester' | 'never';
  /** Whether a call without valid credentials costs one call of the account. */
  readonly unauthenticatedCounts: boolean;
  /**
   * Whether members that are empty, but that Zendesk's description does not allow to be null, are left out or null:
   * a user's `email`, a ticket's `recipient` and `forum_topic_id`.
   */
  readonly undescribedNulls: 'omit' | 'null';
}

/** Everything about a simulated account that can be chosen. Times are simulated milliseconds. */
export interface SimulatorOptions {
  readonly seed: number;
  readonly origin: string;
  readonly licence: string;
  /** Overrides the licence's calls a minute. */
  readonly limitPerMinute: number | null;
  /** Overrides the licence's High Volume add-on. */
  readonly highVolume: boolean | null;
  /** Trial and sandbox accounts have a lower limit of ticket updates. */
  readonly sandbox: boolean;
  /** A day's limit; Zendesk has none, other CRMs have. */
  readonly limitPerDay: number | null;
  readonly dayTimeZone: string;
  /** Other values for limits below the account's, by name; null takes a limit away. */
  readonly endpointLimits: Readonly<Record<string, number | null>>;
  /** How long after the turn of a window the counters may still count in the old one, at most. */
  readonly edgeLagMs: number;
  readonly credentials: readonly Credential[];
  readonly triggers: readonly TriggerRule[];
  readonly foreign: readonly ForeignTraffic[];
  /** Names of callers that are not ours, though they really call. */
  readonly foreignCallers: readonly string[];
  /** Whether a screen pop takes any agent's id for an agent, or only ids of agents who are users here. */
  readonly anyAgentId: boolean;
  /** Scales the time every call takes; 0 answers at once. */
  readonly latencyScale: number;
  /** Scales the time bulk jobs take; 0 completes them at once. */
  readonly jobTimeScale: number;
  readonly searchLagMs: number;
  readonly idempotencyLifeMs: number;
  readonly jobResultLifeMs: number;
  readonly uploadLifeMs: number;
  readonly uploadLimitBytes: number;
  /** Solved tickets become closed after this time; null never. */
  readonly closeSolvedAfterMs: number | null;
  readonly headerSpelling: HeaderSpelling;
  readonly headerCase: 'lower' | 'title';
  /** Headers that no answer carries. */
  readonly dropHeaders: readonly string[];
  /** How instants in answers relate to simulated time; the HTTP face sets it by its speed. */
  readonly shownClock: ShownClock;
  /** The share of calls that each kind of fault befalls, by the seed; 0 for none. */
  readonly chaosShare: number;
  /** Added to the clock that the `Date` header tells. */
  readonly clockOffsetMs: number;
  /** Dotted paths, in what a ticket's `metadata` carries, of the list of command marks and of the interaction's id. */
  readonly marksPath: string;
  readonly interactionPath: string;
  readonly open: OpenPoints;
}

/** Which answer each open point has unless told otherwise. */
export const DEFAULT_OPEN_POINTS: OpenPoints = {
  tooManyJobsStatus: 429,
  requesterPhoneAlone: 'reject',
  idempotencyKeeps: 'success',
  updateManyStamp: 'optional',
  updateManyConflicts: true,
  updateManyDraws: 'call',
  perTicketWindow: 'wall-clock',
  jobLimitScope: 'account',
  createConflicts: 'same-requester',
  unauthenticatedCounts: false,
  undescribedNulls: 'omit',
};

const HOUR_MS = 3_600_000;

/** An account as Zendesk makes it, on the Professional licence. */
export const DEFAULT_OPTIONS: SimulatorOptions = {
  seed: 1,
  origin: 'https://demo.zendesk.com',
  licence: 'professional',
  limitPerMinute: null,
  highVolume: null,
  sandbox: false,
  limitPerDay: null,
  dayTimeZone: 'UTC',
  endpointLimits: {},
  edgeLagMs: 1000,
  credentials: [],
  triggers: [
    {
      id: 101,
      title: 'Notify requester of received request',
      on: 'create',
      publicCommentOnly: true,
      unlessTags: [],
    },
    {
      id: 102,
      title: 'Notify requester of comment update',
      on: 'update',
      publicCommentOnly: true,
      unlessTags: [],
    },
  ],
  foreign: [],
  foreignCallers: [],
  anyAgentId: true,
  latencyScale: 1,
  jobTimeScale: 1,
  searchLagMs: 120_000,
  idempotencyLifeMs: 2 * HOUR_MS,
  jobResultLifeMs: 24 * HOUR_MS,
  uploadLifeMs: 72 * HOUR_MS,
  uploadLimitBytes: 50 * 1024 * 1024,
  closeSolvedAfterMs: null,
  headerSpelling: 'current',
  headerCase: 'lower',
  dropHeaders: [],
  chaosShare: 0,
  shownClock: { speed: 1, behindMs: 0 },
  clockOffsetMs: 0,
  marksPath: 'sluice.commands',
  interactionPath: 'sluice.interaction',
  open: DEFAULT_OPEN_POINTS,
};

/** The licence in force, with what overrides it. Unknown names are an error of whoever configures. */
export function licenceOf(options: SimulatorOptions): Licence {
  const licence = LICENCES.find(({ name }) => name === options.licence);
  if (!licence) throw new Error(`unknown licence ${options.licence}; known: ${licenceNames().join(', ')}`);
  return {
    name: licence.name,
    limitPerMinute: options.limitPerMinute ?? licence.limitPerMinute,
    highVolume: options.highVolume ?? licence.highVolume,
  };
}

/** The names of all licences. */
export function licenceNames(): string[] {
  return LICENCES.map(({ name }) => name);
}
