/** `git`: the databases of a work tree follow its branch. */
import { isAbsolute, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Synced, SyncedDatabase } from '../core/states/branches.ts';
import type { BranchStatus } from '../core/states/branchStatus.ts';
import { callOptions, defaultDeadlineMs, restoreCommand, shown } from './backUp.ts';
import { askedCheckpoints, takingFor } from './checkpoint.ts';
import { type Context, exitCodes, parse, UsageError, type Verb, withHint } from './verb.ts';

const actions = ['install', 'uninstall', 'sync', 'status', 'cleanup'] as const;

export const git: Verb = {
  examples: [
    'git install   # from now on databases follow the branch',
    'git status',
    'git sync      # after a switch while a program had the database open; in a new worktree, copies its databases',
    'git cleanup   # lets the states of deleted branches go',
  ],
  summary:
    'Keep the state of the databases of each branch of git, and bring it back after a switch.',
  usage: 'git install|uninstall|sync|status|cleanup [--checkpoints DIR] [--json]',
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        checkpoints: { type: 'string' },
        json: { type: 'boolean' },
        hook: { type: 'boolean' },
      },
    });
    const [given, ...rest] = positionals;
    const action = actions.find((one) => one === given);
    if (action === undefined) throw new UsageError(`git takes one of ${actions.join(', ')}.`);
    const isHook = values.hook === true;
    if (isHook ? action !== 'sync' : rest.length > 0)
      throw new UsageError(`git ${action} takes no arguments except its options.`);
    const asked: Asked = { checkpoints: askedCheckpoints(values), isJson: values.json === true };
    switch (action) {
      case 'install':
        return install(asked, context);
      case 'uninstall':
        return uninstall(asked, context);
      case 'status':
        return status(asked, context);
      case 'cleanup':
        return cleanUp(asked, context);
      case 'sync':
        return sync({ ...asked, hook: isHook ? rest : undefined }, context);
    }
  },
};

interface Asked {
  checkpoints: string | undefined;
  isJson: boolean;
}

/** The command line itself, for the hook. */
function ownScript(): string {
  return process.argv[1] ?? fileURLToPath(import.meta.url);
}

async function install({ checkpoints, isJson }: Asked, context: Context): Promise<number> {
  const { worker, signal, print } = context;
  const params = { in: '.', node: process.execPath, script: ownScript() };
  const installed = await worker.call('installGitHook', params, { signal });
  // The branch of now is remembered.
  await synchronize({ checkpoints, copies: false }, context);
  if (isJson) print(JSON.stringify(installed));
  else if (installed.how === 'by-hand')
    print(
      `Nothing was changed: ${whyByHand(installed.manager)} Add this line to the post-checkout hook yourself:\n  ${installed.line}`,
    );
  else
    print(
      `${installed.how === 'there' ? 'Renewed' : 'Installed'} in ${shown(installed.path)}. Databases follow the branch from now on.`,
    );
  return exitCodes.ok;
}

function whyByHand(manager: string): string {
  if (manager === 'core.hooksPath')
    return 'the setting core.hooksPath of git names another folder for hooks.';
  return isAbsolute(manager)
    ? `${shown(manager)} is no shell script that git runs, or is a link.`
    : `${manager} manages the hooks of this repository.`;
}

async function uninstall({ isJson }: Asked, { worker, signal, print }: Context): Promise<number> {
  const removed = await worker.call('uninstallGitHook', { in: '.' }, { signal });
  if (isJson) print(JSON.stringify({ removed }));
  else
    print(
      removed
        ? 'Removed from the hook: databases no longer follow the branch. The kept states stay: sqlite-backup list --checkpoints'
        : 'Nothing to remove: the hook has no lines of SQLite Backup.',
    );
  return exitCodes.ok;
}

async function status({ checkpoints, isJson }: Asked, context: Context): Promise<number> {
  const { worker, signal, print, tell } = context;
  const found = await worker.call('branchStatus', { in: '.', checkpoints }, { signal });
  if (isJson) {
    print(JSON.stringify({ ...found, branch: found.branch ?? null }));
    return exitCodes.ok;
  }
  const { branch, hasHook, isBusy, databases } = found;
  print(`${branch === undefined ? 'No branch (detached head)' : `On branch ${shown(branch)}`}`);
  print(
    hasHook
      ? 'Databases follow the branch.'
      : 'Databases do not follow the branch. To change that: sqlite-backup git install',
  );
  if (isBusy) print(busy);
  for (const one of databases) print(`${one.kind.padEnd(7)}  ${shown(one.path)}${remarkOn(one)}`);
  if (databases.length === 0) tell('No SQLite databases found.');
  return exitCodes.ok;
}

const busy =
  'A rebase, a bisect, a merge or a cherry-pick is not finished: until then, databases stay as they are.';

