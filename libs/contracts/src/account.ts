import type { CallKind } from './quota.js';
import type { AccountName, IntegrationName } from './words.js';

/** How the writer chooses between single calls and bulk jobs. */
export type Batching = 'auto' | 'off' | 'always';

/**
 * A secret is never in the configuration, only where to read it: `env:NAME` (an environment variable of the service
 * that needs it) or `file:/path` (a file readable by it).
 */
export type SecretRef = string;

/** The CRMs whose calls can be granted. Sluice itself writes tickets to the first only. */
export const CRM_TYPES = [
  'zendesk',
  'salesforce',
  'hubspot',
  'dataverse',
  'servicenow',
  'freshdesk',
  'kustomer',
] as const;
export type CrmType = (typeof CRM_TYPES)[number];

/** What the ledger needs to know of any CRM. */
interface AnyCrm {
  readonly type: CrmType;
  /** Tier in the catalogue of limits (`team`, `professional`, …). */
  readonly licence: string;
  /** 1 for a real CRM. A simulator running S times faster declares S here: every window and wait is divided by it. */
  readonly timeScale: number;
  /** How long one call may take before it counts as unanswered, ms (not scaled). */
  readonly requestTimeoutMs: number;
}

/** A CRM to which Sluice also writes. */
export interface ZendeskCrm extends AnyCrm {
  readonly type: 'zendesk';
  /** `https://<subdomain>.zendesk.com`, without a trailing slash. */
  readonly baseUrl: string;
  readonly credential:
    | { readonly kind: 'oauth'; readonly tokenRef: SecretRef }
    | { readonly kind: 'apiToken'; readonly email: string; readonly tokenRef: SecretRef };
  /** Put before the interaction's id to make the CRM's `external_id`. */
  readonly externalIdPrefix: string;
}

/** A CRM whose calls are granted to integrations, and to which Sluice itself makes none. */
export interface QuotaOnlyCrm extends AnyCrm {
  readonly type: Exclude<CrmType, 'zendesk'>;
  /** User licences bought, where the licence's limits grow with them. */
  readonly seats?: number;
  /** IANA time zone set for the account at the CRM, where its day begins at that zone's midnight. */
  readonly timeZone?: string;
}

export type CrmConfig = ZendeskCrm | QuotaOnlyCrm;

/** A limit added to the licence's, or one of them changed (by name). */
export interface LimitConfig {
  readonly name: string;
  readonly max: number;
  /** Required for a limit the licence doesn't have. */
  readonly lengthMs: number | null;
  readonly kind: 'fixed' | 'rolling' | null;
  /** `UTC` or an IANA time zone; where a fixed window of a day begins. */
  readonly anchor: string | null;
  /** Which kinds of call draw on it; null = every call. */
  readonly draws: readonly CallKind[] | null;
}

/** Part of every limit of the whole account (its minute, its day): percent, but for limits named with their own number of calls. */
export interface Portion {
  /** 0–100. */
  readonly percent: number;
  readonly calls: Readonly<Record<string, number>>;
}

/** What an integration may have of the account's windows. */
export interface Share {
  /** Its own whenever it asks: worth guarantee × time left ÷ length of the window. What it doesn't use others borrow. */
  readonly guarantee: Portion;
  /** Never more than this; null = no cap. */
  readonly cap: Portion | null;
  /** Among those who wait with the same priority, calls are granted in proportion to weights. */
  readonly weight: number;
}

/** How the ledger grants an account's calls. */
export interface QuotaPolicy {
  /** `shadow`: decides, counts and reports, but refuses nothing. */
  readonly mode: 'enforce' | 'shadow';
  /** Percent of each window of the whole account that only `live` may use; worth less as the window runs out. */
  readonly liveReservePercent: number;
  /** Backlog is spread over a window instead of burning it in its first seconds. */
  readonly spreadBacklog: boolean;
  /** Calls a minute kept free for those who don't ask; `auto` = learned from what was seen, by hour of the week. */
  readonly foreignPerMinute: number | 'auto';
}

export interface IntegrationConfig {
  /** HTTP Basic credentials for the ingest door; null = this integration may not publish events. */
  readonly ingest: { readonly username: string; readonly passwordRef: SecretRef } | null;
  /** A trusted integration's observed headers may close a limit; others can only lower within their evidence. */
  readonly trusted: boolean;
  readonly share: Share;
  /** Its password for the quota protocol over HTTP (user name `<account>.<integration>`); null = over NATS only. */
  readonly quotaPasswordRef: SecretRef | null;
}

/** What becomes a ticket, a comment, a field, and how it reads. Templates are Liquid. */
export interface TicketPolicy {
  /** A call or chat gets its ticket when assigned, or when the agent is connected. Ended ones always get one. */
  readonly ticketAt: 'assigned' | 'connected';
  /** Chats: not before the customer has written this many messages (0 = as calls). */
  readonly chatAfterCustomerMessages: number;
  readonly mode: 'new' | 'append';
  readonly subject: string;
  readonly body: string;
  readonly bodyPublic: boolean;
  /** A comment per event named here; `null` or absent = no comment for that event. */
  readonly comments: Readonly<Record<string, { readonly body: string; readonly public: boolean } | null>>;
  readonly tags: readonly string[];
  /** Zendesk custom field id → Liquid template; an empty rendering sets nothing. */
  readonly customFields: readonly {
    readonly id: number;
    readonly value: string;
    readonly type: 'text' | 'number' | 'checkbox';
  }[];
  /** Events older than this when planned are `backlog`, ms. */
  readonly backlogAfterMs: number;
}

/** One account as declared, validated, with defaults filled in. Holds no secret. */
export interface AccountConfig {
  readonly name: AccountName;
  readonly crm: CrmConfig;
  readonly limits: readonly LimitConfig[];
  readonly batching: Batching;
  readonly integrations: Readonly<Record<IntegrationName, IntegrationConfig>>;
  readonly policy: TicketPolicy;
  readonly quota: QuotaPolicy;
  /** Plan, count and report, but write nothing to the CRM: a trial of the whole gateway. */
  readonly dryRun: boolean;
}

/** An account to whose CRM Sluice writes. */
export interface WrittenAccount extends AccountConfig {
  readonly crm: ZendeskCrm;
}

/** False for accounts whose calls Sluice only grants: nothing may be planned for them, nothing written. */
export function isWritten(config: AccountConfig): config is WrittenAccount {
  return config.crm.type === 'zendesk';
}

/** What the ledger publishes of an account: its newest configuration and that version's number. */
export interface PublishedAccount {
  readonly version: number;
  readonly config: AccountConfig;
}

/** No guarantee, no cap, the weight that everybody has. */
export const DEFAULT_SHARE: Share = { guarantee: { percent: 0, calls: {} }, cap: null, weight: 1 };

/** How calls are granted where an account says nothing of it. */
export const DEFAULT_QUOTA_POLICY: QuotaPolicy = {
  mode: 'enforce',
  liveReservePercent: 10,
  spreadBacklog: true,
  foreignPerMinute: 'auto',
};
