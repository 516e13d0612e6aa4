import { resolve } from 'node:path';
import type { Remark } from '../core/catalog/keeping.ts';
import { type Context, exitCodes, parse, UsageError, type Verb } from './verb.ts';

export const pin: Verb = {
  examples: ['pin backups/app_2026-03-01T08-00-00Z.db'],
  summary: 'Protect a backup from retention.',
  usage: 'pin BACKUP [--json]',
  run: (args, context) => remarkOn('pin', args, context, () => ({ pinned: true })),
};

export const unpin: Verb = {
  examples: ['unpin backups/app_2026-03-01T08-00-00Z.db'],
  summary: 'Let retention remove a backup again.',
  usage: 'unpin BACKUP [--json]',
  run: (args, context) => remarkOn('unpin', args, context, () => ({ pinned: false })),
};

export const note: Verb = {
  examples: ["note backups/app_2026-03-01T08-00-00Z.db 'before the move to v2'"],
  summary: 'Add a note to a backup. An empty text removes it.',
  usage: 'note BACKUP TEXT [--json]',
  run: (args, context) =>
    remarkOn('note', args, context, (text) => (text === undefined ? undefined : { note: text })),
};

async function remarkOn(
  verb: string,
  args: string[],
  { worker, signal, print }: Context,
  remarkOf: (text: string | undefined) => Remark | undefined,
): Promise<number> {
  const { values, positionals } = parse({
    args,
    allowPositionals: true,
    options: { json: { type: 'boolean' } },
  });
  const [backup, text, ...rest] = positionals;
  const remark = remarkOf(text);
  const tooMany = rest.length > 0 || (verb !== 'note' && text !== undefined);
  if (backup === undefined || remark === undefined || tooMany) {
    throw new UsageError(
      `${verb} takes ${verb === 'note' ? 'a backup and a text' : 'one backup'}.`,
    );
  }
  const path = resolve(backup);
  const manifest = await worker.call('remark', { path, remark }, { signal });
  const { pinned = false, note: noted = '' } = manifest;
  if (values.json) print(JSON.stringify({ path, pinned, note: noted }));
  else print(`${path}: ${pinned ? 'pinned' : 'not pinned'}${noted === '' ? '' : `, "${noted}"`}`);
  return exitCodes.ok;
}
