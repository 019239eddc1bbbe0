import type { CrmConfig, LimitConfig } from '#contracts';
import { type Catalogue, catalogueOf } from '#limits';
import { checkName } from './check-name.js';
import { durationMs } from './duration.js';
import type { Path, ProblemReport } from './problem-report.js';
import { LimitSection } from './sections.js';

const DAY_MS = 86_400_000;
/** Limits whose name says their length. */
const LENGTH_BY_NAME_MS: Readonly<Record<string, number>> = {
  second: 1_000,
  minute: 60_000,
  hour: 3_600_000,
  day: DAY_MS,
};

/** An account's changes to its licence's limits, checked against those; without its CRM only each by itself. */
export function readLimits(
  report: ProblemReport,
  path: Path,
  value: unknown,
  crm: CrmConfig | null,
): LimitConfig[] | null {
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
