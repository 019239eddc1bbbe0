import {
  ArrayMaxSize,
  Equals,
  IsArray,
  IsBoolean,
  IsDefined,
  IsEmail,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Length,
  Matches,
  Max,
  Min,
  Validate,
  ValidateIf,
  type ValidationArguments,
  ValidatorConstraint,
  type ValidatorConstraintInterface,
} from 'class-validator';
import { CALL_KINDS } from '#contracts';
import { ZENDESK_LICENCES } from '#limits';
import { nearestName } from './nearest-name.js';
import { templateProblem } from './template.js';
import { durationMs } from './duration.js';

/*
 * One class per section of a file of accounts, as it is written there. The decorators are the rules; each message
 * finishes "<key> …" and says what to write instead. Sections within sections are `unknown` here: `parseAccounts` walks
 * them one by one, so that every problem gets its own line.
 */

const SECRET_REF = /^(?:env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/;
const SECRET_HINT = "must say where the secret is kept, never the secret itself: 'env:NAME' or 'file:/absolute/path'";
const BASE_URL = /^https?:\/\/[A-Za-z0-9.-]+(?::\d{1,5})?$/;
const DURATION_HINT = "must be a duration such as '60s', '10m', '1h' or '1d'";
const MAX_CALLS = 1_000_000_000;
const MAX_LENGTH_MS = 31 * 86_400_000;

@ValidatorConstraint({ name: 'licence' })
class IsLicence implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return typeof value === 'string' && ZENDESK_LICENCES.includes(value);
  }

  defaultMessage({ value }: ValidationArguments): string {
    const near = typeof value === 'string' ? nearestName(value, ZENDESK_LICENCES) : null;
    return `must be a licence of the catalogue${near ? ` (did you mean ${near}?)` : ''}: ${ZENDESK_LICENCES.join(', ')}`;
  }
}

@ValidatorConstraint({ name: 'timeZone' })
class IsTimeZone implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    if (typeof value !== 'string' || !/^[A-Za-z]/.test(value)) return false;
    try {
      return new Intl.DateTimeFormat('en-US', { timeZone: value }).resolvedOptions().timeZone !== '';
    } catch {
      return false;
    }
  }

  defaultMessage(): string {
    return "must be UTC or an IANA time zone such as 'Europe/Berlin'";
  }
}

@ValidatorConstraint({ name: 'duration' })
class IsDuration implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    const lengthMs = typeof value === 'string' ? durationMs(value) : null;
    return lengthMs !== null && lengthMs >= 1_000 && lengthMs % 1_000 === 0 && lengthMs <= MAX_LENGTH_MS;
  }

  defaultMessage(): string {
    return `${DURATION_HINT}, of whole seconds, at most 31d`;
  }
}

@ValidatorConstraint({ name: 'divides1000' })
class Divides1000 implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return typeof value === 'number' && Number.isInteger(value) && value >= 1 && 1_000 % value === 0;
  }

  defaultMessage(): string {
    return 'must be a whole number that divides 1000 (1, 2, 4, 5, 8, 10, 20, 25, 40, 50, 100…); 1 for a real CRM';
  }
}

@ValidatorConstraint({ name: 'template' })
class IsTemplate implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return typeof value === 'string' && templateProblem(value) === null;
  }

  defaultMessage({ value }: ValidationArguments): string {
    return typeof value === 'string' ? (templateProblem(value) ?? '') : 'must be a template, written as text';
  }
}

export class FileSection {
  @IsDefined({ message: 'must hold the accounts, one key each' })
  accounts: unknown;
}

export class AccountSection {
  @IsDefined({ message: 'must say which CRM it is: type, baseUrl, licence, credential' })
  crm: unknown;

  @IsOptional()
  limits?: unknown;

  @IsOptional()
  @IsIn(['auto', 'off', 'always'], { message: "must be 'auto', 'off' or 'always'" })
  batching?: 'auto' | 'off' | 'always';

  @IsDefined({ message: 'must name who may use its calls; at least ccai' })
  integrations: unknown;

  @IsOptional()
  policy?: unknown;
}

export class CrmSection {
  @Equals('zendesk', { message: "must be 'zendesk'" })
  type: 'zendesk';

  @Matches(BASE_URL, { message: "must be the CRM's address without a path, such as 'https://acme.zendesk.com'" })
  baseUrl: string;

  @Validate(IsLicence)
  licence: string;

