import { resolve } from 'node:path';
import { BackupError } from '../core/errors.ts';
import { bundleExtension } from '../core/manifest/names.ts';
import type { Restored } from '../core/restore/apply.ts';
import type { RestorePlan } from '../core/restore/plan.ts';
import type { Interrupted } from '../core/restore/recovery.ts';
import type { RestoreRequest } from '../core/restore/request.ts';
import { runbookSteps, unseenWords } from '../core/runbook/runbook.ts';
import { baselineVerb } from './baseline.ts';
import { backupNamed, askedCheckpoints } from './checkpoint.ts';
import { type Context, exitCodes, parse, seconds, UsageError, type Verb } from './verb.ts';

const busyTimeoutMs = 5000;

export const restore: Verb = {
  examples: [
    'restore backups/app_2026-03-01T08-00-00Z.db data/app.db --plan',
    'restore backups/app_2026-03-01T08-00-00Z.db data/app.db --yes --to backups',
    'restore 3f2a data/app.db --yes   # a checkpoint, by the beginning of its id',
    'restore --recover data --finish',
    'restore --baseline seeded test.db --yes --discard   # before each run of the tests',
  ],
  summary:
    'Replace a database with a backup or a baseline, undo a restore, or recover an interrupted one.',
  usage: `restore BACKUP TARGET --plan|--yes [--member NAME] [--unproved] [--ignore-holders] [--to DIR] [--deadline SECONDS] [--checkpoints DIR] [--json]
  restore BACKUP NEW_FILE --yes --damaged [--json]
  restore --undo PREVIOUS_DATABASE [--unproved] [--ignore-holders] [--json]
  restore --recover FOLDER [--finish|--roll-back] [--ignore-holders] [--json]
  restore --baseline NAME TARGET --yes|--check [--discard] [--checkpoints DIR] [--json]`,
  async run(args, context) {
    const { values, positionals } = parse({
      args,
      allowPositionals: true,
      options: {
        plan: { type: 'boolean' },
        yes: { type: 'boolean' },
        member: { type: 'string' },
        'ignore-holders': { type: 'boolean' },
        unproved: { type: 'boolean' },
        damaged: { type: 'boolean' },
        to: { type: 'string' },
        deadline: { type: 'string' },
        checkpoints: { type: 'string' },
        undo: { type: 'string' },
        recover: { type: 'string' },
        finish: { type: 'boolean' },
        'roll-back': { type: 'boolean' },
        json: { type: 'boolean' },
        baseline: { type: 'string' },
        check: { type: 'boolean' },
        discard: { type: 'boolean' },
      },
    });
    if (values.baseline !== undefined || values.check === true || values.discard === true)
      return baselineVerb(values, positionals, context);
    const json = values.json === true;
    const ignoreHolders = values['ignore-holders'] === true;
    const acceptUnproved = values.unproved === true;
    const { undo, recover } = values;
    const isRestore = undo === undefined && recover === undefined;
    const directions = [values.finish, values['roll-back']].filter((one) => one === true).length;
    if (!isRestore && (values.plan || values.yes || positionals.length > 0))
      throw new UsageError('--undo and --recover take one path and no other arguments.');
    if (undo !== undefined && recover !== undefined)
      throw new UsageError('Use either --undo or --recover.');
    if (directions > (recover === undefined ? 0 : 1))
      throw new UsageError('--recover takes one of --finish and --roll-back.');
    if (undo !== undefined)
      return undoRestore(undo, { ignoreHolders, acceptUnproved, json }, context);
    if (recover !== undefined) {
      const how = values.finish ? 'finish' : values['roll-back'] ? 'roll-back' : undefined;
      return recoverIn(resolve(recover), how, { ignoreHolders, json }, context);
    }
    const [backup, target, ...rest] = positionals;
    if (backup === undefined || target === undefined || rest.length > 0)
      throw new UsageError('restore takes a backup and a target.');
    if ((values.plan === true) === (values.yes === true))
      throw new UsageError('Add --plan to see what it would do, or --yes to do it.');
    const request = await requestFor(backup, target, values, context);
    if (values.plan) return printPlan(request, json, context);
    const folder = values.to ?? process.env['BACKUPS_DIR'];
    const deadlineMs = seconds('deadline', values.deadline);
    const targets = request.items.map((item) => item.target);
    await tellBefore(targets, context);
    const restored = await context.worker.call(
      'applyRestore',
      {
        ...request,
        ...(folder !== undefined && folder !== '' && { folder: resolve(folder) }),
        ignoreHolders,
        acceptUnproved,
        acceptDamaged: values.damaged === true,
        busyTimeoutMs,
        toolVersion: context.toolVersion,
      },
      { signal: context.signal, deadlineMs, onProgress: ({ phase }) => context.progress(phase) },
    );
    return printRestored(restored, json, context);
  },
};

