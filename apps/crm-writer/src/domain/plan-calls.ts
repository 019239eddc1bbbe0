import type { CallKind, Contact, InteractionId, Priority } from '#contracts';
import { contactKeyOf, contactKeysOf, type ContactStanding, type ContactStep } from './contact.js';
import { mergeCommands, type MergedCommands } from './merge-commands.js';
import { mostUrgent, rankOfPriority, type WaitingInteraction } from './write.js';

/** Most tickets in one bulk job (Zendesk answers 400 TooManyValues beyond it). */
export const MAX_ITEMS_PER_JOB = 100;
/** Most text in one bulk request, characters: keeps a request's size and memory bounded. */
export const MAX_JOB_CHARS = 2_000_000;

export type Writer = 'single' | 'batch';
export type WriteCallKind = Extract<
  CallKind,
  'tickets.create' | 'tickets.create_many' | 'tickets.update' | 'tickets.update_many'
>;

/** Who a new ticket is from. */
export type Requester =
  | { readonly by: 'userId'; readonly userId: number }
  | { readonly by: 'email'; readonly email: string; readonly name: string | null }
  | { readonly by: 'none' };

/** What one call does for one interaction. */
export interface PlannedItem extends MergedCommands {
  readonly interactionId: InteractionId;
  /** Null = a ticket is made. */
  readonly ticketId: number | null;
  /** The ticket that was known when this was planned: null too where another interaction's ticket is appended to. */
  readonly knownTicketId: number | null;
  readonly followUpOf: number | null;
  readonly externalId: string;
  readonly subject: string;
  readonly requester: Requester;
  /** Under which the contact counts as taken while the ticket is being made. */
  readonly contactKeys: readonly string[];
  /** Failures so far of its commands, the most. */
  readonly attempts: number;
}

export interface PlannedCall {
  readonly kind: WriteCallKind;
  readonly writer: Writer;
  readonly priority: Priority;
  readonly items: readonly PlannedItem[];
}

/** A call that has to be made before a contact's ticket can be. */
export interface PlannedContactStep {
  readonly step: ContactStep;
  readonly contact: Contact;
  readonly keys: readonly string[];
  readonly priority: Priority;
  readonly attempts: number;
}

export type HeldBecause = 'noTicketCommand' | 'contactBusy' | 'contactRefused' | 'ticketBusy' | 'interactionBusy';

export interface Plan {
  /** In the order in which they should go. */
  readonly calls: readonly PlannedCall[];
  readonly contactSteps: readonly PlannedContactStep[];
  /** Interactions that can't go now, and why. */
  readonly held: readonly { readonly interactionId: InteractionId; readonly because: HeldBecause }[];
}

export interface PlanOptions {
  /** Which writer makes tickets and which one changes them. */
  readonly creates: Writer;
  readonly updates: Writer;
  /** A job of fewer items goes as single calls: 1 keeps even one item a job. */
  readonly fewestPerJob: number;
  readonly externalIdPrefix: string;
  readonly contactOf: (contact: Contact) => ContactStanding;
  /** Interactions, `ticket:<id>` and contact keys for which something is under way already. */
  readonly taken: ReadonlySet<string>;
}

/**
 * The fewest calls for the interactions that go next, in order of priority, then age. Each interaction is in at most one
 * call, with a prefix of its commands, so order within it can't break; each ticket, and each contact whose ticket is
 * being made, is in at most one call at a time (Zendesk answers two creations of one requester at once with 409).
 */
export function planCalls(waiting: readonly WaitingInteraction[], options: PlanOptions): Plan {
  const held: { interactionId: InteractionId; because: HeldBecause }[] = [];
  const steps: PlannedContactStep[] = [];
  const ready: { item: PlannedItem; interaction: WaitingInteraction }[] = [];
  const taken = new Set(options.taken);
  const ordered = [...waiting].sort(
    (a, b) => rankOfPriority(a.priority) - rankOfPriority(b.priority) || a.since - b.since,
  );
  for (const interaction of ordered) {
    const planned = planItem(interaction, options, taken);
    if ('because' in planned) held.push({ interactionId: interaction.interactionId, because: planned.because });
    else if ('step' in planned) steps.push(planned);
    else ready.push({ item: planned, interaction });
  }
  return { calls: intoCalls(ready, options), contactSteps: steps, held };
}

