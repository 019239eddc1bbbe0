import 'reflect-metadata';
import {
  type AccountConfig,
  type CrmConfig,
  DEFAULT_QUOTA_POLICY,
  DEFAULT_SHARE,
  INTERACTION_EVENTS,
  type IntegrationConfig,
  isName,
  type LimitConfig,
  type TicketPolicy,
  WRITER_INTEGRATION,
} from '#contracts';
import { zendeskLimits } from '#limits';
import { DEFAULT_POLICY } from './default-policy.js';
import { durationMs } from './duration.js';
import { type AccountProblem, type Path, ProblemReport, unknownKeyMessage } from './problem-report.js';
import {
  AccountSection,
  CommentSection,
  CredentialSection,
  CrmSection,
  CustomFieldSection,
  FileSection,
  IngestSection,
  IntegrationSection,
  LimitSection,
  PolicySection,
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
  const crm = readCrm(report, [...path, 'crm'], section.crm);
  const limits = readLimits(report, [...path, 'limits'], section.limits, crm?.licence ?? null);
  const integrations = readIntegrations(report, [...path, 'integrations'], section.integrations);
  const policy = readPolicy(report, [...path, 'policy'], section.policy);
  if (!crm || !limits || !integrations || !policy) return null;
  return {
    name,
    crm,
    limits,
    batching: section.batching ?? 'auto',
    integrations,
    policy,
    quota: DEFAULT_QUOTA_POLICY,
    dryRun: false,
  };
}

function readCrm(report: ProblemReport, path: Path, value: unknown): CrmConfig | null {
  const section = report.section(CrmSection, path, value);
  if (!section) return null;
  const at = [...path, 'credential'];
  const credential = report.section(CredentialSection, at, section.credential);
  if (!credential) return null;
  const { kind, email, tokenRef } = credential;
  if (kind === 'oauth' && email !== undefined)
    report.addKey([...at, 'email'], 'an oauth token needs no e-mail address; remove it, or say kind: apiToken');
  return {
    type: section.type,
    baseUrl: section.baseUrl,
    licence: section.licence,
    credential: kind === 'apiToken' ? { kind, email: email ?? '', tokenRef } : { kind, tokenRef },
    externalIdPrefix: section.externalIdPrefix ?? 'ccai-',
    timeScale: section.timeScale ?? 1,
    requestTimeoutMs: section.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS,
  };
}

function readLimits(report: ProblemReport, path: Path, value: unknown, licence: string | null): LimitConfig[] | null {
  if (value === undefined || value === null) return [];
  const entries = report.mapAt(path, value);
  if (!entries) return null;
  const limits = Object.entries(entries).map(([name, entry]) =>
    readLimit(report, [...path, name], name, entry, licence),
  );
  return limits.includes(null) ? null : (limits as LimitConfig[]);
}

function readLimit(
  report: ProblemReport,
  path: Path,
  name: string,
  value: unknown,
  licence: string | null,
): LimitConfig | null {
  checkName(report, path, name, 'a limit');
  const section = report.section(LimitSection, path, value);
  if (!section) return null;
  const catalogue = licence === null ? null : zendeskLimits(licence);
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

function namesOf(catalogue: NonNullable<ReturnType<typeof zendeskLimits>>): string {
  return [...catalogue.limits, ...catalogue.holds].map((limit) => limit.name).join(', ');
}

function readIntegrations(report: ProblemReport, path: Path, value: unknown): Record<string, IntegrationConfig> | null {
  const entries = report.mapAt(path, value);
  if (!entries) return null;
  if (!Object.hasOwn(entries, WRITER_INTEGRATION))
    report.add(
      path,
      `${WRITER_INTEGRATION} is missing: Sluice's own calls are counted as its; add '${WRITER_INTEGRATION}: {}'`,
    );
  const read = Object.entries(entries).map(
    ([name, entry]) => [name, readIntegration(report, [...path, name], name, entry)] as const,
  );
  if (read.some(([, integration]) => integration === null)) return null;
  return Object.fromEntries(read) as Record<string, IntegrationConfig>;
}

function readIntegration(report: ProblemReport, path: Path, name: string, value: unknown): IntegrationConfig | null {
  checkName(report, path, name, 'an integration');
  const section = report.section(IntegrationSection, path, value ?? {});
  if (!section) return null;
  const none = section.ingest === undefined || section.ingest === null;
  const ingest = none ? null : report.section(IngestSection, [...path, 'ingest'], section.ingest);
  if (!none && !ingest) return null;
  return {
    ingest: ingest ? { username: ingest.username, passwordRef: ingest.passwordRef } : null,
    trusted: section.trusted ?? name === WRITER_INTEGRATION,
    share: DEFAULT_SHARE,
    quotaPasswordRef: null,
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
