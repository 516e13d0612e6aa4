/** What an exported runbook says of the copies on other machines. Pure. */
import type { CopyByHand } from '../offsite/copiesOf.ts';
import { fenced } from './runbook.ts';

/** Empty where there is no copy. */
export function elsewhereMarkdown(copies: readonly CopyByHand[]): string {
  if (copies.length === 0) return '';
  const parts = copies.map(({ name, provedAt, commands }) =>
    [
      `From ${name}, ${provedAt === undefined ? 'not proved' : `proved on ${provedAt}`}:`,
      fenced('sh', commands.join('\n')),
    ].join('\n\n'),
  );
  const title = '## If this machine is gone';
  const text =
    'These commands bring the same backup back on another machine, with restic or rclone, and sqlite3. They ask for the password of the repository, or need the account of the remote. Keep them elsewhere.';
  return `\n${[title, text, ...parts].join('\n\n')}\n`;
}
