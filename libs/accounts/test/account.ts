import { DEFAULT_QUOTA_POLICY, DEFAULT_SHARE, type AccountConfig } from '#contracts';
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
    quota: DEFAULT_QUOTA_POLICY,
    dryRun: false,
    integrations: {
      ccai: {
        ingest: { username: 'ccai', passwordRef: 'env:NOT_READ_HERE' },
        trusted: true,
        share: DEFAULT_SHARE,
        quotaPasswordRef: null,
      },
      reporting: { ingest: null, trusted: false, share: DEFAULT_SHARE, quotaPasswordRef: null },
    },
    policy: DEFAULT_POLICY,
  };
}
