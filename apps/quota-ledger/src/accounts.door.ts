import { Controller, Inject } from '@nestjs/common';
import { MessagePattern, Payload } from '@nestjs/microservices';
import { type ApplyAccountsAnswer, subjects, type Unavailable } from '#contracts';
import { doorValidation } from '#jetstream';
import { ApplyAccountsBody } from './apply-accounts.body.js';
import { ApplyAccountsHandler, TablesAway } from './apply-accounts.handler.js';
import { UNAVAILABLE } from './quota.handler.js';

/** Operators' door to change accounts at run time; open where this process is the steward of accounts. */
@Controller()
export class AccountsDoor {
  constructor(@Inject(ApplyAccountsHandler) private readonly accounts: ApplyAccountsHandler) {}

  @MessagePattern<string>(subjects.applyAccounts)
  async apply(@Payload(doorValidation()) body: ApplyAccountsBody): Promise<ApplyAccountsAnswer | Unavailable> {
    try {
      return await this.accounts.apply({ yaml: body.yaml, force: body.force ?? false }, 'operator');
    } catch (error) {
      if (error instanceof TablesAway) return UNAVAILABLE;
      throw error;
    }
  }
}