/** What has to be known before anything is done: a program that cannot be seen would go on with the previous database. */
async function tellBefore(paths: string[], { worker, signal, tell }: Context): Promise<void> {
  const [{ known }, remarks] = await Promise.all([
    worker.call('holders', { paths }, { signal }),
    worker.call('surroundings', { paths }, { signal }),
  ]);
  for (const words of unseenWords(known)) tell(words);
  for (const { message } of remarks) tell(message);
}

interface Options {
  ignoreHolders: boolean;
  json: boolean;
}

/** Shared with the verb `runbook`: what to restore where. The only database of a bundle need not be named. */
export async function requestFor(
  backup: string,
  target: string,
  { member: given, checkpoints }: { member?: string | undefined; checkpoints?: string | undefined },
  context: Context,
): Promise<RestoreRequest> {
  const { worker, signal } = context;
  const path = resolve(await backupNamed(backup, askedCheckpoints({ checkpoints }), context));
  let member = given;
  if (member === undefined && path.toLowerCase().endsWith(bundleExtension)) {
    const members = await worker.call('members', { path }, { signal });
    const databases = members.filter(({ kind }) => kind === 'database');
    // Of several, the core says which there are.
    if (databases.length === 1) member = databases[0]?.name;
  }
  return {
    backup: path,
    items: [{ target: resolve(target), ...(member !== undefined && { member }) }],
  };
}

/** The plan of a restore of one database. */
export async function planFor(
  request: RestoreRequest,
  { worker, signal, progress }: Context,
): Promise<RestorePlan> {
  return worker.call('planRestore', request, {
    signal,
    onProgress: ({ phase }) => progress(phase),
  });
}

async function printPlan(
  request: RestoreRequest,
  json: boolean,
  context: Context,
): Promise<number> {
  const plan = await planFor(request, context);
  const [item] = plan.items;
  const steps = runbookSteps(plan, { now: new Date() });
  const code = plan.verified === 'damaged' ? exitCodes.failed : exitCodes.ok;
  if (item === undefined) return code;
  if (json) {
    context.print(
      JSON.stringify({
        backup: plan.backup,
        target: item.target,
        targetExists: item.targetExists,
        verified: plan.verified,
        holders: item.holders.map(({ pid, name }) => ({ pid, name })),
        tables: item.tables.map(({ name, lost, gained, changed, only }) => ({
          name,
          lost,
          gained,
          changed,
          ...(only && { only }),
        })),
        schema: item.schema,
        migrations: {
          backup: item.migrations.backup,
          live: item.migrations.live,
          verdict: item.migrations.verdict,
        },
        steps: steps.map(({ id, title, text, sh, powershell }) => ({
          id,
          title,
          text,
          sh,
          powershell,
        })),
        createdAt: plan.createdAt,
        sizeBytes: plan.sizeBytes,
        findings: plan.findings,
        targetState: item.targetState,
        targetReason: item.targetReason ?? null,
        holdersKnown: item.holdersKnown,
        notCompared: item.notCompared,
        ...(item.member !== undefined && { member: item.member }),
      }),
    );
    return code;
  }
  for (const { number, title, text } of steps) {
    context.print(`${number}. ${title}\n  ${text.replaceAll('\n', '\n  ')}`);
  }
  for (const { message } of plan.findings) context.tell(message);
  const path = item.realTarget;
  const lost =
    item.holders.length === 0
      ? []
      : await context.worker.call('lostFiles', { path }, { signal: context.signal });
  for (const { pid, program } of lost)
    context.tell(
      `Do not stop ${program} (pid ${pid}) yet: files of the database were deleted or replaced, and only this program still has their content. Save it first: sqlite-backup save-open ${JSON.stringify(path)}`,
    );
  return code;
}

