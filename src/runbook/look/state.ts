/** What the page of a look inside a backup shows: the session, in words. */
import type { Comparison } from '../../core/compare/compare.ts';
import type { Cell, FirstRows, Glance, TableGlance } from '../../core/sqlite/peek.ts';
import type { Action, Line, Notice } from '../protocol.ts';
import type { LookCell, LookChange, LookState, LookTable } from './protocol.ts';
import type { Change, LookAction, LookSession } from './session.ts';

/** What is known of the backup without opening it, as it is to be read. */
export interface LookSubject {
  title: string;
  subtitle: string;
  notices: Notice[];
  verdict: Line[];
  facts: { label: string; text: string }[];
  /** Buttons that are not offered, and why. */
  unavailable: Partial<Record<LookAction, string>>;
}

export interface LookWording {
  t: (message: string, ...values: (string | number)[]) => string;
  number: (value: number) => string;
  bytes: (value: number) => string;
}

const mostChanges = 200;

export function lookState(session: LookSession, subject: LookSubject, w: LookWording): LookState {
  const { t } = w;
  const { title, subtitle, notices, verdict, facts } = subject;
  const failed: Notice[] =
    session.error === undefined
      ? []
      : [
          {
            id: 'unreadable',
            kind: 'error',
            title: t('The content could not be read.'),
            text: session.error,
            actions: [],
          },
        ];
  return {
    words: {
      warning: t('Warning'),
      error: t('Error'),
      proof: t('Checked'),
      table: t('Table'),
      added: t('Added'),
      removed: t('Removed'),
      changed: t('Changed'),
      rowsOf: t('Rows of {0}'),
    },
    title,
    subtitle,
    notices: [...notices, ...failed],
    actions: buttons(subject, t),
    verdict,
    facts: [...facts, ...(session.glance === undefined ? [] : glanceFacts(session.glance, w))],
    changes: session.changes.map((change) => changeOf(change, w)),
    tables: tablesOf(session, w),
    schema: schemaOf(session, w),
    busy: session.isBusy,
    liveMessage: liveMessage(session, w),
  };
}

function buttons({ unavailable }: LookSubject, t: LookWording['t']): Action[] {
  const labels: Record<LookAction, string> = {
    restore: t('Restore…'),
    compare: t('Compare with Live'),
    test: t('Test Restore'),
    save: t('Save a Copy…'),
    viewer: t('Open in Viewer'),
  };
  return (Object.keys(labels) as LookAction[]).map((id) => {
    const reason = unavailable[id];
    return {
      id,
      label: labels[id],
      kind: id === 'restore' ? 'primary' : 'secondary',
      enabled: reason === undefined,
      ...(reason !== undefined && { reason }),
    };
  });
}

function glanceFacts(glance: Glance, { t, number, bytes }: LookWording): LookSubject['facts'] {
  const { pageCount, pageSize, encoding, indexes, triggers, userVersion } = glance;
  const more = [
    t('{0} pages of {1}', number(pageCount), bytes(pageSize)),
    encoding,
    indexes === 1 ? t('1 index') : t('{0} indexes', number(indexes)),
    ...(triggers === 0
      ? []
      : [triggers === 1 ? t('1 trigger') : t('{0} triggers', number(triggers))]),
    ...(userVersion === 0 ? [] : [t('user_version {0}', userVersion)]),
  ];
  return [{ label: t('Content'), text: more.join(' · ') }];
}

function changeOf(change: Change, w: LookWording): LookChange {
  const { moment, status, comparison, progress, error } = change;
  const { t } = w;
  const shown = comparison === undefined ? undefined : changesIn(comparison, w);
  const lines: Line[] =
    status === 'missing'
      ? [{ kind: 'fact', text: moment.missing ?? '' }]
      : status === 'failed'
        ? [{ kind: 'error', text: error ?? '' }]
        : (shown?.lines ?? []);
  const isAsked = status === 'offered' || status === 'failed';
  return {
    id: `change-${moment.id}`,
    title: moment.title,
    lines,
    ...(status === 'running' && {
      progress: {
        done: progress?.done ?? 0,
        total: progress?.total ?? 0,
        text: t('comparing…'),
      },
    }),
    rows: shown?.rows ?? [],
    notes: shown?.notes ?? [],
    actions: isAsked
      ? [
          {
            id: `compare-${moment.id}`,
            label: t('Compare Rows ({0})', w.bytes(moment.sizeBytes)),
            kind: 'secondary',
            enabled: true,
          },
        ]
      : [],
  };
}

function changesIn(
  { schema, tables, notCompared }: Comparison,
  { t, number }: LookWording,
): Pick<LookChange, 'rows' | 'notes' | 'lines'> {
  const differing = tables.filter(
    (one) => one.only !== undefined || one.onlyLeft + one.onlyRight + one.changed > 0,
  );
  const compared = tables.filter((one) => one.compared).length;
  const same = compared - differing.filter((one) => one.compared).length;
  const rows = differing.slice(0, mostChanges).map((one) => ({
    table: one.name,
    added: one.onlyRight,
    removed: one.onlyLeft,
    changed: one.changed,
    note: one.only === 'left' ? t('table removed') : one.only === 'right' ? t('new table') : '',
  }));
  const more = differing.length - rows.length;
  const sameRows: Line =
    notCompared.length > 0
      ? { kind: 'fact', text: t('The rows that could be compared are the same.') }
      : { kind: 'proof', text: t('No row differs.') };
  const lines: Line[] = [
    ...(schema.same ? [] : [{ kind: 'warning' as const, text: t('The schemas differ.') }]),
    ...(differing.length > 0 ? [] : [sameRows]),
  ];
  return {
    rows,
    lines,
    notes: [
      ...(more > 0 ? [t('{0} more tables differ.', number(more))] : []),
      ...(same === 0 || differing.length === 0
        ? []
        : [
            same === 1
              ? t('1 other table is identical.')
              : t('{0} other tables are identical.', number(same)),
          ]),
      ...notCompared
        .slice(0, 20)
        .map(({ name, reason }) => t('Not compared: {0} ({1})', name, reason)),
      ...(notCompared.length > 20
        ? [t('{0} more were not compared.', number(notCompared.length - 20))]
        : []),
    ],
  };
}

