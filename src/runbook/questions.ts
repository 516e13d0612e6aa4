/** What the person is asked before something that is not easily taken back. Facts in, words out. */
import type { HoldersKnown } from '../core/holders/holders.ts';
import type { PlannedItem, RestorePlan } from '../core/restore/plan.ts';
import type { Host, Question } from './host.ts';
import { unseenWords } from './words.ts';

type Words = Pick<Host, 't' | 'nameOf'>;

/** Undefined when nothing is replaced. */
export function questionBeforeMove(
  { items }: RestorePlan,
  { t, nameOf }: Words,
  known?: HoldersKnown,
): Question | undefined {
  const replaced = items.filter(({ targetExists }) => targetExists);
  if (replaced.length === 0) return undefined;
  const names = replaced.map(({ target }) => nameOf(target)).join(', ');
  return {
    message: t('Restore {0} from this backup?', names),
    detail: [
      ...(items.some(({ source }) => source.sha256 === undefined)
        ? [
            t(
              'No backup details say what the backup should contain. Only its content can be checked.',
            ),
          ]
        : []),
      ...replaced.flatMap((item) => losses(item, { t, nameOf })),
      ...unseen(known, t),
      t('The current database is kept, and you can undo.'),
    ].join('\n'),
    yes: t('Restore'),
  };
}

function unseen(known: HoldersKnown | undefined, t: Words['t']): string[] {
  const words = unseenWords(known, t);
  return words === undefined ? [] : [words];
}

function losses({ target, targetState, tables, notCompared }: PlannedItem, words: Words): string[] {
  const { t, nameOf } = words;
  if (targetState !== 'readable' && tables.length === 0) {
    return [t('{0} cannot be read, so its changes since the backup are unknown.', nameOf(target))];
  }
  return [
    ...rowLosses(tables, t),
    ...notCompared.map(({ name }) => t('{0} could not be compared.', name)),
  ];
}

function rowLosses(tables: PlannedItem['tables'], t: Words['t']): string[] {
  return tables.flatMap(({ name, lost, changed }) => [
    ...(lost === 1 ? [t('1 row of {0} is only in the live database.', name)] : []),
    ...(lost > 1 ? [t('{0} rows of {1} are only in the live database.', lost, name)] : []),
    ...(changed === 1 ? [t('1 row of {0} goes back to what the backup has.', name)] : []),
    ...(changed > 1 ? [t('{0} rows of {1} go back to what the backup has.', changed, name)] : []),
  ]);
}

/** `since`: the restored database against the backup, as it is now; undefined when that is not known. */
export function questionBeforeUndo(
  targets: string[],
  others: {
    /** Previous databases that no longer exist. */
    gone: string[];
    /** Databases that the restore has made where none was. */
    added: string[];
    /** Whose programs can be seen. */
    known?: HoldersKnown | undefined;
  },
  since: RestorePlan | undefined,
  { t, nameOf }: Words,
): Question {
  const names = targets.map((path) => nameOf(path)).join(', ');
  const written = since?.items.flatMap(({ tables, targetState }) =>
    targetState === 'readable' ? writtenSince(tables, t) : [],
  );
  const isKnown = since?.items.every(
    ({ targetState, notCompared }) => targetState === 'readable' && notCompared.length === 0,
  );
  return {
    message: t('Put the previous database back as {0}?', names),
    detail: [
      ...sinceLines(written ?? [], isKnown === true, t),
      t('The current database is kept beside it as {0}.bad-<time>.', names),
      ...others.added.map((path) =>
        t('{0} did not exist before the restore, so it stays as it is.', nameOf(path)),
      ),
      ...others.gone.map((path) => t('{0} no longer exists, so it is not put back.', nameOf(path))),
      ...unseen(others.known, t),
    ].join('\n'),
    yes: t('Undo'),
  };
}

function sinceLines(written: string[], isKnown: boolean, t: Words['t']): string[] {
  if (written.length > 0) {
    const rest = isKnown ? [] : [t('There may be more rows that could not be compared.')];
    return [
      t('Rows written since the restore, which are not in the previous database:'),
      ...written,
      ...rest,
    ];
  }
  return isKnown
    ? [t('Nothing was written since the restore.')]
    : [t('What was written since the restore is not in the previous database.')];
}

function writtenSince(tables: PlannedItem['tables'], t: Words['t']): string[] {
  return tables
    .filter(({ lost, gained, changed }) => lost + gained + changed > 0)
    .map(({ name, lost, gained, changed }) =>
      [
        `${name}:`,
        [
          ...(lost > 0 ? [t('{0} added', lost)] : []),
          ...(gained > 0 ? [t('{0} removed', gained)] : []),
          ...(changed > 0 ? [t('{0} changed', changed)] : []),
        ].join(', '),
      ].join(' '),
    );
}

/** `empty`: the live databases that do not exist, or hold nothing. */
export function questionBeforeDelete(
  paths: string[],
  empty: string[],
  { t, nameOf }: Words,
): Question {
  const names = paths.map((path) => nameOf(path)).join(', ');
  return {
    message:
      empty.length > 0
        ? t('Delete the last copy, {0}?', names)
        : t('Delete the previous database {0}?', names),
    detail: [
      ...empty.map((path) =>
        t('{0} does not exist or is empty, so this is the last copy of it here.', nameOf(path)),
      ),
      t('Data that only it has is lost, and the restore can no longer be undone.'),
    ].join('\n'),
    yes: t('Delete'),
    no: t('Keep It'),
  };
}

/** `reason`: in what the kept files differ from what the restore has kept. */
export function questionBeforeUnproved(
  path: string,
  reason: string,
  { t, nameOf }: Words,
): Question {
  return {
    message: t('Put {0} back even though it changed?', nameOf(path)),
    detail: [reason, t('The live database is kept as well, so this can be undone.')].join('\n'),
    yes: t('Put It Back'),
  };
}

/** Before a damaged backup goes to a new file. */
export function questionBeforeDamaged({ findings }: RestorePlan, { t }: Words): Question {
  return {
    message: t('Restore a damaged backup to a new file?'),
    detail: [
      ...findings.map(({ message }) => message),
      t(
        'The new file has the same damage: rows may be missing or wrong. No existing file is changed.',
      ),
    ].join('\n'),
    yes: t('Restore to a New File'),
  };
}
