import type { AccountConfig } from '#contracts';
import { DEFAULT_POLICY } from '../src/default-policy.js';

/** An account with an integration that publishes events and one that doesn't; its secrets are never read. */
export function account(name: string): AccountConfig {
  return {
    name,
    crm: {
      type: 'zendesk',
      baseUrl: 'http://127.0.0.1:8080',
      credential: { kind: 'oauth', tokenRef: 'env:NOT_READ_HERE' },
      licence: 'team',
      externalIdPrefix: 'ccai-',
      timeScale: 1,
      requestTimeoutMs: 3_000,
    },
    limits: [],
    batching: 'auto',
    integrations: {
      ccai: { ingest: { username: 'ccai', passwordRef: 'env:NOT_READ_HERE' }, trusted: true },
      reporting: { ingest: null, trusted: false },
    },
    policy: DEFAULT_POLICY,
  };
}
