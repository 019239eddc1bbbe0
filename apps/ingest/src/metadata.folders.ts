import { isName } from '#contracts';
import type { Setting } from '#settings';

/** A folder of metadata files and the account that they are of. */
export interface MetadataFolder {
  readonly account: string;
  readonly path: string;
}

const HINT = 'account=/absolute/path, separated by commas';

/** The setting for folders: `acme=/data/acme,demo=/data/demo`; empty = none. */
export function folders({ doc }: { readonly doc: string }): Setting<readonly MetadataFolder[]> {
  return { doc, kind: `folders (${HINT})`, secret: false, fallback: { value: [] }, parse };
}

function parse(raw: string): ReturnType<Setting<readonly MetadataFolder[]>['parse']> {
  const value: MetadataFolder[] = [];
  for (const entry of raw.split(',').map((each) => each.trim())) {
    const [account = '', path = ''] = entry.split(/=(.*)/s);
    if (!isName(account) || !path.startsWith('/')) return { ok: false, message: `must be ${HINT}; "${entry}" is not` };
    value.push({ account, path });
  }
  return { ok: true, value };
}
