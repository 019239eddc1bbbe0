import type { Books } from './books.js';
import { emptyBooks } from './books.js';
import { chaosOf } from './chaos.js';
import type { Identity } from './credentials.js';
import { addFault, type FaultState, noFaults } from './faults.js';
import { type LimitState, newLimits } from './limits.js';
import type { SimulatorOptions } from './options.js';
import { type Random, randomFrom } from './random.js';
import type { Job, Organization, Ticket, Upload, User } from './records.js';
import { type Schedule, emptySchedule } from './schedule.js';

/** What was answered under an Idempotency-Key. */
export interface RememberedAnswer {
  readonly fingerprint: number;
  readonly expiresAtMs: number;
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Which users the search index knows by what; it trails the records by the search lag. */
export interface UserIndex {
  readonly known: Map<
    number,
    { phone: string | undefined; email: string | undefined; externalId: string | undefined; name: string }
  >;
  readonly byPhone: Map<string, Set<number>>;
  readonly byEmail: Map<string, Set<number>>;
  readonly byExternalId: Map<string, Set<number>>;
}

/** The whole state of the simulated account. Only the functions of this folder change it. */
export interface World {
  options: SimulatorOptions;
  nowMs: number;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly limits: LimitState;
  readonly books: Books;
  readonly faults: FaultState;
  readonly tickets: Map<number, Ticket>;
  /** Ids of tickets not deleted, ascending. */
  readonly ticketIds: number[];
  readonly ticketIdsByExternalId: Map<string, number[]>;
  /** Ticket ids in the order of their changes; a ticket's `changePosition` says which of its entries is the latest. */
  readonly changes: { ticketId: number; atMs: number }[];
  readonly users: Map<number, User>;
  readonly userIds: number[];
  readonly userIdByEmail: Map<string, number>;
  readonly userIdByExternalId: Map<string, number>;
  readonly userIndex: UserIndex;
  readonly organizations: Map<number, Organization>;
  readonly jobs: Map<string, Job>;
  readonly uploads: Map<string, Upload>;
  readonly rememberedAnswers: Map<string, RememberedAnswer>;
  /** Until when a creation for a requester is under way. */
  readonly creatingUntilMs: Map<number, number>;
  /** What `Authorization` headers were judged to be, until credentials change. */
  readonly identities: Map<string, Identity>;
  /** Ids of the users that credentials stand for, by the credential's name. */
  readonly actorIds: Map<string, number>;
  nextTicketId: number;
  nextUserId: number;
  nextAuditId: number;
  nextExchangeId: number;
}

/** An account in which nothing has happened yet. */
export function newWorld(options: SimulatorOptions, nowMs: number): World {
  const world: World = {
    options,
    nowMs,
    random: randomFrom(options.seed),
    schedule: emptySchedule(),
    limits: newLimits(options),
    books: emptyBooks(),
    faults: noFaults(),
    tickets: new Map(),
    ticketIds: [],
    ticketIdsByExternalId: new Map(),
    changes: [],
    users: new Map(),
    userIds: [],
    userIdByEmail: new Map(),
    userIdByExternalId: new Map(),
    userIndex: { known: new Map(), byPhone: new Map(), byEmail: new Map(), byExternalId: new Map() },
    organizations: new Map(),
    jobs: new Map(),
    uploads: new Map(),
    rememberedAnswers: new Map(),
    creatingUntilMs: new Map(),
    identities: new Map(),
    actorIds: new Map(),
    nextTicketId: 1,
    nextUserId: 360_000_001,
    nextAuditId: 700_000_001,
    nextExchangeId: 1,
  };
  if (options.chaosShare > 0) for (const order of chaosOf(options.chaosShare)) addFault(world.faults, order, nowMs);
  return world;
}
