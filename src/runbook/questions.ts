/** What the person is asked before something that is not easily taken back. Facts in, words out. */
import type { PlannedItem, RestorePlan } from '../core/restore/plan.ts';
import type { Host, Question } from './host.ts';

type Words = Pick<Host, 't' | 'nameOf'>;

/** Undefined when nothing is replaced. */
export function questionBeforeMove(
  { items }: RestorePlan,
  { t, nameOf }: Words,
): Question | undefined {
  const replaced = items.filter(({ targetExists }) => targetExists);
  if (replaced.length === 0) return undefined;
  const names = replaced.map(({ target }) => nameOf(target)).join(', ');
  return {
    message: t('Restore {0} from this backup?', names),
    detail: [
      ...(items.some(({ source }) => source.sha256 === undefined)
        ? [t('The backup is not proved: no manifest says what it should contain.')]
        : []),
      ...replaced.flatMap((item) => losses(item, { t, nameOf })),
      t('It is kept beside, and you can undo.'),
    ].join('\n'),
    yes: t('Restore'),
  };
}

function losses({ target, targetState, tables, notCompared }: PlannedItem, words: Words): string[] {
  const { t, nameOf } = words;
  if (targetState !== 'readable' && tables.length === 0) {
    return [t('{0} cannot be read, so nobody knows what only it has.', nameOf(target))];
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
    /** Set-asides that are not there any more. */
    gone: string[];
    /** Databases that the restore has made where none was. */
    added: string[];
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
    message: t('Put the old database back as {0}?', names),
    detail: [
      ...sinceLines(written ?? [], isKnown === true, t),
      t('The database that is live now is kept beside it as {0}.bad-<time>.', names),
      ...others.added.map((path) =>
        t('{0} was not there before the restore, so it stays as it is.', nameOf(path)),
      ),
      ...others.gone.map((path) =>
        t('{0} is not there any more, so it is not put back.', nameOf(path)),
      ),
    ].join('\n'),
    yes: t('Undo'),
  };
}

function sinceLines(written: string[], isKnown: boolean, t: Words['t']): string[] {
  if (written.length > 0) {
    const rest = isKnown ? [] : [t('There may be more that could not be compared.')];
    return [
      t('Rows written since the restore, which are not in the old database:'),
      ...written,
      ...rest,
    ];
  }
  return isKnown
    ? [t('Nothing was written since the restore.')]
    : [t('What was written since the restore is not in the old database.')];
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

export function questionBeforeDelete(paths: string[], { t, nameOf }: Words): Question {
  return {
    message: t('Delete the old database for good? It cannot be undone any more then.'),
    detail: paths.map((path) => nameOf(path)).join('\n'),
    yes: t('Delete'),
  };
}
