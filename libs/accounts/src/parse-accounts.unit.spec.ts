import { describe, expect, it } from '@jest/globals';
import { isScalar, parseDocument } from 'yaml';
import { CRM_TYPES, DEFAULT_QUOTA_POLICY, DEFAULT_SHARE } from '#contracts';
import { licencesOf } from '#limits';
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
      type: salesforc
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
    expect(accountOf(SMALL.replace('reporting:', 'constructor:')).integrations).toHaveProperty(
      'constructor.trusted',
      false,
    );
    for (const key of ['valueOf', 'constructor', 'hasOwnProperty'])
      expect(problemsOf(SMALL.replace('reporting: {}', `reporting: { ${key}: 1 }`))).toEqual([
        `10:20 accounts.demo.integrations.reporting.${key}: unknown key ${key}. Known here: ingest, trusted, share, quota`,
      ]);
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

describe('the quota of an account', () => {
  it('is read as written', () => {
    const account = accountOf(
      withMore(`dryRun: true\nquota: { mode: shadow, liveReserve: 12.5%, spreadBacklog: false, foreign: 20 }`),
    );
    expect(account.dryRun).toBe(true);
    expect(account.quota).toEqual({
      mode: 'shadow',
      liveReservePercent: 12.5,
      spreadBacklog: false,
      foreignPerMinute: 20,
    });
    expect(accountOf(withMore('quota: { foreign: auto, mode: enforce }')).quota).toEqual(DEFAULT_QUOTA_POLICY);
  });

  it.each([
    ['mode: shadows', 'quota.mode', "'enforce' or 'shadow'"],
    ['liveReserve: 10', 'quota.liveReserve', "such as '30%'"],
    ['liveReserve: 101%', 'quota.liveReserve', '0 to 100'],
    ['liveReserve: -1%', 'quota.liveReserve', '0 to 100'],
    ['spreadBacklog: maybe', 'quota.spreadBacklog', 'true or false'],
    ['foreign: some', 'quota.foreign', "'auto'"],
    ['foreign: -1', 'quota.foreign', 'a minute'],
    ['foreign: 0.5', 'quota.foreign', 'a minute'],
    ['liveReserv: 10%', 'quota.liveReserv', 'did you mean liveReserve?'],
  ])('refuses %s', (line, at, message) => {
    const problems = problemsOf(withMore(`quota:\n  ${line}`));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^12:/);
    expect(problems[0]).toContain(`accounts.demo.${at}: `);
    expect(problems[0]).toContain(message);
  });
});

/** The small file with these shares (the lines of `reporting`, and of `ccai`), and a day of 2,500 calls. */
function withShares(reporting: string, ccai = ''): string {
  const small = SMALL.replace('reporting: {}', `reporting: { ${reporting} }`);
  return `${small.replace("DEMO_CCAI_PASSWORD' }", `DEMO_CCAI_PASSWORD' }${ccai && `, ${ccai}`}`)}    limits:\n      day: { max: 2500 }\n`;
}

