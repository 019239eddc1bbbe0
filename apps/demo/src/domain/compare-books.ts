/** What the simulated CRM wrote down by itself, as far as the comparison needs it. */
export interface CrmBooks {
  /** external id → how many tickets carry it. */
  readonly ticketsPerExternalId: Readonly<Record<string, number>>;
  /** command id → how often its mark stands on a ticket or comment. */
  readonly marks: Readonly<Record<string, number>>;
  /** contact (phone or external id) → how many users have it. */
  readonly usersPerContact: Readonly<Record<string, number>>;
}

export interface Comparison {
  readonly tickets: number;
  /** Interactions without a ticket, and commands without their mark. */
  readonly lost: readonly string[];
  /** External ids with more than one ticket, marks set more than once, contacts made more than once. */
  readonly doubled: readonly string[];
  /** Tickets whose external id no interaction has. */
  readonly strangers: readonly string[];
}

/**
 * Compares what was sent and planned with what the CRM says it holds. `interactions` are those that must have a ticket,
 * `commandIds` those that must have taken effect.
 */
export function compareBooks(
  interactions: Iterable<string>,
  commandIds: Iterable<string>,
  externalIdPrefix: string,
  books: CrmBooks,
): Comparison {
  const expected = new Set([...interactions].map((id) => externalIdPrefix + id));
  const lost: string[] = [];
  for (const externalId of expected) if (!books.ticketsPerExternalId[externalId]) lost.push(`ticket ${externalId}`);
  for (const id of commandIds) if (!books.marks[id]) lost.push(`command ${id}`);
  const doubled = [
    ...moreThanOnce('ticket', books.ticketsPerExternalId),
    ...moreThanOnce('command', books.marks),
    ...moreThanOnce('contact', books.usersPerContact),
  ];
  const strangers = Object.keys(books.ticketsPerExternalId).filter((externalId) => !expected.has(externalId));
  const tickets = Object.values(books.ticketsPerExternalId).reduce((sum, count) => sum + count, 0);
  return { tickets, lost, doubled, strangers };
}

function moreThanOnce(what: string, counts: Readonly<Record<string, number>>): string[] {
  return Object.entries(counts)
    .filter(([, count]) => count > 1)
    .map(([name, count]) => `${what} ${name} × ${count}`);
}
