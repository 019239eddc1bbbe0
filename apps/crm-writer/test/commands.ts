import {
  type Command,
  type CommandAction,
  commandIdOf,
  type Contact,
  type Priority,
  DEFAULT_QUOTA_POLICY,
  DEFAULT_SHARE,
  type WrittenAccount,
} from '#contracts';

/** A contact of whom nothing is known. */
export const NOBODY: Contact = { phone: null, userId: null, email: null, name: null };

/** An account at that address, a hundred times as fast as real. */
export const config = (baseUrl: string, changed: Partial<WrittenAccount> = {}): WrittenAccount => ({
  name: 'acme',
  crm: {
    type: 'zendesk',
    baseUrl,
    credential: { kind: 'apiToken', email: 'sluice@example.com', tokenRef: 'env:NONE' },
    licence: 'team',
    externalIdPrefix: 'ccai-',
    timeScale: 100,
    requestTimeoutMs: 300,
  },
  limits: [],
  batching: 'off',
  quota: DEFAULT_QUOTA_POLICY,
  dryRun: false,
  integrations: { ccai: { ingest: null, trusted: true, share: DEFAULT_SHARE, quotaPasswordRef: null } },
  policy: {
    ticketAt: 'assigned',
    chatAfterCustomerMessages: 0,
    mode: 'new',
    subject: '',
    body: '',
    bodyPublic: false,
    comments: {},
    tags: [],
    customFields: [],
    backlogAfterMs: 600_000,
  },
  ...changed,
});

let eventAt = 1_700_000_000_000;

/** The next command of an interaction. */
export function command(interactionId: string, action: CommandAction, more: Partial<Command['data']> = {}): Command {
  eventAt += 1_000;
  return {
    id: commandIdOf('acme', interactionId, `event-${eventAt}`, action.kind, 0),
    type: action.kind,
    schemaVersion: 1,
    account: 'acme',
    occurredAt: eventAt,
    recordedAt: eventAt,
    causationId: `event-${eventAt}`,
    traceparent: null,
    data: {
      interactionId,
      action,
      eventAt,
      eventRank: 0,
      ordinal: 0,
      priority: 'live' as Priority,
      notAfter: null,
      policyVersion: 1,
      ...more,
    },
  };
}

/** The command that makes an interaction's ticket. */
export const ticket = (
  interactionId: string,
  more: Partial<Extract<CommandAction, { kind: 'ensureTicket' }>> = {},
): Command =>
  command(interactionId, {
    kind: 'ensureTicket',
    mode: 'new',
    subject: `about ${interactionId}`,
    body: `opening of ${interactionId}`,
    public: false,
    contact: NOBODY,
    queuePath: null,
    tags: ['ccai'],
    customFields: [],
    ...more,
  });

/** A comment on it. */
export const comment = (interactionId: string, body: string, isPublic = false): Command =>
  command(interactionId, { kind: 'addComment', body, public: isPublic });

/** The same command in another account. */
export const inAccount = (account: string, one: Command): Command => ({ ...one, account, id: `${account}-${one.id}` });