  @IsDefined({ message: 'must say how to sign in: kind and tokenRef' })
  credential: unknown;

  @IsOptional()
  @Matches(/^[A-Za-z0-9._:-]{0,64}$/, {
    message: 'must be at most 64 letters, digits, dots, colons, dashes or underscores',
  })
  externalIdPrefix?: string;

  @IsOptional()
  @Validate(Divides1000)
  timeScale?: number;

  @IsOptional()
  @IsInt({ message: 'must be a whole number of milliseconds' })
  @Min(100, { message: 'must be at least 100 milliseconds' })
  @Max(120_000, { message: 'must be at most 120000 milliseconds' })
  requestTimeoutMs?: number;
}

export class CredentialSection {
  @IsIn(['oauth', 'apiToken'], { message: "must be 'oauth' or 'apiToken'" })
  kind: 'oauth' | 'apiToken';

  @ValidateIf((section: CredentialSection) => section.kind === 'apiToken' || section.email !== undefined)
  @IsEmail({ require_tld: false }, { message: 'must be the e-mail address that the API token belongs to' })
  email?: string;

  @Matches(SECRET_REF, { message: SECRET_HINT })
  tokenRef: string;
}

export class LimitSection {
  @IsInt({ message: 'must be a whole number of calls' })
  @Min(1, { message: 'must be at least 1: a limit of nothing would stop the account; pause it instead' })
  @Max(MAX_CALLS, { message: `must be at most ${MAX_CALLS}` })
  max: number;

  @IsOptional()
  @Validate(IsDuration)
  length?: string;

  @IsOptional()
  @IsIn(['fixed', 'rolling'], {
    message: "must be 'fixed' (windows side by side) or 'rolling' (any span of that length)",
  })
  kind?: 'fixed' | 'rolling';

  @IsOptional()
  @Validate(IsTimeZone)
  timeZone?: string;

  @IsOptional()
  @IsArray({ message: 'must be a list of kinds of call' })
  @IsIn(CALL_KINDS, { each: true, message: `must name kinds of call: ${CALL_KINDS.join(', ')}` })
  draws?: (typeof CALL_KINDS)[number][];
}

export class IntegrationSection {
  @IsOptional()
  ingest?: unknown;

  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  trusted?: boolean;
}

export class IngestSection {
  @IsString({ message: 'must be the user name of the HTTP door' })
  @Matches(/^[^:\s]{1,64}$/, { message: 'must be 1 to 64 characters without blanks or colons' })
  username: string;

  @Matches(SECRET_REF, { message: SECRET_HINT })
  passwordRef: string;
}

export class PolicySection {
  @IsOptional()
  @IsIn(['assigned', 'connected'], { message: "must be 'assigned' or 'connected'" })
  ticketAt?: 'assigned' | 'connected';

  @IsOptional()
  @IsInt({ message: 'must be a whole number of messages' })
  @Min(0, { message: 'must be at least 0' })
  @Max(1_000, { message: 'must be at most 1000' })
  chatAfterCustomerMessages?: number;

  @IsOptional()
  @IsIn(['new', 'append'], { message: "must be 'new' or 'append'" })
  mode?: 'new' | 'append';

  @IsOptional()
  @Validate(IsTemplate)
  subject?: string;

  @IsOptional()
  @Validate(IsTemplate)
  body?: string;

  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  bodyPublic?: boolean;

  @IsOptional()
  comments?: unknown;

  @IsOptional()
  @IsArray({ message: 'must be a list of tags' })
  @ArrayMaxSize(50, { message: 'must be at most 50 tags' })
  @Matches(/^[^\s,'"]{1,80}$/, {
    each: true,
    message: 'must be tags of 1 to 80 characters without blanks, commas or quotes',
  })
  tags?: string[];

  @IsOptional()
  customFields?: unknown;

  @IsOptional()
  @Validate(IsDuration)
  backlogAfter?: string;
}

export class CommentSection {
  @Validate(IsTemplate)
  body: string;

  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  public?: boolean;
}

export class CustomFieldSection {
  @IsInt({ message: "must be the field's number in Zendesk" })
  @Min(1, { message: "must be the field's number in Zendesk" })
  id: number;

  @Validate(IsTemplate)
  @Length(1, 20_000, { message: 'must be a template that is not empty' })
  value: string;

  @IsOptional()
  @IsIn(['text', 'number', 'checkbox'], { message: "must be 'text', 'number' or 'checkbox'" })
  type?: 'text' | 'number' | 'checkbox';
}
