import { describe, expect, it } from '@jest/globals';
import { USAGE_TABLES, wantedPartitions } from './usage-partitions.js';

const at = (iso: string): number => Date.parse(iso);

describe('the partitions of counted calls', () => {
  it.each(USAGE_TABLES)('of %s follow each other without gaps, the present one among them', (table) => {
    for (let nowMs = at('2027-12-01T00:00:00Z'); nowMs < at('2028-04-01T00:00:00Z'); nowMs += 7 * 3_599_999) {
      const wanted = wantedPartitions(table, nowMs);
      const present = wanted[1]!;
      expect(present.fromMs <= nowMs && nowMs < present.toMs).toBe(true);
      for (const [index, { fromMs }] of wanted.entries()) if (index > 0) expect(fromMs).toBe(wanted[index - 1]!.toMs);
      expect(new Set(wanted.map(({ name }) => name)).size).toBe(wanted.length);
    }
  });

  it('are named for the days, months and years that they hold, across their ends', () => {
    const names = USAGE_TABLES.flatMap((table) => wantedPartitions(table, at('2028-02-28T23:59:59Z'))).map(
      ({ name }) => name,
    );
    expect(names).toEqual([
      'usage_minute_20280227',
      'usage_minute_20280228',
      'usage_minute_20280229',
      'usage_minute_20280301',
      'usage_minute_20280302',
      'usage_hour_202801',
      'usage_hour_202802',
      'usage_hour_202803',
      'usage_day_2027',
      'usage_day_2028',
      'usage_day_2029',
    ]);
  });
});
