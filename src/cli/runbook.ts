import { isBackupError } from '../core/errors.ts';
import type { CopyByHand } from '../core/offsite/copiesOf.ts';
import { elsewhereMarkdown } from '../core/runbook/elsewhere.ts';
import { renderMarkdown, renderPowerShell, renderShell } from '../core/runbook/runbook.ts';
import { planFor, requestFor } from './restore.ts';
import { type Context, exitCodes, parse, UsageError, type Verb, withHint } from './verb.ts';

const renderers = { markdown: renderMarkdown, sh: renderShell, powershell: renderPowerShell };

export const runbook: Verb = {
  isQuestion: true,
  examples: ['runbook backups/app_2026-03-01T08-00-00Z.db data/app.db > restore.md'],
  summary: 'Print the steps of a restore, with the commands that do the same by hand.',
  usage:
    'runbook BACKUP TARGET [--format markdown|sh|powershell] [--member NAME] [--checkpoints DIR]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        format: { type: 'string' },
        member: { type: 'string' },
        checkpoints: { type: 'string' },
      },
    });
    const [backup, target, ...rest] = positionals;
    if (backup === undefined || target === undefined || rest.length > 0)
      throw new UsageError('runbook takes a backup and a target.');
    const { format = 'markdown' } = values;
    if (format !== 'markdown' && format !== 'sh' && format !== 'powershell')
      throw new UsageError(`--format is markdown, sh or powershell, not ${format}.`);
    const plan = await planFor(await requestFor(backup, target, values, context), context);
    const text = renderers[format](plan, { now: new Date() });
    const copies = format === 'markdown' ? await copiesOf(plan.backup, context) : [];
    context.print(`${text}${elsewhereMarkdown(copies)}`.trimEnd());
    return plan.verified === 'damaged' ? exitCodes.failed : exitCodes.ok;
  },
};

/** What is wrong with the list of destinations keeps no person from a restore. */
async function copiesOf(backup: string, { worker, signal, tell }: Context): Promise<CopyByHand[]> {
  try {
    return await worker.call('offsiteByHand', { backup }, { signal });
  } catch (error) {
    if (!isBackupError(error) || error.code === 'cancelled') throw error;
    tell(withHint(error));
    return [];
  }
}
