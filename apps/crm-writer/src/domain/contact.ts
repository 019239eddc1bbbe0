import type { Contact } from '#contracts';

/** How far a contact is known at the CRM. */
export type ContactStanding =
  /** Nothing to go by: the ticket names no requester, and the CRM takes the credential's own user. */
  | { readonly standing: 'anonymous' }
  /** Only a mail address: the CRM finds or makes the user itself as the ticket is made. */
  | { readonly standing: 'byEmail'; readonly email: string; readonly name: string | null }
  | { readonly standing: 'known'; readonly userId: number }
  | { readonly standing: 'step'; readonly step: ContactStep; readonly attempts: number }
  /** The CRM refused to make this user: its interactions wait for the operator. */
  | { readonly standing: 'refused'; readonly code: string }
  /** A call for this contact is in flight, or it has to wait a while. */
  | { readonly standing: 'busy' };

/**
 * What is done next for an unknown contact: looked for by phone, made, or, where the CRM says that it has this
 * external id already (an earlier attempt whose answer was lost), adopted by create_or_update.
 */
export type ContactStep = 'search' | 'create' | 'adopt';

/** What is remembered of a contact under one of its keys. */
export interface RememberedContact {
  readonly userId: number | null;
  readonly step: ContactStep | 'refused' | null;
  readonly refusedFor: string | null;
  readonly busy: boolean;
  /** Failures of its own so far. */
  readonly attempts: number;
}

/** The keys under which a contact is remembered, the telling one first; empty where there is nothing to go by. */
export function contactKeysOf(contact: Contact): string[] {
  const keys: string[] = [];
  if (contact.phone) keys.push(`phone:${contact.phone}`);
  if (contact.userId) keys.push(`user:${contact.userId}`);
  return keys;
}

/** The key by which two interactions are of the same contact; null = can't be told. */
export function contactKeyOf(contact: Contact): string | null {
  return contactKeysOf(contact)[0] ?? (contact.email ? `email:${contact.email.toLowerCase()}` : null);
}

/** The user's `external_id` at the CRM, unique there: what makes a repeated creation harmless. */
export function contactExternalId(prefix: string, contact: Contact): string {
  return `${prefix}${contact.phone ?? contact.userId ?? ''}`;
}

/** From what is remembered under a contact's keys (in their order) to what holds for it now. */
export function standingOf(contact: Contact, remembered: readonly (RememberedContact | null)[]): ContactStanding {
  if (contactKeysOf(contact).length === 0)
    return contact.email
      ? { standing: 'byEmail', email: contact.email, name: contact.name }
      : { standing: 'anonymous' };
  for (const known of remembered)
    if (known && known.userId !== null) return { standing: 'known', userId: known.userId };
  if (remembered.some((known) => known?.busy)) return { standing: 'busy' };
  const begun = remembered.find((known) => known !== null);
  const step = begun?.step ?? null;
  if (step === 'refused')
    return {
      standing: 'refused',
      code: remembered.find((known) => known?.refusedFor)?.refusedFor ?? 'contact_refused',
    };
  return { standing: 'step', step: step ?? (contact.phone ? 'search' : 'create'), attempts: begun?.attempts ?? 0 };
}

/** A user as the CRM's search lists them. */
export interface FoundUser {
  readonly id: number;
  readonly phone: string | null;
  /** ISO instant; compared as text, which orders ISO instants of one zone. */
  readonly updatedAt: string;
}

/**
 * The user of that phone number among those a search gave (a search also finds near misses): the one changed last.
 * Null where none has exactly this number.
 */
export function userOfPhone(users: readonly FoundUser[], phone: string): FoundUser | null {
  const wanted = digitsOf(phone);
  let best: FoundUser | null = null;
  for (const user of users) {
    if (user.phone === null || digitsOf(user.phone) !== wanted) continue;
    if (!best || user.updatedAt > best.updatedAt || (user.updatedAt === best.updatedAt && user.id > best.id))
      best = user;
  }
  return best;
}

function digitsOf(phone: string): string {
  return phone.replace(/\D/g, '');
}
