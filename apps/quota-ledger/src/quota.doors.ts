import { Controller, Inject } from '@nestjs/common';
import { Ctx, MessagePattern, Payload } from '@nestjs/microservices';
import type { ApplyAccountsAnswer, Parsed, Rejected, Unavailable, UsageAnswer } from '#contracts';
import { DoorRejection, NatsDoorContext } from '#jetstream';
import { ApplyAccountsHandler } from './apply-accounts.handler.js';
import { ApplyAccountsBody } from './apply-accounts.body.js';
import { parseAcquire, parseObserve, parseRelease, parseSettle, parseUsage } from './domain/parse-requests.js';
import { LedgerOwner } from './ledger.owner.js';
import {
  type Asker,
  NotTheOwner,
  type QuotaAnswer,
  QuotaHandler,
  type QuotaRequest,
  UNAVAILABLE,
} from './quota.handler.js';
import { UsageHandler } from './usage.handler.js';
import { doorValidation } from '#jetstream';

/** What the ledger answers. */
export const LEDGER_SUBJECTS = [
  'quota.v1.*.*.acquire',
  'quota.v1.*.*.settle',
  'quota.v1.*.*.release',
  'quota.v1.*.*.observe',
  'quota.v1.*.usage',
  'accounts.v1.apply',
] as const;

/** The quota protocol over NATS request/reply: bodies to requests, who asks from the subject. */
@Controller()
export class QuotaDoors {
  constructor(
    @Inject(QuotaHandler) private readonly quota: QuotaHandler,
    @Inject(UsageHandler) private readonly usages: UsageHandler,
    @Inject(ApplyAccountsHandler) private readonly accounts: ApplyAccountsHandler,
    @Inject(LedgerOwner) private readonly owner: LedgerOwner,
  ) {}

  @MessagePattern<string>('quota.v1.*.*.acquire')
  acquire(@Payload() data: unknown, @Ctx() context: NatsDoorContext): Promise<QuotaAnswer> {
    return this.ask(context, { verb: 'acquire', body: read(parseAcquire(data)) });
  }

  @MessagePattern<string>('quota.v1.*.*.settle')
  settle(@Payload() data: unknown, @Ctx() context: NatsDoorContext): Promise<QuotaAnswer> {
    return this.ask(context, { verb: 'settle', body: read(parseSettle(data)) });
  }

  @MessagePattern<string>('quota.v1.*.*.release')
  release(@Payload() data: unknown, @Ctx() context: NatsDoorContext): Promise<QuotaAnswer> {
    return this.ask(context, { verb: 'release', body: read(parseRelease(data)) });
  }

  @MessagePattern<string>('quota.v1.*.*.observe')
  observe(@Payload() data: unknown, @Ctx() context: NatsDoorContext): Promise<QuotaAnswer> {
    return this.ask(context, { verb: 'observe', body: read(parseObserve(data)) });
  }

  @MessagePattern<string>('quota.v1.*.usage')
  async usage(
    @Payload() data: unknown,
    @Ctx() { tokens }: NatsDoorContext,
  ): Promise<UsageAnswer | Rejected | Unavailable> {
    const store = this.owner.current();
    if (!store) return UNAVAILABLE;
    return this.usages.usage(tokens[2]!, read(parseUsage(data, instantOf)), store);
  }

  @MessagePattern<string>('accounts.v1.apply')
  async apply(@Payload(doorValidation()) body: ApplyAccountsBody): Promise<ApplyAccountsAnswer | Unavailable> {
    try {
      return await this.accounts.apply({ yaml: body.yaml, force: body.force ?? false }, 'operator');
    } catch (error) {
      if (error instanceof NotTheOwner) return UNAVAILABLE;
      throw error;
    }
  }

  private ask({ tokens }: NatsDoorContext, request: QuotaRequest): Promise<QuotaAnswer> {
    const asker: Asker = { account: tokens[2]!, integration: tokens[3]! };
    return this.quota.ask(asker, request);
  }
}

function read<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new DoorRejection('invalid_request', parsed.reason);
  return parsed.value;
}

function instantOf(iso: string): number | null {
  const epochMs = Date.parse(iso);
  return Number.isNaN(epochMs) ? null : epochMs;
}
