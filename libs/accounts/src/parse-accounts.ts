import 'reflect-metadata';
import {
  type AccountConfig,
  CRM_TYPES,
  type CrmConfig,
  DEFAULT_QUOTA_POLICY,
  INTERACTION_EVENTS,
  type IntegrationConfig,
  isName,
  type LimitConfig,
  type QuotaOnlyCrm,
  type QuotaPolicy,
  type TicketPolicy,
  WRITER_INTEGRATION,
  type ZendeskCrm,
} from '#contracts';
import { type Catalogue, catalogueOf, type LimitSet, limitsOf, termsOf } from '#limits';
import { DEFAULT_POLICY } from './default-policy.js';
import { durationMs } from './duration.js';
import { type AccountProblem, type Path, ProblemReport, unknownKeyMessage } from './problem-report.js';
import { checkShares, readShare } from './read-shares.js';
import {
  AccountSection,
  CommentSection,
  CredentialSection,
  CrmSection,
  CustomFieldSection,
  FileSection,
  IngestSection,
  IntegrationQuotaSection,
  IntegrationSection,
  LimitSection,
  percentOf,
  PolicySection,
  QuotaOnlyCrmSection,
  QuotaSection,
} from './sections.js';

export type ParsedAccounts =
  | { readonly ok: true; readonly accounts: readonly AccountConfig[] }
  | { readonly ok: false; readonly problems: readonly AccountProblem[] };

/** Longest file of accounts accepted, in characters. */
export const MAX_ACCOUNTS_FILE_LENGTH = 4_000_000;
const MAX_ACCOUNTS = 10_000;
const MAX_CUSTOM_FIELDS = 100;
const DEFAULT_REQUEST_TIMEOUT_MS = 10_000;
const DAY_MS = 86_400_000;
/** Limits whose name says their length. */
const LENGTH_BY_NAME_MS: Readonly<Record<string, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: DAY_MS,
};
const ZENDESK_ONLY = 'Sluice writes tickets to Zendesk only';
const NAME_HINT = 'must be 1 to 32 lower-case letters, digits and dashes, beginning and ending with a letter or digit';

/**
 * A file of accounts, checked as a whole: either every account with its defaults filled in, or every problem with its
 * line, in the order of the file. Doesn't throw. Never resolves a secret, and never repeats a value in a message.
 */
export function parseAccounts(yamlText: string): ParsedAccounts {
  if (yamlText.length > MAX_ACCOUNTS_FILE_LENGTH)
    return {
      ok: false,
      problems: [
        { line: 1, column: 1, path: '', message: `the file is longer than ${MAX_ACCOUNTS_FILE_LENGTH} characters` },
      ],
    };
  const report = new ProblemReport(yamlText);
  const value = report.value();
  const accounts = report.problems.length === 0 ? readFile(report, value) : [];
  if (report.problems.length === 0) return { ok: true, accounts };
  return { ok: false, problems: report.problems.toSorted((a, b) => a.line - b.line || a.column - b.column) };
}

function readFile(report: ProblemReport, value: unknown): AccountConfig[] {
  const file = report.section(FileSection, [], value);
  const entries = file && report.mapAt(['accounts'], file.accounts);
  if (!entries) return [];
  const names = Object.keys(entries);
  if (names.length === 0) report.add(['accounts'], 'is empty; declare at least one account');
  if (names.length > MAX_ACCOUNTS) report.add(['accounts'], `holds more than ${MAX_ACCOUNTS} accounts`);
  return names.flatMap((name) => readAccount(report, name, entries[name]) ?? []);
}

