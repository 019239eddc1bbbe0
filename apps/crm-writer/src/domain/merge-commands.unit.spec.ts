import { describe, expect, it } from '@jest/globals';
import type { CommandAction } from '#contracts';
import { MAX_COMMANDS_PER_ITEM, MAX_COMMENT_CHARS, mergeCommands } from './merge-commands.js';
import type { WaitingCommand } from './write.js';

let at = 0;
const command = (action: Partial<CommandAction> & { kind: CommandAction['kind'] }): WaitingCommand => {
  at += 1;
  return {
    commandId: `c${at}`,
    action: action as CommandAction,
    eventAt: at,
    eventRank: 0,
    ordinal: 0,
    priority: 'live',
    attempts: 0,
  };
};
const comment = (body: string, isPublic = false): WaitingCommand =>
  command({ kind: 'addComment', body, public: isPublic });
const fields = (tags: string[], customFields: { id: number; value: string }[] = []): WaitingCommand =>
  command({ kind: 'setFields', tags, customFields });

describe('merging the commands of an interaction', () => {
  it('joins comments of the same visibility, in order', () => {
    const commands = [comment('first'), comment('second')];
    expect(mergeCommands(commands.toReversed(), false)).toEqual({
      commandIds: commands.map(({ commandId }) => commandId),
      comment: { body: 'first\n\nsecond', public: false },
      tags: [],
      customFields: [],
    });
  });

  it('stops before a comment of the other visibility, with what comes behind it', () => {
    const commands = [comment('internal'), fields(['a']), comment('public', true), fields(['b'])];
    const merged = mergeCommands(commands, false);
    expect(merged.commandIds).toEqual([commands[0]!.commandId, commands[1]!.commandId]);
    expect(merged.tags).toEqual(['a']);
  });

  it('unites tags, and takes the last value of a field', () => {
    const commands = [
      fields(['a', 'b'], [{ id: 1, value: 'old' }]),
      fields(
        ['b', 'c'],
        [
          { id: 1, value: 'new' },
          { id: 2, value: 'x' },
        ],
      ),
    ];
    const merged = mergeCommands(commands, false);
    expect(merged.tags).toEqual(['a', 'b', 'c']);
    expect(merged.customFields).toEqual([
      { id: 1, value: 'new' },
      { id: 2, value: 'x' },
    ]);
    expect(merged.comment).toBeNull();
  });

  it('keeps a comment within what the CRM takes, but sends a longer one as it is', () => {
    const long = 'x'.repeat(MAX_COMMENT_CHARS + 1);
    expect(mergeCommands([comment(long), comment('more')], false).comment!.body).toBe(long);
    expect(mergeCommands([comment('short'), comment(long)], false).commandIds).toHaveLength(1);
  });

  it('takes one command where they are to be told apart', () => {
    expect(mergeCommands([comment('a'), comment('b')], true).commandIds).toHaveLength(1);
  });

  it('takes no more than a call may carry', () => {
    const commands = Array.from({ length: MAX_COMMANDS_PER_ITEM + 5 }, () => fields(['t']));
    expect(mergeCommands(commands, false).commandIds).toHaveLength(MAX_COMMANDS_PER_ITEM);
  });
});
