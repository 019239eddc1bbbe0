import { DEFAULT_SHARE, type IntegrationConfig, type Portion, type Share } from '#contracts';
import type { LimitSet } from '#limits';
import { nearestName } from './nearest-name.js';
import type { Path, ProblemReport } from './problem-report.js';
import { percentOf, ShareSection } from './sections.js';

/** In a map of calls by limit: the percentage of every limit that isn't named. */
const OTHERS = 'others';
const PORTION_HINT = "must be a percentage such as '30%', or calls by limit such as { minute: 100, others: 20% }";
const ROUNDING = 1e-6;

type WholeLimit = LimitSet['limits'][number];

/** A share as written; parts that are wrong are reported. `inForce` is null where the account's limits are wrong themselves. */
export function readShare(report: ProblemReport, path: Path, value: unknown, inForce: LimitSet | null): Share | null {
  if (value === undefined || value === null) return DEFAULT_SHARE;
  const section = report.section(ShareSection, path, value);
  if (!section) return null;
  const given = (part: unknown): boolean => part !== undefined && part !== null;
  const guarantee = given(section.guarantee)
    ? readPortion(report, [...path, 'guarantee'], section.guarantee, { inForce, othersPercent: 0 })
    : DEFAULT_SHARE.guarantee;
  const cap = given(section.cap)
    ? readPortion(report, [...path, 'cap'], section.cap, { inForce, othersPercent: 100 })
    : null;
  if (!guarantee || (!cap && given(section.cap))) return null;
  return { guarantee, cap, weight: section.weight ?? DEFAULT_SHARE.weight };
}

interface PortionTerms {
  readonly inForce: LimitSet | null;
  /** What holds for limits that a map doesn't name, where it doesn't say so itself. */
  readonly othersPercent: number;
}

function readPortion(report: ProblemReport, path: Path, value: unknown, terms: PortionTerms): Portion | null {
  const { inForce, othersPercent } = terms;
  if (inForce && wholeLimits(inForce).length === 0) {
    report.add(path, 'has nothing to be a part of: no limit is of the whole account; add one under limits');
    return null;
  }
  const percent = percentOf(value);
  if (percent !== null) return { percent, calls: {} };
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    report.add(path, PORTION_HINT);
    return null;
  }
  let sound = true;
  let others = othersPercent;
  const calls: Record<string, number> = {};
  for (const [name, entry] of Object.entries(value)) {
    const at = [...path, name];
    const problem = name === OTHERS ? null : problemOfName(name, inForce);
    const othersRead = name === OTHERS ? percentOf(entry) : null;
    if (problem !== null) report.addKey(at, problem);
    else if (othersRead !== null) others = othersRead;
    else if (name === OTHERS) report.add(at, "must be a percentage from 0 to 100, such as '20%'");
    else if (isCalls(entry)) calls[name] = entry;
    else report.add(at, `must be a whole number of calls; for a percentage of all limits say ${OTHERS}: 20%`);
    sound &&= problem === null && (name === OTHERS ? othersRead !== null : isCalls(entry));
  }
  return sound ? { percent: others, calls } : null;
}

function isCalls(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function problemOfName(name: string, inForce: LimitSet | null): string | null {
  if (!inForce) return null;
  const names = wholeLimits(inForce).map((limit) => limit.name);
  if (names.includes(name)) return null;
  const whole = `Of the whole account: ${names.join(', ')}`;
  if (inForce.holds.some((hold) => hold.name === name))
    return `${name} counts places, which are not shared out; name a limit of calls. ${whole}`;
  if (inForce.limits.some((limit) => limit.name === name))
    return `${name} limits some calls only, and shares are of limits of the whole account. ${whole}`;
  const near = nearestName(name, [...names, OTHERS]);
  return `is no limit of this account${near ? `; did you mean ${near}?` : '.'} ${whole}`;
}

/**
 * What shares must keep to among themselves: nobody is guaranteed more than its cap, no cap is less than a call, and of no
 * limit more is guaranteed than there is. Asked only of shares and limits that are sound each by itself.
 */
export function checkShares(
  report: ProblemReport,
  path: Path,
  integrations: Readonly<Record<string, IntegrationConfig>>,
  inForce: LimitSet,
): void {
  for (const [name, { share }] of Object.entries(integrations))
    for (const limit of wholeLimits(inForce)) checkShare(report, [...path, name, 'share'], share, limit);
  for (const limit of wholeLimits(inForce)) checkSum(report, path, integrations, limit);
}

function checkShare(report: ProblemReport, path: Path, { guarantee, cap }: Share, limit: WholeLimit): void {
  if (!cap) return;
  const most = callsOf(cap, limit);
  if (most < 1)
    report.add(
      [...path, 'cap'],
      `comes to less than one of the ${limit.max} calls of ${limit.name}, so it would stop the integration`,
    );
  const least = callsOf(guarantee, limit);
  if (least > most + ROUNDING)
    report.add(
      [...path, 'guarantee'],
      `is ${rounded(least)} calls of ${limit.name}, more than the cap of ${rounded(most)}; lower it, or raise the cap`,
    );
}

function checkSum(
  report: ProblemReport,
  path: Path,
  integrations: Readonly<Record<string, IntegrationConfig>>,
  limit: WholeLimit,
): void {
  const guaranteed = Object.entries(integrations).flatMap(([name, { share }]) => {
    const calls = callsOf(share.guarantee, limit);
    return calls > 0 ? [{ name, calls }] : [];
  });
  const sum = guaranteed.reduce((total, { calls }) => total + calls, 0);
  const last = guaranteed.at(-1);
  if (!last || sum <= limit.max + ROUNDING) return;
  const parts = guaranteed.map(({ name, calls }) => `${name} ${rounded(calls)}`).join(', ');
  report.add(
    [...path, last.name, 'share', 'guarantee'],
    `together ${rounded(sum)} calls of ${limit.name} are guaranteed (${parts}), and there are ${limit.max}; lower one`,
  );
}

/** The limits that are shared out: those that count every integration's calls together. */
function wholeLimits(inForce: LimitSet): WholeLimit[] {
  return inForce.limits.filter(({ scope }) => scope === 'account');
}

function callsOf(portion: Portion, limit: WholeLimit): number {
  return Object.hasOwn(portion.calls, limit.name) ? portion.calls[limit.name]! : (portion.percent * limit.max) / 100;
}

function rounded(calls: number): number {
  return Math.round(calls * 10) / 10;
}
