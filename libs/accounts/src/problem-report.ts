import { getMetadataStorage, type ValidationError, validateSync } from 'class-validator';
import { type Document, isMap, isNode, isScalar, LineCounter, parseDocument, visit } from 'yaml';
import { nearestName } from './nearest-name.js';

/** One thing wrong in a file of accounts, where it stands, and what to do about it. Never carries a value. */
export interface AccountProblem {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
  /** `accounts.demo.crm.licence`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
}

export type Path = readonly (string | number)[];

/** Keys under which people write secrets; what stands there must never be repeated, not even in a message. */
const SECRET_KEYS: Readonly<Record<string, string>> = {
  token: 'tokenRef',
  apiToken: 'tokenRef',
  accessToken: 'tokenRef',
  password: 'passwordRef',
  secret: 'tokenRef',
};

/** A YAML text being checked: remembers where every value stands and collects what is wrong. */
export class ProblemReport {
  readonly problems: AccountProblem[] = [];
  private readonly lines = new LineCounter();
  private readonly document: Document;

  constructor(text: string) {
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false });
    for (const error of this.document.errors) this.addAt(error.pos[0], '', `not valid YAML: ${error.message}`);
    visit(this.document, {
      // Copying objects drops this one key silently; nothing here is called so.
      Pair: (_, { key }) => {
        if (isScalar(key) && key.value === '__proto__') this.addAt(key.range?.[0] ?? 0, '', 'no key may be __proto__');
      },
    });
  }

  /** The text's value as plain objects; null where it isn't YAML at all (then `problems` says why). */
  value(): unknown {
    if (this.document.errors.length > 0) return null;
    try {
      return this.document.toJS() as unknown;
    } catch (error) {
      this.addAt(0, '', `the file can't be read: ${error instanceof Error ? error.message : String(error)}`);
      return null;
    }
  }

  /** Something is wrong with the value at `path`; for a missing one the enclosing section is pointed at. */
  add(path: Path, message: string): void {
    this.addAt(this.offsetOf(path, 'value'), path.join('.'), message);
  }

  /** Something is wrong with the key itself. */
  addKey(path: Path, message: string): void {
    this.addAt(this.offsetOf(path, 'key'), path.join('.'), message);
  }

  /**
   * The section at `path` checked against the decorators of its class: unknown keys, missing and wrong values are
   * reported. It is handed out even so, that the sections within it can be checked too: its values may be trusted only
   * when the whole file has no problem. Null where it isn't a map at all.
   */
  section<T extends object>(of: new () => T, path: Path, value: unknown): T | null {
    const plain = this.mapAt(path, value);
    if (!plain) return null;
    const section = new of();
    for (const [key, entry] of Object.entries(plain))
      // What every object inherits, such as constructor, would be taken for the section's own.
      if (key in section) this.addKey([...path, key], unknownKeyMessage(key, keysOf(of)));
      else Object.assign(section, { [key]: entry });
    const errors = validateSync(section, { whitelist: true, forbidNonWhitelisted: true, stopAtFirstError: true });
    for (const error of errors) this.addInvalid(of, path, plain, error);
    return section;
  }

  /** The map at `path`, or null after reporting that it isn't one. */
  mapAt(path: Path, value: unknown): Record<string, unknown> | null {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
    this.add(
      path,
      value === undefined || value === null ? 'is empty; write its keys below it' : 'must be a map of keys',
    );
    return null;
  }

  private addInvalid(of: new () => object, path: Path, plain: Record<string, unknown>, error: ValidationError): void {
    const at = [...path, error.property];
    const [constraint, message] = Object.entries(error.constraints ?? {})[0] ?? ['', 'is wrong'];
    if (constraint === 'whitelistValidation') this.addKey(at, unknownKeyMessage(error.property, keysOf(of)));
    else if (plain[error.property] === undefined) this.add(at, `${error.property} is missing: it ${message}`);
    else this.add(at, message);
  }

  private addAt(offset: number, path: string, message: string): void {
    // What stands wrong at one place is said once: later checks of the same value only follow from the first.
    if (path !== '' && this.problems.some((problem) => problem.path === path)) return;
    const { line, col } = this.lines.linePos(offset);
    this.problems.push({ line: Math.max(line, 1), column: Math.max(col, 1), path, message });
  }

  private offsetOf(path: Path, part: 'key' | 'value'): number {
    for (let depth = path.length; depth > 0; depth--) {
      const parent = depth === 1 ? this.document.contents : this.document.getIn(path.slice(0, depth - 1), true);
      const name = path[depth - 1];
      if (isMap(parent)) {
        const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(name));
        if (!pair) continue;
        const node = part === 'value' && depth === path.length && isNode(pair.value) ? pair.value : pair.key;
        if (isNode(node) && node.range) return node.range[0];
      }
      const node = this.document.getIn(path.slice(0, depth), true);
      if (isNode(node) && node.range) return node.range[0];
    }
    return 0;
  }
}

/** What to say of a key that isn't known here. */
export function unknownKeyMessage(key: string, known: readonly string[]): string {
  const reference = SECRET_KEYS[key];
  if (reference && known.includes(reference))
    return `a secret doesn't belong in this file: remove ${key} and name where it is kept, ${reference}: 'env:NAME' or 'file:/path'`;
  const near = nearestName(key, known);
  return `unknown key ${key}${near ? `; did you mean ${near}?` : '.'} Known here: ${known.join(', ')}`;
}

function keysOf(of: new () => object): string[] {
  const metadata = getMetadataStorage().getTargetValidationMetadatas(of, '', false, false);
  return [...new Set(metadata.map((entry) => entry.propertyName))];
}
