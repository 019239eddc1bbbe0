import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import Ajv from 'ajv';
import addFormats from 'ajv-formats';
import { parse } from 'yaml';
import { ROOT } from '../house/source-files.js';

const { components } = parse(readFileSync(join(ROOT, 'docs/protocol.asyncapi.yaml'), 'utf8')) as { components: object };
const ajv = new Ajv.default({ strict: false });
addFormats.default(ajv);
ajv.addSchema({ $id: 'protocol', components });

/** An answer of the quota protocol, having found it to be as its description for machines says. */
export function described(body: Record<string, unknown>): Record<string, unknown> {
  const answer = String(body['answer']);
  const validate = ajv.getSchema(`protocol#/components/schemas/${answer[0]!.toUpperCase()}${answer.slice(1)}`)!;
  void validate(body);
  expect([answer, validate.errors ?? []]).toEqual([answer, []]);
  return body;
}
