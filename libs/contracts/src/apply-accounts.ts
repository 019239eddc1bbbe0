import type { AccountName } from './words.js';

/** Sent to `accounts.v1.apply`: a whole file of accounts, to be taken over. */
export interface ApplyAccountsRequest {
  readonly yaml: string;
  /** Also overwrites what was changed at run time. */
  readonly force: boolean;
}

/** What came of one account of the file. `kept` = it was changed at run time, and `force` was not given. */
export interface AppliedAccount {
  readonly account: AccountName;
  readonly did: 'created' | 'changed' | 'unchanged' | 'kept';
  readonly version: number;
}

export type ApplyAccountsAnswer =
  | { readonly answer: 'applied'; readonly accounts: readonly AppliedAccount[] }
  | {
      readonly answer: 'rejected';
      readonly code: string;
      readonly message: string;
      readonly problems?: readonly {
        readonly line: number;
        readonly column: number;
        readonly path: string;
        readonly message: string;
      }[];
    };
