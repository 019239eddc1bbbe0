import type { AccountName } from '#contracts';

/** Into how many parts the accounts are divided, each decided by one process. Fixed: a journal belongs to its partition. */
export const PARTITIONS = 8;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** The partition that an account belongs to, for ever: the FNV-1a hash of its name. */
export function partitionOf(account: AccountName): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < account.length; i++) hash = Math.imul(hash ^ account.charCodeAt(i), FNV_PRIME);
  return (hash >>> 0) % PARTITIONS;
}
