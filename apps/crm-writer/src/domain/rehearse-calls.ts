import type { Batching, CallKind, Contact } from '#contracts';
import { chooseWriter, FEWEST_WORTH_A_JOB } from './choose-writer.js';
import { contactKeysOf, type ContactStanding } from './contact.js';
import { planCalls, type PlannedCall, type WriteCallKind, type Writer } from './plan-calls.js';
import type { WaitingInteraction } from './write.js';

/** An interaction with commands of a dry run that no call was planned for yet. */
export interface ToRehearse extends WaitingInteraction {
  /** Its ticket is there, or a command that makes it was counted or waits: what is left changes that ticket. */
  readonly ticketPromised: boolean;
}

/** Calls of one kind that a dry run would have made. */
export interface RehearsedCalls {
  readonly kind: CallKind;
  readonly calls: number;
  /** Tickets that they would have made or changed. */
  readonly tickets: number;
}

/** What was planned together, without being done. */
export interface Rehearsal {
  readonly commands: readonly { readonly commandId: string; readonly writer: Writer; readonly mergedWith: number }[];
  readonly calls: readonly RehearsedCalls[];
}

/** Looks that a bulk job takes at most in the usual case. */
const LOOKS_PER_JOB = 2;
/** Contacts remembered as made; beyond it they begin anew. */
const MAX_CONTACTS = 50_000;

/** Contacts that a dry run would have looked up or made by now, each with a number to stand for its id at the CRM. */
export class RehearsedContacts {
  private readonly ids = new Map<string, number>();

  /** The number of one that was met before; null = it is new. */
  find(keys: readonly string[]): number | null {
    for (const key of keys) if (this.ids.has(key)) return this.ids.get(key)!;
    return null;
  }

  /** Notes a new one, under all its keys. */
  add(keys: readonly string[]): number {
    if (this.ids.size >= MAX_CONTACTS) this.ids.clear();
    const id = -1 - this.ids.size;
    for (const key of keys) this.ids.set(key, id);
    return id;
  }
}

export interface RehearseOptions {
  readonly batching: Batching;
  readonly externalIdPrefix: string;
  readonly timeScale: number;
  /** As the writer knows the contact from real calls. */
  readonly contactOf: (contact: Contact) => ContactStanding;
  readonly contacts: RehearsedContacts;
}

/**
 * The calls that would be made next for these interactions, if they were had at once: those that the writer plans, with
 * the look-ups and creations of contacts, and the looks at bulk jobs. What the CRM would say isn't known: a contact that
 * was never met counts as looked up and made, an interaction as a ticket of its own.
 */
export function rehearseCalls(interactions: readonly ToRehearse[], options: RehearseOptions): Rehearsal {
  const counted = new Map<CallKind, { calls: number; tickets: number }>();
  const count = (kind: CallKind, calls: number, tickets = 0): void => {
    const before = counted.get(kind) ?? { calls: 0, tickets: 0 };
    counted.set(kind, { calls: before.calls + calls, tickets: before.tickets + tickets });
  };
  const makes = interactions.filter(({ ticketId, ticketPromised }) => ticketId === null && !ticketPromised);
  const changes = interactions.filter((one) => !makes.includes(one));
  const plan = planCalls(
    interactions.map((one, index) => (one.ticketPromised ? { ...one, ticketId: one.ticketId ?? -1 - index } : one)),
    {
      creates: writerFor(makes, options),
      updates: writerFor(changes, options),
      fewestPerJob: options.batching === 'always' ? 1 : FEWEST_WORTH_A_JOB,
      externalIdPrefix: options.externalIdPrefix,
      contactOf: (contact) => metContact(contact, options, count),
      taken: new Set(),
    },
  );
  for (const { kind, items } of plan.calls) {
    count(kind, 1, items.length);
    if (isBulk(kind)) count('jobs.show', LOOKS_PER_JOB);
  }
  const calls = [...counted].map(([kind, counts]): RehearsedCalls => ({ kind, ...counts }));
  return { commands: plan.calls.flatMap(commandsOf), calls };
}

function writerFor(waiting: readonly ToRehearse[], { batching, timeScale }: RehearseOptions): Writer {
  const waitingLive = waiting.filter(({ priority }) => priority === 'live').length;
  return chooseWriter({ batching, waiting: waiting.length, waitingLive, standings: [], timeScale });
}

/** Who isn't known would be asked for and made, once. */
function metContact(
  contact: Contact,
  { contactOf, contacts }: RehearseOptions,
  count: (kind: CallKind, calls: number) => void,
): ContactStanding {
  const standing = contactOf(contact);
  switch (standing.standing) {
    case 'anonymous':
    case 'byEmail':
    case 'known':
      return standing;
    case 'step':
    case 'busy':
    case 'refused':
      break;
    default:
      return standing satisfies never;
  }
  const keys = contactKeysOf(contact);
  const met = contacts.find(keys);
  if (met !== null) return { standing: 'known', userId: met };
  if (contact.phone) count('users.search', 1);
  count('users.create', 1);
  return { standing: 'known', userId: contacts.add(keys) };
}

function isBulk(kind: WriteCallKind): boolean {
  return kind === 'tickets.create_many' || kind === 'tickets.update_many';
}

function commandsOf({ writer, items }: PlannedCall): Rehearsal['commands'] {
  const ids = items.flatMap(({ commandIds }) => commandIds);
  return ids.map((commandId) => ({ commandId, writer, mergedWith: ids.length }));
}
