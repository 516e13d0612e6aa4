/** `git`: the databases of a work tree follow its branch. */
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Synced, SyncedDatabase } from '../core/states/branches.ts';
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
        return uninstall(context);
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

async function install({ checkpoints }: Asked, context: Context): Promise<number> {
  const { worker, signal, print } = context;
  const params = { in: '.', node: process.execPath, script: ownScript() };
  const installed = await worker.call('installGitHook', params, { signal });
  // The branch of now is remembered.
  await synchronize({ checkpoints, copies: false }, context);
  if (installed.how !== 'by-hand') {
    print(`${installed.how === 'there' ? 'Renewed in' : 'Installed in'} ${shown(installed.path)}.`);
    return exitCodes.ok;
  }
  print(
    `Hooks are managed by ${shown(installed.manager)}, whose files are left alone. Add this line to its hook after a checkout:\n  ${installed.line}`,
  );
  return exitCodes.ok;
}

async function uninstall({ worker, signal, print }: Context): Promise<number> {
  const wasThere = await worker.call('uninstallGitHook', { in: '.' }, { signal });
  print(
    wasThere
      ? 'Removed from the hook. States of branches stay: sqlite-backup list --checkpoints'
      : 'There is nothing of SQLite Backup in the hook.',
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
  print(hasHook ? 'Databases follow the branch.' : 'Not installed: sqlite-backup git install');
  if (isBusy) print('git is in the middle of something: nothing is done until it has ended.');
  for (const { path, kind, of, branches } of databases) {
    const here = of === undefined ? '' : `  state of ${shown(of)}`;
    const others = branches.length === 0 ? '' : `  kept: ${branches.map(shown).join(', ')}`;
    print(`${kind.padEnd(7)}  ${shown(path)}${here}${others}`);
  }
  if (databases.length === 0) tell('No SQLite databases found.');
  return exitCodes.ok;
}

async function cleanUp({ checkpoints, isJson }: Asked, context: Context): Promise<number> {
  const { worker, signal, print, tell } = context;
  const removed = await worker.call('cleanUpBranches', { in: '.', checkpoints }, { signal });
  if (isJson) print(JSON.stringify({ removed }));
  else
    for (const { branch, path, id } of removed)
      print(`${shown(path)} of ${shown(branch)} is an ordinary checkpoint now: ${id}`);
  if (removed.length === 0 && !isJson) tell('No states of deleted branches.');
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
  if (state === 'busy')
    tell('git is in the middle of something: nothing is done until it has ended.');
  if (state === 'detached') tell('No branch (detached head): databases stay as they are.');
  if (state === 'first')
    print(`From now on the databases belong to the branch ${shown(to ?? '')}.`);
  if (state === 'same') print(`The databases are those of the branch ${shown(to ?? '')}.`);
}

function wordsFor(
  { outcome, kept, error }: SyncedDatabase,
  from: string,
  to: string,
  undo: string,
): string {
  const saved = kept === undefined ? '' : `; that of ${shown(from)} is kept as ${kept}`;
  switch (outcome) {
    case 'restored':
      return `state of ${shown(to)}${undo === '' ? '' : ` (undo: ${undo})`}`;
    case 'same':
      return `left as it is, because ${shown(to)} has the same migrations${saved}`;
    case 'none':
      return `left as it is, because ${to === '' ? 'there is no branch' : `${shown(to)} has no state yet`}${saved}`;
    case 'wanted':
      return `still the state of ${shown(from)}`;
    case 'held':
      return `still the state of ${shown(from)}: ${error?.message ?? ''} Then: sqlite-backup git sync`;
    case 'failed':
      return `still the state of ${shown(from)}: ${error === undefined ? '' : withHint(error)}`;
    case 'tracked':
      return 'left to git, which tracks it';
    case 'shared':
      return 'left alone, because other places use the same file';
  }
}