describe('the share of an integration', () => {
  const shareOf = (reporting: string) => accountOf(withShares(reporting)).integrations['reporting']!.share;

  it.each([
    ['share: {}', DEFAULT_SHARE],
    ['share: { weight: 2 }', { ...DEFAULT_SHARE, weight: 2 }],
    [
      'share: { guarantee: 30%, cap: 50%, weight: 0.1 }',
      { guarantee: { percent: 30, calls: {} }, cap: { percent: 50, calls: {} }, weight: 0.1 },
    ],
    [
      'share: { guarantee: { minute: 100 }, cap: { minute: 150, day: 400 } }',
      {
        guarantee: { percent: 0, calls: { minute: 100 } },
        cap: { percent: 100, calls: { minute: 150, day: 400 } },
        weight: 1,
      },
    ],
    [
      'share: { guarantee: { minute: 10, others: 20% }, cap: { others: 25 % } }',
      { guarantee: { percent: 20, calls: { minute: 10 } }, cap: { percent: 25, calls: {} }, weight: 1 },
    ],
    [
      'share: { guarantee: 0%, cap: 100% }',
      { guarantee: { percent: 0, calls: {} }, cap: { percent: 100, calls: {} }, weight: 1 },
    ],
  ])('is read as written: %s', (line, share) => {
    expect(shareOf(line)).toEqual(share);
  });

  it.each([
    ['guarantee: 30', 'guarantee', 'such as'],
    ['guarantee: 120%', 'guarantee', 'such as'],
    ['guarantee: [1]', 'guarantee', 'such as'],
    ['guarantee: { minute: 20% }', 'guarantee.minute', 'others: 20%'],
    ['guarantee: { minute: -1 }', 'guarantee.minute', 'whole number'],
    ['guarantee: { minute: 1.5 }', 'guarantee.minute', 'whole number'],
    ['guarantee: { others: 20 }', 'guarantee.others', 'percentage'],
    ['guarantee: { minut: 20 }', 'guarantee.minut', 'did you mean minute?'],
    ['cap: { toString: 20 }', 'cap.toString', 'is no limit of this account. Of the whole account: minute, day'],
    ['cap: { tickets-update: 20 }', 'cap.tickets-update', 'limits some calls only'],
    ['cap: { inflight-jobs: 20 }', 'cap.inflight-jobs', 'counts places'],
    ['cap: 0%', 'cap', 'less than one of the 200 calls of minute'],
    ['cap: { day: 0 }', 'cap', 'less than one of the 2500 calls of day'],
    ['weight: 0', 'weight', 'from 0.1 to 100'],
    ['weight: 101', 'weight', 'from 0.1 to 100'],
    ['weight: heavy', 'weight', 'number'],
    ['weigth: 2', 'weigth', 'did you mean weight?'],
    ['guarantee: 60%, cap: 50%', 'guarantee', 'is 120 calls of minute, more than the cap of 100'],
    ['guarantee: { day: 30 }, cap: { day: 29 }', 'guarantee', 'is 30 calls of day, more than the cap of 29'],
    [
      'guarantee: { minute: 201 }',
      'guarantee',
      'together 201 calls of minute are guaranteed (reporting 201), and there are 200',
    ],
  ])('refuses %s', (line, at, message) => {
    const problems = problemsOf(withShares(`share: { ${line} }`));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(/^10:/);
    expect(problems[0]).toContain(`accounts.demo.integrations.reporting.share.${at}: `);
    expect(problems[0]).toContain(message);
  });

  it('leaves no more guaranteed than there is, of each limit for itself', () => {
    const both = (reporting: string, ccai: string): string[] =>
      problemsOf(withShares(`share: { guarantee: ${reporting} }`, `share: { guarantee: ${ccai} }`));
    expect(both('50%', '50%')).toEqual([]);
    expect(both('33.4%', '66.6%')).toEqual([]);
    expect(both('{ minute: 200 }', '{ day: 2500 }')).toEqual([]);
    const problems = both('{ minute: 10, others: 50% }', '50.1%');
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(
      'integrations.reporting.share.guarantee: together 2502.5 calls of day are guaranteed (ccai 1252.5, reporting 1250), and there are 2500',
    );
  });

  it('is checked against the limits that the account changed', () => {
    const text = withShares('share: { guarantee: { week: 50 } }').replace(
      'day: { max: 2500 }',
      'week: { max: 40, length: 7d }',
    );
    expect(problemsOf(text)[0]).toContain('together 50 calls of week');
    expect(problemsOf(text.replace('max: 40', 'max: 50'))).toEqual([]);
  });

  it('says nothing of limits that are wrong themselves', () => {
    const text = withShares('share: { guarantee: { week: 50 } }').replace('day: { max: 2500 }', 'week: { max: 0 }');
    expect(problemsOf(text)).toHaveLength(2);
    expect(problemsOf(text).join()).not.toContain('share');
  });
});

describe("an integration's password for quota over HTTP", () => {
  it('is named, never written', () => {
    const { integrations } = accountOf(withShares("quota: { passwordRef: 'env:REPORTING' }"));
    expect(integrations['reporting']!.quotaPasswordRef).toBe('env:REPORTING');
    expect(integrations['ccai']!.quotaPasswordRef).toBeNull();
    const literal = problemsOf(withShares('quota: { password: hunter2 }'));
    expect(literal.join()).toContain("passwordRef: 'env:NAME'");
    expect([...literal, ...problemsOf(withShares('quota: { passwordRef: hunter2 }'))].join()).not.toContain('hunter2');
    expect(problemsOf(withShares('quota: {}'))[0]).toContain('passwordRef is missing');
  });
});

