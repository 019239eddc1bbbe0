import { describe, expect, it } from '@jest/globals';
import asyncapi from '@asyncapi/parser';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { CALL_KINDS, PRIORITIES, QUOTA_VERBS, REFUSAL_REASONS, subjects } from '#contracts';
import { filesUnder, textOf } from './source-files.js';

const FILE = 'docs/protocol.asyncapi.yaml';
const text = textOf(FILE);

interface Message {
  readonly payload: { readonly $ref: string };
  readonly examples: readonly { readonly payload: Readonly<Record<string, unknown>> }[];
}
interface Document {
  readonly channels: Readonly<Record<string, { readonly address: string | null }>>;
  readonly components: {
    readonly messages: Readonly<Record<string, Message>>;
    readonly schemas: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
}
const document = parse(text) as Document;
const { messages, schemas } = document.components;

async function errorsOf(description: string): Promise<string[]> {
  const { diagnostics } = await new asyncapi.Parser().parse(description);
  return diagnostics
    .filter(({ severity }) => severity === asyncapi.DiagnosticSeverity.Error)
    .map(({ message, path }) => `${path.join('.')}: ${message}`);
}

describe('the machines’ description of the quota protocol', () => {
  const ajv = new Ajv.default({ strict: false, allErrors: true });
  addFormats.default(ajv);
  ajv.addSchema({ $id: 'protocol', components: { schemas } });
  const check = (schema: string) => ajv.compile({ $ref: `protocol${schema}` });

  it('is AsyncAPI, and would not pass if it were not', async () => {
    expect(await errorsOf(text)).toEqual([]);
    const broken = text.replace(
      "$ref: '#/components/messages/acquireRequest'",
      "$ref: '#/components/messages/nothing'",
    );
    expect(await errorsOf(broken)).not.toEqual([]);
  });

  it('has the subject of every verb, and an answer to each', () => {
    const addresses = Object.values(document.channels).map(({ address }) => address);
    const wanted = [
      ...QUOTA_VERBS.map((verb) => subjects.quota('{account}', '{integration}', verb)),
      subjects.usage('{account}'),
      subjects.forecast('{account}'),
    ];
    expect(wanted.filter((subject) => !addresses.includes(subject))).toEqual([]);
    expect(addresses.filter((address) => address === null)).toHaveLength(wanted.length);
  });

  it('has the very kinds, reasons and priorities that there are', () => {
    expect(schemas['CallKind']).toMatchObject({ enum: [...CALL_KINDS] });
    expect(schemas['RefusalReason']).toMatchObject({ enum: [...REFUSAL_REASONS] });
    expect(schemas['Priority']).toMatchObject({ enum: [...PRIORITIES] });
  });

  it('names every code that the ledger gives', () => {
    const sources = [...filesUnder('apps/quota-ledger/src', '.ts'), 'libs/jetstream/src/nats-doors.ts'].filter(
      (path) => !path.endsWith('.spec.ts') && !path.includes('/sql/'),
    );
    const given = /\b(?:reject|rejected|unavailable|DoorRejection)\(\s*'([a-z_]+)'|\bcode: '([a-z_]+)'/g;
    const codes = new Set(sources.flatMap((path) => [...textOf(path).matchAll(given)].map(([, a, b]) => (a ?? b)!)));
    expect(codes.size).toBeGreaterThan(10);
    const named = ['Rejected', 'Unavailable'].flatMap(
      (name) => (schemas[name]!['properties'] as { code: { examples: string[] } }).code.examples,
    );
    expect([...codes].filter((code) => !named.includes(code))).toEqual([]);
  });

  it.each(Object.entries(messages))('shows valid examples of %s', (_name, { payload, examples }) => {
    const validate = check(payload.$ref);
    expect(examples.length).toBeGreaterThan(0);
    for (const example of examples) {
      validate(example.payload);
      expect(validate.errors ?? []).toEqual([]);
    }
  });

  it('finds what is wrong with a message', () => {
    const [{ payload: acquire }] = messages['acquireRequest']!.examples as [{ payload: object }];
    const validate = check('#/components/schemas/Acquire');
    for (const wrong of [{ kind: 'nonsense' }, { requestId: '' }, { calls: { min: 0, max: 1 } }, { waitMs: 600_001 }])
      expect([wrong, validate({ ...acquire, ...wrong })]).toEqual([wrong, false]);
  });
});
