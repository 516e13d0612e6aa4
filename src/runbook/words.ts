import type { Holder, HoldersKnown } from '../core/holders/holders.ts';
import type { Recovered } from '../core/restore/recovery.ts';
import type { Host } from './host.ts';
import type { PageWords } from './protocol.ts';
import type { SeenLost } from './restoration.ts';

/** `python3 (4711), node (4712)` */
export function named(holders: Holder[]): string {
  return holders.map(({ name, pid }) => `${name} (${pid})`).join(', ');
}

/** `python3 (4711)`, each program once. */
export function lostWords(lost: readonly SeenLost[]): string {
  const programs = new Map(lost.map(({ pid, program }) => [pid, { pid, name: program }]));
  return named([...programs.values()]);
}

/** Undefined when all programs can be seen. */
export function unseenWords(known: HoldersKnown | undefined, t: Host['t']): string | undefined {
  switch (known) {
    case 'own-user':
      return t(
        'Programs of other users, in other containers or on other machines cannot be seen from here.',
      );
    case 'unknown':
      return t('This system does not show which programs have a file open.');
    case 'all':
    case undefined:
      return undefined;
  }
}

/** Words of the core, with paths as the person knows them. */
export function shortened(text: string, paths: string[], { nameOf }: Pick<Host, 'nameOf'>): string {
  return paths.reduce((said, path) => said.replaceAll(path, nameOf(path)), text);
}

/** `kept`: the databases from before the undo. */
export function undoneWords(kept: string[], { t, nameOf }: Pick<Host, 't' | 'nameOf'>): string {
  const names = kept.map((path) => nameOf(path)).join(', ');
  return names === ''
    ? t('The previous database is live again.')
    : t(
        'The previous database is live again. The database from before the undo is kept as {0}.',
        names,
      );
}

/** What a recovery has left, in the words of the states that the core knows. */
export function recoveredWords(
  { how, items }: Pick<Recovered, 'how' | 'items'>,
  { t, nameOf }: Pick<Host, 't' | 'nameOf'>,
): string {
  const states = items.map(({ realTarget, words }) => `${nameOf(realTarget)}: ${words}.`).join(' ');
  return how === 'finish' ? t('Finished. {0}', states) : t('Rolled back. {0}', states);
}

/** The page's own words through the `t` of `vscode.l10n`. */
export function pageWords(t: (message: string) => string): PageWords {
  return {
    steps: t('Steps'),
    step: t('Step {0}: {1}'),
    stepChanged: t('Step {0}, {1}: {2}.'),
    status: {
      waiting: t('Waiting'),
      current: t('Now'),
      running: t('Running'),
      done: t('Done'),
      confirmed: t('Confirmed by you'),
      skipped: t('Not needed'),
      failed: t('Failed'),
    },
    warning: t('Warning'),
    error: t('Error'),
    proof: t('Checked'),
    holders: t('Programs that have it open'),
    pid: t('pid {0}'),
    checks: t('Check for yourself'),
    table: t('Table'),
    live: t('Live'),
    backup: t('Backup'),
    lost: t('Lost'),
    gained: t('Brought back'),
    changed: t('Changed'),
    total: t('Total'),
    byTable: t('By table'),
    unknown: t('unknown'),
    notCompared: t('Not compared'),
    byHand: t('By hand'),
    shells: t('Shell'),
    posix: t('POSIX shell'),
    powershell: t('PowerShell'),
    copy: t('Copy'),
    copied: t('Copied'),
  };
}
