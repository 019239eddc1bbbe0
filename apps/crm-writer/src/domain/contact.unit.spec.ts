import { describe, expect, it } from '@jest/globals';
import type { Contact } from '#contracts';
import {
  contactExternalId,
  contactKeyOf,
  contactKeysOf,
  type RememberedContact,
  standingOf,
  userOfPhone,
} from './contact.js';

const NOBODY: Contact = { phone: null, userId: null, email: null, name: null };
const remembered = (more: Partial<RememberedContact>): RememberedContact => ({
  userId: null,
  step: 'create',
  refusedFor: null,
  busy: false,
  attempts: 0,
  ...more,
});

describe('a contact', () => {
  it('is known by phone and by user id, the phone first', () => {
    const contact = { ...NOBODY, phone: '+491', userId: 'end_user_5' };
    expect(contactKeysOf(contact)).toEqual(['phone:+491', 'user:end_user_5']);
    expect(contactKeyOf({ ...NOBODY, email: 'A@b.example' })).toBe('email:a@b.example');
    expect(contactKeyOf(NOBODY)).toBeNull();
    expect(contactExternalId('ccai-', contact)).toBe('ccai-+491');
    expect(contactExternalId('ccai-', { ...NOBODY, userId: 'end_user_5' })).toBe('ccai-end_user_5');
  });

  it('is looked for by phone before it is made, and made where there is no phone', () => {
    expect(standingOf({ ...NOBODY, phone: '+491' }, [null])).toEqual({ standing: 'step', step: 'search', attempts: 0 });
    expect(standingOf({ ...NOBODY, userId: 'u' }, [null])).toEqual({ standing: 'step', step: 'create', attempts: 0 });
  });

  it('needs no call where there is only a mail address, or nothing', () => {
    expect(standingOf({ ...NOBODY, email: 'a@b.example' }, [])).toMatchObject({ standing: 'byEmail' });
    expect(standingOf(NOBODY, [])).toEqual({ standing: 'anonymous' });
  });

  it('is known by whichever key is', () => {
    const contact = { ...NOBODY, phone: '+491', userId: 'u' };
    expect(standingOf(contact, [null, remembered({ userId: 7, step: null })])).toEqual({
      standing: 'known',
      userId: 7,
    });
  });

  it('goes on at the step it had come to, unless a call for it is in flight or the CRM refused it', () => {
    const contact = { ...NOBODY, phone: '+491', userId: 'u' };
    expect(standingOf(contact, [null, remembered({ step: 'adopt', attempts: 2 })])).toEqual({
      standing: 'step',
      step: 'adopt',
      attempts: 2,
    });
    expect(standingOf(contact, [null, remembered({ busy: true })])).toEqual({ standing: 'busy' });
    expect(standingOf(contact, [remembered({ step: 'refused', refusedFor: 'contact_invalid' }), null])).toEqual({
      standing: 'refused',
      code: 'contact_invalid',
    });
  });

  it('is the user of exactly that number who changed last', () => {
    const users = [
      { id: 1, phone: '+49 (30) 1', updatedAt: '2026-01-01T00:00:00Z' },
      { id: 2, phone: '+49301', updatedAt: '2026-02-01T00:00:00Z' },
      { id: 3, phone: '+493012', updatedAt: '2026-03-01T00:00:00Z' },
      { id: 4, phone: null, updatedAt: '2026-04-01T00:00:00Z' },
    ];
    expect(userOfPhone(users, '+49301')?.id).toBe(2);
    expect(userOfPhone(users, '+49999')).toBeNull();
  });
});
