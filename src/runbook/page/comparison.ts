/** What the restore of one database would lose, bring back and change. */
import type { Comparison, ComparisonRow, PageWords } from '../protocol.ts';
import { h, type Content, type Description } from './dom.ts';
import type { Memory } from './memory.ts';
import { actionButton, lineContent, lineList, own, progressBar } from './parts.ts';
import { disclosure } from './disclosure.ts';

export function comparisonSection(
  comparison: Comparison,
  words: PageWords,
  memory: Memory,
  isPlanning: boolean,
): Description {
  const { id, title, at, summary, progress, rows, rest, notCompared, lines, actions } = comparison;
  const hasTable = rows.length > 0 || rest !== undefined || notCompared.length > 0;
  return h(
    'section',
    { key: id, class: 'card comparison', 'aria-labelledby': `${id}-title` },
    h(
      'div',
      { key: 'head', class: 'head' },
      h('h2', { id: `${id}-title` }, own(title)),
      h(
        'div',
        { class: 'links dim' },
        at === undefined ? undefined : h('span', {}, own(at)),
        actions.map(actionButton),
      ),
    ),
    summary === undefined
      ? undefined
      : h('p', { key: 'summary', class: `line ${summary.kind}` }, lineContent(summary, words)),
    progress === undefined ? undefined : progressBar(progress, title),
    hasTable
      ? disclosure(`${id}-tables`, words.byTable, memory, isPlanning, tables(comparison, words))
      : undefined,
    lineList(lines, words),
  );
}

function tables({ title, rows, total, rest, notCompared }: Comparison, words: PageWords): Content {
  const columns = [words.live, words.backup, words.lost, words.gained, words.changed];
  const isSummed = total !== undefined && rows.length > 1;
  return [
    rows.length === 0
      ? undefined
      : h(
          'table',
          { role: 'table' },
          h('caption', { class: 'unseen' }, own(title)),
          h(
            'thead',
            { role: 'rowgroup' },
            h(
              'tr',
              { role: 'row' },
              [words.table, ...columns].map((name) =>
                h('th', { scope: 'col', role: 'columnheader' }, name),
              ),
            ),
          ),
          h(
            'tbody',
            { role: 'rowgroup' },
            rows.map((row) => tableRow(h('bdi', {}, row.table), row, words)),
          ),
          isSummed
            ? h(
                'tfoot',
                { role: 'rowgroup' },
                tableRow(words.total, { live: undefined, backup: undefined, ...total }, words),
              )
            : undefined,
        ),
    rest === undefined ? undefined : h('p', { key: 'rest', class: 'dim' }, own(rest)),
    notCompared.length === 0
      ? undefined
      : h(
          'div',
          { key: 'not-compared', class: 'not-compared' },
          h('h3', {}, words.notCompared),
          h(
            'ul',
            {},
            notCompared.map(({ table, reason }) =>
              h('li', {}, own(table), h('span', { class: 'dim' }, ' · ', own(reason))),
            ),
          ),
        ),
  ];
}

type Counts = { [name in Exclude<keyof ComparisonRow, 'table'>]: number | null | undefined };

function tableRow(name: Content, counts: Counts, words: PageWords): Description {
  const cell = (kind: keyof Counts, label: string): Description => {
    const value = counts[kind];
    const text =
      value === undefined ? '' : value === null ? words.unknown : numbers().format(value);
    const isNone = value === 0 || value === undefined || value === null;
    return h(
      'td',
      { role: 'cell', class: isNone ? `${kind} none` : kind, 'data-label': label },
      text,
    );
  };
  return h(
    'tr',
    { role: 'row' },
    h('th', { scope: 'row', role: 'rowheader' }, name),
    cell('live', words.live),
    cell('backup', words.backup),
    cell('lost', words.lost),
    cell('gained', words.gained),
    cell('changed', words.changed),
  );
}

let format: Intl.NumberFormat | undefined;

function numbers(): Intl.NumberFormat {
  return (format ??= new Intl.NumberFormat(document.documentElement.lang || undefined));
}
