import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from '@jest/globals';
import { demoConfig } from './demo-books.fixture.spec.js';
import { type KnownVersion, type Origin, planVersions } from './plan-versions.js';

const small = demoConfig([{ max: 1 }]);
const large = demoConfig([{ max: 2 }]);

function plan(known: readonly KnownVersion[], config: typeof small, origin: Origin, force = false) {
  const versions = new Map(known.length > 0 ? [['demo', known]] : []);
  const { applied, versions: made } = planVersions(versions, [config], { origin, force, equal: isDeepStrictEqual });
  expect(made.length).toBe(applied[0]!.did === 'created' || applied[0]!.did === 'changed' ? 1 : 0);
  return applied[0];
}

describe('planVersions', () => {
  it('makes an account, and changes nothing when the same file comes again', () => {
    expect(plan([], small, 'file')).toEqual({ account: 'demo', did: 'created', version: 1 });
    expect(plan([{ version: 1, origin: 'file', config: small }], small, 'file')).toMatchObject({
      did: 'unchanged',
      version: 1,
    });
  });

  it('takes a changed file over', () => {
    expect(plan([{ version: 1, origin: 'file', config: small }], large, 'file')).toMatchObject({
      did: 'changed',
      version: 2,
    });
  });

  it('keeps what an operator applied since, unless forced', () => {
    const known: KnownVersion[] = [
      { version: 1, origin: 'file', config: small },
      { version: 2, origin: 'operator', config: large },
    ];
    expect(plan(known, small, 'file')).toMatchObject({ did: 'unchanged', version: 2 });
    expect(plan(known, demoConfig([{ max: 3 }]), 'file')).toMatchObject({ did: 'kept', version: 2 });
    expect(plan(known, small, 'file', true)).toMatchObject({ did: 'changed', version: 3 });
    expect(plan(known, small, 'operator')).toMatchObject({ did: 'changed', version: 3 });
  });
});