function readAccount(report: ProblemReport, name: string, value: unknown): AccountConfig | null {
  const path = ['accounts', name];
  checkName(report, path, name, 'an account');
  const section = report.section(AccountSection, path, value);
  if (!section) return null;
  const before = report.problems.length;
  const crm = readCrm(report, [...path, 'crm'], section.crm);
  const limits = readLimits(report, [...path, 'limits'], section.limits, crm);
  // Of limits that are wrong themselves nothing can be said about shares.
  const inForce = crm && limits && report.problems.length === before ? limitsOf({ crm, limits }) : null;
  const written = !crm || crm.type === 'zendesk';
  const integrations = readIntegrations(report, [...path, 'integrations'], section.integrations, { written, inForce });
  const quota = readQuota(report, [...path, 'quota'], section.quota);
  const policy = readPolicy(report, [...path, 'policy'], section.policy);
  if (!written)
    for (const key of ['batching', 'policy', 'dryRun'] as const)
      if (section[key] !== undefined) report.addKey([...path, key], `${ZENDESK_ONLY}; remove ${key}`);
  if (!crm || !limits || !integrations || !quota || !policy) return null;
  const batching = section.batching ?? 'auto';
  return { name, crm, limits, batching, integrations, policy, quota, dryRun: section.dryRun ?? false };
}

function readCrm(report: ProblemReport, path: Path, value: unknown): CrmConfig | null {
  const plain = report.mapAt(path, value);
  if (!plain) return null;
  const { type } = plain;
  return CRM_TYPES.some((known) => known === type) && type !== 'zendesk'
    ? readQuotaOnlyCrm(report, path, plain)
    : readZendesk(report, path, plain);
}

function readZendesk(report: ProblemReport, path: Path, value: unknown): ZendeskCrm | null {
  const section = report.section(CrmSection, path, value);
  if (!section) return null;
  const at = [...path, 'credential'];
  const credential = report.section(CredentialSection, at, section.credential);
  if (!credential) return null;
  const { kind, email, tokenRef } = credential;
  if (kind === 'oauth' && email !== undefined)
    report.addKey([...at, 'email'], 'an oauth token needs no e-mail address; remove it, or say kind: apiToken');
  return {
    type: 'zendesk',
    baseUrl: section.baseUrl,
    licence: section.licence,
    credential: kind === 'apiToken' ? { kind, email: email ?? '', tokenRef } : { kind, tokenRef },
    externalIdPrefix: section.externalIdPrefix ?? 'ccai-',
    timeScale: section.timeScale ?? 1,
    requestTimeoutMs: section.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
  };
}

/** A CRM that Sluice makes no calls to: what would only serve calls of its own is refused, not ignored. */
function readQuotaOnlyCrm(report: ProblemReport, path: Path, value: Record<string, unknown>): QuotaOnlyCrm | null {
  for (const key of ['baseUrl', 'credential', 'externalIdPrefix'])
    if (Object.hasOwn(value, key))
      report.addKey([...path, key], `${ZENDESK_ONLY} and makes no calls of its own here; remove ${key}`);
  const section = report.section(QuotaOnlyCrmSection, path, value);
  if (!section || section.type === 'zendesk') return null;
  const { type, licence, seats, timeZone } = section;
  const terms = termsOf(type, licence);
  for (const key of ['seats', 'timeZone'] as const)
    if (section[key] !== undefined && !terms.includes(key))
      report.addKey([...path, key], `changes no limit of licence ${licence}; remove it`);
  return {
    type,
    licence,
    timeScale: section.timeScale ?? 1,
    requestTimeoutMs: section.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
    ...(seats === undefined ? {} : { seats }),
    ...(timeZone === undefined ? {} : { timeZone }),
  };
}

function readQuota(report: ProblemReport, path: Path, value: unknown): QuotaPolicy | null {
  if (value === undefined || value === null) return DEFAULT_QUOTA_POLICY;
  const section = report.section(QuotaSection, path, value);
  if (!section) return null;
  return {
    mode: section.mode ?? DEFAULT_QUOTA_POLICY.mode,
    liveReservePercent: percentOf(section.liveReserve) ?? DEFAULT_QUOTA_POLICY.liveReservePercent,
    spreadBacklog: section.spreadBacklog ?? DEFAULT_QUOTA_POLICY.spreadBacklog,
    foreignPerMinute: section.foreign ?? DEFAULT_QUOTA_POLICY.foreignPerMinute,
  };
}

