import { describe, expect, it } from '@jest/globals';
import { CRM_TYPES } from '#contracts';
import { catalogueOf, licencesOf } from '#limits';
import { tellingHeaders } from './tell.js';

describe('what is told of headers', () => {
  const named = CRM_TYPES.flatMap((type) =>
    licencesOf(type).flatMap((licence) =>
      (catalogueOf(type, licence, { seats: 10 })?.limits ?? []).flatMap(({ headers }) =>
        Object.values(headers)
          .flat()
          .map((named: string | { readonly header: string }) => (typeof named === 'string' ? named : named.header)),
      ),
    ),
  );

  it('are all by which any CRM of the catalogue tells of its limits', () => {
    expect(new Set(named).size).toBeGreaterThan(10);
    const told = tellingHeaders(Object.fromEntries(named.map((name) => [name, '1'])));
    expect([...new Set(named)].filter((name) => told[name.toLowerCase()] === undefined)).toEqual([]);
  });

  it('are no others', () => {
    const others = { 'set-cookie': 's', authorization: 'a', 'x-request-id': 'i', link: 'l' };
    expect(tellingHeaders({ ...others, Date: 'd', 'Retry-After': '3' })).toEqual({ date: 'd', 'retry-after': '3' });
  });
});