/** Takes ticket and contact for the interaction where it can go, so that no later one gets them in the same plan. */
function planItem(
  interaction: WaitingInteraction,
  { contactOf, externalIdPrefix }: PlanOptions,
  taken: Set<string>,
): PlannedItem | PlannedContactStep | { because: HeldBecause } {
  const { ensure, interactionId } = interaction;
  if (taken.has(interactionId)) return { because: 'interactionBusy' };
  const ticketId = interaction.ticketId ?? appendableTicket(interaction);
  const base = {
    ...mergeCommands(interaction.commands, interaction.solo),
    interactionId,
    externalId: `${externalIdPrefix}${interactionId}`,
    followUpOf: interaction.followUpOf,
    knownTicketId: interaction.ticketId,
    attempts: interaction.commands.reduce((most, { attempts }) => Math.max(most, attempts), 0),
  };
  if (ticketId !== null) {
    const key = ticketKey(ticketId);
    if (taken.has(key)) return { because: 'ticketBusy' };
    taken.add(key);
    return { ...base, ticketId, subject: '', requester: { by: 'none' }, contactKeys: [] };
  }
  if (!ensure) {
    if (interaction.followUpOf === null) return { because: 'noTicketCommand' };
    // The text of the first ticket's command is forgotten by now; the CRM takes the requester from the ticket it follows.
    const subject = `Follow-up of ticket #${interaction.followUpOf}`;
    return { ...base, ticketId: null, subject, requester: { by: 'none' }, contactKeys: [] };
  }
  const keys = [...new Set([contactKeyOf(ensure.contact), ...contactKeysOf(ensure.contact)])].filter(
    (key) => key !== null,
  );
  if (keys.some((key) => taken.has(key))) return { because: 'contactBusy' };
  const contact = contactOf(ensure.contact);
  if (contact.standing === 'busy') return { because: 'contactBusy' };
  if (contact.standing === 'refused') return { because: 'contactRefused' };
  // One contact may be known under several keys: what counts for the CRM is the requester.
  const requester = contact.standing === 'known' ? requesterKey(contact.userId) : null;
  if (requester !== null && taken.has(requester)) return { because: 'contactBusy' };
  for (const key of requester === null ? keys : [...keys, requester]) taken.add(key);
  if (contact.standing === 'step')
    return {
      step: contact.step,
      contact: ensure.contact,
      keys,
      priority: interaction.priority,
      attempts: contact.attempts,
    };
  return { ...base, ticketId: null, subject: ensure.subject, requester: requesterOf(contact), contactKeys: keys };
}

/** Under which key a ticket counts as taken. */
export function ticketKey(ticketId: number): string {
  return `ticket:${ticketId}`;
}

/** Under which key a requester counts as taken while a ticket is being made for them. */
export function requesterKey(userId: number): string {
  return `requester:${userId}`;
}

/** Under which keys a contact counts as taken while its ticket, or it itself, is being made. */
export function busyKeysOf(contact: Contact): string[] {
  const first = contactKeyOf(contact);
  return [...new Set([...(first === null ? [] : [first]), ...contactKeysOf(contact)])];
}

function appendableTicket({ ensure, appendTo, followUpOf }: WaitingInteraction): number | null {
  return ensure?.mode === 'append' && followUpOf === null ? appendTo : null;
}

function requesterOf(contact: Exclude<ContactStanding, { standing: 'step' | 'busy' | 'refused' }>): Requester {
  switch (contact.standing) {
    case 'anonymous':
      return { by: 'none' };
    case 'byEmail':
      return { by: 'email', email: contact.email, name: contact.name };
    case 'known':
      return { by: 'userId', userId: contact.userId };
    default:
      return contact satisfies never;
  }
}

interface Ready {
  readonly item: PlannedItem;
  readonly interaction: WaitingInteraction;
}

function intoCalls(ready: readonly Ready[], { creates, updates, fewestPerJob }: PlanOptions): PlannedCall[] {
  const groups: Group[] = [];
  const filling = new Map<string, Group>();
  for (const one of ready) {
    const { item, interaction } = one;
    const makes = item.ticketId === null;
    const most = Math.min(interaction.mostInJob ?? MAX_ITEMS_PER_JOB, MAX_ITEMS_PER_JOB);
    // What failed before, or is being taken apart, goes alone: then the CRM's answer is about it and nothing else.
    const alone = item.attempts > 0 || interaction.solo || item.followUpOf !== null || most <= 1;
    const batch = !alone && (makes ? creates : updates) === 'batch';
    const chars = (item.comment?.body.length ?? 0) + item.subject.length;
    // Those of jobs that failed as a whole stay among themselves: halves of what failed, not joined to anything again.
    const key = `${makes ? 'create' : 'update'} ${most}`;
    let group = batch ? filling.get(key) : undefined;
    if (!group || group.of.length >= most || group.chars + chars > MAX_JOB_CHARS) {
      group = { batch, makes, chars: 0, of: [] };
      groups.push(group);
      if (batch) filling.set(key, group);
    }
    group.chars += chars;
    group.of.push(one);
  }
  return groups.flatMap(({ batch, makes, of }) =>
    batch && of.length >= fewestPerJob ? [callOf(true, makes, of)] : of.map((one) => callOf(false, makes, [one])),
  );
}

interface Group {
  readonly batch: boolean;
  readonly makes: boolean;
  chars: number;
  readonly of: Ready[];
}

function callOf(batch: boolean, makes: boolean, of: readonly Ready[]): PlannedCall {
  const items = of.map(({ item }) => item);
  const priority = mostUrgent(of.map(({ interaction }) => interaction.priority));
  if (batch) return { kind: makes ? 'tickets.create_many' : 'tickets.update_many', writer: 'batch', priority, items };
  return { kind: makes ? 'tickets.create' : 'tickets.update', writer: 'single', priority, items };
}
