import { DEFAULT_QUOTA_POLICY, DEFAULT_SHARE } from '#contracts';
import { describe, expect, it } from '@jest/globals';
import { isScalar, parseDocument } from 'yaml';
import { DEFAULT_POLICY, parseAccounts, templateEngine } from './index.js';

const SMALL = `accounts:
  demo:
    crm:
      type: zendesk
      baseUrl: 'http://127.0.0.1:8080'
      licence: team
      credential: { kind: apiToken, email: sluice@example.com, tokenRef: 'env:DEMO_ZENDESK_TOKEN' }
    integrations:
      ccai: { ingest: { username: ccai, passwordRef: 'env:DEMO_CCAI_PASSWORD' } }
      reporting: {}
`;

/** The small file with more below the account. */
function withMore(more: string): string {
  return SMALL + more.replaceAll(/^/gm, '    ');
}

function accountOf(text: string) {
  const parsed = parseAccounts(text);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.accounts[0]!;
}

function problemsOf(text: string): string[] {
  const parsed = parseAccounts(text);
  return parsed.ok ? [] : parsed.problems.map((p) => `${p.line}:${p.column} ${p.path}: ${p.message}`);
}

describe('parseAccounts', () => {
  it('fills in what is left out', () => {
    expect(accountOf(SMALL)).toEqual({
      name: 'demo',
      crm: {
        type: 'zendesk',
        baseUrl: 'http://127.0.0.1:8080',
        licence: 'team',
        credential: { kind: 'apiToken', email: 'sluice@example.com', tokenRef: 'env:DEMO_ZENDESK_TOKEN' },
        externalIdPrefix: 'ccai-',
        timeScale: 1,
        requestTimeoutMs: 10_000,
      },
      limits: [],
      batching: 'auto',
      quota: DEFAULT_QUOTA_POLICY,
      dryRun: false,
      integrations: {
        ccai: {
          ingest: { username: 'ccai', passwordRef: 'env:DEMO_CCAI_PASSWORD' },
          trusted: true,
          share: DEFAULT_SHARE,
          quotaPasswordRef: null,
        },
        reporting: { ingest: null, trusted: false, share: DEFAULT_SHARE, quotaPasswordRef: null },
      },
      policy: DEFAULT_POLICY,
    });
  });

  it('gives day and hour their length and takes durations and time zones for others', () => {
    const { limits } = accountOf(
      withMore(`limits:
  day: { max: 2500, timeZone: Europe/Berlin }
  minute: { max: 100 }
  burst: { max: 20, length: 10s, kind: rolling, draws: [tickets.create] }
  inflight-jobs: { max: 5 }`),
    );
    expect(limits).toEqual([
      { name: 'day', max: 2500, lengthMs: 86_400_000, kind: null, anchor: 'Europe/Berlin', draws: null },
      { name: 'minute', max: 100, lengthMs: null, kind: null, anchor: null, draws: null },
      { name: 'burst', max: 20, lengthMs: 10_000, kind: 'rolling', anchor: null, draws: ['tickets.create'] },
      { name: 'inflight-jobs', max: 5, lengthMs: null, kind: null, anchor: null, draws: null },
    ]);
  });

  it('keeps the default comments that the policy does not name and drops those set to null', () => {
    const { policy } = accountOf(withMore(`policy:\n  comments: { ended: null, routed: { body: 'To {{ queue }}' } }`));
    expect(policy.comments['ended']).toBeNull();
    expect(policy.comments['routed']).toEqual({ body: 'To {{ queue }}', public: false });
    expect(policy.comments['metadata']).toEqual(DEFAULT_POLICY.comments['metadata']);
  });

  it('names every problem with its line, in the order of the file', () => {
    const problems = problemsOf(`accounts:
  Demo:
    crm:
      type: salesforce
      baseUrl: 'https://acme.zendesk.com/api'
      licence: proffesional
      timeScale: 3
      credential: { kind: apiToken, tokenRef: 'env:TOKEN' }
    limts: {}
    limits:
      day: { max: 0, timeZone: Mars/Olympus }
      week: { max: 10 }
    integrations:
      reporting: { trustd: true }
`);
    expect(problems.map((problem) => problem.split(': ')[0])).toEqual([
      '2:3 accounts.Demo',
      '4:13 accounts.Demo.crm.type',
      '5:16 accounts.Demo.crm.baseUrl',
      '6:16 accounts.Demo.crm.licence',
      '7:18 accounts.Demo.crm.timeScale',
      '8:7 accounts.Demo.crm.credential.email',
      '9:5 accounts.Demo.limts',
      '11:19 accounts.Demo.limits.day.max',
      '11:32 accounts.Demo.limits.day.timeZone',
      '14:7 accounts.Demo.integrations',
      '14:20 accounts.Demo.integrations.reporting.trustd',
    ]);
    expect(problems[3]).toContain('did you mean professional?');
    expect(problems[6]).toContain('did you mean limits?');
    expect(problems[10]).toContain('did you mean trusted?');
  });

  it('wants a length for a limit that the licence does not have', () => {
    expect(problemsOf(withMore('limits:\n  week: { max: 10 }'))[0]).toMatch(/^12:13 .*needs a length/);
  });

  it('refuses a time zone where no midnight begins a window', () => {
    expect(problemsOf(withMore('limits:\n  minute: { max: 10, timeZone: Europe/Berlin }'))[0]).toContain('midnight');
  });

  it('refuses anything but max for a hold', () => {
    expect(problemsOf(withMore('limits:\n  inflight-jobs: { max: 10, length: 1d }'))[0]).toContain(
      'only max may be set',
    );
  });

  it('refuses a secret written out, without repeating it', () => {
    const problems = problemsOf(SMALL.replace("tokenRef: 'env:DEMO_ZENDESK_TOKEN'", 'token: hunter2'));
    expect(problems.join('\n')).toContain("tokenRef: 'env:NAME'");
    const literal = problemsOf(SMALL.replace("'env:DEMO_ZENDESK_TOKEN'", 'hunter2'));
    expect(literal[0]).toContain('never the secret itself');
    expect([...problems, ...literal].join('\n')).not.toContain('hunter2');
  });

  it('refuses templates that are broken or name what no event has', () => {
    const problems = problemsOf(
      withMore(`policy:
  subject: '{% if %}'
  body: '{{ contact.fone }}'
  comments: { endet: null, ended: { body: '{% include "/etc/passwd" %}' } }
  customFields: [{ id: 7, value: '{{ caller }}' }, { id: 7, value: '{{ queue }}', type: nmbr }]`),
    );
    expect(problems).toHaveLength(7);
    expect(problems[1]).toContain('did you mean contact.phone?');
    expect(problems[2]).toContain('did you mean ended?');
  });

  it('says where a file is no YAML at all', () => {
    expect(problemsOf('accounts:\n  demo: [1,\n')[0]).toMatch(/^3:1 : not valid YAML/);
    expect(problemsOf('accounts:\n  a: 1\n  a: 2\n')[0]).toMatch(/^3:3 : not valid YAML: Map keys must be unique/);
    expect(problemsOf('')[0]).toMatch(/^1:1/);
    expect(problemsOf('just text')[0]).toMatch(/^1:1 : must be a map/);
  });

  it('takes no inherited property for a declared one', () => {
    expect(problemsOf(SMALL.replace('reporting: {}', '__proto__: {}')).join()).toContain('no key may be __proto__');
    expect(problemsOf(SMALL.replace('      ccai:', '      toString:')).join()).toContain('ccai is missing');
  });

  it('finds a problem at whatever value of a sound file is spoilt', () => {
    const document = parseDocument(
      withMore('limits:\n  day: { max: 5 }\nbatching: off\npolicy: { ticketAt: assigned }'),
    );
    const paths: (string | number)[][] = [];
    const walk = (value: unknown, path: (string | number)[]): void => {
      if (typeof value === 'object' && value !== null)
        for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key]);
      else paths.push(path);
    };
    walk(document.toJS(), []);
    expect(paths.length).toBeGreaterThan(10);
    for (const path of paths) {
      const spoilt = document.clone();
      spoilt.setIn(path, [['wrong']]);
      expect(isScalar(spoilt.getIn(path, true))).toBe(false);
      expect(problemsOf(spoilt.toString()).join('\n')).toContain(path.join('.'));
    }
  });
});

