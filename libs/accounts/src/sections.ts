import {
  ArrayMaxSize,
  IsArray,
  IsBoolean,
  IsDefined,
  IsEmail,
  IsIn,
  IsInt,
  IsNumber,
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
import { CALL_KINDS, CRM_TYPES, type CrmType } from '#contracts';
import { licencesOf } from '#limits';
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
const WEIGHT_HINT = 'must be a number from 0.1 to 100';
const MAX_SEATS = 10_000_000;
const SEATS_HINT = `must be a whole number of user licences from 1 to ${MAX_SEATS}`;
const MAX_LENGTH_MS = 31 * 86_400_000;

/** Licences of the section's CRM; of Zendesk where the type itself is wrong. */
function licencesIn(section: object): readonly string[] {
  const { type } = section as { type?: unknown };
  return licencesOf(CRM_TYPES.find((known) => known === type) ?? 'zendesk');
}

@ValidatorConstraint({ name: 'licence' })
class IsLicence implements ValidatorConstraintInterface {
  validate(value: unknown, { object }: ValidationArguments): boolean {
    return typeof value === 'string' && licencesIn(object).includes(value);
  }

  defaultMessage({ value, object }: ValidationArguments): string {
    const licences = licencesIn(object);
    const near = typeof value === 'string' ? nearestName(value, licences) : null;
    return `must be a licence of the catalogue${near ? ` (did you mean ${near}?)` : ''}: ${licences.join(', ')}`;
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

const PERCENT = /^(\d{1,3}(?:\.\d{1,3})?)\s?%$/;
const PERCENT_HINT = "must be a percentage from 0 to 100, written with its sign, such as '30%'";

/** `30%` as 30; null where the value is no percentage from 0 to 100. */
export function percentOf(value: unknown): number | null {
  const match = typeof value === 'string' ? PERCENT.exec(value) : null;
  const percent = match ? Number(match[1]) : null;
  return percent !== null && percent <= 100 ? percent : null;
}

@ValidatorConstraint({ name: 'percent' })
class IsPercent implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return percentOf(value) !== null;
  }

  defaultMessage(): string {
    return PERCENT_HINT;
  }
}

@ValidatorConstraint({ name: 'foreign' })
class IsForeign implements ValidatorConstraintInterface {
  validate(value: unknown): boolean {
    return value === 'auto' || (Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_CALLS);
  }

  defaultMessage(): string {
    return "must be 'auto' or a whole number of calls a minute";
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

  @IsOptional()
  quota?: unknown;

  @IsOptional()
  @IsBoolean({ message: 'must be true (plan and count, write nothing) or false' })
  dryRun?: boolean;
}

/** What the sections of all CRMs share; the type decides how the rest is read. */
class AnyCrmSection {
  @IsIn(CRM_TYPES, { message: `must be one of: ${CRM_TYPES.join(', ')}` })
  type: CrmType;

  @Validate(IsLicence)
  licence: string;

  @IsOptional()
  @Validate(Divides1000)
  timeScale?: number;

  @IsOptional()
  @IsInt({ message: 'must be a whole number of milliseconds' })
  @Min(100, { message: 'must be at least 100 milliseconds' })
  @Max(120_000, { message: 'must be at most 120000 milliseconds' })
  requestTimeoutMs?: number;
}

export class CrmSection extends AnyCrmSection {
  @Matches(BASE_URL, { message: "must be the CRM's address without a path, such as 'https://acme.zendesk.com'" })
  baseUrl: string;

  @IsDefined({ message: 'must say how to sign in: kind and tokenRef' })
  credential: unknown;

  @IsOptional()
  @Matches(/^[A-Za-z0-9._:-]{0,64}$/, {
    message: 'must be at most 64 letters, digits, dots, colons, dashes or underscores',
  })
  externalIdPrefix?: string;
}

export class QuotaOnlyCrmSection extends AnyCrmSection {
  @IsOptional()
  @IsInt({ message: SEATS_HINT })
  @Min(1, { message: SEATS_HINT })
  @Max(MAX_SEATS, { message: SEATS_HINT })
  seats?: number;

  @IsOptional()
  @Validate(IsTimeZone)
  timeZone?: string;
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

  @IsOptional()
  share?: unknown;

  @IsOptional()
  quota?: unknown;
}

export class IntegrationQuotaSection {
  @Matches(SECRET_REF, { message: SECRET_HINT })
  passwordRef: string;
}

export class ShareSection {
  @IsOptional()
  guarantee?: unknown;

  @IsOptional()
  cap?: unknown;

  @IsOptional()
  @IsNumber({}, { message: WEIGHT_HINT })
  @Min(0.1, { message: WEIGHT_HINT })
  @Max(100, { message: WEIGHT_HINT })
  weight?: number;
}

export class QuotaSection {
  @IsOptional()
  @IsIn(['enforce', 'shadow'], { message: "must be 'enforce' or 'shadow' (decides and reports, refuses nothing)" })
  mode?: 'enforce' | 'shadow';

  @IsOptional()
  @Validate(IsPercent)
  liveReserve?: string;

  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  spreadBacklog?: boolean;

  @IsOptional()
  @Validate(IsForeign)
  foreign?: 'auto' | number;
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
