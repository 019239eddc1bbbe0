import { EDGE_MS, type HeaderNames, type HoldLimit, type Limit, NO_HEADERS } from './limit.js';

/** A limit as the catalogue has it. */
export interface CatalogueLimit extends Omit<Limit, 'max'> {
  /** Null where only the account's own administrator knows it: then the account must say it. */
  readonly max: number | null;
}

/** What an account may have to say beside its licence. */
export interface LicenceTerms {
  /** User licences bought. */
  readonly seats?: number | undefined;
  /** IANA time zone set for the account at the CRM. */
  readonly timeZone?: string | undefined;
}

/** Everything that a licence limits. */
export interface Catalogue {
  readonly limits: readonly CatalogueLimit[];
  readonly holds: readonly HoldLimit[];
}

/** What the catalogue knows of one CRM. */
export interface CrmCatalogue {
  readonly licences: readonly string[];
  /** Which of the terms change anything for a licence. */
  termsOf(licence: string): readonly (keyof LicenceTerms)[];
  /** Null for a licence that isn't one of `licences`. */
  limitsOf(licence: string, terms: LicenceTerms): Catalogue | null;
}

interface Whole extends Pick<CatalogueLimit, 'name' | 'kind' | 'lengthMs' | 'max'> {
  readonly anchor?: string;
  readonly headers?: Partial<HeaderNames>;
}

/**
 * A limit that every call of the whole account draws on. Where nobody says when a CRM's windows begin, `kind` is
 * `rolling`: what fits any span of that length fits the CRM's window, wherever it stands.
 */
export function wholeAccount({ headers, anchor, ...limit }: Whole): CatalogueLimit {
  return {
    ...limit,
    anchor: anchor ?? 'UTC',
    scope: 'account',
    draws: 'every',
    edgeMs: EDGE_MS,
    headers: { ...NO_HEADERS, ...headers },
  };
}
