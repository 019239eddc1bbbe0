import { describe, expect, it } from '@jest/globals';
import { folders } from './metadata.folders.js';

const setting = folders({ doc: 'where' });

describe('folders of metadata files', () => {
  it('are named with their account', () => {
    expect(setting.parse('acme=/data/acme files, demo=/data/a=b')).toEqual({
      ok: true,
      value: [
        { account: 'acme', path: '/data/acme files' },
        { account: 'demo', path: '/data/a=b' },
      ],
    });
  });

  it.each(['/data', 'acme', 'acme=data', 'Acme=/data', 'acme=/data,', '=/data'])('are not %p', (raw) => {
    expect(setting.parse(raw)).toMatchObject({ ok: false, message: expect.stringContaining('account=/absolute/path') });
  });
});