function remarkOn({ kind, of, branches, isInMain }: BranchStatus['databases'][number]): string {
  const words = [
    ...(of === undefined ? [] : [`state of ${shown(of)}`]),
    ...(kind === 'tracked' ? ['git tracks it, so it is left alone'] : []),
    ...(kind === 'shared' ? ['other places use the same file, so it is left alone'] : []),
    ...(isInMain === true
      ? ['only in the main worktree; copy it with sqlite-backup git sync']
      : kind === 'none'
        ? ['not here']
        : []),
    ...(branches.length === 0 ? [] : [`kept for: ${branches.map(shown).join(', ')}`]),
  ];
  return words.length === 0 ? '' : `  ${words.join('; ')}`;
}

async function cleanUp({ checkpoints, isJson }: Asked, context: Context): Promise<number> {
  const { worker, signal, print, tell } = context;
  const removed = await worker.call('cleanUpBranches', { in: '.', checkpoints }, { signal });
  if (isJson) print(JSON.stringify({ removed }));
  else
    for (const { branch, path, id } of removed)
      print(
        `${shown(path)}: the state of the deleted branch ${shown(branch)} is an ordinary checkpoint now: ${id}`,
      );
  if (removed.length === 0 && !isJson)
    tell('Nothing to clean up: no state is that of a deleted branch.');
  return exitCodes.ok;
}

function synchronize(
  { checkpoints, copies }: { checkpoints: string | undefined; copies: boolean },
  context: Context,
): Promise<Synced> {
  const taking = takingFor({ cause: { kind: 'branch' }, checkpoints }, context);
  const params = { in: '.', how: 'restore' as const, copies, taking };
  return context.worker.call('syncBranches', params, callOptions(context, defaultDeadlineMs));
}

async function sync(
  { checkpoints, isJson, hook }: Asked & { hook: readonly string[] | undefined },
  context: Context,
): Promise<number> {
  const [before = '', , flag] = hook ?? [];
  // A checkout of files switches no branch.
  if (hook !== undefined && flag !== '1') return exitCodes.ok;
  // In a new worktree there is nothing before.
  const copies = hook === undefined || /^0+$/.test(before);
  const synced = await synchronize({ checkpoints, copies }, context);
  if (isJson) {
    context.print(JSON.stringify(synced));
    return isGood(synced) ? exitCodes.ok : exitCodes.failed;
  }
  printSynced(synced, { isHook: hook !== undefined, checkpoints }, context);
  return isGood(synced) ? exitCodes.ok : exitCodes.failed;
}

function isGood({ databases, copied }: Synced): boolean {
  return (
    databases.every(({ outcome }) => outcome !== 'failed' && outcome !== 'held') &&
    copied.every(({ error }) => error === undefined)
  );
}

function printSynced(
  { top, from = '', to, state, databases, copied }: Synced,
  { isHook, checkpoints }: { isHook: boolean; checkpoints: string | undefined },
  { print, tell }: Context,
): void {
  const start = isHook ? 'sqlite-backup: ' : '';
  for (const { path, error } of copied) {
    if (error === undefined) print(`${start}${shown(path)}: copied from the main worktree`);
    else tell(`${start}${shown(path)}: not copied from the main worktree: ${withHint(error)}`);
  }
  const undoOf = ({ kept, path }: SyncedDatabase): string =>
    kept === undefined
      ? ''
      : restoreCommand({ id: kept, path: relative('.', join(top, path)) }, checkpoints);
  // What is left alone each time is in git status.
  const said = databases.filter(
    ({ outcome }) => !isHook || !['tracked', 'shared'].includes(outcome),
  );
  for (const one of said) {
    const line = `${start}${shown(one.path)}: ${wordsFor(one, from, to ?? '', undoOf(one))}`;
    if (one.error === undefined) print(line);
    else tell(line);
  }
  if (isHook) return;
  if (state === 'busy') tell(busy);
  if (state === 'detached') tell('No branch (detached head): databases stay as they are.');
  if (state === 'first')
    print(`The databases are taken for the state of the branch ${shown(to ?? '')} from now on.`);
  if (state === 'same')
    print(`Nothing to switch: the databases have the state of the branch ${shown(to ?? '')}.`);
}

function wordsFor(
  { outcome, kept, error }: SyncedDatabase,
  from: string,
  to: string,
  undo: string,
): string {
  const saved = kept === undefined ? '' : `; the state of ${shown(from)} is kept as ${kept}`;
  switch (outcome) {
    case 'restored':
      return `now the state of ${shown(to)}${undo === '' ? '' : ` (undo: ${undo})`}`;
    case 'same':
      return `left as it is, because ${shown(to)} has the same migrations${saved}`;
    case 'none':
      return `left as it is, because ${to === '' ? 'there is no branch' : `${shown(to)} has no state yet`}${saved}`;
    case 'wanted':
      return `still the state of ${shown(from)}`;
    case 'held':
      return `still the state of ${shown(from)}: ${error?.message ?? ''} After that program has ended, run: sqlite-backup git sync`;
    case 'failed':
      return `still the state of ${shown(from)}: ${error === undefined ? '' : withHint(error)}`;
    case 'tracked':
      return 'left as it is, because git tracks it';
    case 'shared':
      return 'left as it is, because other places use the same file';
  }
}