describe('an account for quota only', () => {
  const only = (crm: string, more = 'integrations: { erp: {} }'): string =>
    `accounts:\n  sales:\n    crm: { ${crm} }\n${more.replaceAll(/^/gm, '    ')}\n`;

  it('needs a type and a licence, and what decides the limits of that', () => {
    const { crm, integrations } = accountOf(only('type: salesforce, licence: enterprise, seats: 50'));
    expect(crm).toEqual({
      type: 'salesforce',
      licence: 'enterprise',
      seats: 50,
      timeScale: 1,
      requestTimeoutMs: 10_000,
    });
    expect(integrations['erp']).toMatchObject({ ingest: null, trusted: false });
    expect(accountOf(only('type: hubspot, licence: free, timeZone: Europe/Berlin')).crm).toMatchObject({
      timeZone: 'Europe/Berlin',
    });
  });

  it('is known for every CRM of the catalogue', () => {
    for (const type of CRM_TYPES.filter((one) => one !== 'zendesk' && one !== 'servicenow'))
      for (const licence of licencesOf(type))
        expect(problemsOf(only(`type: ${type}, licence: ${licence}`))).toEqual([]);
  });

  it.each([
    ["type: kustomer, licence: ultimate, baseUrl: 'https://acme.example'", 'crm.baseUrl', 'Zendesk only'],
    [
      "type: kustomer, licence: ultimate, credential: { kind: oauth, tokenRef: 'env:T' }",
      'crm.credential',
      'Zendesk only',
    ],
    ['type: kustomer, licence: ultimate, seats: 4', 'crm.seats', 'changes no limit of licence ultimate'],
    ['type: salesforce, licence: developer, seats: 4', 'crm.seats', 'changes no limit of licence developer'],
    ['type: salesforce, licence: enterprise, timeZone: UTC', 'crm.timeZone', 'changes no limit'],
    ['type: salesforce, licence: enterprise, seats: 0', 'crm.seats', 'from 1 to'],
    ['type: hubspot, licence: free, timeZone: Mars/Olympus', 'crm.timeZone', 'IANA'],
    ['type: kustomer, licence: ultimat', 'crm.licence', 'did you mean ultimate?): professional, business'],
    ['type: freshdesk', 'crm.licence', 'licence is missing'],
    ['type: freshdesk, licence: pro, licenses: 3', 'crm.licenses', 'Known here: '],
    ['type: servicenow, licence: custom', 'limits', 'hour is missing'],
  ])('refuses %s', (crm, at, message) => {
    const problems = problemsOf(only(crm));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`accounts.sales.${at}: `);
    expect(problems[0]).toContain(message);
  });

  it.each([
    ["integrations: { ccai: { ingest: { username: a, passwordRef: 'env:B' } } }", 'integrations.ccai.ingest'],
    ['integrations: { erp: {} }\nbatching: off', 'batching'],
    ['integrations: { erp: {} }\npolicy: { mode: new }', 'policy'],
    ['integrations: { erp: {} }\ndryRun: true', 'dryRun'],
  ])('has nothing that serves writing: %s', (more, at) => {
    const problems = problemsOf(only('type: salesforce, licence: enterprise', more));
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`accounts.sales.${at}: Sluice writes tickets to Zendesk only`);
  });

  it("takes the administrator's limit, and shares of it", () => {
    const limits = 'limits: { hour: { max: 900 } }\nintegrations: { erp: { share: { guarantee: { hour: 450 } } } }';
    expect(problemsOf(only('type: servicenow, licence: custom', limits))).toEqual([]);
    expect(problemsOf(only('type: servicenow, licence: custom', limits.replace('450', '901')))[0]).toContain('901');
  });

  it('refuses shares of what is counted for each user apart', () => {
    const shares = 'integrations: { erp: { share: { guarantee: 10% } } }';
    expect(problemsOf(only('type: dataverse, licence: standard', shares))[0]).toContain('add one under limits');
  });

  it('names somebody who uses the calls', () => {
    expect(problemsOf(only('type: salesforce, licence: developer', 'integrations: {}'))[0]).toContain('is empty');
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
