import { httpDateOf } from './calendar.js';
import type { Fault } from './faults.js';
import type { Draw } from './limits.js';
import type { SimulatorOptions } from './options.js';
import { shownMs } from './shown-clock.js';

/** What the headers of an answer are made from. */
export interface HeaderMaterial {
  readonly draws: readonly Draw[];
  readonly options: SimulatorOptions;
  readonly faults: readonly Fault[];
  readonly nowMs: number;
  readonly tookMs: number;
  readonly id: number;
  readonly contentType: string | undefined;
  readonly own: Readonly<Record<string, string>> | undefined;
  readonly unknownParameters: readonly string[];
}

/** The names that limits went by before. */
const OLD_SPELLINGS: readonly (readonly [RegExp, string])[] = [
  [/^x-rate-limit$/, 'rate-limit'],
  [/^x-rate-limit-remaining$/, 'rate-limit-remaining'],
  [/^ratelimit-reset$/, 'rate-limit-reset'],
  [/^zendesk-ratelimit-/, 'zendesk-rate-limit-'],
];

/** Everything an answer's head says, in lower case unless told otherwise. */
export function headersOf(material: HeaderMaterial): Record<string, string> {
  const { options, faults } = material;
  let { headerSpelling: spelling, headerCase } = options;
  let dropped = options.dropHeaders;
  for (const { effect } of faults) {
    if (effect.type !== 'headers') continue;
    spelling = effect.spelling ?? spelling;
    headerCase = effect.case ?? headerCase;
    if (effect.drop) dropped = [...dropped, ...effect.drop];
  }
  const headers: Record<string, string> = {
    date: httpDateOf(shownMs(material, material.nowMs) + clockOffsetOf(options, faults)),
  };
  if (material.contentType !== undefined) headers['content-type'] = material.contentType;
  headers['x-zendesk-api-version'] = 'v2';
  const hexId = material.id.toString(16).padStart(16, '0');
  headers['x-request-id'] = `sim-${hexId}`;
  headers['x-runtime'] = String(material.tookMs / 1000);
  headers['etag'] = `W/"${hexId}"`;
  if (spelling !== 'none') limitHeaders(headers, material.draws);
  if (material.unknownParameters.length > 0)
    headers['x-zendesk-api-warn'] =
      `Removed restricted keys ${JSON.stringify(material.unknownParameters)} from parameters`;
  Object.assign(headers, material.own);
  if (spelling === 'old') respell(headers);
  for (const name of dropped) delete headers[name.toLowerCase()];
  return headerCase === 'title' ? titled(headers) : headers;
}

/** How far the clock is off that the `Date` header tells. */
function clockOffsetOf(options: SimulatorOptions, faults: readonly Fault[]): number {
  let offsetMs = options.clockOffsetMs;
  for (const { effect } of faults) if (effect.type === 'clock') offsetMs += effect.offsetMs;
  return offsetMs;
}

function limitHeaders(headers: Record<string, string>, draws: readonly Draw[]): void {
  for (const { rule, remaining, resetsInSeconds } of draws) {
    if (rule.toldBy === undefined) continue;
    if (rule.toldBy !== 'account') {
      headers[`zendesk-ratelimit-${rule.toldBy}`] =
        `total=${rule.max}; remaining=${remaining}; resets=${resetsInSeconds}`;
      continue;
    }
    const max = String(rule.max);
    const left = String(remaining);
    headers['x-rate-limit'] = max;
    headers['x-rate-limit-remaining'] = left;
    headers['ratelimit-limit'] = max;
    headers['ratelimit-remaining'] = left;
    headers['ratelimit-reset'] = String(resetsInSeconds);
  }
}

function respell(headers: Record<string, string>): void {
  for (const name of Object.keys(headers)) {
    const value = headers[name] ?? '';
    if (name === 'ratelimit-limit' || name === 'ratelimit-remaining') delete headers[name];
    for (const [current, old] of OLD_SPELLINGS) {
      if (!current.test(name)) continue;
      delete headers[name];
      headers[name.replace(current, old)] = value;
    }
  }
}

function titled(headers: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [
      name.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()),
      value,
    ]),
  );
}
