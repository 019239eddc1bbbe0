import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseDocument, stringify } from 'yaml';
import { limitsOf } from '#limits';
import { parseAccounts } from './index.js';

const FULL = {
  accounts: {
    demo: {
      crm: {
        type: 'zendesk',
        baseUrl: 'https://acme.zendesk.com',
        licence: 'team',
        credential: { kind: 'apiToken', email: 'sluice@example.com', tokenRef: 'env:TOKEN' },
        externalIdPrefix: 'ccai-',
        timeScale: 1,
        requestTimeoutMs: 9_000,
      },
      limits: {
        day: { max: 2_500, timeZone: 'Europe/Berlin' },
        burst: { max: 20, length: '10s', kind: 'rolling', draws: ['tickets.create'] },
        'inflight-jobs': { max: 5 },
      },
      batching: 'off',
      dryRun: true,
      quota: { mode: 'shadow', liveReserve: '5%', spreadBacklog: false, foreign: 20 },
      integrations: {
        ccai: { ingest: { username: 'ccai', passwordRef: 'env:PASSWORD' }, trusted: true, share: { guarantee: '20%' } },
        reporting: {
          share: { guarantee: { minute: 10, others: '2%' }, cap: { day: 900, others: '60%' }, weight: 2 },
          quota: { passwordRef: 'file:/run/secrets/reporting' },
        },
      },
      policy: {
        ticketAt: 'connected',
        comments: { ended: null, routed: { body: 'To {{ queue }}', public: true } },
        tags: ['ccai'],
        customFields: [{ id: 7, value: '{{ queue }}', type: 'text' }],
        backlogAfter: '10m',
      },
    },
    sales: { crm: { type: 'salesforce', licence: 'enterprise', seats: 50 }, integrations: { erp: { trusted: true } } },
    contacts: { crm: { type: 'hubspot', licence: 'free', timeZone: 'UTC' }, integrations: { erp: {} } },
    desk: {
      crm: { type: 'servicenow', licence: 'custom' },
      limits: { hour: { max: 900 } },
      integrations: { erp: { share: { cap: { hour: 450 } } } },
    },
  },
};

type Path = (string | number)[];

/** Where every value stands, those that hold others included. */
function pathsIn(value: unknown, path: Path = []): Path[] {
  const inner =
    typeof value === 'object' && value !== null
      ? Object.entries(value).flatMap(([key, entry]) =>
          pathsIn(entry, [...path, Array.isArray(value) ? Number(key) : key]),
        )
      : [];
  return [path, ...inner];
}

/** A list is told as a whole: one path leads to the other. */
const isNear = (one: string, other: string): boolean => one !== '' && (one.startsWith(other) || other.startsWith(one));

const PATHS = pathsIn(FULL).filter((path) => path.length > 0);

describe('parseAccounts', () => {
  it('takes a file with every key', () => {
    expect(parseAccounts(stringify(FULL))).toMatchObject({ ok: true });
  });

  it('finds a problem at whatever value is spoilt', () => {
    for (const path of PATHS) {
      const spoilt = parseDocument(stringify(FULL));
      spoilt.setIn(path, [['wrong']]);
      const parsed = parseAccounts(spoilt.toString());
      const found = parsed.ok ? [] : parsed.problems.map((problem) => problem.path);
      expect({ path, found: found.some((at) => isNear(at, path.join('.'))) }).toEqual({ path, found: true });
    }
  });

  it('ends with accounts whose limits can be counted, or with problems, whatever stands where', () => {
    const junk = fc.oneof(
      fc.constantFrom<unknown>(null, {}, [], '', true, false, -1, 0, 0.5, 1e21, Number.NaN, '100%', '1%', 'rolling'),
      fc.constantFrom<unknown>('zendesk', 'dataverse', 'custom', 'constructor', 'Europe/Berlin', '1d', 'env:X'),
      fc.jsonValue(),
    );
    const key = fc.constantFrom('constructor', 'toString', 'hasOwnProperty', 'length', 'others', 'minute', 'x');
    const change = fc.tuple(fc.constantFrom(...PATHS), fc.option(key, { nil: null }), junk);
    const property = fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const changed = structuredClone(FULL) as unknown;
      for (const [path, extra, value] of changes) place(changed, extra === null ? path : [...path, extra], value);
      const parsed = parseAccounts(stringify(changed, { aliasDuplicateObjects: false }));
      if (parsed.ok) for (const account of parsed.accounts) expect(limitsOf(account).limits).not.toEqual([]);
      else expect(parsed.problems.length).toBeGreaterThan(0);
    });
    fc.assert(property, { numRuns: 150 });
  });

  it('takes exactly the shares that fit each other', () => {
    const maxima = { minute: 200, day: 40 };
    const names = ['minute', 'day'] as const;
    const percent = fc.integer({ min: 0, max: 60 });
    const portion = fc.record({ others: percent, minute: fc.nat(120), day: fc.nat(30) }, { requiredKeys: [] });
    const shares = fc.array(fc.record({ guarantee: portion, cap: fc.option(portion, { nil: null }) }), {
      minLength: 1,
      maxLength: 4,
    });
    type Part = { others?: number; minute?: number; day?: number };
    const callsOf = (part: Part, name: 'minute' | 'day', othersPercent: number): number =>
      part[name] ?? ((part.others ?? othersPercent) * maxima[name]) / 100;
    const written = ({ others, ...calls }: Part) => (others === undefined ? calls : { ...calls, others: `${others}%` });
    const seen = new Set<boolean>();
    const property = fc.property(shares, (all) => {
      const fits = names.every((name) => {
        const least = all.map(({ guarantee }) => callsOf(guarantee, name, 0));
        const most = all.map(({ cap }) => (cap === null ? Number.MAX_VALUE : callsOf(cap, name, 100)));
        const sum = least.reduce((total, calls) => total + calls, 0);
        return sum <= maxima[name] && most.every((calls, index) => calls >= 1 && calls >= least[index]!);
      });
      const file = structuredClone(FULL.accounts.contacts) as Record<string, unknown>;
      file['crm'] = { type: 'freshdesk', licence: 'growth' };
      file['limits'] = { day: { max: maxima.day } };
      file['integrations'] = Object.fromEntries(
        all.map(({ guarantee, cap }, index) => [
          `one-${index}`,
          { share: { guarantee: written(guarantee), cap: cap && written(cap) } },
        ]),
      );
      seen.add(fits);
      expect(parseAccounts(stringify({ accounts: { desk: file } })).ok).toBe(fits);
    });
    fc.assert(property, { numRuns: 200 });
    expect(seen.size).toBe(2);
  });
});

/** Puts a value where the path leads, as far as something is there to hold it. */
function place(into: unknown, path: Path, value: unknown): void {
  let at = into;
  for (const key of path.slice(0, -1)) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, key)) return;
    at = (at as Record<string | number, unknown>)[key];
  }
  const last = path.at(-1)!;
  if (typeof at === 'object' && at !== null && !(Array.isArray(at) && last === 'length'))
    Object.defineProperty(at, last, { value, enumerable: true, writable: true, configurable: true });
}
