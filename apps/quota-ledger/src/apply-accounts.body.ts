import { IsBoolean, IsOptional, IsString } from 'class-validator';

/** The body of `accounts.v1.apply`. */
export class ApplyAccountsBody {
  @IsString({ message: 'yaml must be the text of a file of accounts' })
  yaml: string;

  @IsOptional()
  @IsBoolean({ message: 'force must be true or false' })
  force?: boolean;
}