function readLimits(report: ProblemReport, path: Path, value: unknown, crm: CrmConfig | null): LimitConfig[] | null {
  const catalogue = crm && catalogueOf(crm.type, crm.licence, crm.type === 'zendesk' ? {} : crm);
  const none = value === undefined || value === null;
  const entries = none ? {} : report.mapAt(path, value);
  if (!entries) return null;
  for (const { name, max } of catalogue?.limits ?? [])
    if (max === null && !Object.hasOwn(entries, name))
      report.add(
        path,
        `${name} is missing: only the CRM's administrator knows this limit; say ${name}: { max: <calls> }`,
      );
  const limits = Object.entries(entries).map(([name, entry]) =>
    readLimit(report, [...path, name], name, entry, catalogue),
  );
  return limits.includes(null) ? null : (limits as LimitConfig[]);
}

function readLimit(
  report: ProblemReport,
  path: Path,
  name: string,
  value: unknown,
  catalogue: Catalogue | null,
): LimitConfig | null {
  checkName(report, path, name, 'a limit');
  const section = report.section(LimitSection, path, value);
  if (!section) return null;
  const inLicence = catalogue?.limits.find((limit) => limit.name === name);
  if (catalogue?.holds.some((hold) => hold.name === name)) {
    for (const key of ['length', 'kind', 'timeZone', 'draws'] as const)
      if ((section[key] ?? null) !== null)
        report.addKey([...path, key], `${name} counts places, not calls in time; only max may be set`);
    return { name, max: section.max, lengthMs: null, kind: null, anchor: null, draws: null };
  }
  const ownLengthMs = section.length ? durationMs(section.length) : null;
  const impliedMs = inLicence ? null : (LENGTH_BY_NAME_MS[name] ?? null);
  const lengthMs = ownLengthMs ?? impliedMs;
  if (lengthMs === null && !inLicence && catalogue)
    report.add(
      path,
      `is not a limit of the licence, so it needs a length, such as length: 1d. The licence's: ${namesOf(catalogue)}`,
    );
  const countedMs = lengthMs ?? inLicence?.lengthMs ?? 0;
  const kind = section.kind ?? inLicence?.kind ?? 'fixed';
  if (section.timeZone && (kind === 'rolling' || countedMs % DAY_MS !== 0))
    report.addKey(
      [...path, 'timeZone'],
      'only fixed windows of whole days begin at a midnight; remove it, or say length: 1d',
    );
  if (section.draws?.length === 0) report.add([...path, 'draws'], 'names no kind of call; leave it out for every call');
  return {
    name,
    max: section.max,
    lengthMs,
    kind: section.kind ?? null,
    anchor: section.timeZone ?? null,
    draws: section.draws ?? null,
  };
}

function namesOf(catalogue: Catalogue): string {
  return [...catalogue.limits, ...catalogue.holds].map((limit) => limit.name).join(', ');
}

/** What decides how an account's integrations are read. */
interface IntegrationTerms {
  /** True where Sluice writes to the account's CRM. */
  readonly written: boolean;
  /** Null where the limits are wrong themselves. */
  readonly inForce: LimitSet | null;
}

function readIntegrations(
  report: ProblemReport,
  path: Path,
  value: unknown,
  terms: IntegrationTerms,
): Record<string, IntegrationConfig> | null {
  const entries = report.mapAt(path, value);
  if (!entries) return null;
  const names = Object.keys(entries);
  if (terms.written && !names.includes(WRITER_INTEGRATION))
    report.add(
      path,
      `${WRITER_INTEGRATION} is missing: Sluice's own calls are counted as its; add '${WRITER_INTEGRATION}: {}'`,
    );
  else if (names.length === 0) report.add(path, 'is empty; name at least one that uses the calls');
  const before = report.problems.length;
  const read = names.map(
    (name) => [name, readIntegration(report, [...path, name], name, entries[name], terms)] as const,
  );
  if (read.some(([, integration]) => integration === null)) return null;
  const integrations = Object.fromEntries(read) as Record<string, IntegrationConfig>;
  if (terms.inForce && report.problems.length === before) checkShares(report, path, integrations, terms.inForce);
  return integrations;
}

