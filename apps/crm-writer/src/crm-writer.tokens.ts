/** Nest tokens of what has no class to be injected by. */
export const LOG = Symbol('log');
export const CLOCK = Symbol('clock');
export const SETTINGS = Symbol('settings');
export const ACCOUNTS = Symbol('account directory');
export const POSTGRES = Symbol('data source');
export const WRITE_STORE = Symbol('write store');
export const QUOTA_CLIENT = Symbol('quota client');
export const CRM_FACTORY = Symbol('crm factory');
export const OWNERSHIP = Symbol('ownership');