function tablesOf(session: LookSession, w: LookWording): LookState['tables'] {
  const { glance, from } = session;
  const { t, number } = w;
  const title = t('Tables');
  if (glance === undefined) {
    const note = session.isBusy ? t('reading…') : '';
    return { title, note, items: [], lines: [], actions: [] };
  }
  const { tables, total } = glance;
  const isPaged = total > tables.length;
  const note = isPaged
    ? t('{0} to {1} of {2}', number(from + 1), number(from + tables.length), number(total))
    : total === 1
      ? t('1 table')
      : t('{0} tables', number(total));
  const link = (id: string, label: string, enabled: boolean): Action => ({
    ...{ id, label, kind: 'secondary', enabled },
  });
  return {
    title,
    note,
    items: tables.map((table) => tableOf(table, session, w)),
    lines: total === 0 ? [{ kind: 'fact', text: t('There is no table in it.') }] : [],
    actions: isPaged
      ? [
          link('tables.previous', t('Previous Tables'), from > 0),
          link('tables.next', t('Next Tables'), from + tables.length < total),
        ]
      : [],
  };
}

function tableOf(table: TableGlance, session: LookSession, w: LookWording): LookTable {
  const { id, name, nameLength, kind } = table;
  const shownName =
    nameLength === undefined ? name : w.t('{0}… ({1} characters)', name, w.number(nameLength));
  const open = session.open.get(id);
  return {
    name: shownName,
    isOpen: open !== undefined,
    count: countOf(table, w),
    ...(kind === 'table' && {
      action: { id: `t${id}`, label: shownName, kind: 'link', enabled: true },
    }),
    ...(open !== undefined && {
      content:
        open.rows === undefined
          ? {
              columns: [],
              rows: [],
              lines: [
                open.error === undefined
                  ? { kind: 'fact', text: w.t('reading…') }
                  : { kind: 'error', text: open.error },
              ],
              actions: [],
            }
          : contentOf(id, open.rows, open.from, open.error, w),
    }),
  };
}

function countOf({ kind, rows, isMore, isDamaged }: TableGlance, w: LookWording): string {
  const { t, number } = w;
  if (kind === 'view') return t('view, not read here');
  if (kind === 'virtual') return t('virtual table, not read here');
  if (isDamaged === true) return t('damaged');
  if (rows === undefined) return t('rows not counted');
  if (isMore === true) return t('more than {0} rows', number(rows));
  return rows === 1 ? t('1 row') : t('{0} rows', number(rows));
}

function contentOf(
  id: number,
  { columns, moreColumns, computed, rows, isMore }: FirstRows,
  from: number,
  error: string | undefined,
  w: LookWording,
): NonNullable<LookTable['content']> {
  const { t, number } = w;
  const range =
    rows.length === 0
      ? t('No rows.')
      : t('Rows {0} to {1}', number(from + 1), number(from + rows.length));
  const left = [
    ...(moreColumns > 0 ? [t('{0} more columns are not shown.', number(moreColumns))] : []),
    ...(computed > 0 ? [t('Computed columns are not shown: {0}.', number(computed))] : []),
  ];
  const isPaged = isMore || from > 0;
  const step = (way: string, label: string, enabled: boolean): Action => ({
    ...{ id: `t${id}.${way}`, label, kind: 'secondary', enabled },
  });
  return {
    columns,
    rows: rows.map((row) => row.map((cell) => cellOf(cell, w))),
    lines: [
      { kind: 'fact', text: [range, ...left].join(' · ') },
      ...(error === undefined ? [] : [{ kind: 'error' as const, text: error }]),
    ],
    actions: isPaged
      ? [step('previous', t('Previous 100'), from > 0), step('next', t('Next 100'), isMore)]
      : [],
  };
}

function cellOf({ kind, text, bytes }: Cell, { t, bytes: size }: LookWording): LookCell {
  const shown = kind === 'blob' && text !== '' ? `x'${text}'` : text;
  if (bytes === undefined) return { kind, text: shown };
  return {
    kind,
    text: shown === '' ? '' : `${shown}…`,
    note: kind === 'blob' ? t('blob, {0}', size(bytes)) : t('text, {0}', size(bytes)),
  };
}

function schemaOf({ schema }: LookSession, { t }: LookWording): LookState['schema'] {
  const { isOpen, text, isAll, error } = schema;
  return {
    title: t('Schema'),
    action: { id: 'schema', label: t('Schema'), kind: 'link', enabled: true },
    isOpen,
    ...(isOpen && text !== undefined && { text }),
    lines: !isOpen
      ? []
      : error !== undefined
        ? [{ kind: 'error', text: error }]
        : isAll === false
          ? [{ kind: 'fact', text: t('The schema is long: this is its beginning.') }]
          : [],
  };
}

function liveMessage(session: LookSession, { t }: LookWording): string {
  if (session.error !== undefined) return session.error;
  if (session.isBusy) return t('reading…');
  return session.glance === undefined ? '' : t('Ready');
}