const verdictWords = {
  ok: 'verified',
  partial: 'verified as far as possible',
  unchecked: 'not checked yet',
  damaged: 'damaged',
} as const;

function printRestored({ items }: Restored, json: boolean, { print, tell }: Context): number {
  const [item] = items;
  if (item === undefined) return exitCodes.failed;
  const { realTarget, setAside, safetySnapshot, safetyFailure, verified, findings } = item;
  if (json) {
    print(
      JSON.stringify({
        restored: realTarget,
        setAside: setAside ?? null,
        safetySnapshot: safetySnapshot ?? null,
        verified,
      }),
    );
  } else {
    print(`Restored ${realTarget}: ${verdictWords[verified]}.`);
    if (setAside !== undefined)
      print(
        `The previous database is kept: ${setAside}\n  Undo: sqlite-backup restore --undo PREVIOUS_DATABASE`,
      );
    if (safetySnapshot !== undefined) print(`Safety snapshot: ${safetySnapshot}`);
  }
  if (safetyFailure !== undefined) tell(`No safety snapshot: ${safetyFailure.message}`);
  for (const { message } of findings) tell(message);
  return exitCodes.ok;
}

async function undoRestore(
  setAside: string,
  { ignoreHolders, acceptUnproved, json }: Options & { acceptUnproved: boolean },
  { worker, signal, toolVersion, print, tell }: Context,
): Promise<number> {
  const undone = await worker.call(
    'undoRestore',
    { setAside: resolve(setAside), ignoreHolders, acceptUnproved, toolVersion },
    { signal },
  );
  if (json) {
    const { target, verified } = undone;
    print(JSON.stringify({ restored: target, setAside: undone.setAside ?? null, verified }));
  } else {
    print(`The previous database is live again: ${undone.target}`);
    if (undone.setAside !== undefined)
      print(`The database that the undo replaced is kept: ${undone.setAside}`);
  }
  for (const { message } of undone.findings) tell(message);
  return exitCodes.ok;
}

async function recoverIn(
  folder: string,
  how: 'finish' | 'roll-back' | undefined,
  { ignoreHolders, json }: Options,
  { worker, signal, print, tell }: Context,
): Promise<number> {
  const interrupted = await worker.call('findInterrupted', { in: folder }, { signal });
  if (how === undefined) {
    if (json) print(JSON.stringify({ interrupted: interrupted.map(interruptedJson) }));
    else for (const one of interrupted) print(`${one.startedAt}  ${one.words}`);
    if (interrupted.length === 0) tell(`No interrupted restore in ${folder}.`);
    else if (!json) tell('Say --finish or --roll-back.');
    // Something is still to be decided.
    return interrupted.length === 0 ? exitCodes.ok : exitCodes.failed;
  }
  const recovered = [];
  const stuck: Interrupted[] = [];
  for (const one of interrupted) {
    if (!one.can.includes(how)) {
      stuck.push(one);
      continue;
    }
    const params = { intent: one.intent, how, ignoreHolders };
    const done = await worker.call('recoverInterrupted', params, { signal });
    recovered.push(done);
    for (const { realTarget, words } of json ? [] : done.items) print(`${realTarget}: ${words}.`);
    for (const { message } of done.remarks) tell(message);
  }
  if (json && (recovered.length > 0 || stuck.length === 0)) print(JSON.stringify({ recovered }));
  const [first] = stuck;
  if (first !== undefined)
    throw new BackupError('incomplete', stuck.map(({ words }) => words).join('\n'), {
      path: first.intent,
      facts: { how },
    });
  if (recovered.length === 0) tell(`No interrupted restore in ${folder}.`);
  return exitCodes.ok;
}

function interruptedJson({
  id,
  intent,
  action,
  startedAt,
  items,
  can,
  words,
}: Interrupted): object {
  return { id, intent, action, startedAt, items, can, words };
}