describe('DEFAULT_POLICY', () => {
  const engine = templateEngine();
  const render = (template: string, scope: object): string => engine.parseAndRenderSync(template, scope) as string;

  it('reads well with everything there', () => {
    const call = {
      interaction: { id: 'call-7', channel: 'call', sessionId: '7' },
      contact: { phone: '+15550100', name: null, email: null, userId: null },
      queue: 'Billing',
      agent: { name: 'Agent One', email: null },
      times: { startedAt: '2026-01-05T10:00:00.000Z', endedAt: '2026-01-05T10:05:00.000Z' },
      durations: { waitSeconds: 12, callSeconds: 200, holdSeconds: null },
      dispositions: [{ code: 'Refund', customCodeId: null, note: 'done' }],
    };
    expect(render(DEFAULT_POLICY.subject, call)).toBe('Call from +15550100 to Billing');
    expect(render(DEFAULT_POLICY.body, call)).toBe(
      'Call 7\nContact: +15550100\nQueue: Billing\nAgent: Agent One\nStarted: 2026-01-05T10:00:00.000Z',
    );
    expect(render(DEFAULT_POLICY.comments['ended']!.body, call)).toBe(
      'Ended at 2026-01-05T10:05:00.000Z\nWaited: 12 s\nTalked: 200 s',
    );
    expect(render(DEFAULT_POLICY.comments['dispositioned']!.body, call)).toBe('Wrapped up by Agent One\nRefund: done');
  });

  it('reads well with nothing there', () => {
    const chat = { interaction: { id: 'chat-8', channel: 'chat', sessionId: '8' } };
    expect(render(DEFAULT_POLICY.subject, chat)).toBe('Chat with an unknown contact');
    expect(render(DEFAULT_POLICY.body, chat)).toBe('Chat 8');
    expect(render(DEFAULT_POLICY.comments['ended']!.body, { ...chat, abandoned: true })).toBe(
      'The customer left before an agent connected',
    );
    expect(render(DEFAULT_POLICY.comments['metadata']!.body, chat)).toBe('Session record');
  });
});
