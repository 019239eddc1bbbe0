/* The index that searches for users read. It trails the records. */
import type { User } from './records.js';
import type { World } from './world.js';

/** Ids of the users that the index finds for a query: `phone:`, `email:`, `external_id:`, or words of the name. */
export function searchUsers(world: World, query: string): number[] {
  const { byPhone, byEmail, byExternalId, known } = world.userIndex;
  const field = /^\s*(phone|email|external_id):\s*"?([^"]+?)"?\s*$/.exec(query);
  if (field?.[1] === 'phone') return [...(byPhone.get(digitsOf(field[2] ?? '')) ?? [])];
  if (field?.[1] === 'email') return [...(byEmail.get((field[2] ?? '').toLowerCase()) ?? [])];
  if (field?.[1] === 'external_id') return [...(byExternalId.get(field[2] ?? '') ?? [])];
  const text = query
    .replace(/(^|\s)(type|role):\S+/g, ' ')
    .replaceAll('"', '')
    .trim()
    .toLowerCase();
  if (text === '') return [...known.keys()];
  const exact = [
    ...(byEmail.get(text) ?? []),
    ...(/^\+?[\d\s().-]{4,}$/.test(text) ? (byPhone.get(digitsOf(text)) ?? []) : []),
  ];
  if (exact.length > 0) return exact;
  const words = text.split(/\s+/);
  const ids: number[] = [];
  for (const [id, { name }] of known) if (words.every((word) => name.includes(word))) ids.push(id);
  return ids;
}

/** A phone number's digits: all that a search by phone looks at. */
export function digitsOf(phone: string): string {
  return phone.replace(/\D/g, '');
}

/** Has the index know a user as it is now, once it has caught up. */
export function indexUser(world: World, user: User, nowMs: number): void {
  const entry = { phone: user.phone, email: user.email, externalId: user.externalId, name: user.name.toLowerCase() };
  const put = (): void => {
    const { known, byPhone, byEmail, byExternalId } = world.userIndex;
    const old = known.get(user.id);
    known.set(user.id, entry);
    reindex(byPhone, user.id, old?.phone && digitsOf(old.phone), entry.phone && digitsOf(entry.phone));
    reindex(byEmail, user.id, old?.email, entry.email);
    reindex(byExternalId, user.id, old?.externalId, entry.externalId);
  };
  if (world.options.searchLagMs === 0) put();
  else world.schedule.at(nowMs + world.options.searchLagMs, put);
}

function reindex(index: Map<string, Set<number>>, id: number, from: string | undefined, to: string | undefined): void {
  if (from) index.get(from)?.delete(id);
  if (!to) return;
  const ids = index.get(to);
  if (ids) ids.add(id);
  else index.set(to, new Set([id]));
}