function readIntegration(
  report: ProblemReport,
  path: Path,
  name: string,
  value: unknown,
  { written, inForce }: IntegrationTerms,
): IntegrationConfig | null {
  checkName(report, path, name, 'an integration');
  const section = report.section(IntegrationSection, path, value ?? {});
  if (!section) return null;
  const within = <T extends object>(of: new () => T, key: 'ingest' | 'quota'): T | null | undefined =>
    (section[key] ?? null) === null ? undefined : report.section(of, [...path, key], section[key]);
  const ingest = within(IngestSection, 'ingest');
  const quota = within(IntegrationQuotaSection, 'quota');
  const share = readShare(report, [...path, 'share'], section.share, inForce);
  if (ingest && !written)
    report.addKey([...path, 'ingest'], `${ZENDESK_ONLY}; remove ingest: nothing would come of its events`);
  if (ingest === null || quota === null || !share) return null;
  return {
    ingest: ingest ? { username: ingest.username, passwordRef: ingest.passwordRef } : null,
    trusted: section.trusted ?? (written && name === WRITER_INTEGRATION),
    share,
    quotaPasswordRef: quota?.passwordRef ?? null,
  };
}

function readPolicy(report: ProblemReport, path: Path, value: unknown): TicketPolicy | null {
  if (value === undefined || value === null) return DEFAULT_POLICY;
  const section = report.section(PolicySection, path, value);
  if (!section) return null;
  const comments = readComments(report, [...path, 'comments'], section.comments);
  const customFields = readCustomFields(report, [...path, 'customFields'], section.customFields);
  if (!comments || !customFields) return null;
  return {
    ticketAt: section.ticketAt ?? DEFAULT_POLICY.ticketAt,
    chatAfterCustomerMessages: section.chatAfterCustomerMessages ?? DEFAULT_POLICY.chatAfterCustomerMessages,
    mode: section.mode ?? DEFAULT_POLICY.mode,
    subject: section.subject ?? DEFAULT_POLICY.subject,
    body: section.body ?? DEFAULT_POLICY.body,
    bodyPublic: section.bodyPublic ?? DEFAULT_POLICY.bodyPublic,
    comments,
    tags: section.tags ?? DEFAULT_POLICY.tags,
    customFields,
    backlogAfterMs: durationMs(section.backlogAfter ?? '') ?? DEFAULT_POLICY.backlogAfterMs,
  };
}

/** Comments by event: what is named replaces the default, `null` (written `ended:` or `ended: null`) switches it off. */
function readComments(report: ProblemReport, path: Path, value: unknown): TicketPolicy['comments'] | null {
  if (value === undefined || value === null) return DEFAULT_POLICY.comments;
  const entries = report.mapAt(path, value);
  if (!entries) return null;
  const comments: Record<string, { body: string; public: boolean } | null> = { ...DEFAULT_POLICY.comments };
  let sound = true;
  for (const [event, entry] of Object.entries(entries)) {
    if (!(INTERACTION_EVENTS as readonly string[]).includes(event)) {
      report.addKey([...path, event], unknownKeyMessage(event, INTERACTION_EVENTS));
      sound = false;
      continue;
    }
    const section = entry === null ? null : report.section(CommentSection, [...path, event], entry);
    comments[event] = section && { body: section.body, public: section.public ?? false };
    if (entry !== null && !section) sound = false;
  }
  return sound ? comments : null;
}

function readCustomFields(report: ProblemReport, path: Path, value: unknown): TicketPolicy['customFields'] | null {
  if (value === undefined || value === null) return DEFAULT_POLICY.customFields;
  if (!Array.isArray(value) || value.length > MAX_CUSTOM_FIELDS) {
    report.add(path, `must be a list of at most ${MAX_CUSTOM_FIELDS} fields, each with id, value and type`);
    return null;
  }
  const seen = new Set<number>();
  const fields = value.map((entry: unknown, index) => {
    const section = report.section(CustomFieldSection, [...path, index], entry);
    if (section && seen.has(section.id))
      report.add([...path, index, 'id'], `field ${section.id} is set twice; keep one`);
    if (section) seen.add(section.id);
    return section && { id: section.id, value: section.value, type: section.type ?? ('text' as const) };
  });
  return fields.includes(null) ? null : (fields as TicketPolicy['customFields']);
}

function checkName(report: ProblemReport, path: Path, name: string, what: string): void {
  if (!isName(name)) report.addKey(path, `the name of ${what} ${NAME_HINT}`);
}
